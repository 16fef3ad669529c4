//! What an agent says its machine is made of: made fit to be kept, and compared with what it was.

use std::collections::{BTreeMap, HashMap};

use gururmm_shared::InventorySections;
use serde::Serialize;
use serde_json::Value;

use super::text::tame;

/// Characters of any text of an inventory that are kept.
const TEXT_CHARS: usize = 500;
/// Characters of what names an entry.
const KEY_CHARS: usize = 255;
/// Entries of a list that are kept.
const MOST_ENTRIES: usize = 20_000;
/// Changes of one inventory that are kept; of more, the first.
pub const MOST_CHANGES: usize = 1000;

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

impl ChangeKind {
    /// The word for it in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One difference between two inventories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As `software`.
    pub section: &'static str,
    /// What happened.
    pub kind: ChangeKind,
    /// What it happened to: a name, a mount, a field.
    pub key: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

/// Sections and which field names their entries; those without are objects themselves.
const SECTIONS: [(&str, Option<&str>); 7] = [
    ("hardware", None),
    ("os", None),
    ("disks", Some("mount")),
    ("network", Some("name")),
    ("software", Some("name")),
    ("services", Some("name")),
    ("users", Some("name")),
];

/// Makes the sections fit to be kept: nothing in them is trusted.
#[must_use]
pub fn tamed(sections: &InventorySections) -> Value {
    let mut value =
        serde_json::to_value(sections).expect("sections hold only maps with string keys");
    clean(&mut value);
    value
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = tame(text, TEXT_CHARS),
        Value::Array(items) => {
            items.truncate(MOST_ENTRIES);
            items.iter_mut().for_each(clean);
        }
        Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}

/// The entries of a section by what names them; two of one name are told apart by their number.
fn entries(section: &Value, name: Option<&str>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    match (section, name) {
        (Value::Object(fields), None) => {
            found.extend(
                fields
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
        }
        (Value::Array(items), Some(name)) => {
            // Counted, not searched for: a hostile list may repeat one name for ever.
            let mut seen: HashMap<String, u32> = HashMap::new();
            for item in items {
                let key = tame(item[name].as_str().unwrap_or_default(), KEY_CHARS);
                let times = seen.entry(key.clone()).or_default();
                *times += 1;
                let unique = match *times {
                    1 => key,
                    times => tame(&format!("{times}: {key}"), KEY_CHARS),
                };
                found.insert(unique, item.clone());
            }
        }
        _ => {}
    }
    found
}

/// What has changed. A section that one of the two does not have is not compared: that the agent
/// cannot list packages any more does not mean that they are gone.
#[must_use]
pub fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for (section, name) in SECTIONS {
        let (Some(old), Some(new)) = (before.get(section), after.get(section)) else {
            continue;
        };
        let (mut old, new) = (entries(old, name), entries(new, name));
        for (key, after) in new {
            let (kind, before) = match old.remove(&key) {
                None => (ChangeKind::Added, None),
                Some(before) if before != after => (ChangeKind::Changed, Some(before)),
                Some(_) => continue,
            };
            changes.push(Change {
                section,
                kind,
                key,
                before,
                after: Some(after),
            });
        }
        changes.extend(old.into_iter().map(|(key, before)| Change {
            section,
            kind: ChangeKind::Removed,
            key,
            before: Some(before),
            after: None,
        }));
    }
    changes.truncate(MOST_CHANGES);
    changes
}

/// Names and versions of a list, without repetitions.
#[must_use]
pub fn pairs(sections: &Value, section: &str, second: &str) -> Option<Vec<(String, String)>> {
    let items = sections.get(section)?.as_array()?;
    let mut pairs: Vec<(String, String)> = items
        .iter()
        .map(|item| {
            let text = |field: &str, most| tame(item[field].as_str().unwrap_or_default(), most);
            (text("name", KEY_CHARS), text(second, 128))
        })
        .filter(|(name, _)| !name.is_empty())
        .collect();
    pairs.sort();
    pairs.dedup();
    Some(pairs)
}

/// Something that is searched over the fleet beside software.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// As `disks`.
    pub section: &'static str,
    /// Its name; of hardware and system the field's.
    pub name: String,
    /// What else is known of it, in one text.
    pub detail: String,
}

/// The sections in which entries are searched for, software among them.
pub const SECTION_NAMES: [&str; 7] = [
    "disks", "hardware", "network", "os", "services", "users", "software",
];
/// Characters of a detail that are kept.
const DETAIL_CHARS: usize = 200;
/// Entries of one inventory that can be found; of more, the first of each section.
const MOST_FOUND: usize = 5000;

