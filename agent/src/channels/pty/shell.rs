//! Which program a terminal runs, as what it is started and what it finds in its environment. The options'
//! words were checked before ([`gururmm_shared::ChannelKind::check`]); here, whether the machine has what they name.

use std::path::{Path, PathBuf};

use gururmm_shared::{ErrorCode, OperationError, TerminalOptions};

use crate::channels::session::Session;
use crate::device;
use crate::platform::{Login, Order, SESSION_MARK, TERMINAL_MARK};

/// What `TERM` is if nothing else is asked for.
const TERM: &str = "xterm-256color";

/// What is to be started in a terminal with these options. May ask the network for the agent's user and
/// touches the disk: blocks its thread.
///
/// # Errors
/// [`OperationError`]: which option cannot be used.
pub fn order(options: &TerminalOptions, session: &Session) -> Result<Order, OperationError> {
    let login = Login::of_agent();
    let program = login.program(options.shell.as_deref())?;
    let directory = match &options.working_directory {
        Some(directory) => existing(directory)?,
        None => login.home.clone(),
    };
    let mut variables = login.environment(&program);
    variables.extend(options.environment.clone());
    let term = options.term.as_deref().unwrap_or(TERM);
    variables.push(("TERM".to_owned(), term.to_owned()));
    variables.push(("GURURMM_SESSION_ID".to_owned(), session.id.to_string()));
    variables.push((SESSION_MARK.to_owned(), session.mark.to_string()));
    // By it the guard finds what has left the terminal's own session.
    variables.push((TERMINAL_MARK.to_owned(), device::random_hex::<16>()));
    let program = path_text(&program);
    Ok(Order {
        name: login
            .name_of(&program)
            .filter(|_| options.arguments.is_none()),
        program,
        arguments: options.arguments.clone().unwrap_or_default(),
        environment: variables,
        directory,
    })
}

fn existing(directory: &str) -> Result<PathBuf, OperationError> {
    let path = Path::new(directory);
    if !path.is_absolute() || !path.is_dir() {
        return Err(bad_name(
            "the working directory is no folder of this machine, give the absolute path of one",
        ));
    }
    Ok(path.to_owned())
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn bad_name(message: impl Into<String>) -> OperationError {
    OperationError::new(ErrorCode::BadName, message)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::sync::Arc;

    use gururmm_shared::{SessionId, TunnelRules};

    use super::*;
    use crate::connection::Lanes;
    use crate::platform::Launcher;

    fn ordered(options: TerminalOptions) -> Result<Order, ErrorCode> {
        let session = Session {
            id: SessionId::generate(),
            mark: "mark".into(),
            launcher: Launcher::Agent,
            rules: Arc::new(TunnelRules::default()),
            lanes: Lanes::new().0,
            dialer: None,
        };
        order(&options, &session).map_err(|error| error.code)
    }

    #[test]
    fn without_options_it_is_the_log_in_of_the_agents_user() {
        let order = ordered(TerminalOptions::default()).unwrap();
        assert!(order.program.starts_with('/'));
        assert!(order.name.unwrap().starts_with('-'));
        assert!(order.directory.is_dir());
        for variable in [("TERM", "xterm-256color"), (SESSION_MARK, "mark")] {
            let (name, value) = variable;
            assert!(
                order
                    .environment
                    .contains(&(name.to_owned(), value.to_owned())),
                "{name}"
            );
        }
    }

    #[test]
    fn arguments_of_ones_own_make_it_no_log_in() {
        let order = ordered(TerminalOptions {
            shell: Some("sh".to_owned()),
            arguments: Some(vec!["-c".to_owned(), "true".to_owned()]),
            ..TerminalOptions::default()
        })
        .unwrap();
        assert_eq!((order.program.as_str(), order.name), ("/bin/sh", None));
        assert_eq!(order.arguments, ["-c", "true"]);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let some = |text: &str| Some(text.to_owned());
        let options = TerminalOptions::default;
        for (refused, code) in [
            (
                TerminalOptions {
                    shell: some("cmd"),
                    ..options()
                },
                ErrorCode::Unsupported,
            ),
            (
                TerminalOptions {
                    shell: some("zsh"),
                    ..options()
                },
                ErrorCode::BadName,
            ),
            (
                TerminalOptions {
                    shell: some("/etc/passwd"),
                    ..options()
                },
                ErrorCode::NotFound,
            ),
            (
                TerminalOptions {
                    working_directory: some("/nowhere/at/all"),
                    ..options()
                },
                ErrorCode::BadName,
            ),
            (
                TerminalOptions {
                    working_directory: some("."),
                    ..options()
                },
                ErrorCode::BadName,
            ),
        ] {
            assert_eq!(ordered(refused.clone()).err(), Some(code), "{refused:?}");
        }
    }
}
