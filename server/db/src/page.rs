//! One page of a list: its order, where it begins and what it is searched by. Pages begin after a
//! row, not at a number, so that rows which come meanwhile neither repeat nor hide others.

use chrono::{DateTime, Utc};

/// The orders in which a list can be read.
pub trait SortKey: Copy + 'static {
    /// The word for each; the first is the default.
    const KEYS: &'static [(&'static str, Self)];

    /// Whether the default is the other direction.
    const NEWEST_FIRST: bool = false;

    /// Whether it is by a time, not by a text.
    fn is_time(self) -> bool;
}

/// By what a row is sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortValue {
    /// A text.
    Text(String),
    /// A time.
    Time(DateTime<Utc>),
}

impl SortValue {
    /// The text; an empty one where it is none.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Time(_) => String::new(),
        }
    }

    /// The time; 1970 where it is none.
    pub(super) fn time(&self) -> DateTime<Utc> {
        match self {
            Self::Time(at) => *at,
            Self::Text(_) => DateTime::UNIX_EPOCH,
        }
    }
}

/// Which page.
#[derive(Debug, Clone)]
pub struct PageOf<S> {
    /// By what.
    pub sort: S,
    /// Whether the last come first.
    pub descending: bool,
    /// The last row of the page before.
    pub after: Option<(SortValue, uuid::Uuid)>,
    /// At most so many rows.
    pub limit: i64,
}

#[cfg(feature = "testing")]
impl<S: SortKey> PageOf<S> {
    /// The first rows in the default order.
    pub fn first(limit: i64) -> Self {
        Self {
            sort: S::KEYS[0].1,
            descending: false,
            after: None,
            limit,
        }
    }
}

diesel::define_sql_function! {
    /// Lower case: of all letters on PostgreSQL, of ASCII's on SQLite.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// The pattern of texts that hold `words`, for `LIKE … ESCAPE '\'`.
pub(super) fn pattern(words: &str) -> String {
    let mut pattern = String::with_capacity(words.len() + 2);
    pattern.push('%');
    for c in words.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
