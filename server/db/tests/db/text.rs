//! Text: stored as it stands, or refused as a whole.

use gururmm_shared::SessionId;
use serde_json::json;

use super::columns::is_refused;
use super::{a_site, new_agent, new_audit, new_user};
use gururmm_db::testing::on_both;
use gururmm_db::tunnel_audit::{self, AuditFilter};
use gururmm_db::{Db, agent_state, agents, clients, sites, users};

/// What has broken programs before.
const HOSTILE: [&str; 8] = [
    "'; DROP TABLE users; --",
    "\" OR 1=1 --",
    "$1 ? :name @x %s {0}",
    "back\\slash \\' \\x00",
    "new\nline\ttab\r",
    "ünï 漢字 🦀 \u{202e}",
    "100%_*[a-z]",
    "NULL",
];

#[test]
fn sql_in_any_text_is_stored_as_it_stands() {
    on_both(async |db| {
        for (n, text) in HOSTILE.into_iter().enumerate() {
            let email = format!("{text}{n}").to_lowercase();
            let mut new = new_user(&email, "technician");
            (new.name, new.password_hash) = (text.to_owned(), text.to_owned());
            let user = users::insert(&db, new).await.unwrap();
            assert_eq!((user.email, user.name.as_str()), (email.clone(), text));
            assert_eq!(
                users::by_email(&db, &email).await.unwrap().unwrap().id,
                user.id
            );

            let client = clients::insert(&db, text.to_owned()).await.unwrap();
            assert_eq!(client.name, text);
            let mut new = super::new_site(client.id, text);
            new.site_code = text.to_owned();
            let site = sites::insert(&db, new).await.unwrap();
            assert_eq!(sites::by_code(&db, text).await.unwrap(), Some(site.clone()));

            let mut new = new_agent(site.id);
            new.device_id = text.to_owned();
            new.hostname = text.to_owned();
            new.os_family = text.to_owned();
            new.os_name = text.to_owned();
            new.os_version = text.to_owned();
            new.os_arch = text.to_owned();
            new.agent_version = Some(text.to_owned());
            new.previous_version = Some(text.to_owned());
            new.capabilities = vec![text.to_owned()];
            let agent = agents::enroll(&db, new).await.unwrap();
            let found = agents::by_site_and_device(&db, site.id, text)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(found, agent);
            assert_eq!(
                (found.hostname.as_str(), found.os_arch.as_str()),
                (text, text)
            );
            assert_eq!(found.capabilities, json!([text]));

            let network = json!([{ "name": text, text: [1, 2.5, null, true] }]);
            let hash = Some(text.to_owned());
            agent_state::store_network(&db, agent.id, network.clone(), hash, agent.created_at)
                .await
                .unwrap();
            let state = agents::overview(&db, agent.id)
                .await
                .unwrap()
                .unwrap()
                .state
                .unwrap();
            assert_eq!(
                (state.network, state.network_hash.as_deref()),
                (Some(network), Some(text))
            );
            audit_round_trip(&db, text).await;
        }
        assert_eq!(users::count(&db).await, Ok(8));
    });
}

async fn audit_round_trip(db: &Db, text: &str) {
    let mut audit = new_audit("command", Some(SessionId::generate()));
    audit.user_email = text.to_owned();
    audit.agent_hostname = Some(text.to_owned());
    audit.channel_id = Some(text.to_owned());
    audit.detail = text.to_owned();
    audit.remote_addr = text.to_owned();
    audit.request_id = text.to_owned();
    audit.outcome = Some(text.to_owned());
    let filter = AuditFilter {
        session_id: audit.session_id,
        agent_id: None,
        limit: 1,
        ..AuditFilter::default()
    };
    tunnel_audit::insert(db, audit).await.unwrap();
    let row = tunnel_audit::list(db, filter).await.unwrap().remove(0);
    for stored in [row.user_email, row.detail, row.remote_addr, row.request_id] {
        assert_eq!(stored, text);
    }
    for stored in [row.agent_hostname, row.channel_id, row.outcome] {
        assert_eq!(stored.as_deref(), Some(text));
    }
}

#[test]
fn text_that_is_too_long_or_holds_a_nul_is_refused() {
    on_both(async |db| {
        let site = a_site(&db).await;
        assert!(
            clients::insert(&db, "é".repeat(200)).await.is_ok(),
            "characters, not bytes"
        );
        for name in ["é".repeat(201), String::new(), "a\0b".to_owned()] {
            assert!(
                is_refused(clients::insert(&db, name.clone()).await),
                "{name:?}"
            );
        }
        let mut user = new_user("a@example.com", "technician");
        user.name = "x".repeat(201);
        assert!(is_refused(users::insert(&db, user).await));
        for text in ["x".repeat(256), "x\0".to_owned()] {
            let agent = agents::NewAgent {
                hostname: text,
                ..new_agent(site.id)
            };
            assert!(is_refused(agents::enroll(&db, agent).await));
        }
        for text in ["x".repeat(65_537), "x\0".to_owned() + &"y".repeat(70_000)] {
            let mut audit = new_audit("command", None);
            audit.detail = text;
            assert!(is_refused(tunnel_audit::insert(&db, audit).await));
        }
        let mut audit = new_audit("command", None);
        audit.detail = "x".repeat(65_536);
        assert_eq!(tunnel_audit::insert(&db, audit).await, Ok(()));
    });
}
