//! Decoding of what the server says, lenient where the first generation was terse.

use gururmm_shared::{DecodeError, ServerMessage};
use serde_json::{Value, json};

/// Reads one text frame; a payload that is missing altogether counts as an empty one.
///
/// # Errors
/// [`DecodeError`]
pub fn decode(text: &str) -> Result<ServerMessage, DecodeError> {
    let error = match ServerMessage::decode(text) {
        Err(error @ DecodeError::Payload { .. }) => error,
        decoded => return decoded,
    };
    let Ok(Value::Object(mut message)) = serde_json::from_str(text) else {
        return Err(error);
    };
    if !message.get("payload").is_none_or(Value::is_null) {
        return Err(error);
    }
    message.insert("payload".to_owned(), json!({}));
    ServerMessage::decode(&Value::Object(message).to_string()).map_err(|_| error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auth_ack_without_payload_is_understood() {
        for text in [
            r#"{"type":"auth_ack"}"#,
            r#"{"type":"auth_ack","payload":null}"#,
            r#"{"type":"auth_ack","payload":{}}"#,
        ] {
            assert!(
                matches!(decode(text), Ok(ServerMessage::AuthAck(_))),
                "{text}"
            );
        }
        assert!(matches!(
            decode(r#"{"type":"ping"}"#),
            Ok(ServerMessage::Ping)
        ));
    }

    #[test]
    fn a_payload_that_does_not_fit_stays_an_error() {
        for text in [
            r#"{"type":"command"}"#,
            r#"{"type":"command","payload":{"id":1}}"#,
        ] {
            assert!(matches!(
                decode(text),
                Err(DecodeError::Payload {
                    kind: "command",
                    ..
                })
            ));
        }
        assert!(matches!(
            decode(r#"{"type":"new"}"#),
            Err(DecodeError::UnknownType(_))
        ));
        assert!(matches!(decode("["), Err(DecodeError::Malformed(_))));
    }
}
