//! What names and other short texts from outside may hold.

/// Whether a name may be kept: not blank, no control characters, not too long.
///
/// # Errors
/// A sentence for the one who typed it.
pub fn check_name(text: &str, max_chars: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.chars().count() > max_chars {
        return Err(format!("must have at most {max_chars} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    Ok(())
}

/// Makes a text from an agent fit to be kept: control characters replaced, cut to `max_chars`.
#[must_use]
pub fn tame(text: &str, max_chars: usize) -> String {
    text.chars()
        .take(max_chars)
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Makes output fit to be kept: PostgreSQL cannot keep NUL.
#[must_use]
pub fn printable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Brings an e-mail address into the form in which it is compared and stored.
#[must_use]
pub fn normalize_email(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_long_and_control_characters_are_refused() {
        assert!(check_name("  ", 10).is_err());
        assert!(check_name("a\0b", 10).is_err());
        assert!(check_name("12345678901", 10).is_err());
        assert!(check_name("Müller & Söhne'; DROP TABLE clients;--", 100).is_ok());
    }

    #[test]
    fn a_hostile_host_name_is_tamed() {
        assert_eq!(tame("web\u{1b}[2J\n01", 6), "web\u{fffd}[2");
    }
}
