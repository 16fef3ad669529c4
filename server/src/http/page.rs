//! The shape of lists.

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::AppError;

const PAGE_DEFAULT: i64 = 100;
const PAGE_MOST: i64 = 500;

/// How many a page has.
///
/// # Errors
/// 400: more than may be, or none.
pub fn limit_of(asked: Option<i64>) -> Result<i64, AppError> {
    limit_within(asked, PAGE_MOST)
}

/// How many a page has, where it may have so many.
///
/// # Errors
/// 400: more than may be, or none.
pub fn limit_within(asked: Option<i64>, most: i64) -> Result<i64, AppError> {
    let limit = asked.unwrap_or(PAGE_DEFAULT);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("limit is 1 to {most}");
    Err(AppError::invalid_field("limit", detail))
}

/// Takes away what was read only to see whether there is more; tells whether there is.
pub fn cut<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > page;
    rows.truncate(page);
    more
}

/// A list, or one page of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// `cursor` of the next page; none on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that is whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
        }
    }

    /// The same page of other things.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next_cursor: self.next_cursor,
        }
    }
}
