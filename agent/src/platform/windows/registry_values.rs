//! Values of the registry as they are told, and as the registry keeps them. What does not fit its type is
//! told by its bytes, so that it can be put back as it was.

use std::borrow::Cow;

use gururmm_shared::{ErrorCode, OperationError, RegistryData, RegistryValue};
use winreg::RegValue;
use winreg::enums::*;

use crate::device::hex;

/// Bytes of a value that are written.
const MOST_BYTES: usize = 512 * 1024;

/// The most characters of a value's name.
const MOST_NAME: usize = 16_383;

/// A value, as it is told.
pub(super) fn told(name: String, value: &RegValue<'_>) -> RegistryValue {
    RegistryValue {
        name,
        data: data(value),
    }
}

/// Checks a value's name.
///
/// # Errors
/// It cannot be one.
pub(super) fn check_name(name: &str) -> Result<(), OperationError> {
    if name.encode_utf16().count() <= MOST_NAME && !name.contains('\0') {
        return Ok(());
    }
    let text = "a value's name has at most 16,383 characters, and no NUL";
    Err(OperationError::new(ErrorCode::BadName, text))
}

/// The number of a type.
pub(super) fn number(kind: &RegType) -> u32 {
    match kind {
        REG_NONE => 0,
        REG_SZ => 1,
        REG_EXPAND_SZ => 2,
        REG_BINARY => 3,
        REG_DWORD => 4,
        REG_DWORD_BIG_ENDIAN => 5,
        REG_LINK => 6,
        REG_MULTI_SZ => 7,
        REG_RESOURCE_LIST => 8,
        REG_FULL_RESOURCE_DESCRIPTOR => 9,
        REG_RESOURCE_REQUIREMENTS_LIST => 10,
        REG_QWORD => 11,
    }
}

fn kind(number: u32) -> Option<RegType> {
    [
        REG_NONE,
        REG_SZ,
        REG_EXPAND_SZ,
        REG_BINARY,
        REG_DWORD,
        REG_DWORD_BIG_ENDIAN,
        REG_LINK,
        REG_MULTI_SZ,
        REG_RESOURCE_LIST,
        REG_FULL_RESOURCE_DESCRIPTOR,
        REG_RESOURCE_REQUIREMENTS_LIST,
        REG_QWORD,
    ]
    .into_iter()
    .find(|kind| self::number(kind) == number)
}

fn data(value: &RegValue<'_>) -> RegistryData {
    let bytes = &*value.bytes;
    let fitting = match value.vtype {
        REG_SZ => text(bytes).map(RegistryData::String),
        REG_EXPAND_SZ => text(bytes).map(RegistryData::ExpandString),
        REG_MULTI_SZ => texts(bytes).map(RegistryData::MultiString),
        REG_DWORD => bytes
            .try_into()
            .ok()
            .map(|bytes| RegistryData::Dword(u32::from_le_bytes(bytes))),
        REG_QWORD => bytes
            .try_into()
            .ok()
            .map(|bytes| RegistryData::Qword(u64::from_le_bytes(bytes))),
        REG_BINARY => Some(RegistryData::Binary(hex(bytes))),
        _ => None,
    };
    fitting.unwrap_or_else(|| RegistryData::Other {
        number: number(&value.vtype),
        bytes: hex(bytes),
    })
}

/// A value, as the registry keeps it.
///
/// # Errors
/// It cannot be one.
pub(super) fn kept(data: &RegistryData) -> Result<RegValue<'static>, OperationError> {
    let bad = |text: &str| OperationError::new(ErrorCode::BadName, text);
    let one = |text: &str| match text.contains('\0') {
        true => Err(bad("a text of the registry holds no NUL")),
        false => Ok(units(text)),
    };
    let (vtype, bytes) = match data {
        RegistryData::String(text) => (REG_SZ, one(text)?),
        RegistryData::ExpandString(text) => (REG_EXPAND_SZ, one(text)?),
        RegistryData::MultiString(all) => {
            let mut bytes = Vec::new();
            for text in all {
                if text.is_empty() {
                    return Err(bad(
                        "a list of texts holds no empty one: it would end there",
                    ));
                }
                bytes.extend(one(text)?);
            }
            bytes.extend([0, 0]);
            (REG_MULTI_SZ, bytes)
        }
        RegistryData::Dword(number) => (REG_DWORD, number.to_le_bytes().to_vec()),
        RegistryData::Qword(number) => (REG_QWORD, number.to_le_bytes().to_vec()),
        RegistryData::Binary(text) => (REG_BINARY, unhex(text)?),
        RegistryData::Other { number, bytes } => {
            let kind = kind(*number).ok_or_else(|| {
                OperationError::new(
                    ErrorCode::Unsupported,
                    format!("there is no type {number} that the agent could write"),
                )
            })?;
            (kind, unhex(bytes)?)
        }
    };
    if bytes.len() > MOST_BYTES {
        let text = format!(
            "a value of {} bytes; at most {MOST_BYTES} are written",
            bytes.len()
        );
        return Err(OperationError::new(ErrorCode::TooLarge, text));
    }
    Ok(RegValue {
        bytes: Cow::Owned(bytes),
        vtype,
    })
}

