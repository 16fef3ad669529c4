//! The golden files: every message of every protocol version, which must decode for ever.
//!
//! `golden/protocol-N/<side>/<type>[.variant].json` is one message. What it decodes to must encode
//! to `<type>[.variant].canonical.json` where that exists (old spellings), else to itself.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gururmm_shared::{
    AgentMessage, DecodeError, ServerMessage, StreamMessage, TunnelPayload, ViewerMessage,
};
use serde_json::Value;

const SIDES: [(&str, &str); 4] = [
    ("agent", include_str!("../src/agent_message.rs")),
    ("server", include_str!("../src/server_message.rs")),
    ("viewer", include_str!("../src/viewer_message.rs")),
    ("stream", include_str!("../src/viewer_message.rs")),
];

#[test]
fn every_golden_file_decodes_and_encodes_to_its_canonical_form() {
    for protocol in ["protocol-1", "protocol-2"] {
        for (side, _) in SIDES {
            for path in messages(protocol, side) {
                let text = std::fs::read_to_string(&path).unwrap();
                let encoded = reencode(side, &text)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let canonical = path.with_extension("canonical.json");
                let wanted = if canonical.exists() {
                    std::fs::read_to_string(&canonical).unwrap()
                } else {
                    text
                };
                assert_eq!(json(&encoded), json(&wanted), "{}", path.display());
                let again = reencode(side, &encoded).unwrap();
                assert_eq!(json(&again), json(&encoded), "{}", path.display());
            }
        }
    }
}

#[test]
fn every_message_type_has_a_golden_file_of_this_protocol() {
    for (side, source) in SIDES {
        let have: BTreeSet<String> = messages("protocol-2", side)
            .iter()
            .map(|path| kind(path))
            .collect();
        let declared = declared(side, source);
        assert!(
            !declared.is_empty(),
            "the declarations of {side} were not found"
        );
        let missing: Vec<_> = declared.difference(&have).collect();
        assert!(missing.is_empty(), "{side}: no golden file for {missing:?}");
    }
}

#[test]
fn every_message_of_the_original_has_a_golden_file_of_the_first_protocol() {
    let agent = "auth heartbeat metrics network_state command_result watchdog_event update_result \
                 tunnel_ready tunnel_data tunnel_error";
    let server = "auth_ack command config_update update ack error ping tunnel_open tunnel_close \
                  tunnel_data";
    for (side, original) in [("agent", agent), ("server", server)] {
        let have: BTreeSet<String> = messages("protocol-1", side)
            .iter()
            .map(|path| kind(path))
            .collect();
        for name in original.split_whitespace() {
            assert!(have.contains(name), "{side}: no golden file for {name}");
        }
    }
}

