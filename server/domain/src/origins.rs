//! Where a page may come from that a browser calls this server from: the server's own pages, and those
//! of configured origins.

/// Whether a page of this origin may: `host` is how the request names the server, `public_url` how
/// browsers reach it where a proxy stands before it, `allowed` the other origins.
#[must_use]
pub fn may_call(origin: &str, host: Option<&str>, public_url: &str, allowed: &[String]) -> bool {
    let bare = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    let is_own = bare.is_some_and(|bare| !bare.is_empty() && host == Some(bare));
    is_own
        || (!public_url.is_empty() && origin == public_url)
        || allowed.iter().any(|one| one == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_pages_and_configured_origins_may_call_and_no_others() {
        let allowed = ["https://console.example.com".to_owned()];
        let may = |origin: &str| {
            let host = Some("rmm.internal:3001");
            may_call(origin, host, "https://rmm.example.com", &allowed)
        };
        for own in [
            "http://rmm.internal:3001",
            "https://rmm.internal:3001",
            "https://rmm.example.com",
            "https://console.example.com",
        ] {
            assert!(may(own), "{own}");
        }
        for foreign in [
            "",
            "null",
            "https://",
            "rmm.internal:3001",
            "http://rmm.internal",
            "http://rmm.example.com",
            "https://rmm.example.com.evil.example",
            "https://evil.example",
        ] {
            assert!(!may(foreign), "{foreign}");
        }
        assert!(!may_call("", None, "", &[]), "no origin is no origin");
    }
}
