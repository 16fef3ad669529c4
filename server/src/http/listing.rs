//! What may be asked of a list, the same for all: `limit`, `cursor`, `sort`, `q` and its own filters.
//! Whatever else stands in the query is refused, so that a misspelt filter is not taken for none.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Query;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::list_parameters::Parameters;
use super::page::Page;
use crate::db::page::{PageOf, SortKey, SortValue};
use crate::domain::text::check_name;
use crate::error::AppError;

pub(super) const LIMIT_DEFAULT: i64 = 100;
pub(super) const LIMIT_MOST: i64 = 1000;
/// Characters of a filter and of what is searched for.
pub(super) const WORDS: usize = 200;
/// The longest cursor that is looked at: a name of 255 characters, escaped, in base64.
pub(super) const CURSOR_BYTES: usize = 4096;

/// A row's place in an order, as it travels.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// The order, as it was asked for: a cursor holds in its own order only.
    sort: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
    id: Uuid,
}

/// What was asked of a list.
pub struct Listing<S> {
    sort: S,
    descending: bool,
    after: Option<(SortValue, Uuid)>,
    limit: i64,
    sort_word: String,
    values: BTreeMap<String, String>,
}

impl<S: SortKey> Listing<S> {
    /// Reads a request's query.
    ///
    /// # Errors
    /// 400 that names the parameter.
    pub fn read<P: Parameters<Sort = S>>(request: &HttpRequest) -> Result<Self, AppError> {
        let filters: Vec<_> = P::FILTERS.iter().map(|(name, ..)| *name).collect();
        Self::parse(request.query_string(), &filters)
    }

    fn parse(query: &str, filters: &[&str]) -> Result<Self, AppError> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|error| AppError::malformed(error.to_string()))?
            .into_inner();
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            let known = ["limit", "cursor", "sort"].contains(&name.as_str())
                || filters.contains(&name.as_str());
            if !known {
                let detail = format!(
                    "this list has no parameter {:?}; it has limit, cursor, sort{}{}",
                    name.chars().take(64).collect::<String>(),
                    if filters.is_empty() { "" } else { ", " },
                    filters.join(", ")
                );
                return Err(AppError::invalid_field(
                    name.chars().take(64).collect::<String>(),
                    detail,
                ));
            }
            if values.insert(name.clone(), value).is_some() {
                let detail = format!("{name} may stand in the query once");
                return Err(AppError::invalid_field(name, detail));
            }
        }
        let limit = match values.remove("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MOST).contains(limit))
                .ok_or_else(|| {
                    AppError::invalid_field("limit", format!("limit is 1 to {LIMIT_MOST}"))
                })?,
        };
        let usual = || format!("{}{}", if S::NEWEST_FIRST { "-" } else { "" }, S::KEYS[0].0);
        let sort_word = values.remove("sort").unwrap_or_else(usual);
        let (sort, descending) = sort_of::<S>(&sort_word)?;
        let after = match values.remove("cursor") {
            None => None,
            Some(text) => Some(decode(&text, &sort_word, sort).ok_or_else(|| {
                let detail = "cursor is the next_cursor of a page with the same sort; begin again without it";
                AppError::invalid_field("cursor", detail)
            })?),
        };
        Ok(Self {
            sort,
            descending,
            after,
            limit,
            sort_word,
            values,
        })
    }

    /// The page for the database: one row more than was asked for tells whether there is another.
    pub fn page(&self) -> PageOf<S> {
        PageOf {
            sort: self.sort,
            descending: self.descending,
            after: self.after.clone(),
            limit: self.limit + 1,
        }
    }

    /// Cuts the rows to the page and makes the cursor of the next.
    pub fn cut<T>(
        &self,
        mut rows: Vec<T>,
        position: impl Fn(&T, S) -> (SortValue, Uuid),
    ) -> Page<T> {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > most;
        rows.truncate(most);
        let next_cursor = rows
            .last()
            .filter(|_| more)
            .map(|row| encode(&self.sort_word, position(row, self.sort)));
        Page {
            items: rows,
            next_cursor,
        }
    }

    /// A filter that is an id.
    ///
    /// # Errors
    /// 400.
    pub fn id<T>(&self, name: &str, newtype: impl Fn(Uuid) -> T) -> Result<Option<T>, AppError> {
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };
        let id = Uuid::parse_str(text)
            .map_err(|_| AppError::invalid_field(name, format!("{name} is a UUID")))?;
        Ok(Some(newtype(id)))
    }

    /// A filter that is one of some words.
    ///
    /// # Errors
    /// 400.
    pub fn choice(&self, name: &str, words: &[&str]) -> Result<Option<String>, AppError> {
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };
        if words.contains(&text.as_str()) {
            return Ok(Some(text.clone()));
        }
        let detail = format!("{name} is one of {}", words.join(", "));
        Err(AppError::invalid_field(name, detail))
    }

    /// A filter that is a time.
    ///
    /// # Errors
    /// 400.
    pub fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, AppError> {
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };
        let time = DateTime::parse_from_rfc3339(text).ok();
        // What both databases can keep.
        let kept = time.filter(|at| (1970..10_000).contains(&at.year()));
        let at = kept.ok_or_else(|| {
            let detail = format!("{name} is a time as 2026-01-31T12:00:00Z");
            AppError::invalid_field(name, detail)
        })?;
        Ok(Some(at.to_utc().trunc_subsecs(6)))
    }

    /// A filter that is any short text.
    ///
    /// # Errors
    /// 400.
    pub fn text(&self, name: &str) -> Result<Option<String>, AppError> {
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };
        check_name(text, WORDS)
            .map_err(|why| AppError::invalid_field(name, format!("{name} {why}")))?;
        Ok(Some(text.trim().to_owned()))
    }
}

