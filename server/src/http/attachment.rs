//! Names of files that browsers save: `Content-Disposition` (RFC 6266, RFC 8187). The name is the machine's, and
//! nothing in it is trusted.

use std::fmt::Write;

/// The longest name, in characters.
const NAME_CHARS: usize = 150;

/// The last part of a path of either system, or `download` where there is none.
#[must_use]
pub fn name_of(path: &str) -> &str {
    let parts = path.rsplit(['/', '\\']);
    let mut names = parts.filter(|part| !part.is_empty() && !matches!(*part, "." | ".."));
    names.next().unwrap_or("download")
}

/// The header's value for a file of this name.
#[must_use]
pub fn attachment(name: &str) -> String {
    let name: String = name.chars().take(NAME_CHARS).collect();
    let plain: String = name.chars().map(plain).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                value.push(byte.into());
            } else {
                // Writing to a String cannot fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    value
}

/// What old readers make of a quoted name they all make of these; anything else is an underscore.
fn plain(c: char) -> char {
    let kept = c.is_ascii_alphanumeric() || " !#$&'()+,-.@[]^_`{}~".contains(c);
    if kept { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        assert_eq!(name_of("/var/log/syslog"), "syslog");
        assert_eq!(name_of(r"C:\Data\a b.txt"), "a b.txt");
        assert_eq!(name_of("/srv/data/"), "data");
        for nothing in ["/", "", "/..", r"\\"] {
            assert_eq!(name_of(nothing), "download", "{nothing}");
        }
    }

    #[test]
    fn a_plain_name_stands_as_it_is() {
        assert_eq!(
            attachment("report-1.txt"),
            "attachment; filename=\"report-1.txt\""
        );
    }

    #[test]
    fn what_is_more_than_ascii_comes_in_both_forms() {
        assert_eq!(
            attachment("übung.txt"),
            "attachment; filename=\"_bung.txt\"; filename*=UTF-8''%C3%BCbung.txt"
        );
    }

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        for evil in [
            "a\"; filename=\"evil.exe",
            "a\r\nSet-Cookie: x=1",
            "a%22b;c",
            "\u{202e}txt.exe",
            &"x".repeat(10_000),
        ] {
            let value = attachment(evil);
            assert!(value.is_ascii() && !value.contains(['\r', '\n']), "{value}");
            assert!(value.len() < 2500, "{}", value.len());
            assert_eq!(value.matches('"').count(), 2, "{value}");
            assert_eq!(value.matches("filename=").count(), 1, "{value}");
        }
    }
}
