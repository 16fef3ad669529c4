//! Decoding of the control plane: `{"type": …, "payload": …}` text, told apart by what is wrong.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Why a text frame is no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not an object with a `type`.
    #[error("not a message: {0}")]
    Malformed(serde_json::Error),
    /// A type this side does not know: logged and answered, never the end of a connection.
    #[error("unknown message type {0:?}")]
    UnknownType(String),
    /// A known type with a payload that does not fit.
    #[error("bad payload for {kind:?}: {source}")]
    Payload {
        /// The message's type.
        kind: &'static str,
        /// What serde found.
        source: serde_json::Error,
    },
}

impl DecodeError {
    /// A stable word for the `code` of an `error` reply.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_message",
            Self::UnknownType(_) => "unknown_type",
            Self::Payload { .. } => "bad_payload",
        }
    }
}

/// The outer object of every text frame; unknown fields beside these two are ignored.
#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    pub payload: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// The longest piece of an unknown type's name that is repeated in logs and replies.
    const NAME_CHARS: usize = 64;

    pub(crate) fn unknown(&self) -> DecodeError {
        DecodeError::UnknownType(self.kind.chars().take(Self::NAME_CHARS).collect())
    }

    pub(crate) fn payload<'de, T: Deserialize<'de>>(
        &'de self,
        kind: &'static str,
    ) -> Result<T, DecodeError> {
        // A message without fields has no payload.
        let text = self.payload.map_or("{}", RawValue::get);
        serde_json::from_str(text).map_err(|source| DecodeError::Payload { kind, source })
    }
}

/// Declares an enum of messages with its serialisation (`tag = "type"`, `content = "payload"`) and
/// a `decode` that tells an unknown type from a bad payload.
macro_rules! messages {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vdoc:meta])* $kind:literal => $variant:ident $( ( $payload:ty ) )? , )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[serde(tag = "type", content = "payload")]
        pub enum $name {
            $( $(#[$vdoc])* #[serde(rename = $kind)] $variant $( ( $payload ) )? , )*
        }

        impl $name {
            /// Reads one text frame.
            ///
            /// # Errors
            /// [`DecodeError`](crate::DecodeError): no JSON, an unknown type or a payload that does not fit.
            pub fn decode(text: &str) -> Result<Self, crate::DecodeError> {
                let envelope: crate::decode::Envelope<'_> =
                    serde_json::from_str(text).map_err(crate::DecodeError::Malformed)?;
                match envelope.kind.as_ref() {
                    $( $kind => messages!(@decode envelope, $kind, $variant $( ( $payload ) )? ), )*
                    _ => Err(envelope.unknown()),
                }
            }

            /// Writes one text frame.
            #[must_use]
            pub fn encode(&self) -> String {
                serde_json::to_string(self).expect("messages hold only maps with string keys")
            }

            /// The message's `type` as the wire writes it.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $( messages!(@pattern $variant $( ( $payload ) )? ) => $kind, )* }
            }
        }
    };
    (@decode $envelope:ident, $kind:literal, $variant:ident) => { Ok(Self::$variant) };
    (@decode $envelope:ident, $kind:literal, $variant:ident ( $payload:ty )) => {
        $envelope.payload::<$payload>($kind).map(Self::$variant)
    };
    (@pattern $variant:ident) => { Self::$variant };
    (@pattern $variant:ident ( $payload:ty )) => { Self::$variant(_) };
}

pub(crate) use messages;
