//! Tests of the limits.

use serde_json::json;

use crate::{ChannelKind, ErrorCode, Operation};

fn channel(value: serde_json::Value) -> Option<ErrorCode> {
    let kind: ChannelKind = serde_json::from_value(value).unwrap();
    kind.check().err().map(|error| error.code)
}

fn operation(value: serde_json::Value) -> Option<ErrorCode> {
    let operation: Operation = serde_json::from_value(value).unwrap();
    operation.check().err().map(|error| error.code)
}

#[test]
fn what_people_ask_for_is_taken() {
    for good in [
        json!({"kind": "terminal", "size": {"cols": 80, "rows": 24}}),
        json!({"kind": "terminal", "size": {"cols": 1, "rows": 1000}, "shell": "/bin/zsh",
            "arguments": ["-c", ""], "environment": {"GURURMM_A": "1"}, "term": "xterm-256color"}),
        json!({"kind": "tcp", "host": "db.example.com", "port": 5432}),
        json!({"kind": "tcp", "host": "fe80::1%eth0", "port": 1}),
        json!({"kind": "file_read", "path": "C:\\a b\\é"}),
        json!({"kind": "file_write", "path": "/a", "upload": "Ab-_9", "offset": 3, "size": 3,
            "sha256": "aB".repeat(32), "mode": 0o4755}),
    ] {
        assert_eq!(channel(good.clone()), None, "{good}");
    }
    for good in [
        json!({"op": "file_list", "path": "/", "limit": 1000, "after": "z"}),
        json!({"op": "service_control", "name": "getty@tty1.service", "action": "stop"}),
        json!({"op": "registry_write", "key": "HKLM\\A", "value": {"name": "", "type": "binary", "data": "00fF"}}),
        json!({"op": "registry_delete", "key": "HKLM\\A"}),
        json!({"op": "registry_delete", "key": "HKLM", "name": ""}),
    ] {
        assert_eq!(operation(good.clone()), None, "{good}");
    }
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let size = json!({"cols": 80, "rows": 24});
    for bad in [
        json!({"kind": "terminal", "size": {"cols": 0, "rows": 24}}),
        json!({"kind": "terminal", "size": {"cols": 80, "rows": 1001}}),
        json!({"kind": "terminal", "size": size, "shell": "a\0b"}),
        json!({"kind": "terminal", "size": size, "shell": ""}),
        json!({"kind": "terminal", "size": size, "term": "x;y"}),
        json!({"kind": "terminal", "size": size, "arguments": ["\0"]}),
        json!({"kind": "terminal", "size": size, "environment": {"LD_PRELOAD": "x"}}),
        json!({"kind": "tcp", "host": "", "port": 1}),
        json!({"kind": "tcp", "host": "a b", "port": 1}),
        json!({"kind": "tcp", "host": "a", "port": 0}),
        json!({"kind": "file_read", "path": ""}),
        json!({"kind": "archive_read", "path": "\0"}),
        json!({"kind": "archive_write", "path": ""}),
        json!({"kind": "file_write", "path": "/a", "upload": "../x", "size": 1}),
        json!({"kind": "file_write", "path": "/a", "upload": "", "size": 1}),
        json!({"kind": "file_write", "path": "/a", "upload": "x", "size": 1, "sha256": "é".repeat(32)}),
        json!({"kind": "file_write", "path": "/a", "upload": "x", "size": 1, "mode": 0o10000}),
    ] {
        assert_eq!(channel(bad.clone()), Some(ErrorCode::BadName), "{bad}");
    }
    for bad in [
        json!({"op": "file_list", "path": "/", "limit": 0}),
        json!({"op": "file_list", "path": "/", "limit": 1001}),
        json!({"op": "file_rename", "from": "/a", "to": ""}),
        json!({"op": "upload_drop", "path": "/a", "upload": "a/b"}),
        json!({"op": "service_stat", "name": "a\nb"}),
        json!({"op": "registry_write", "key": "HKLM\\A", "value": {"name": "", "type": "binary", "data": "0"}}),
        json!({"op": "registry_write", "key": "HKLM\\A",
            "value": {"name": "", "type": "other", "data": {"number": 0, "bytes": "zz"}}}),
        json!({"op": "registry_delete", "key": "HKLM"}),
        json!({"op": "registry_delete", "key": "HKLM\\\\"}),
    ] {
        assert_eq!(operation(bad.clone()), Some(ErrorCode::BadName), "{bad}");
    }
}

#[test]
fn what_is_too_long_is_refused_as_that() {
    let long = "x".repeat(5000);
    let size = json!({"cols": 80, "rows": 24});
    for large in [
        json!({"kind": "file_read", "path": long}),
        json!({"kind": "terminal", "size": size, "arguments": vec!["x"; 65]}),
        json!({"kind": "terminal", "size": size, "arguments": vec![&long; 7]}),
        json!({"kind": "tcp", "host": long, "port": 1}),
        json!({"kind": "file_write", "path": "/a", "upload": "x".repeat(65), "size": 1}),
    ] {
        assert_eq!(channel(large.clone()), Some(ErrorCode::TooLarge), "{large}");
    }
    let value = json!({"name": "", "type": "string", "data": "x".repeat(129 * 1024)});
    for large in [
        json!({"op": "registry_write", "key": "HKLM\\A", "value": value}),
        json!({"op": "service_stat", "name": long}),
    ] {
        assert_eq!(operation(large), Some(ErrorCode::TooLarge));
    }
}

#[test]
fn an_upload_that_begins_beyond_its_end_has_a_bad_offset() {
    let bad = json!({"kind": "file_write", "path": "/a", "upload": "x", "offset": 2, "size": 1});
    assert_eq!(channel(bad), Some(ErrorCode::BadOffset));
}
