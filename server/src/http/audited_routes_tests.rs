//! Every changing route is in the audit, or stands in the list of those that write it themselves.

use super::audited_routes::{AUDITED, Audited, EXEMPT, of};
use super::route_table::ROUTES;

#[test]
fn every_changing_route_is_audited_or_exempt_and_nothing_else_is() {
    for (method, path, _) in ROUTES {
        let rows = AUDITED.iter().chain(EXEMPT);
        let count = rows.filter(|(m, p, _)| m == method && p == path).count();
        let expected = usize::from(!matches!(*method, "GET" | "HEAD"));
        assert_eq!(count, expected, "{method} {path} in audited_routes.rs");
    }
    for (method, path, _) in AUDITED.iter().chain(EXEMPT) {
        // The results of polling agents have a resource of their own, with its own limit.
        let stands = path == &"/api/agent/command-result"
            || ROUTES.iter().any(|(m, p, _)| m == method && p == path);
        assert!(stands, "{method} {path} is no route");
    }
}

#[test]
fn a_route_that_nobody_thought_of_is_written_down_all_the_same() {
    assert_eq!(of("POST", Some("/api/new")), Audited::As("change"));
    assert_eq!(of("DELETE", None), Audited::As("change"));
    assert_eq!(of("GET", Some("/api/new")), Audited::Reads);
    assert_eq!(of("POST", Some("/api/auth/login")), Audited::Elsewhere);
    assert_eq!(
        of("PUT", Some("/api/clients/{id}")),
        Audited::As("client.change")
    );
}

#[test]
fn actions_are_words_that_fit_their_column() {
    for (_, _, action) in AUDITED {
        let fits = action.len() <= 64
            && action.split('.').count() == 2
            && action
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_');
        assert!(fits, "{action}");
    }
}
