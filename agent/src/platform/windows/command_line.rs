//! A program's command line and environment, as the system takes them: one text each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStrExt;

use super::text::wide;

/// Whether a program is the command interpreter, which reads its command line in a way of its own.
pub(super) fn is_cmd(program: &str) -> bool {
    let name = program.rsplit(['\\', '/']).next().unwrap_or(program);
    name.eq_ignore_ascii_case("cmd.exe") || name.eq_ignore_ascii_case("cmd")
}

/// The command line of a program with these arguments, with its NUL.
///
/// # Errors
/// An argument holds a NUL.
pub(super) fn command_line(program: &str, arguments: &[String]) -> io::Result<Vec<u16>> {
    let mut line = format!("\"{program}\"");
    for argument in arguments {
        line.push(' ');
        // The interpreter does not know of escaped quotes: what is for it goes as it is.
        if is_cmd(program) {
            line.push_str(argument);
        } else {
            push_quoted(&mut line, argument);
        }
    }
    if line.contains('\0') || program.contains('"') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(wide(line))
}

/// As `CommandLineToArgvW` reads it back: backslashes count only before a quote.
fn push_quoted(line: &mut String, argument: &str) {
    if !argument.is_empty() && !argument.contains([' ', '\t', '"']) {
        line.push_str(argument);
        return;
    }
    line.push('"');
    let mut backslashes = 0;
    for character in argument.chars() {
        match character {
            '\\' => backslashes += 1,
            '"' => {
                line.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(character);
    }
    line.extend(std::iter::repeat_n('\\', backslashes));
    line.push('"');
}

/// The agent's own environment with these variables beside or instead of its own, as the system takes it:
/// sorted, each with a NUL, and one more at the end.
pub(super) fn environment_block(more: &[(String, String)]) -> Vec<u16> {
    let own = std::env::vars_os();
    let more = more
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    // Case does not count in their names.
    let all: BTreeMap<_, _> = own
        .chain(more)
        .map(|(name, value)| (name.to_ascii_uppercase(), (name, value)))
        .collect();
    let mut block = Vec::new();
    for (name, value) in all.into_values() {
        block.extend(name.encode_wide());
        block.push(u16::from(b'='));
        block.extend(value.encode_wide());
        block.push(0);
    }
    block.push(0);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(program: &str, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let wide = command_line(program, &arguments).unwrap();
        String::from_utf16(&wide[..wide.len() - 1]).unwrap()
    }

    #[test]
    fn words_are_quoted_where_they_have_to_be() {
        let told = line(
            "C:\\a b.exe",
            &["plain", "", "a b", r#"say "hi""#, r"end\", r"a b\"],
        );
        let expected = r#""C:\a b.exe" plain "" "a b" "say \"hi\"" end\ "a b\\""#;
        assert_eq!(told, expected);
    }

    #[test]
    fn the_command_interpreter_gets_its_line_as_it_is() {
        let told = line(
            "C:\\Windows\\System32\\CMD.EXE",
            &["/d", "/c", r#""echo "a"""#],
        );
        assert_eq!(told, r#""C:\Windows\System32\CMD.EXE" /d /c "echo "a"""#);
        assert!(is_cmd("cmd") && !is_cmd("C:\\cmd.exe\\other.exe"));
    }

    #[test]
    fn a_nul_is_refused() {
        assert!(command_line("a.exe", &["a\0b".to_owned()]).is_err());
    }

    #[test]
    fn a_variable_of_ones_own_replaces_the_agents_whatever_its_case() {
        let more = [("pAtH".to_owned(), "x".to_owned())];
        let text = String::from_utf16(&environment_block(&more)).unwrap();
        let paths: Vec<&str> = text
            .split('\0')
            .filter(|one| one.to_ascii_lowercase().starts_with("path="))
            .collect();
        assert_eq!(paths, ["pAtH=x"]);
        assert!(text.ends_with("\0\0"));
    }
}