/// A text with its NUL.
fn units(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// A text, with or without NULs at its end; none where it is none.
fn text(bytes: &[u8]) -> Option<String> {
    let units = wide(bytes)?;
    let length = units
        .iter()
        .rposition(|unit| *unit != 0)
        .map_or(0, |at| at + 1);
    let text = String::from_utf16(&units[..length]).ok()?;
    (!text.contains('\0')).then_some(text)
}

/// Texts with a NUL each, and one more at the end; none where they are none.
fn texts(bytes: &[u8]) -> Option<Vec<String>> {
    let units = wide(bytes)?;
    let length = units
        .iter()
        .rposition(|unit| *unit != 0)
        .map_or(0, |at| at + 1);
    if length == 0 {
        return Some(Vec::new());
    }
    let all: Option<Vec<String>> = units[..length]
        .split(|unit| *unit == 0)
        .map(|one| String::from_utf16(one).ok())
        .collect();
    all.filter(|all| all.iter().all(|one| !one.is_empty()))
}

fn wide(bytes: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
}

fn unhex(text: &str) -> Result<Vec<u8>, OperationError> {
    let bad = || {
        let text = "bytes are written as hexadecimal digits, two for each";
        OperationError::new(ErrorCode::BadName, text)
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(bad());
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect::<Option<_>>()
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back_as_it_was_written() {
        for all in [
            RegistryData::String("ä \u{1f600}".into()),
            RegistryData::String(String::new()),
            RegistryData::ExpandString("%TEMP%".into()),
            RegistryData::MultiString(vec!["one".into(), "two".into()]),
            RegistryData::MultiString(Vec::new()),
            RegistryData::Dword(u32::MAX),
            RegistryData::Qword(u64::MAX),
            RegistryData::Binary("00ff".into()),
            RegistryData::Binary(String::new()),
            RegistryData::Other {
                number: 0,
                bytes: "01".into(),
            },
            RegistryData::Other {
                number: 5,
                bytes: "00000001".into(),
            },
            RegistryData::Other {
                number: 10,
                bytes: String::new(),
            },
        ] {
            assert_eq!(data(&kept(&all).unwrap()), all);
        }
    }

    #[test]
    fn what_does_not_fit_its_type_is_told_by_its_bytes() {
        let odd = |vtype: RegType, bytes: &[u8]| {
            let number = number(&vtype);
            let value = RegValue {
                bytes: bytes.to_vec().into(),
                vtype,
            };
            let expected = RegistryData::Other {
                number,
                bytes: hex(bytes),
            };
            assert_eq!(data(&value), expected);
            // So it can be put back.
            assert_eq!(*kept(&expected).unwrap().bytes, *bytes);
        };
        odd(REG_SZ, b"abc");
        odd(REG_SZ, &[0, 0xd8, 0, 0]);
        odd(REG_SZ, &[b'a', 0, 0, 0, b'b', 0]);
        odd(REG_DWORD, &[1, 2]);
        odd(REG_QWORD, &[1, 2, 3, 4]);
        odd(REG_MULTI_SZ, &[b'a', 0, 0, 0, 0, 0, b'b', 0, 0, 0]);
    }

    #[test]
    fn a_text_without_its_nul_is_one() {
        let value = RegValue {
            bytes: vec![b'a', 0].into(),
            vtype: REG_SZ,
        };
        assert_eq!(data(&value), RegistryData::String("a".into()));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        for (bad, code) in [
            (RegistryData::String("a\0b".into()), ErrorCode::BadName),
            (
                RegistryData::MultiString(vec![String::new()]),
                ErrorCode::BadName,
            ),
            (RegistryData::Binary("0".into()), ErrorCode::BadName),
            (RegistryData::Binary("0g".into()), ErrorCode::BadName),
            (
                RegistryData::Other {
                    number: 12,
                    bytes: String::new(),
                },
                ErrorCode::Unsupported,
            ),
            (
                RegistryData::Binary("00".repeat(MOST_BYTES + 1)),
                ErrorCode::TooLarge,
            ),
        ] {
            assert_eq!(kept(&bad).err().map(|error| error.code), Some(code));
        }
        assert!(check_name(&"n".repeat(16_384)).is_err() && check_name("a\0").is_err());
        assert!(check_name("").is_ok());
    }
}
