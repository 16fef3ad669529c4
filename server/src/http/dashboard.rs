//! The dashboard: the files of `web/dist`, a part of this program, at every path that is nobody else's.
//!
//! In a debug build they are read from the folder instead, so that a new build of the dashboard is there at
//! once.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::error::AppError;

/// What the pages may do: nothing but what comes from here. Terminals set styles in their elements, and the
/// player of recordings is WebAssembly.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; \
     connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; \
     base-uri 'none'; form-action 'self'";
/// First parts of paths that are never the dashboard's.
const TAKEN: [&str; 5] = ["api", "ws", "metrics", "healthz", "readyz"];
/// Where files lie whose names change with their content.
const HASHED: &str = "assets/";
const INDEX: &str = "index.html";
/// Smaller files are not worth it.
const COMPRESSED_FROM: usize = 1024;
/// Compressed files that are kept; of a debug build every new build of the dashboard adds some.
const MOST_KEPT: usize = 1000;

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>GuruRMM</title>\
<style>body{font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em}code{background:#8882}</style>\
<h1>GuruRMM runs, without its dashboard</h1>\
<p>This server was built before the dashboard was. Build it with <code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>, \
then build the server again (<code>touch server/build.rs</code> if it was built before).</p>\
<p>The API is there: <a href=\"/api/docs/\">/api/docs/</a>.</p></html>";

#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Dist;

/// The files, compressed as they are asked for.
#[derive(Clone, Default)]
pub struct Dashboard {
    compressed: Arc<Mutex<HashMap<[u8; 32], Bytes>>>,
}

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gzip",
            Self::Brotli => "-br",
        }
    }
}

impl Dashboard {
    fn gzip(&self, file: &EmbeddedFile) -> Option<Bytes> {
        let hash = file.metadata.sha256_hash();
        let kept = || {
            self.compressed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(bytes) = kept().get(&hash) {
            return Some(bytes.clone());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&file.data).ok()?;
        let bytes = Bytes::from(encoder.finish().ok()?);
        let mut kept = kept();
        if kept.len() < MOST_KEPT {
            kept.insert(hash, bytes.clone());
        }
        Some(bytes)
    }
}

/// Whether a path may be a file's: what is hidden or leads elsewhere is none.
fn is_plain(name: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    name.split('/').all(plain) && !name.contains(['\\', '%', ':', '\0'])
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn is_compressible(kind: &str) -> bool {
    kind.starts_with("text/")
        || kind.ends_with("json")
        || kind.ends_with("+xml")
        || kind == "application/wasm"
        || kind == "font/ttf"
}

/// Whether a client takes a coding (RFC 9110 section 12.5.3).
fn takes(request: &HttpRequest, coding: &str) -> bool {
    let values = request.headers().get_all(header::ACCEPT_ENCODING);
    let mut parts = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    parts.any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = words
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let refused = words.any(|word| {
            word.strip_prefix("q=")
                .and_then(|q| q.parse::<f32>().ok())
                .is_some_and(|q| q <= 0.0)
        });
        named && !refused
    })
}

/// Answers what is nobody else's path: a file of the dashboard, or its page, which knows its own paths.
///
/// # Errors
/// 404: the API has no such path, or there is no such file.
pub async fn page(
    request: HttpRequest,
    dashboard: Data<Dashboard>,
) -> Result<HttpResponse, AppError> {
    let name = request.path().trim_start_matches('/');
    let first = name.split('/').next().unwrap_or_default();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads || TAKEN.contains(&first) {
        return Err(AppError::not_found("path"));
    }
    let file = is_plain(name).then(|| Dist::get(name)).flatten();
    if let Some(file) = file {
        return Ok(answer(&request, &dashboard, name, file));
    }
    if name.starts_with(HASHED) {
        return Err(AppError::not_found("file"));
    }
    match Dist::get(INDEX) {
        Some(file) => Ok(answer(&request, &dashboard, INDEX, file)),
        None => Ok(guarded(HttpResponse::Ok())
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .content_type("text/html; charset=utf-8")
            .body(NOT_BUILT)),
    }
}

/// What keeps a page from elsewhere, or a file taken for another kind, from doing harm.
fn guarded(mut response: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header(("cross-origin-opener-policy", "same-origin"));
    response
}

