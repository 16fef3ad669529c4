//! What `systemctl` is asked for and how its answers read. Runs nothing.

/// The program.
pub const PROGRAM: &str = "systemctl";

/// Lists the services that are loaded.
pub const LIST_UNITS: [&str; 7] = [
    "list-units",
    "--type=service",
    "--all",
    "--plain",
    "--no-legend",
    "--no-pager",
    "--full",
];

/// Lists the services that have a file.
pub const LIST_FILES: [&str; 5] = [
    "list-unit-files",
    "--type=service",
    "--no-legend",
    "--no-pager",
    "--full",
];

/// Tells about one service, whose name follows.
pub const SHOW: [&str; 4] = [
    "show",
    "--no-pager",
    "--property=Id,Description,LoadState,ActiveState,SubState,UnitFileState,MainPID",
    "--",
];

/// A service that is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Its name, with `.service`.
    pub name: &'a str,
    /// `active`, `inactive`, `failed`, …
    pub active: &'a str,
    /// `running`, `exited`, `dead`, …
    pub sub: &'a str,
    /// For people.
    pub description: String,
}

/// Reads what [`LIST_UNITS`] prints: lines of unit, load, active, sub and description.
pub fn units(text: &str) -> impl Iterator<Item = Unit<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, load, active) = (words.next()?, words.next()?, words.next()?);
        let sub = words.next()?;
        (load != "not-found").then(|| Unit {
            name,
            active,
            sub,
            description: words.collect::<Vec<_>>().join(" "),
        })
    })
}

/// Reads what [`LIST_FILES`] prints: name and state. Templates (`name@.service`) are no services.
pub fn files(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, state) = (words.next()?, words.next()?);
        (!name.contains("@.")).then_some((name, state))
    })
}

/// Reads a property of what [`SHOW`] prints; an empty one is as good as none.
#[must_use]
pub fn property<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_by_column_and_missing_ones_left_out() {
        let text = "ssh.service loaded active running OpenBSD Secure Shell server\n\
            x.service not-found inactive dead x.service\nrubbish\n";
        let found: Vec<_> = units(text).collect();
        let expected = Unit {
            name: "ssh.service",
            active: "active",
            sub: "running",
            description: "OpenBSD Secure Shell server".into(),
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn templates_are_no_services() {
        let text = "getty@.service enabled enabled\nssh.service disabled enabled\n";
        assert_eq!(
            files(text).collect::<Vec<_>>(),
            [("ssh.service", "disabled")]
        );
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        let text = "Id=a.service\nDescription=a=b\nUnitFileState=\n";
        assert_eq!(property(text, "Description"), Some("a=b"));
        assert_eq!(property(text, "UnitFileState"), None);
        assert_eq!(property(text, "MainPID"), None);
    }
}
