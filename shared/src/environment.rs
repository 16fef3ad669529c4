//! The environment variables by which a script gets its parameters: how they are named, and how much
//! they may hold. The prefix keeps them apart from what a system gives meaning to (`PATH`,
//! `LD_PRELOAD`, `ComSpec`); both ends check, the server what it takes and the agent what it is sent.

use std::collections::BTreeMap;

/// What every name begins with.
pub const ENVIRONMENT_PREFIX: &str = "GURURMM_";
/// Variables that a command may have.
pub const ENVIRONMENT_VARIABLES: usize = 32;
/// Bytes of the name of a script's parameter.
pub const PARAMETER_NAME_BYTES: usize = 64;
/// Bytes of one value.
pub const ENVIRONMENT_VALUE_BYTES: usize = 4096;
/// Bytes of all names and values of a command.
pub const ENVIRONMENT_BYTES: usize = 32 * 1024;
/// By these an agent knows what it has started.
const RESERVED: [&str; 3] = ["COMMAND_ID", "SESSION_ID", "TUNNEL_MARK"];

/// Whether a script's parameter may have this name: a letter or `_`, then letters, digits and `_`, at
/// most [`PARAMETER_NAME_BYTES`], and none that the agent needs itself.
///
/// # Errors
/// A sentence for the one who chose it.
pub fn check_parameter_name(name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let begins = characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !begins || !characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("is a letter or _, then letters, digits and _".to_owned());
    }
    if name.len() > PARAMETER_NAME_BYTES {
        return Err(format!("has at most {PARAMETER_NAME_BYTES} characters"));
    }
    if RESERVED.contains(&name.to_ascii_uppercase().as_str()) {
        return Err("is one of the agent's own; choose another".to_owned());
    }
    Ok(())
}

/// Whether a value may be in an environment.
///
/// # Errors
/// A sentence for the one who gave it.
pub fn check_value(value: &str) -> Result<(), String> {
    if value.len() > ENVIRONMENT_VALUE_BYTES {
        return Err(format!("has at most {ENVIRONMENT_VALUE_BYTES} bytes"));
    }
    if value.contains('\0') {
        return Err("must not hold NUL".to_owned());
    }
    Ok(())
}

/// The variable of a parameter: in capitals, for Windows knows no other difference.
#[must_use]
pub fn variable_of(parameter: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", parameter.to_ascii_uppercase())
}

/// Whether a command may have these variables.
///
/// # Errors
/// Which one is at fault, and why; never its value.
pub fn check_environment(variables: &BTreeMap<String, String>) -> Result<(), String> {
    if variables.len() > ENVIRONMENT_VARIABLES {
        return Err(format!(
            "a command has at most {ENVIRONMENT_VARIABLES} variables"
        ));
    }
    let bytes: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > ENVIRONMENT_BYTES {
        return Err(format!(
            "the variables of a command have at most {ENVIRONMENT_BYTES} bytes"
        ));
    }
    for (name, value) in variables {
        let shown: String = name.chars().take(80).collect();
        let own = name.strip_prefix(ENVIRONMENT_PREFIX);
        let own = own.ok_or_else(|| {
            format!("the variable {shown:?} does not begin with {ENVIRONMENT_PREFIX}")
        })?;
        check_parameter_name(own)
            .and_then(|()| check_value(value))
            .map_err(|why| format!("the variable {shown:?} {why}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_a_system_gives_meaning_to_cannot_be_named() {
        for name in [
            "PATH",
            "LD_PRELOAD",
            "ComSpec",
            "gururmm_a",
            "GURURMM_",
            "GURURMM_A=B",
            "GURURMM_A B",
            "GURURMM_Ä",
            "GURURMM_COMMAND_ID",
            "GURURMM_session_id",
            "GURURMM_TUNNEL_MARK",
        ] {
            assert!(check_environment(&one(name, "x")).is_err(), "{name}");
        }
        assert_eq!(
            check_environment(&one("GURURMM_SERVICE", "'; reboot; '")),
            Ok(())
        );
    }

    #[test]
    fn names_values_and_their_number_have_limits() {
        let long = format!("GURURMM_{}", "A".repeat(65));
        assert!(check_environment(&one(&long, "")).is_err());
        assert!(check_environment(&one("GURURMM_A", &"x".repeat(4097))).is_err());
        assert!(check_environment(&one("GURURMM_A", "a\0b")).is_err());
        let many: BTreeMap<_, _> = (0..33)
            .map(|index| (format!("GURURMM_A{index}"), String::new()))
            .collect();
        assert!(check_environment(&many).is_err());
        let large: BTreeMap<_, _> = (0..9)
            .map(|index| (format!("GURURMM_A{index}"), "x".repeat(4096)))
            .collect();
        assert!(check_environment(&large).is_err());
    }

    #[test]
    fn a_parameters_variable_passes_the_agents_check() {
        for name in ["service", "_x1", "A"] {
            assert_eq!(check_parameter_name(name), Ok(()));
            assert_eq!(check_environment(&one(&variable_of(name), "x")), Ok(()));
        }
        assert_eq!(variable_of("service_Name"), "GURURMM_SERVICE_NAME");
        for name in ["", "1a", "a-b", "a b", "command_id"] {
            assert!(check_parameter_name(name).is_err(), "{name}");
        }
    }
}
