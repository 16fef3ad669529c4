//! Requests to the HTTP API and their answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gururmm_shared::UserId;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::causes;
use super::{ClientError, Problem, ServerAddress, Trust};

/// How long a connection may take to stand.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may take.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing may come of an answer's body.
const STALL_PATIENCE: Duration = Duration::from_secs(90);

/// How long it may take to open a tunnel, which waits for its agent and for who sits at the machine.
pub(super) const OPEN_PATIENCE: Duration = STALL_PATIENCE;

/// The most bytes of a refusal that are read.
const PROBLEM_BYTES: usize = 64 * 1024;

/// A client of one server, logged in or not.
#[derive(Clone)]
pub struct Client {
    address: ServerAddress,
    token: Option<Arc<str>>,
    http: reqwest::Client,
    trust: Trust,
}

/// A log-in.
#[derive(Clone, Deserialize)]
pub struct LoggedIn {
    /// The token.
    pub token: String,
    /// Until when it holds.
    pub expires_at: DateTime<Utc>,
    /// Whose it is.
    pub user: User,
}

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its address.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// `administrator`, `technician` or `read_only`.
    pub role: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `address`.
    ///
    /// # Errors
    /// [`ClientError::Local`]: no HTTP client can be made.
    pub fn new(address: ServerAddress, trust: Trust) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            // The server closes what lies idle for 5 s: a request must not be on its way there then.
            .pool_idle_timeout(Duration::from_secs(3))
            .tls_backend_preconfigured((*trust.config()).clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(STALL_PATIENCE)
            .user_agent(concat!("gururmm/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::local(causes(&error)))?;
        Ok(Self {
            address,
            token: None,
            http,
            trust,
        })
    }

    /// The same client with a token or an API key.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    /// Its server.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Logs in; the answer holds a token.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn log_in(&self, email: &str, password: &str) -> Result<LoggedIn, ClientError> {
        let body = json!({"email": email, "password": password});
        self.post("/api/auth/login", &body).await
    }

    /// Tells who the caller is.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn me(&self) -> Result<User, ClientError> {
        self.get("/api/auth/me", &[]).await
    }

    /// Makes every token of the caller void and ends its sessions.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn log_out(&self) -> Result<(), ClientError> {
        let request = self.request(Method::POST, "/api/auth/logout");
        self.send(request.timeout(ANSWER_PATIENCE)).await.map(drop)
    }

    /// `GET` of JSON.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path).query(query);
        self.json(request.timeout(ANSWER_PATIENCE)).await
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        let request = self.request(Method::POST, path).json(body);
        self.json(request.timeout(ANSWER_PATIENCE)).await
    }

    /// A request with the token on it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; a refusal is an error.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        if response.status().is_success() || response.status().as_u16() == 304 {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap_or_default();
        Err(ClientError::Refused(problem(status, &body)))
    }

    /// Sends a request whose answer is JSON.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let response = self.send(request).await?;
        let body = response.bytes().await.map_err(|error| self.lost(&error))?;
        let read: Result<T, _> = serde_json::from_slice(&body);
        read.map_err(|error| ClientError::Unexpected(error.to_string()))
    }

    /// What a failure of the line is.
    pub(super) fn lost(&self, error: &reqwest::Error) -> ClientError {
        let cause = if error.is_connect() || error.is_timeout() || error.is_request() {
            // Its first text repeats the address.
            std::error::Error::source(error).map_or_else(|| error.to_string(), causes)
        } else {
            causes(error)
        };
        ClientError::Unreachable {
            server: self.address.to_string(),
            cause,
        }
    }
}

/// Reads a refusal, also one that no server of ours has written.
pub(super) fn problem(status: u16, body: &[u8]) -> Problem {
    let body = &body[..body.len().min(PROBLEM_BYTES)];
    let read = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| serde_json::from_value::<Problem>(value).ok());
    match read {
        Some(problem) => Problem { status, ..problem },
        None => Problem {
            status,
            code: String::new(),
            detail: String::new(),
            field: None,
        },
    }
}
