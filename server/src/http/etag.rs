//! Versions of single things (RFC 9110 sections 8.8.3 and 13.1): a reader is told when nothing
//! changed, a writer is refused when something did.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::credentials::digest;
use crate::error::AppError;

/// The version of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// That of the thing `id` as it was changed at `updated_at`; `also` is what else of its answer
    /// changes without that.
    pub fn of(id: Uuid, updated_at: DateTime<Utc>, also: Option<DateTime<Utc>>) -> Self {
        let also = also.map(|at| at.timestamp_micros());
        let text = format!("{id} {} {also:?}", updated_at.timestamp_micros());
        Self(format!(
            "\"{}\"",
            URL_SAFE_NO_PAD.encode(&digest(&text)[..15])
        ))
    }

    /// Answers a read: 304 where the reader has this version.
    pub fn answer(&self, request: &HttpRequest, body: impl Serialize) -> HttpResponse {
        let known = names(request, &header::IF_NONE_MATCH);
        // Weak comparison, as a read asks for.
        let same = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0;
        let mut response = if known.iter().any(|tag| same(tag)) {
            HttpResponse::NotModified().finish()
        } else {
            HttpResponse::Ok().json(body)
        };
        self.stamp(&mut response);
        response
    }

    /// Puts the version on an answer.
    pub fn stamp(&self, response: &mut HttpResponse) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            response.headers_mut().insert(header::ETAG, value);
        }
    }

    /// The same, for what is returned at once.
    pub fn on(&self, mut response: HttpResponse) -> HttpResponse {
        self.stamp(&mut response);
        response
    }

    /// Whether a write asks for this version; refuses one that asks for another.
    ///
    /// # Errors
    /// 412.
    pub fn check(&self, request: &HttpRequest) -> Result<bool, AppError> {
        let wanted = names(request, &header::IF_MATCH);
        if wanted.is_empty() || wanted.iter().any(|tag| tag == "*") {
            return Ok(false);
        }
        if wanted.contains(&self.0) {
            return Ok(true);
        }
        Err(AppError::changed())
    }
}

fn names(request: &HttpRequest, header: &HeaderName) -> Vec<String> {
    request
        .headers()
        .get_all(header)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_version_changes_with_the_thing_and_with_its_time() {
        let (id, at) = (Uuid::now_v7(), Utc::now());
        let version = Version::of(id, at, None);
        assert_eq!(version, Version::of(id, at, None));
        assert_ne!(version, Version::of(Uuid::now_v7(), at, None));
        assert_ne!(version, Version::of(id, at, Some(at)));
        let later = at + chrono::Duration::microseconds(1);
        assert_ne!(version, Version::of(id, later, None));
        assert!(version.0.starts_with('"') && version.0.ends_with('"'));
    }

    #[test]
    fn a_write_needs_the_very_version_and_a_read_any_like_it() {
        let version = Version::of(Uuid::nil(), DateTime::UNIX_EPOCH, None);
        let with = |name: &str, value: &str| {
            TestRequest::default()
                .insert_header((name, value))
                .to_http_request()
        };
        let list = format!("\"x\", {}", version.0);
        let weak = format!("W/{}", version.0);
        assert!(version.check(&with("if-match", &list)).unwrap());
        assert!(!version.check(&with("if-match", "*")).unwrap());
        assert!(!version.check(&with("accept", "x")).unwrap());
        assert_eq!(
            version.check(&with("if-match", &weak)).unwrap_err().status,
            412
        );
        let read = version.answer(&with("if-none-match", &weak), "body");
        assert_eq!(read.status(), 304);
        let read = version.answer(&with("if-none-match", "\"x\""), "body");
        assert_eq!(read.status(), 200);
    }
}