/// What of an inventory can be found beside software, without repetitions.
#[must_use]
pub fn searchable(sections: &Value) -> Vec<Entry> {
    let mut found = Vec::new();
    for (section, name) in SECTIONS {
        if section == "software" {
            continue;
        }
        let Some(value) = sections.get(section) else {
            continue;
        };
        let of_section = entries(value, name).into_iter().filter_map(|(key, value)| {
            let (label, detail) = match name {
                None => (key, text_of(&value)),
                Some(field) => {
                    let label = tame(value[field].as_str().unwrap_or_default(), KEY_CHARS);
                    let rest = value.as_object().into_iter().flatten();
                    let rest = rest.filter(|(other, _)| other.as_str() != field);
                    let texts: Vec<String> = rest
                        .map(|(_, value)| text_of(value))
                        .filter(|text| !text.is_empty())
                        .collect();
                    (label, texts.join(" "))
                }
            };
            let entry = Entry {
                section,
                name: tame(&label, KEY_CHARS),
                detail: tame(&detail, DETAIL_CHARS),
            };
            (!entry.name.is_empty()).then_some(entry)
        });
        found.extend(of_section.take(MOST_FOUND));
    }
    found.sort();
    found.dedup();
    found.truncate(MOST_FOUND);
    found
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn software(list: &[(&str, &str)]) -> Value {
        let list: Vec<_> = list
            .iter()
            .map(|(n, v)| json!({"name": n, "version": v}))
            .collect();
        json!({ "software": list })
    }

    #[test]
    fn what_came_went_and_changed_is_told_with_before_and_after() {
        let before = software(&[("bash", "5.1"), ("gone", "1"), ("same", "1")]);
        let after = software(&[("bash", "5.2"), ("new", "1"), ("same", "1")]);
        let changes = diff(&before, &after);
        let told: Vec<_> = changes.iter().map(|c| (c.kind, c.key.as_str())).collect();
        let wanted = [
            (ChangeKind::Changed, "bash"),
            (ChangeKind::Added, "new"),
            (ChangeKind::Removed, "gone"),
        ];
        assert_eq!(told, wanted);
        assert_eq!(
            changes[0].before,
            Some(json!({"name": "bash", "version": "5.1"}))
        );
        assert_eq!(
            changes[0].after,
            Some(json!({"name": "bash", "version": "5.2"}))
        );
        assert!(diff(&after, &after).is_empty());
    }

    #[test]
    fn fields_of_the_hardware_are_compared_one_by_one() {
        let before = json!({"hardware": {"memory_bytes": 1, "cpu_cores": 4}});
        let after = json!({"hardware": {"memory_bytes": 2, "cpu_cores": 4}});
        let changes = diff(&before, &after);
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].section, changes[0].key.as_str()),
            ("hardware", "memory_bytes")
        );
    }

    #[test]
    fn a_section_that_could_not_be_listed_is_not_taken_for_empty() {
        assert!(diff(&software(&[("bash", "1")]), &json!({})).is_empty());
        assert!(diff(&json!({}), &software(&[("bash", "1")])).is_empty());
        assert_eq!(diff(&software(&[("bash", "1")]), &software(&[])).len(), 1);
    }

    #[test]
    fn what_is_hostile_is_tamed_and_what_is_endless_is_cut() {
        let sections = InventorySections {
            software: Some(
                (0..30_000)
                    .map(|n| gururmm_shared::SoftwareInfo {
                        name: format!("p{n}\0\u{1b}[2J"),
                        version: "v".repeat(2000),
                    })
                    .collect(),
            ),
            ..InventorySections::default()
        };
        let value = tamed(&sections);
        assert_eq!(value["software"].as_array().unwrap().len(), MOST_ENTRIES);
        assert!(!value.to_string().contains("\\u0000"));
        assert_eq!(diff(&software(&[]), &value).len(), MOST_CHANGES);
        let pairs = pairs(&value, "software", "version").unwrap();
        assert!(pairs.iter().all(|(_, version)| version.len() <= 128));
    }

    #[test]
    fn every_section_but_software_is_searchable_by_name_and_detail() {
        let sections = json!({
            "hardware": {"cpu_model": "Xeon", "cpu_cores": 4},
            "disks": [{"mount": "/", "device": "/dev/sda1", "file_system": "ext4", "total_bytes": 10}],
            "network": [{"name": "eth0", "mac": "aa:bb", "addresses": ["10.0.0.1", "fe80::1"]}],
            "services": [{"name": "nginx", "state": "active"}, {"name": "nginx", "state": "active"}],
            "software": [{"name": "bash", "version": "5"}],
            "users": [{"name": "", "terminal": "tty1"}],
        });
        let found: Vec<_> = searchable(&sections)
            .into_iter()
            .map(|entry| (entry.section, entry.name, entry.detail))
            .collect();
        let wanted = [
            ("disks", "/", "/dev/sda1 ext4 10"),
            ("hardware", "cpu_cores", "4"),
            ("hardware", "cpu_model", "Xeon"),
            ("network", "eth0", "10.0.0.1 fe80::1 aa:bb"),
            ("services", "nginx", "active"),
        ];
        let wanted = wanted.map(|(s, n, d)| (s, n.to_owned(), d.to_owned()));
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_searchable_is_bounded_and_tame() {
        let long = "x".repeat(10_000);
        let services: Vec<_> = (0..9000)
            .map(|n| json!({"name": format!("s{n}\u{0}"), "state": long}))
            .collect();
        let found = searchable(&json!({ "services": services }));
        assert_eq!(found.len(), MOST_FOUND);
        let fits = |entry: &Entry| {
            entry.detail.chars().count() <= DETAIL_CHARS && !entry.name.contains('\0')
        };
        assert!(found.iter().all(fits));
    }
}
