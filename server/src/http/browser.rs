//! Browsers: the cookie of a log-in, and what keeps pages from elsewhere from using it.
//!
//! The cookie is HttpOnly and SameSite=Strict, so that neither scripts nor other sites get at it. Beside
//! that every change needs a header that no form can send and no script of another origin without being
//! asked for (`X-GuruRMM-CSRF`), an `Origin` must be ours, and a WebSocket, to which neither of both applies,
//! must say where its page came from.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::{Method, header};
use chrono::{DateTime, Utc};

use super::state::AppState;
use crate::config::Settings;
use crate::domain::origins::may_call;
use crate::error::AppError;

/// The cookie of a log-in.
pub const COOKIE: &str = "grmm_session";
/// The header that a change by a browser needs, with the value `1`.
pub const CSRF_HEADER: &str = "x-gururmm-csrf";

/// What a caller came with.
#[derive(Debug, PartialEq, Eq)]
pub enum Credential {
    /// In `Authorization`.
    Header(String),
    /// In the cookie.
    Cookie(String),
}

impl Credential {
    /// The one that counts: the header's, where there is one, of whatever kind.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        if let Some(value) = request.headers().get(header::AUTHORIZATION) {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            let is_bearer = scheme.eq_ignore_ascii_case("bearer");
            return is_bearer.then(|| Self::Header(token.trim().to_owned()));
        }
        let cookie = request.cookie(COOKIE)?;
        Some(Self::Cookie(cookie.value().to_owned()))
    }
}

/// The cookie for a token that lives so long.
pub fn cookie(settings: &Settings, token: String, expires_at: DateTime<Utc>) -> Cookie<'static> {
    let seconds = (expires_at - Utc::now()).num_seconds().max(0);
    build(settings, token, Duration::seconds(seconds))
}

/// The cookie that takes the other one's place and ends at once.
pub fn no_cookie(settings: &Settings) -> Cookie<'static> {
    build(settings, String::new(), Duration::ZERO)
}

fn build(settings: &Settings, value: String, life: Duration) -> Cookie<'static> {
    let mut cookie = Cookie::build(COOKIE, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(life);
    // Over plain http a browser would not send a cookie that says so.
    if settings.tls.is_own() || settings.server.public_url.starts_with("https://") {
        cookie = cookie.secure(true);
    }
    cookie.finish()
}

/// Refuses what a page from elsewhere may have made a browser send with its cookie.
///
/// # Errors
/// 403 `csrf_header_missing` or `foreign_origin`.
pub fn check_browser(request: &HttpRequest, state: &AppState) -> Result<(), AppError> {
    let origin = request.headers().get(header::ORIGIN);
    let opens_socket = request
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if origin.is_none() && opens_socket {
        return Err(AppError::forbidden(
            "foreign_origin",
            "a WebSocket that is opened with a cookie needs an Origin; without a browser send Authorization",
        ));
    }
    check_origin(request, state)?;
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let sent = request.headers().get(CSRF_HEADER);
    if sent.is_some_and(|value| value.as_bytes() == b"1") {
        return Ok(());
    }
    Err(AppError::forbidden(
        "csrf_header_missing",
        "with a cookie, changes need the header X-GuruRMM-CSRF: 1",
    ))
}

/// A browser says where a page came from; only our own pages and configured ones may call. What is no
/// browser sends no Origin.
///
/// # Errors
/// 403 `foreign_origin`.
pub fn check_origin(request: &HttpRequest, state: &AppState) -> Result<(), AppError> {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let settings = &state.settings;
    let public = &settings.server.public_url;
    if may_call(origin, host, public, &settings.http.allowed_origins) {
        return Ok(());
    }
    Err(AppError::forbidden(
        "foreign_origin",
        "pages of that origin may not do this; add it to http.allowed_origins, or set server.public_url, if they should",
    ))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_header_counts_before_the_cookie_and_a_strange_header_does_not_fall_back_to_it() {
        let cookie = Cookie::new(COOKIE, "c");
        let with = |authorization: &str| {
            let request = TestRequest::default()
                .cookie(cookie.clone())
                .insert_header((header::AUTHORIZATION, authorization));
            Credential::of(&request.to_http_request())
        };
        let header = |token: &str| Some(Credential::Header(token.to_owned()));
        assert_eq!(with("Bearer h"), header("h"));
        assert_eq!(with("bearer h"), header("h"));
        assert_eq!(with("Basic eDp5"), None);
        let alone = TestRequest::default().cookie(cookie.clone());
        let alone = Credential::of(&alone.to_http_request());
        assert_eq!(alone, Some(Credential::Cookie("c".to_owned())));
        let none = Credential::of(&TestRequest::default().to_http_request());
        assert_eq!(none, None);
    }

    #[test]
    fn the_cookie_is_for_this_server_alone_and_secure_where_browsers_come_by_https() {
        let mut settings = Settings::default();
        let end = Utc::now() + chrono::Duration::hours(1);
        let plain = cookie(&settings, "t".to_owned(), end).to_string();
        for part in [
            "grmm_session=t",
            "HttpOnly",
            "SameSite=Strict",
            "Path=/",
            "Max-Age=3",
        ] {
            assert!(plain.contains(part), "{plain}");
        }
        assert!(
            !plain.contains("Secure") && !plain.contains("Domain"),
            "{plain}"
        );
        settings.tls.mode = crate::config::TlsMode::SelfSigned;
        let own = no_cookie(&settings).to_string();
        assert!(own.contains("Secure"), "{own}");
        settings.tls.mode = crate::config::TlsMode::Proxy;
        settings.server.public_url = "https://rmm.example.com".to_owned();
        let secure = no_cookie(&settings).to_string();
        assert!(
            secure.contains("Secure") && secure.contains("Max-Age=0"),
            "{secure}"
        );
    }
}
