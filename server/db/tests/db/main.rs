//! What the database promises, each on SQLite and on PostgreSQL. A crate of its own, so that the library, the
//! longest of all to compile, is compiled once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that panics has failed, and its words are for people"
)]

mod agents;
mod audit;
mod audit_log;
mod columns;
mod data_plane;
mod lists;
mod metrics;
mod migrations;
mod pools;
mod recordings;
mod schedules;
mod sessions;
mod settings;
mod text;
mod updates;
mod users;

use gururmm_shared::{AgentId, AuditId, ClientId, SessionId, SiteId, UserId};

use gururmm_db::agents::{Agent, NewAgent};
use gururmm_db::clients::Client;
use gururmm_db::page::PageOf;
use gururmm_db::sites::{NewSite, Site};
use gururmm_db::tunnel_audit::NewAudit;
use gururmm_db::types::now;
use gururmm_db::users::{NewUser, User};
use gururmm_db::{Db, DbError, clients, sites};
use gururmm_domain::scope::Scope;

fn new_user(email: &str, role: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        name: "Someone".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        role: role.to_owned(),
    }
}

async fn a_technician(db: &Db) -> User {
    let email = format!("{}@example.com", UserId::generate());
    gururmm_db::users::insert(db, new_user(&email, "technician"))
        .await
        .unwrap()
}

fn new_site(client_id: ClientId, name: &str) -> NewSite {
    let id = SiteId::generate();
    let mut api_key_hash = [7; 32];
    api_key_hash[..16].copy_from_slice(id.0.as_bytes());
    NewSite {
        client_id,
        name: name.to_owned(),
        site_code: id.to_string(),
        api_key_hash,
    }
}

async fn a_site(db: &Db) -> Site {
    let client = clients::insert(db, ClientId::generate().to_string())
        .await
        .unwrap();
    sites::insert(db, new_site(client.id, "Head office"))
        .await
        .unwrap()
}

fn new_agent(site_id: SiteId) -> NewAgent {
    NewAgent {
        site_id: Some(site_id),
        device_id: AgentId::generate().to_string(),
        hostname: "ws-1".to_owned(),
        os_family: "linux".to_owned(),
        protocol: 2,
        capabilities: vec!["output_window".to_owned()],
        ..NewAgent::default()
    }
}

async fn an_agent(db: &Db) -> Agent {
    let site = a_site(db).await;
    gururmm_db::agents::enroll(db, new_agent(site.id))
        .await
        .unwrap()
}

fn new_audit(action: &str, session_id: Option<SessionId>) -> NewAudit {
    NewAudit {
        id: AuditId::generate(),
        at: now(),
        action: action.to_owned(),
        user_id: None,
        user_email: "tech@example.com".to_owned(),
        key_id: None,
        agent_id: None,
        agent_hostname: None,
        session_id,
        command_id: None,
        channel_id: None,
        detail: String::new(),
        remote_addr: "127.0.0.1".to_owned(),
        request_id: "r-1".to_owned(),
        outcome: None,
        exit_code: None,
        ended_at: None,
    }
}

async fn all_clients(db: &Db) -> Result<Vec<Client>, DbError> {
    clients::list(db, Scope::Everything, None, PageOf::first(1000)).await
}

async fn all_sites(db: &Db, client_id: Option<ClientId>) -> Result<Vec<Site>, DbError> {
    sites::list(db, Scope::Everything, client_id, None, PageOf::first(1000)).await
}

async fn all_users(db: &Db) -> Result<Vec<User>, DbError> {
    gururmm_db::users::list(
        db,
        gururmm_db::users::UserFilter::default(),
        PageOf::first(1000),
    )
    .await
}
