//! The files of a machine over the API, as bytes and with every header.

use std::path::Path;
use std::time::Duration;

use gururmm_shared::SessionId;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::Api;
use crate::held_upload::HeldUpload;

/// A client of the files that a session reaches.
#[derive(Debug, Clone)]
pub struct Files {
    http: reqwest::Client,
    api: Api,
    root: String,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct FileAnswer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    request: String,
}

impl Files {
    /// Those that a session of `api`'s user reaches.
    ///
    /// # Panics
    /// Never: a client without TLS needs nothing.
    #[must_use]
    pub fn of(api: &Api, session: SessionId) -> Self {
        // Without a limit for the whole: a transfer takes as long as it takes.
        let http = reqwest::Client::builder()
            // The server closes what lies idle for 5 s: a request must not be on its way there then.
            .pool_idle_timeout(Duration::from_secs(3))
            .no_proxy()
            .read_timeout(Duration::from_secs(60))
            .build()
            .expect("a client without TLS needs nothing");
        Self {
            http,
            api: api.clone(),
            root: format!("/api/v1/tunnel/{session}"),
        }
    }

    /// A request below the session's path, signed.
    pub fn request(&self, method: Method, route: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let url = format!("{}{}/{route}", self.api.base(), self.root);
        self.http
            .request(method, url)
            .query(query)
            .bearer_auth(self.api.token())
    }

    /// Sends a request without a body.
    pub async fn ask(&self, method: Method, route: &str, query: &[(&str, &str)]) -> FileAnswer {
        let shown = format!("{method} {route} {query:?}");
        answer(shown, self.request(method, route, query)).await
    }

    /// `GET`.
    pub async fn get(&self, route: &str, query: &[(&str, &str)]) -> FileAnswer {
        self.ask(Method::GET, route, query).await
    }

    /// `DELETE`.
    pub async fn delete(&self, route: &str, query: &[(&str, &str)]) -> FileAnswer {
        self.ask(Method::DELETE, route, query).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, route: &str, body: Value) -> FileAnswer {
        let request = self.request(Method::POST, route, &[]).json(&body);
        answer(format!("POST {route} {body}"), request).await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, route: &str, body: Value) -> FileAnswer {
        let request = self.request(Method::PUT, route, &[]).json(&body);
        answer(format!("PUT {route} {body}"), request).await
    }

    /// Downloads a file with these headers.
    pub async fn download(&self, path: &Path, headers: &[(&str, &str)]) -> FileAnswer {
        let query = [("path", text(path))];
        let mut request = self.request(Method::GET, "files/content", &query);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(format!("download of {} {headers:?}", text(path)), request).await
    }

    /// Uploads what is left of `whole` from `offset` on, with its checksum; `more` adds to the query or replaces it.
    pub async fn upload(
        &self,
        (path, name): (&Path, &str),
        whole: &[u8],
        offset: usize,
        more: &[(&str, &str)],
    ) -> FileAnswer {
        let query = query(path, name, whole, offset, more);
        let query: Vec<(&str, &str)> = query.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let body = whole[offset..].to_vec();
        let request = self
            .request(Method::PUT, "files/content", &query)
            .header("content-length", body.len())
            .body(body);
        answer(format!("upload to {} from {offset}", text(path)), request).await
    }

    /// Begins an upload of `whole` from `offset` on, and sends nothing of it yet.
    pub async fn begin_upload(
        &self,
        (path, name): (&Path, &str),
        whole: &[u8],
        offset: usize,
    ) -> HeldUpload {
        let query = query(path, name, whole, offset, &[]);
        let url = reqwest::Url::parse_with_params("http://x", query).expect("a query");
        let query = url.query().expect("it was given one");
        let path = format!("{}/files/content?{query}", self.root);
        HeldUpload::begin(&self.api, &path, whole.len() - offset).await
    }

    /// How far an upload is.
    pub async fn uploaded(&self, path: &Path, name: &str) -> u64 {
        let query = [("path", text(path)), ("upload", name)];
        let answer = self.get("files/upload", &query).await.json(200);
        answer["offset"].as_u64().expect("an offset")
    }

    /// Unpacks a tar archive into a folder.
    pub async fn unpack(&self, path: &str, archive: Vec<u8>, overwrite: bool) -> FileAnswer {
        let overwrite = overwrite.to_string();
        let query = [("path", path), ("overwrite", overwrite.as_str())];
        let request = self
            .request(Method::PUT, "files/archive", &query)
            .body(archive);
        answer(format!("unpacking into {path}"), request).await
    }
}

impl FileAnswer {
    /// Checks the status.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn check(&self, status: u16) {
        assert_eq!(
            self.status,
            status,
            "{} answered {}",
            self.request,
            String::from_utf8_lossy(&self.body[..self.body.len().min(2000)])
        );
    }

    /// The body as JSON, of an answer with this status.
    ///
    /// # Panics
    /// When it is another one, or no JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self, status: u16) -> Value {
        self.check(status);
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}", self.request))
    }

    /// A refusal as RFC 9457 has it, with this status and code.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json(status);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.request
        );
        assert_eq!(body["code"], code, "{}: {body}", self.request);
        assert!(
            body["detail"].as_str().is_some_and(|text| text.len() > 8),
            "{body}"
        );
        body
    }

    /// A header's text, empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap_or(""))
    }
}

async fn answer(request: String, builder: RequestBuilder) -> FileAnswer {
    let response = builder
        .send()
        .await
        .unwrap_or_else(|error| panic!("{request}: {error:?}"));
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await;
    let body = body.unwrap_or_else(|error| panic!("{request}: the body broke off: {error:?}"));
    FileAnswer {
        status,
        headers,
        body: body.to_vec(),
        request,
    }
}

fn query<'a>(
    path: &Path,
    name: &str,
    whole: &[u8],
    offset: usize,
    more: &[(&'a str, &str)],
) -> Vec<(&'a str, String)> {
    let mut query = vec![
        ("path", text(path).to_owned()),
        ("upload", name.to_owned()),
        ("size", whole.len().to_string()),
        ("offset", offset.to_string()),
        ("sha256", sha256(whole)),
    ];
    for (key, value) in more {
        query.retain(|(known, _)| known != key);
        query.push((key, (*value).to_owned()));
    }
    query
}

/// A path as text.
///
/// # Panics
/// When it is none: tests name their files so that it is.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().expect("tests name their files in UTF-8")
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many bytes that no two places look alike.
#[must_use]
pub fn noise(count: usize) -> Vec<u8> {
    use rand::RngCore;
    let mut bytes = vec![0; count];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
