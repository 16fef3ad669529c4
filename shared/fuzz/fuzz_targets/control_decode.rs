//! Any text as a message of each side: refused, or a message that encodes to its like; and any rules and limits
//! on what it asks for.
#![no_main]

use gururmm_shared::{
    AgentMessage, ServerMessage, StreamMessage, TunnelPayload, TunnelRules, ViewerMessage,
};
use libfuzzer_sys::fuzz_target;

macro_rules! round_trip {
    ($message:ident, $text:expr) => {{
        let decoded = $message::decode($text);
        if let Ok(message) = &decoded {
            let encoded = message.encode();
            let again = $message::decode(&encoded).expect("what was encoded decodes");
            assert_eq!(again.encode(), encoded);
        }
        decoded
    }};
}

fuzz_target!(|text: &str| {
    let _ = round_trip!(AgentMessage, text);
    let _ = round_trip!(ViewerMessage, text);
    let _ = round_trip!(StreamMessage, text);
    match round_trip!(ServerMessage, text) {
        Ok(ServerMessage::TunnelData(data)) => check(&TunnelRules::default(), &data.data),
        Ok(ServerMessage::TunnelOpen(open)) => {
            let rules = open.rules.unwrap_or_default();
            rules.allows_tcp("localhost", 80);
        }
        _ => {}
    }
});

fn check(rules: &TunnelRules, payload: &TunnelPayload) {
    match payload {
        TunnelPayload::Open(open) => {
            rules.allows_channel(&open.kind);
            let _ = open.kind.check();
        }
        TunnelPayload::Request(request) => {
            rules.allows_operation(&request.operation);
            let _ = request.operation.check();
        }
        _ => {}
    }
}
