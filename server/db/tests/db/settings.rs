//! What is shown of a database's place, and what the two call the same thing.

use gururmm_db::testing::{like_pattern, target_name, unique_name, unreachable};
use gururmm_db::{DatabaseSettings, DbError};

#[test]
fn a_password_is_never_shown() {
    let url = "postgres://rmm:s3cret@db.example:5433/gururmm?sslmode=disable";
    let shown = format!("{:?}", DatabaseSettings::new(url));
    assert!(
        shown.contains("postgres://db.example:5433/gururmm"),
        "{shown}"
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(!unreachable(url, "bad password s3cret").contains("s3cret"));
}

#[test]
fn both_ways_to_write_a_path_are_understood() {
    for url in ["sqlite:/var/lib/x.db", "sqlite:///var/lib/x.db"] {
        assert_eq!(target_name(url).unwrap(), "sqlite:///var/lib/x.db");
    }
    let relative = target_name("sqlite:relative/x.db").unwrap();
    assert!(relative.starts_with("sqlite:///"));
    for url in ["", "mysql://x", "sqlite:", "sqlite::memory:"] {
        let refused = target_name(url);
        assert!(matches!(refused, Err(DbError::Constraint(_))), "{url}");
    }
}

#[test]
fn what_is_searched_for_is_text_and_no_pattern() {
    assert_eq!(like_pattern("50%_a\\"), "%50\\%\\_a\\\\%");
    assert_eq!(like_pattern(""), "%%");
}

#[test]
fn sqlite_unique_errors_get_the_names_of_postgresql() {
    for (message, name) in [
        ("UNIQUE constraint failed: users.email", "users_email_key"),
        ("UNIQUE constraint failed: users.id", "users_pkey"),
        (
            "UNIQUE constraint failed: sites.client_id, sites.name",
            "sites_client_id_name_key",
        ),
        (
            "UNIQUE constraint failed: index 'clients_name_key'",
            "clients_name_key",
        ),
        (
            "UNIQUE constraint failed: tech_sessions.tech_id, tech_sessions.agent_id",
            "tech_sessions_one_active",
        ),
        (
            "UNIQUE constraint failed: tunnel_audit.command_id",
            "tunnel_audit_command_id_key",
        ),
    ] {
        assert_eq!(unique_name(message), name);
    }
}