/// The file in the best coding that the client takes: one that was built beside it, or gzip.
fn coded(
    request: &HttpRequest,
    dashboard: &Dashboard,
    name: &str,
    file: &EmbeddedFile,
) -> (Coding, Bytes) {
    let whole = || Bytes::from(file.data.to_vec());
    if file.data.len() < COMPRESSED_FROM || !is_compressible(kind_of(name)) {
        return (Coding::Identity, whole());
    }
    if takes(request, "br")
        && let Some(built) = Dist::get(&format!("{name}.br"))
    {
        return (Coding::Brotli, Bytes::from(built.data.to_vec()));
    }
    if takes(request, "gzip")
        && let Some(bytes) = dashboard.gzip(file)
    {
        return (Coding::Gzip, bytes);
    }
    (Coding::Identity, whole())
}

fn answer(
    request: &HttpRequest,
    dashboard: &Dashboard,
    name: &str,
    file: EmbeddedFile,
) -> HttpResponse {
    use std::fmt::Write as _;
    let mut hash = String::new();
    for byte in &file.metadata.sha256_hash()[..16] {
        // Writing to a string does not fail.
        let _ = write!(hash, "{byte:02x}");
    }
    let (coding, bytes) = coded(request, dashboard, name, &file);
    let etag = format!("\"{hash}{}\"", coding.suffix());
    let known = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.trim_start_matches("W/") == etag
        });
    let status = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    let mut response = guarded(status);
    let lasting = if name.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    response
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, lasting))
        .insert_header((header::VARY, "accept-encoding"));
    if known {
        return response.finish();
    }
    match coding {
        Coding::Identity => {}
        Coding::Gzip => {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
        }
        Coding::Brotli => {
            response.insert_header((header::CONTENT_ENCODING, "br"));
        }
    }
    response.content_type(kind_of(name)).body(bytes)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn what_is_hidden_or_leads_elsewhere_is_no_file() {
        for good in ["index.html", "assets/index-Bx12.js", "favicon.svg"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            "..",
            "a/../b",
            ".vite/manifest.json",
            "a//b",
            "a\\b",
            "%2e%2e/x",
            "/etc",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn a_coding_is_taken_where_it_is_named_and_not_refused() {
        let request = |value: &str| {
            let request = TestRequest::default().insert_header((header::ACCEPT_ENCODING, value));
            request.to_http_request()
        };
        assert!(takes(&request("gzip, deflate, br"), "br"));
        assert!(takes(&request("GZIP;q=0.5"), "gzip"));
        assert!(!takes(&request("gzip;q=0, br"), "gzip"));
        assert!(!takes(&request("deflate"), "gzip"));
        assert!(!takes(&TestRequest::default().to_http_request(), "gzip"));
    }

    fn file(name: &str, content: &str) -> (String, EmbeddedFile) {
        use sha2::{Digest, Sha256};
        let hash: [u8; 32] = Sha256::digest(content.as_bytes()).into();
        let file = EmbeddedFile {
            data: content.as_bytes().to_vec().into(),
            metadata: rust_embed::Metadata::__rust_embed_new(hash, None, None),
        };
        (name.to_owned(), file)
    }

    #[test]
    fn a_hashed_file_lasts_for_ever_and_the_page_is_asked_for_again() {
        let dashboard = Dashboard::default();
        let get = |name: &str, content: &str, headers: &[(&'static str, &str)]| {
            let mut request = TestRequest::default();
            for (name, value) in headers {
                request = request.insert_header((*name, *value));
            }
            let (name, file) = file(name, content);
            answer(&request.to_http_request(), &dashboard, &name, file)
        };
        let header = |response: &HttpResponse, name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let long = "x".repeat(5000);
        let script = get("assets/a.js", &long, &[]);
        let lasting = header(&script, "cache-control").unwrap();
        assert!(lasting.contains("immutable"), "{lasting}");
        let page = get("index.html", &long, &[]);
        assert_eq!(header(&page, "cache-control").as_deref(), Some("no-cache"));
        let policy = header(&page, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"));
        let tag = header(&page, "etag").unwrap();
        let zipped = get("index.html", &long, &[("accept-encoding", "gzip")]);
        assert_eq!(header(&zipped, "content-encoding").as_deref(), Some("gzip"));
        assert_ne!(header(&zipped, "etag").unwrap(), tag, "it is strong");
        let again = get("index.html", &long, &[("if-none-match", &tag)]);
        assert_eq!(again.status().as_u16(), 304);
        let other = get("index.html", "y", &[("if-none-match", &tag)]);
        assert_eq!(other.status().as_u16(), 200);
        let small = get("index.html", "y", &[("accept-encoding", "gzip")]);
        assert_eq!(header(&small, "content-encoding"), None);
    }
}
