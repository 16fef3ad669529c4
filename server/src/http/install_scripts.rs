//! The scripts that put an agent on a machine with one line: `install.sh` and `install.ps1`, with this server's
//! address and the release keys in them. They hold no secret, and are for everybody.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use gururmm_release::TrustedKeys;

use super::state::AppState;
use crate::error::AppError;

const SHELL: &str = include_str!("../../assets/install.sh");
const POWERSHELL: &str = include_str!("../../assets/install.ps1");

/// Shows the installer for Linux.
#[utoipa::path(
    tag = "install",
    responses(
        (status = 200, description = "a POSIX shell script: `curl -fsSL URL/install.sh | sudo sh -s -- --token TOKEN`", body = String, content_type = "text/plain"),
        (status = 400, description = "the Host header is no host's"),
    ),
    security(()),
)]
#[get("/install.sh")]
pub async fn shell(state: Data<AppState>, request: HttpRequest) -> Result<HttpResponse, AppError> {
    script(SHELL, &state, &request)
}

/// Shows the installer for Windows.
#[utoipa::path(
    tag = "install",
    responses(
        (status = 200, description = "a PowerShell script: `& ([scriptblock]::Create((irm URL/install.ps1))) -Token TOKEN`", body = String, content_type = "text/plain"),
        (status = 400, description = "the Host header is no host's"),
    ),
    security(()),
)]
#[get("/install.ps1")]
pub async fn powershell(
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    script(POWERSHELL, &state, &request)
}

fn script(
    template: &str,
    state: &AppState,
    request: &HttpRequest,
) -> Result<HttpResponse, AppError> {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or("");
    let address = address(
        &state.settings.server.public_url,
        host,
        request.app_config().secure(),
    )
    .ok_or_else(|| AppError::malformed("the Host header is no host's; set server.public_url"))?;
    let keys = TrustedKeys::built_in_base64().join(" ");
    let text = template
        .replace("@SERVER_URL@", &address)
        .replace("@RELEASE_KEYS@", &keys);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text))
}

/// As the configuration names this server, or as the one who asks has reached it. It stands in quotes in a script that
/// runs as root, so nothing gets in that could end them.
fn address(public_url: &str, host: &str, secure: bool) -> Option<String> {
    if !public_url.is_empty() {
        return Some(public_url.to_owned());
    }
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let fits = (1..=255).contains(&host.len()) && host.chars().all(harmless);
    let scheme = if secure { "https" } else { "http" };
    fits.then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_address_goes_before_the_one_that_was_asked() {
        let address = |public: &str, host: &str, secure| address(public, host, secure);
        let public = "https://rmm.example.com";
        assert_eq!(address(public, "evil", false).as_deref(), Some(public));
        let own = address("", "rmm.lan:3001", false);
        assert_eq!(own.as_deref(), Some("http://rmm.lan:3001"));
        assert_eq!(
            address("", "[::1]:3001", true).as_deref(),
            Some("https://[::1]:3001")
        );
    }

    #[test]
    fn a_host_that_could_leave_its_quotes_is_refused() {
        for host in [
            "",
            "a'b",
            "a$(id)",
            "a b",
            "a\nb",
            "a/b",
            "a`id`",
            "é",
            &"a".repeat(256),
        ] {
            assert_eq!(address("", host, false), None, "{host:?}");
        }
    }

    #[test]
    fn nothing_of_a_template_is_left_over() {
        for (template, marks) in [(SHELL, 2), (POWERSHELL, 1)] {
            let filled = template
                .replace("@SERVER_URL@", "https://rmm.example.com")
                .replace("@RELEASE_KEYS@", "key");
            assert_ne!(template, filled);
            assert!(!filled.contains("_URL@") && !filled.contains("_KEYS@"));
            let kinds = ["@SERVER_URL@", "@RELEASE_KEYS@"];
            assert_eq!(
                kinds
                    .iter()
                    .filter(|mark| template.contains(**mark))
                    .count(),
                marks
            );
        }
    }
}
