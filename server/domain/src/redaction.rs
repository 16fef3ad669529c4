//! What of a request's body may be written down: its fields, without secrets and cut to a size.

use serde_json::{Map, Value, json};

/// Bytes of what is written down.
const MOST_BYTES: usize = 4096;
/// Characters of one text that are kept.
const TEXT: usize = 500;
/// How deep is looked; what is below is left out.
const DEPTH: usize = 8;
/// What stands for a secret.
const LEFT_OUT: &str = "[left out]";
/// A field with one of these in its name is a secret, whoever named it.
const SECRETS: [&str; 9] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "key",
    "code",
    "credential",
    "authorization",
    "cookie",
];

/// Whether a field of this name is left out.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

fn tame(value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) if depth == 0 => json!("[…]"),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| {
                    let value = if is_secret(name) && !value.is_null() {
                        json!(LEFT_OUT)
                    } else {
                        tame(value, depth - 1)
                    };
                    (shortened(name), value)
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(values) => values.iter().map(|value| tame(value, depth - 1)).collect(),
        Value::String(text) => Value::String(shortened(&without_path(text))),
        other => other.clone(),
    }
}

/// Of a URL only where it goes: chat services put the secret of a webhook into its path.
fn without_path(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path = if path.len() > 1 { "/…" } else { path };
    format!("{scheme}://{host}{path}")
}

fn shortened(text: &str) -> String {
    let mut kept: String = text.chars().take(TEXT).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    // PostgreSQL cannot keep NUL.
    kept.replace('\0', "\u{fffd}")
}

/// A body's fields without secrets, as JSON of at most 4 KiB; nothing of what is no JSON.
#[must_use]
pub fn body(bytes: &[u8]) -> Option<Value> {
    if bytes.is_empty() {
        return None;
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return Some(json!(format!("{} bytes that are no JSON", bytes.len())));
    };
    let tamed = tame(&value, DEPTH);
    if tamed.to_string().len() <= MOST_BYTES {
        return Some(tamed);
    }
    // Too much in sum: which fields there are.
    let mut names = Vec::new();
    let mut size = 0;
    for name in tamed.as_object().into_iter().flat_map(Map::keys) {
        size += name.len() + 8;
        if size > MOST_BYTES / 2 {
            break;
        }
        names.push(name.clone());
    }
    Some(json!({"too_long": bytes.len(), "fields": names}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value) -> Value {
        body(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let asked = json!({"email": "a@b.c", "password": "p1", "new_password": "p2", "api_key": "k",
            "site_code": "A-B-1", "deep": [{"secret": "s", "name": "n"}], "token": null});
        let kept = written(&asked);
        assert_eq!(kept["email"], "a@b.c");
        assert_eq!(kept["deep"][0]["name"], "n");
        for secret in ["p1", "p2", "\"k\"", "A-B-1", "\"s\""] {
            assert!(!kept.to_string().contains(secret), "{kept}");
        }
    }

    #[test]
    fn of_a_url_only_its_host_is_kept() {
        let kept = written(&json!({"target": "https://u:p@hooks.example.com/T0/secret?x=1"}));
        assert_eq!(kept["target"], "https://hooks.example.com/…");
    }

    #[test]
    fn it_never_gets_larger_than_4_kib() {
        let long = json!({"command": "x".repeat(60_000), "name": "n"});
        assert_eq!(written(&long)["name"], "n");
        let many: Map<_, _> = (0..2000)
            .map(|n| (format!("field{n}"), json!("value")))
            .collect();
        assert!(written(&Value::Object(many)).to_string().len() <= MOST_BYTES);
        let list: Vec<_> = (0..5000).map(|_| json!("0123456789")).collect();
        assert!(written(&json!({"list": list})).to_string().len() <= MOST_BYTES);
        let mut nested = json!(1);
        for _ in 0..100 {
            nested = json!([nested]);
        }
        assert!(written(&nested).to_string().len() < 100);
        assert_eq!(body(b"{"), Some(json!("1 bytes that are no JSON")));
        assert_eq!(body(b""), None);
    }
}
