//! The text of a .reg file: a key with all that is under it, as the registry's editor writes and reads it.

use gururmm_shared::{ErrorCode, OperationError};
use winreg::enums::{REG_DWORD, REG_SZ};
use winreg::{RegKey, RegValue};

use super::registry_values::number;

/// Bytes of text: with what JSON makes of them, less than a message may have.
const MOST_TEXT: usize = 900 * 1024;

/// Keys inside of one another that are written.
const MOST_DEPTH: usize = 512;

/// Bytes of a value that stand in one line.
const LINE_BYTES: usize = 25;

/// Writes a key, which is called `name`, with all that is under it.
///
/// # Errors
/// It is too much; a part of it may not be read.
pub(super) fn write(key: &RegKey, name: &str) -> Result<String, OperationError> {
    let mut text = "Windows Registry Editor Version 5.00\r\n".to_owned();
    write_key(key, name, 0, &mut text)?;
    text.push_str("\r\n");
    Ok(text)
}

fn write_key(
    key: &RegKey,
    name: &str,
    depth: usize,
    text: &mut String,
) -> Result<(), OperationError> {
    if depth > MOST_DEPTH {
        return Err(too_large(name));
    }
    text.push_str(&format!("\r\n[{name}]\r\n"));
    for value in key.enum_values() {
        let (value_name, value) = value.map_err(|error| failure(&error, name))?;
        write_value(&value_name, &value, text);
        check(name, text)?;
    }
    check(name, text)?;
    for inner in key.enum_keys() {
        let inner = inner.map_err(|error| failure(&error, name))?;
        let whole = format!("{name}\\{inner}");
        let opened = key
            .open_subkey(&inner)
            .map_err(|error| failure(&error, &whole))?;
        write_key(&opened, &whole, depth + 1, text)?;
    }
    Ok(())
}

fn write_value(name: &str, value: &RegValue<'_>, text: &mut String) {
    match name {
        "" => text.push('@'),
        name => text.push_str(&quoted(name)),
    }
    text.push('=');
    let bytes = &*value.bytes;
    match (&value.vtype, <[u8; 4]>::try_from(bytes)) {
        (REG_DWORD, Ok(bytes)) => {
            text.push_str(&format!("dword:{:08x}", u32::from_le_bytes(bytes)))
        }
        (REG_SZ, _) => match plain_text(bytes) {
            Some(one) => text.push_str(&quoted(&one)),
            None => write_bytes(1, bytes, text),
        },
        (other, _) => write_bytes(number(other), bytes, text),
    }
    text.push_str("\r\n");
}

/// Type 3 is the one that needs no number.
fn write_bytes(number: u32, bytes: &[u8], text: &mut String) {
    match number {
        3 => text.push_str("hex:"),
        other => text.push_str(&format!("hex({other:x}):")),
    }
    let lines: Vec<String> = bytes
        .chunks(LINE_BYTES)
        .map(|line| {
            let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(",")
        })
        .collect();
    text.push_str(&lines.join(",\\\r\n  "));
}

/// A text with its NUL, and with nothing in it that would be lost in a line.
fn plain_text(bytes: &[u8]) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let (nul, units) = units.split_last()?;
    if !rest.is_empty() || *nul != 0 {
        return None;
    }
    let text = String::from_utf16(units).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn check(name: &str, text: &str) -> Result<(), OperationError> {
    if text.len() > MOST_TEXT {
        return Err(too_large(name));
    }
    Ok(())
}

fn too_large(name: &str) -> OperationError {
    let text = format!("at {name} it became more than {MOST_TEXT} bytes: export the keys under it");
    OperationError::new(ErrorCode::TooLarge, text)
}

fn failure(error: &std::io::Error, name: &str) -> OperationError {
    super::registry::failure(error, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use winreg::enums::*;

    fn line(name: &str, vtype: RegType, bytes: &[u8]) -> String {
        let mut text = String::new();
        let value = RegValue {
            bytes: bytes.to_vec().into(),
            vtype,
        };
        write_value(name, &value, &mut text);
        text
    }

    #[test]
    fn values_are_written_as_the_editor_writes_them() {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        assert_eq!(line("", REG_SZ, &wide("x\0")), "@=\"x\"\r\n");
        assert_eq!(
            line("a\"b", REG_SZ, &wide("c:\\d\"\0")),
            "\"a\\\"b\"=\"c:\\\\d\\\"\"\r\n"
        );
        assert_eq!(
            line("n", REG_SZ, &wide("a\nb\0")),
            "\"n\"=hex(1):61,00,0a,00,62,00,00,00\r\n"
        );
        assert_eq!(
            line("n", REG_DWORD, &[0x50, 0, 0, 0]),
            "\"n\"=dword:00000050\r\n"
        );
        assert_eq!(line("n", REG_DWORD, &[1]), "\"n\"=hex(4):01\r\n");
        assert_eq!(line("n", REG_BINARY, &[1, 0xff]), "\"n\"=hex:01,ff\r\n");
        assert_eq!(line("n", REG_BINARY, &[]), "\"n\"=hex:\r\n");
        assert_eq!(
            line("n", REG_QWORD, &[1, 0, 0, 0, 0, 0, 0, 0]),
            "\"n\"=hex(b):01,00,00,00,00,00,00,00\r\n"
        );
        assert_eq!(
            line("n", REG_EXPAND_SZ, &wide("a\0")),
            "\"n\"=hex(2):61,00,00,00\r\n"
        );
        assert_eq!(line("n", REG_NONE, &[]), "\"n\"=hex(0):\r\n");
        let long = line("n", REG_BINARY, &[0; 26]);
        assert!(long.ends_with(",\\\r\n  00\r\n"), "{long}");
    }
}
