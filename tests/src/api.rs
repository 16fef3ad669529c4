//! A client of the HTTP API: raw answers, and the calls that many tests make.

use std::net::IpAddr;

use reqwest::Method;
use serde_json::{Value, json};

/// A client, logged in or not.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    cookie: Option<String>,
    csrf: bool,
    http: reqwest::Client,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as it came.
    pub text: String,
    request: String,
}

impl Api {
    /// A client of the server at `base`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            token: None,
            cookie: None,
            csrf: true,
            http: http(None),
        }
    }

    /// The same client, calling from another address of the loopback network.
    #[must_use]
    pub fn from_address(&self, address: IpAddr) -> Self {
        Self {
            http: http(Some(address)),
            ..self.clone()
        }
    }

    /// The same client with this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same client as a browser: with this cookie, and the header that changes need.
    #[must_use]
    pub fn with_cookie(&self, cookie: &str) -> Self {
        Self {
            token: None,
            cookie: Some(cookie.to_owned()),
            ..self.clone()
        }
    }

    /// The same browser without the header that changes need, as a form of another page would have it.
    #[must_use]
    pub fn without_csrf(&self) -> Self {
        Self {
            csrf: false,
            ..self.clone()
        }
    }

    /// Its cookie, as `grmm_session=…`.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Its token.
    ///
    /// # Panics
    /// When it is not logged in.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("logged in")
    }

    /// The root of the API.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request with a body of any text.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> reqwest::Result<Answer> {
        let request_line = format!("{method} {path}");
        let changes = method != Method::GET && method != Method::HEAD;
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
            if self.csrf && changes {
                request = request.header("x-gururmm-csrf", "1");
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
            request: request_line,
        })
    }

    /// `GET`, where the server may not be there.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn try_get(&self, path: &str) -> reqwest::Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.expect("the server answers")
    }

    /// `POST` of JSON, where the server may not be there.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, Some(body.to_string()))
            .await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    /// `POST` of any text as JSON.
    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, Some(body.to_owned()))
            .await
            .expect("the server answers")
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(Method::PATCH, path, &headers, Some(body.to_string()))
            .await
            .expect("the server answers")
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(Method::PUT, path, &headers, Some(body.to_string()))
            .await
            .expect("the server answers")
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None)
            .await
            .expect("the server answers")
    }

    /// Logs in and answers a client that holds the token.
    pub async fn log_in(&self, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password});
        let answer = self.post("/api/auth/login", body).await.expect(200);
        self.with_token(text(&answer, "token"))
    }
}

impl Api {
    /// Logs in as a browser does and answers a client that holds the cookie.
    pub async fn log_in_with_cookie(&self, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password, "cookie": true});
        let answer = self.post("/api/auth/login", body).await;
        answer.check(200);
        self.with_cookie(&answer.cookie())
    }
}

impl Answer {
    /// The cookie that it sets, as `name=value`.
    ///
    /// # Panics
    /// When it sets none.
    #[must_use]
    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie");
        let pair = set.split(';').next().filter(|pair| pair.contains('='));
        pair.unwrap_or_else(|| panic!("{} sets no cookie: {set:?}", self.request))
            .to_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: {error}: {:?}", self.request, self.text))
    }

    /// The body, of an answer with this status.
    ///
    /// # Panics
    /// When the status is another.
    #[track_caller]
    #[must_use]
    pub fn expect(&self, status: u16) -> Value {
        self.check(status);
        self.json()
    }

    /// An answer with this status and any body.
    ///
    /// # Panics
    /// When the status is another.
    #[track_caller]
    pub fn check(&self, status: u16) {
        assert_eq!(
            self.status, status,
            "{} answered {}",
            self.request, self.text
        );
        let id = self.header("x-request-id");
        assert!(!id.is_empty(), "{} has no x-request-id", self.request);
    }

    /// A refusal as RFC 9457 has it, with this status and code.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.refusal(status);
        assert_eq!(body["code"], code, "{}: {body}", self.request);
        body
    }

    /// A refusal as RFC 9457 has it, with this status and any code.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn refusal(&self, status: u16) -> Value {
        self.check(status);
        let kind = self.header("content-type");
        assert!(
            kind.starts_with("application/problem+json"),
            "{}: {kind}",
            self.request
        );
        let body = self.json();
        assert_eq!(body["status"], status, "{body}");
        assert!(body["title"].is_string(), "{body}");
        assert!(body["detail"].is_string(), "{body}");
        let code = text(&body, "code");
        assert_eq!(
            body["type"],
            format!("urn:gururmm:problem:{code}"),
            "{body}"
        );
        assert_eq!(text(&body, "request_id"), self.header("x-request-id"));
        body
    }

    /// A header's text, empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap_or(""))
    }
}

/// A field that must be text.
///
/// # Panics
/// When it is not.
#[track_caller]
#[must_use]
pub fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field:?} is no text in {body}"))
}

/// The rows of a list.
///
/// # Panics
/// When it is none.
#[track_caller]
#[must_use]
pub fn items(body: &Value) -> Vec<Value> {
    body["items"]
        .as_array()
        .unwrap_or_else(|| panic!("no items in {body}"))
        .clone()
}

fn http(address: Option<IpAddr>) -> reqwest::Client {
    // Built together with the server, reqwest has TLS and asks for who does its arithmetic. An error
    // means that this was said before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        // The server closes what lies idle for 5 s: a request must not be on its way there then.
        .pool_idle_timeout(std::time::Duration::from_secs(3))
        .no_proxy()
        // Whom one may trust is a matter of its own tests.
        .danger_accept_invalid_certs(true)
        .local_address(address)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .expect("a client that trusts everybody needs nothing")
}