#[test]
fn every_payload_of_a_tunnel_has_a_golden_file() {
    let error = serde_json::from_str::<TunnelPayload>(r#"{"type":"?"}"#).unwrap_err();
    let text = error.to_string();
    let (_, expected) = text.split_once("expected one of").unwrap();
    let kinds: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
    assert!(kinds.contains("terminal"), "{text}");

    let mut have = BTreeSet::new();
    for (side, _) in SIDES {
        for path in messages("protocol-2", side) {
            let message = json(&std::fs::read_to_string(path).unwrap());
            if let Some(kind) = message["payload"]["data"]["type"].as_str() {
                have.insert(kind.to_owned());
            }
        }
    }
    for kind in kinds {
        assert!(have.contains(kind), "no golden file for the payload {kind}");
    }
}

#[test]
fn every_word_of_the_data_plane_stands_in_a_golden_file() {
    let channel = include_str!("../src/channel.rs");
    let operation = include_str!("../src/operation.rs");
    let rules = include_str!("../src/tunnel_rules.rs");
    let consent = include_str!("../src/consent.rs");
    let mut have = BTreeSet::new();
    for (side, _) in SIDES {
        for path in messages("protocol-2", side) {
            words(
                "",
                &json(&std::fs::read_to_string(path).unwrap()),
                &mut have,
            );
        }
    }
    for (key, source, name) in [
        ("kind", channel, "ChannelKind"),
        ("signal", channel, "SignalName"),
        ("op", operation, "Operation"),
        ("action", operation, "ServiceAction"),
        ("start_type", operation, "StartType"),
        ("result", operation, "Reply"),
        ("code", operation, "ErrorCode"),
        ("kind", operation, "FileKind"),
        ("type", operation, "RegistryData"),
        ("features", rules, "Feature"),
        ("consent", consent, "ConsentOutcome"),
        ("when_nobody_is_there", consent, "ConsentDefault"),
        ("on_no_answer", consent, "ConsentDefault"),
    ] {
        let variants = variants(source, name);
        assert!(variants.len() > 1, "the variants of {name} were not found");
        for word in variants {
            assert!(
                have.contains(&(key.to_owned(), word.clone())),
                "{name}: no golden file with {key} {word}"
            );
        }
    }
}

#[test]
fn the_three_messages_of_the_reference_are_kept_to_the_letter() {
    let reference = [
        (
            "tunnel_ready",
            r#"{"type":"tunnel_ready","payload":{"session_id":"550e8400-e29b-41d4-a716-446655440000"}}"#,
        ),
        (
            "tunnel_data",
            r#"{"type":"tunnel_data","payload":{"channel_id":"terminal-1","data":{"type":"terminal_output","payload":{"stdout":"Hello, World!\n","stderr":"","exit_code":0}}}}"#,
        ),
        (
            "tunnel_error",
            r#"{"type":"tunnel_error","payload":{"channel_id":"terminal-1","error":"Failed to execute command: permission denied"}}"#,
        ),
    ];
    for (name, text) in reference {
        let path = root().join(format!("protocol-1/agent/{name}.json"));
        assert_eq!(std::fs::read_to_string(path).unwrap().trim_end(), text);
        let message = AgentMessage::decode(text).unwrap();
        assert_eq!(message.encode(), text);
    }
}

#[test]
fn an_unknown_type_is_told_apart_from_a_bad_payload_and_from_no_json() {
    let code = |text: &str| AgentMessage::decode(text).unwrap_err().code();
    assert_eq!(code(r#"{"type":"teleport","payload":{}}"#), "unknown_type");
    assert_eq!(
        code(r#"{"type":"tunnel_ready","payload":{}}"#),
        "bad_payload"
    );
    assert_eq!(code(r#"{"type":"tunnel_ready"}"#), "bad_payload");
    for malformed in [
        "",
        "{",
        "[]",
        "null",
        "7",
        r#"{"payload":{}}"#,
        r#"{"type":7}"#,
    ] {
        assert_eq!(code(malformed), "malformed_message", "{malformed}");
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let text = r#"{"type":"heartbeat","sent_at":1,"payload":{"mood":"good"}}"#;
    assert_eq!(AgentMessage::decode(text).unwrap(), AgentMessage::Heartbeat);
    let text = r#"{"type":"tunnel_error","payload":{"channel_id":"a","error":"b","level":3}}"#;
    assert!(AgentMessage::decode(text).is_ok());
}

fn reencode(side: &str, text: &str) -> Result<String, DecodeError> {
    match side {
        "agent" => AgentMessage::decode(text).map(|message| message.encode()),
        "server" => ServerMessage::decode(text).map(|message| message.encode()),
        "viewer" => ViewerMessage::decode(text).map(|message| message.encode()),
        _ => StreamMessage::decode(text).map(|message| message.encode()),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The messages of a side, without the canonical forms of others.
fn messages(protocol: &str, side: &str) -> Vec<PathBuf> {
    let directory = root().join(protocol).join(side);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".canonical.json"))
        .collect();
    paths.sort();
    paths
}

/// The message type that a file's name tells.
fn kind(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    name.split('.').next().unwrap().to_owned()
}

/// The types that the `messages!` of a side declares in its source.
fn declared(side: &str, source: &str) -> BTreeSet<String> {
    let name = match side {
        "agent" => "pub enum AgentMessage",
        "server" => "pub enum ServerMessage",
        "viewer" => "pub enum ViewerMessage",
        _ => "pub enum StreamMessage",
    };
    let (_, block) = source.split_once(name).expect("the enum is in its file");
    let (block, _) = block.split_once("\n}").expect("the macro ends");
    block
        .lines()
        .filter_map(|line| {
            let (kind, _) = line.trim().split_once(" => ")?;
            Some(kind.strip_prefix('"')?.strip_suffix('"')?.to_owned())
        })
        .collect()
}

/// The variants of an enum, as the wire writes them.
fn variants(source: &str, name: &str) -> Vec<String> {
    let (_, block) = source
        .split_once(&format!("pub enum {name} {{"))
        .expect("the enum is in its file");
    let (block, _) = block.split_once("\n}").expect("the enum ends");
    block
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| {
            let mut word = String::new();
            for c in line.chars().take_while(char::is_ascii_alphanumeric) {
                if c.is_ascii_uppercase() && !word.is_empty() {
                    word.push('_');
                }
                word.push(c.to_ascii_lowercase());
            }
            word
        })
        .collect()
}

/// The texts in a message, each with its key.
fn words(key: &str, value: &Value, into: &mut BTreeSet<(String, String)>) {
    match value {
        Value::String(text) => {
            into.insert((key.to_owned(), text.clone()));
        }
        Value::Array(items) => items.iter().for_each(|item| words(key, item, into)),
        Value::Object(fields) => fields.iter().for_each(|(key, item)| words(key, item, into)),
        _ => {}
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
