//! The machine's own registry, below a key of the test's that is deleted at its end.
#![allow(clippy::unwrap_used)]

use gururmm_shared::RegistryData;

use super::*;
use crate::device::random_hex;

struct Ground(String);

impl Ground {
    fn new() -> Self {
        Self(format!(
            "HKCU\\Software\\GuruRMM-test-{}",
            random_hex::<8>()
        ))
    }

    fn key(&self, below: &str) -> String {
        format!("{}{below}", self.0)
    }

    fn write(&self, below: &str, name: &str, data: RegistryData) -> Option<String> {
        let value = RegistryValue {
            name: name.to_owned(),
            data,
        };
        match perform(&Operation::RegistryWrite {
            key: self.key(below),
            value,
        })
        .unwrap()
        {
            Reply::Replaced { before } => before,
            other => panic!("{other:?}"),
        }
    }

    fn list(&self, below: &str) -> Result<(Vec<String>, Vec<RegistryValue>), ErrorCode> {
        match perform(&Operation::RegistryList {
            key: self.key(below),
        }) {
            Ok(Reply::Registry { keys, values }) => Ok((keys, values)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.code),
        }
    }

    fn delete(&self, below: &str, name: Option<&str>) -> Result<String, ErrorCode> {
        let name = name.map(str::to_owned);
        match perform(&Operation::RegistryDelete {
            key: self.key(below),
            name,
        }) {
            Ok(Reply::Replaced { before }) => Ok(before.unwrap()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.code),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let path = KeyPath::parse(&self.0).unwrap();
        let _ = RegKey::predef(path.root).delete_subkey_all(&path.below);
    }
}

#[test]
fn values_of_all_types_are_written_read_and_deleted() {
    let ground = Ground::new();
    let all = [
        ("", RegistryData::String("default".into())),
        ("text", RegistryData::String("ä \"q\" \\".into())),
        ("expand", RegistryData::ExpandString("%TEMP%\\x".into())),
        (
            "list",
            RegistryData::MultiString(vec!["a".into(), "b".into()]),
        ),
        ("dword", RegistryData::Dword(80)),
        ("qword", RegistryData::Qword(1 << 40)),
        ("binary", RegistryData::Binary("00ff10".into())),
        (
            "none",
            RegistryData::Other {
                number: 0,
                bytes: "01".into(),
            },
        ),
    ];
    for (name, data) in &all {
        assert_eq!(ground.write("\\inner", name, data.clone()), None);
    }
    let (keys, values) = ground.list("\\inner").unwrap();
    assert!(keys.is_empty());
    for (name, data) in &all {
        let found = values.iter().find(|value| value.name == *name);
        assert_eq!(found.map(|value| &value.data), Some(data), "{name:?}");
    }
    for (name, data) in &all {
        let before: RegistryValue =
            serde_json::from_str(&ground.delete("\\inner", Some(name)).unwrap()).unwrap();
        assert_eq!(&before.data, data);
        assert_eq!(
            ground.delete("\\inner", Some(name)),
            Err(ErrorCode::NotFound)
        );
    }
    assert_eq!(ground.list(""), Ok((vec!["inner".to_owned()], Vec::new())));
}

#[test]
fn what_a_write_replaces_can_be_put_back() {
    let ground = Ground::new();
    ground.write("", "port", RegistryData::Dword(80));
    let before = ground
        .write("", "port", RegistryData::String("none".into()))
        .unwrap();
    let before: RegistryValue = serde_json::from_str(&before).unwrap();
    assert_eq!(before.data, RegistryData::Dword(80));
    ground.write("", "port", before.data);
    assert_eq!(ground.list("").unwrap().1[0].data, RegistryData::Dword(80));
}

#[test]
fn a_key_is_exported_and_what_its_deletion_takes_is_kept_as_that_text() {
    let ground = Ground::new();
    ground.write("\\a", "n", RegistryData::String("v".into()));
    ground.write("\\a\\b", "d", RegistryData::Dword(1));
    let export = Operation::RegistryExport {
        key: ground.key("\\a"),
    };
    let Reply::Text { text } = perform(&export).unwrap() else {
        panic!("no text")
    };
    let whole = ground.key("\\a").replace("HKCU", "HKEY_CURRENT_USER");
    let expected = format!(
        "Windows Registry Editor Version 5.00\r\n\r\n[{whole}]\r\n\"n\"=\"v\"\r\n\r\n[{whole}\\b]\r\n\"d\"=dword:00000001\r\n\r\n"
    );
    assert_eq!(text, expected);
    assert_eq!(ground.delete("\\a", None).unwrap(), expected);
    assert_eq!(ground.list("\\a"), Err(ErrorCode::NotFound));
    assert_eq!(ground.delete("\\a", None), Err(ErrorCode::NotFound));
}

#[test]
fn roots_and_what_lies_right_under_them_are_not_deleted() {
    for key in ["HKLM", "HKLM\\SOFTWARE", "HKEY_CURRENT_USER\\Software"] {
        let delete = Operation::RegistryDelete {
            key: key.to_owned(),
            name: None,
        };
        assert_eq!(
            perform(&delete).unwrap_err().code,
            ErrorCode::NotAllowed,
            "{key}"
        );
    }
    let value = RegistryValue {
        name: "x".into(),
        data: RegistryData::Dword(1),
    };
    let write = Operation::RegistryWrite {
        key: "HKLM".into(),
        value,
    };
    assert_eq!(perform(&write).unwrap_err().code, ErrorCode::NotAllowed);
}
