//! Where files are: `AGENT:/path`, or a path on this machine.

use std::path::PathBuf;

/// A place of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On an agent's machine.
    Remote {
        /// Its name.
        agent: String,
        /// An absolute path.
        path: String,
    },
    /// On this machine.
    Local(PathBuf),
}

impl Place {
    /// Reads a place. A colon after a `/`, or after the single letter of a Windows drive, belongs to a local path.
    ///
    /// # Errors
    /// A text that says how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let local = || Ok(Self::Local(PathBuf::from(text)));
        let Some((agent, path)) = text.split_once(':') else {
            return if text.is_empty() {
                Err("a place is missing; write AGENT:/path or a path of this machine".to_owned())
            } else {
                local()
            };
        };
        let is_drive = cfg!(windows) && agent.len() == 1;
        if agent.is_empty() || agent.contains(['/', '\\']) || is_drive {
            return local();
        }
        let mut characters = path.chars();
        let drive = characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.next() == Some(':');
        if !path.starts_with(['/', '\\']) && !drive {
            return Err(format!(
                "{text:?}: the path on the machine has to be whole, as {agent}:/path or {agent}:C:\\path; write ./{text} for a file here"
            ));
        }
        Ok(Self::Remote {
            agent: agent.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// The last part of a path on a machine of either kind.
///
/// The name may come from an agent: it is none if it could lead anywhere else.
pub(super) fn base_name(path: &str) -> Option<&str> {
    let windows = !path.starts_with('/');
    let separators: &[char] = if windows { &['/', '\\'] } else { &['/'] };
    let name = path
        .trim_end_matches(separators)
        .rsplit(separators)
        .next()?;
    let safe =
        !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']) && !name.ends_with(':');
    safe.then_some(name)
}

/// A name in a folder on a machine of either kind.
pub(super) fn joined(folder: &str, name: &str) -> String {
    let separator = if folder.starts_with('/') || folder.contains('/') {
        '/'
    } else {
        '\\'
    };
    let trimmed = folder.trim_end_matches(['/', separator]);
    format!("{trimmed}{separator}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(agent: &str, path: &str) -> Place {
        Place::Remote {
            agent: agent.to_owned(),
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_name_before_a_colon_is_an_agent() {
        assert_eq!(
            Place::parse("web:/etc/hosts").unwrap(),
            remote("web", "/etc/hosts")
        );
        assert_eq!(
            Place::parse(r"pc:C:\Temp\a").unwrap(),
            remote("pc", r"C:\Temp\a")
        );
        assert_eq!(Place::parse("web:/a:b").unwrap(), remote("web", "/a:b"));
    }

    #[test]
    fn anything_else_is_here() {
        for text in ["a", "./a:b", "/a:/b", ":a"] {
            assert_eq!(
                Place::parse(text).unwrap(),
                Place::Local(text.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_path_that_is_not_whole_is_refused() {
        for bad in ["web:", "web:etc", "", "web:~/a"] {
            assert!(Place::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        assert_eq!(base_name("/a/b"), Some("b"));
        assert_eq!(base_name("/a/b/"), Some("b"));
        assert_eq!(base_name(r"C:\a\b"), Some("b"));
        assert_eq!(base_name(r"/a/b\c"), Some(r"b\c"));
        for bad in ["/", "/a/..", "/.", r"C:\"] {
            assert_eq!(base_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_is_joined_as_its_machine_does() {
        assert_eq!(joined("/a", "b"), "/a/b");
        assert_eq!(joined("/", "b"), "/b");
        assert_eq!(joined(r"C:\a\", "b"), r"C:\a\b");
    }
}