fn sort_of<S: SortKey>(word: &str) -> Result<(S, bool), AppError> {
    let (key, descending) = word
        .strip_prefix('-')
        .map_or((word, false), |key| (key, true));
    let found = S::KEYS.iter().find(|(name, _)| *name == key);
    found.map(|(_, sort)| (*sort, descending)).ok_or_else(|| {
        let names: Vec<_> = S::KEYS.iter().map(|(name, _)| *name).collect();
        let detail = format!(
            "sort is one of {}, with - before it for the other direction",
            names.join(", ")
        );
        AppError::invalid_field("sort", detail)
    })
}

fn encode(sort: &str, (value, id): (SortValue, Uuid)) -> String {
    let (text, time) = match value {
        SortValue::Text(text) => (Some(text), None),
        SortValue::Time(at) => (None, Some(at.timestamp_micros())),
    };
    let sort = sort.to_owned();
    let cursor = serde_json::json!(Cursor {
        sort,
        text,
        time,
        id
    });
    URL_SAFE_NO_PAD.encode(cursor.to_string())
}

fn decode<S: SortKey>(cursor: &str, sort_word: &str, sort: S) -> Option<(SortValue, Uuid)> {
    if cursor.len() > CURSOR_BYTES {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let cursor: Cursor = serde_json::from_slice(&bytes).ok()?;
    if cursor.sort != sort_word {
        return None;
    }
    let value = if sort.is_time() {
        SortValue::Time(DateTime::from_timestamp_micros(cursor.time?)?)
    } else {
        // PostgreSQL takes no NUL.
        SortValue::Text(cursor.text.filter(|text| !text.contains('\0'))?)
    };
    Some((value, cursor.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Sort {
        Name,
        Seen,
    }

    impl SortKey for Sort {
        const KEYS: &'static [(&'static str, Self)] = &[("name", Self::Name), ("seen", Self::Seen)];

        fn is_time(self) -> bool {
            self == Self::Seen
        }
    }

    fn fault(query: &str) -> Option<String> {
        let read = Listing::<Sort>::parse(query, &["q", "site_id"]);
        read.err().and_then(|error| error.field)
    }

    #[test]
    fn a_cursor_comes_back_as_it_went_and_holds_in_its_own_order_only() {
        let id = Uuid::now_v7();
        let name = SortValue::Text("Müller \"& Söhne".to_owned());
        let cursor = encode("-name", (name.clone(), id));
        assert_eq!(decode(&cursor, "-name", Sort::Name), Some((name, id)));
        assert_eq!(decode(&cursor, "name", Sort::Name), None);
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let cursor = encode("seen", (SortValue::Time(at), id));
        let read = decode(&cursor, "seen", Sort::Seen);
        assert_eq!(read, Some((SortValue::Time(at), id)));
    }

    #[test]
    fn a_forged_cursor_is_refused() {
        let id = Uuid::nil();
        let nul = encode("name", (SortValue::Text("a\0".to_owned()), id));
        let kind = URL_SAFE_NO_PAD.encode(format!(r#"{{"sort":"seen","text":"x","id":"{id}"}}"#));
        let far = URL_SAFE_NO_PAD.encode(format!(
            r#"{{"sort":"seen","time":{},"id":"{id}"}}"#,
            i64::MAX
        ));
        assert_eq!(decode(&nul, "name", Sort::Name), None);
        assert_eq!(decode(&kind, "seen", Sort::Seen), None);
        assert_eq!(decode(&far, "seen", Sort::Seen), None);
        assert_eq!(decode("'", "name", Sort::Name), None);
        assert_eq!(decode(&"A".repeat(5000), "name", Sort::Name), None);
    }

    #[test]
    fn what_a_list_does_not_know_is_refused_by_name() {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("sort=size", "sort"),
            ("sort=--name", "sort"),
            ("cursor=x", "cursor"),
            ("site=1", "site"),
            ("q=a&q=b", "q"),
        ] {
            assert_eq!(fault(query).as_deref(), Some(field), "{query}");
        }
        assert_eq!(fault("limit=1000&sort=-seen&q=a%20b"), None);
        assert_eq!(fault(""), None);
    }

    #[test]
    fn a_page_is_cut_to_its_limit_and_has_a_cursor_while_there_is_more() {
        let listing = Listing::<Sort>::parse("limit=2", &[]).unwrap();
        let position = |name: &&str, _| (SortValue::Text((*name).to_owned()), Uuid::nil());
        let page = listing.cut(vec!["a", "b", "c"], position);
        assert_eq!(page.items, ["a", "b"]);
        let next = format!("limit=2&cursor={}", page.next_cursor.unwrap());
        let next = Listing::<Sort>::parse(&next, &[]).unwrap();
        assert_eq!(
            next.page().after.unwrap().0,
            SortValue::Text("b".to_owned())
        );
        assert!(listing.cut(vec!["a", "b"], position).next_cursor.is_none());
    }
}
