//! What `config check` prints: every value with its origin, secrets left out.

use std::fmt::Write;

use super::load::Loaded;

impl Loaded {
    /// One line a key: `key = value    # origin`.
    #[must_use]
    pub fn report(&self) -> String {
        let mut lines = Vec::new();
        if let Ok(value) = serde_json::to_value(&self.settings) {
            flatten("", &value, &mut lines);
        }
        let mut text = String::new();
        for (key, value) in lines {
            let secret = matches!(key.as_str(), "database.url" | "auth.signing_key");
            let origin = self.origins.get(&key).map_or("default", String::as_str);
            let value = match (secret, origin) {
                (true, "default") => "\"\"".to_owned(),
                (true, _) => "(secret)".to_owned(),
                (false, _) => value,
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<48}  # {origin}", format!("{key} = {value}"));
        }
        text
    }
}

fn flatten(path: &str, value: &serde_json::Value, lines: &mut Vec<(String, String)>) {
    if let serde_json::Value::Object(map) = value {
        for (key, value) in map {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            flatten(&path, value, lines);
        }
    } else {
        lines.push((path.to_owned(), value.to_string()));
    }
}
