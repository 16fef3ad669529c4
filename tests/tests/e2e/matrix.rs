//! Every route with every kind of credential, about things that exist, against what is written down
//! beside the router and here; that this is all there is the server's own tests hold against the
//! description of its API.

#[path = "../../../server/src/http/route_table.rs"]
pub mod route_table;

use gururmm_tests::api::text;
use gururmm_tests::deployment::add_site;
use gururmm_tests::{Answer, on_both_databases};
use route_table::{Needs, ROUTES};
use serde_json::{Value, json};

use crate::credentials::{Credentials, Role, SIGNING_KEY, Who};
use crate::requests::{SOCKETS, UPGRADE, ask, ended_by};
use crate::things::Things;

/// What may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// What was asked for was found and looked at.
    Let,
    /// Who calls is not known, or no longer.
    Unauthorized,
    /// The role may not.
    Forbidden,
    /// A key may not, whatever its role.
    NotWithAKey,
    /// The thing belongs to a client or site that the caller has no access to, or to all.
    OutOfScope,
    /// The thing belongs to somebody else.
    NotYours,
    /// Agents that the caller has no access to are not there.
    NoSuchAgents,
    /// A change by a cookie without the header that a page from elsewhere cannot send.
    NoCsrf,
    /// A WebSocket by a cookie that does not say where its page came from.
    NoOrigin,
}

use Class::{
    Forbidden, Let, NoCsrf, NoOrigin, NoSuchAgents, NotWithAKey, NotYours, OutOfScope, Unauthorized,
};

/// What a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Nothing of anybody's: a list shows what is the caller's to see.
    Nothing,
    /// Something of the client's.
    Client,
    /// Agents of the client's, picked by a filter.
    Agents,
    /// What belongs to all: only who may act everywhere changes it.
    All,
    /// A session of the owner's.
    Session,
    /// A recording of the owner's.
    Recording,
    /// A schedule of the owner's.
    Schedule,
    /// A key of the owner's.
    Key,
}

/// The table of what is whose. A route with an id that nobody thought of is taken for the client's.
fn about(method: &str, path: &str) -> About {
    match path {
        "/api/v1/tunnel/close" => About::Session,
        path if path.contains("{session_id}") => About::Session,
        path if path.starts_with("/api/recordings/") => About::Recording,
        path if path.starts_with("/api/schedules/") => About::Schedule,
        "/api/keys/{id}" => About::Key,
        "/api/jobs" if method == "POST" => About::Agents,
        "/api/system" => About::All,
        path if path.starts_with("/api/rollouts") => About::All,
        path if path.starts_with("/api/releases") && method != "GET" => About::All,
        "/api/agent/releases/{sha256}" => About::Nothing,
        path if path.starts_with("/api/install/") => About::Nothing,
        path if path.starts_with("/api/users") => About::All,
        path if path.starts_with("/api/scripts") && method != "GET" => About::All,
        "/api/clients" if method == "POST" => About::All,
        "/api/docs/{file}" | "/api/scripts/{id}" => About::Nothing,
        "/api/sites"
        | "/api/agents"
        | "/api/v1/tunnel/open"
        | "/api/registration-tokens"
        | "/api/policies"
        | "/api/maintenance"
        | "/api/notifications"
        | "/api/schedules"
            if method == "POST" =>
        {
            About::Client
        }
        path if path.contains('{') => About::Client,
        _ => About::Nothing,
    }
}

/// What a role may do, wherever.
fn may(role: Role, capability: &str) -> bool {
    let reads = capability == "ReadFleet";
    let works = [
        "UseTunnels",
        "RunCommands",
        "HandleAlerts",
        "ManageAutomation",
        "ReadRecordings",
    ]
    .contains(&capability);
    match role {
        Role::ReadOnly => reads,
        Role::Technician => reads || works,
        Role::Administrator => true,
    }
}

/// The table: what each may of what is needed.
fn expected(who: Who, method: &str, path: &str, needs: Needs) -> Class {
    if needs == Needs::AgentKey {
        return if who == Who::AgentKey {
            Let
        } else {
            Unauthorized
        };
    }
    let is_tcp = path.ends_with("/tcp");
    if needs == Needs::Nothing && !is_tcp {
        return Let;
    }
    let Some(role) = who.role() else {
        return Unauthorized;
    };
    if who.is_cookie() && is_tcp {
        return NoOrigin;
    }
    if who == Who::WithoutCsrf && !matches!(method, "GET" | "HEAD") {
        return NoCsrf;
    }
    let about = about(method, path);
    match needs {
        Needs::Capability(capability) if !may(role, capability) => return Forbidden,
        Needs::Nothing if !may(role, "UseTunnels") => return Forbidden,
        Needs::Person if who.is_key() => return NotWithAKey,
        // A schedule acts for its owner: no key of theirs writes one.
        Needs::Capability("ManageAutomation") if who.is_key() && path.contains("schedules") => {
            return NotWithAKey;
        }
        _ => {}
    }
    let (elsewhere, owner) = (who.is_elsewhere(), who.is_owner());
    let everywhere = role == Role::Administrator && !elsewhere;
    match about {
        About::Client | About::All if elsewhere => OutOfScope,
        About::Agents if elsewhere => NoSuchAgents,
        About::Recording if elsewhere => OutOfScope,
        About::Recording if !owner && !everywhere => NotYours,
        // A key uses what was opened with it, and this was opened by a log-in.
        About::Session if !owner || who.is_key() => NotYours,
        About::Session if elsewhere => OutOfScope,
        About::Schedule if elsewhere => NotYours,
        About::Schedule if method != "GET" && !owner && !everywhere => NotYours,
        About::Key if owner || everywhere => Let,
        About::Key if role == Role::Administrator => OutOfScope,
        About::Key => Forbidden,
        _ => Let,
    }
}

/// Answers of 403 or 404 to who was let in, and why they are right.
const LET_BUT: [(&str, &str, u16); 5] = [
    // This server has no authority of its own.
    ("GET", "/api/install/ca.pem", 404),
    // Nobody registers unless it is switched on.
    ("POST", "/api/auth/register", 403),
    // The wrong token for a set-up that is over.
    ("POST", "/api/auth/setup", 404),
    // An agent is let in and offered no lane.
    ("PUT", "/api/agent/lanes/{session_id}/{channel_id}", 404),
    ("GET", "/api/agent/lanes/{session_id}/{channel_id}", 404),
];

fn fits(wanted: Class, method: &str, path: &str, answer: &Answer) -> bool {
    let code = if answer.status >= 400 && method != "HEAD" {
        answer.json()["code"].clone()
    } else {
        Value::Null
    };
    let code = code.as_str().unwrap_or_default();
    let refused =
        |codes: &[&str]| answer.status == 403 && (method == "HEAD" || codes.contains(&code));
    match wanted {
        Unauthorized => answer.status == 401,
        Forbidden => refused(&["not_allowed"]),
        NotWithAKey => refused(&["not_with_a_key"]),
        NoCsrf => refused(&["csrf_header_missing"]),
        NoOrigin => refused(&["foreign_origin"]),
        OutOfScope => refused(&["out_of_scope"]),
        NotYours => refused(&["not_yours", "not_your_session", "not_your_schedule"]),
        NoSuchAgents => answer.status == 400 && answer.json()["field"] == "filter",
        // A wrong password, a wrong code: what such routes say of themselves.
        Let if answer.status == 401 => matches!(
            path,
            "/api/auth/login" | "/api/auth/password" | "/api/agent/register-legacy"
        ),
        Let if LET_BUT.contains(&(method, path, answer.status)) => true,
        Let => ![403, 404].contains(&answer.status) && answer.status < 500,
    }
}

/// Whether an answer tells somebody of another client what is not theirs to know.
fn tells(path: &str, answer: &Answer, things: &Things) -> bool {
    // What somebody said themselves stands in the audit of what they did.
    let said = path.starts_with("/api/audit");
    let ids = things.ids();
    let names = path != "/api/scripts" && path != "/api/scripts/{id}";
    (names && answer.text.contains(&things.word))
        || (!said && answer.status < 400 && ids.iter().any(|id| answer.text.contains(id)))
}

on_both_databases! {
    async fn every_route_answers_every_credential_as_the_table_says(world: World) {
        let settings = [("auth.signing_key", SIGNING_KEY), ("auth.account_attempts_per_minute", "100000"),
            ("auth.address_attempts_per_minute", "100000"), ("commands.per_minute", "100000")];
        let rmm = world.deploy(&settings).await;
        let client = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let elsewhere = add_site(&rmm.admin, text(&client, "id"), "Elsewhere").await;
        let mut things = Things::create(&rmm, rmm.site.clone(), &rmm.technician, "zanzibar").await;
        let credentials = Credentials::create(&rmm, &things, &elsewhere).await;
        let (victim, _) = rmm.add_user("victim@example.com", "read_only").await;
        // What is read comes after what was tried, whose traces it may show; a log-out ends it all.
        let mut routes: Vec<_> = ROUTES.iter().filter(|(_, path, _)| !SOCKETS.contains(path)).collect();
        routes.sort_by_key(|(method, path, _)| (*path == "/api/auth/logout", *method == "GET"));
        let mut faults = Vec::new();
        for who in Who::ALL {
            let api = credentials.of(&rmm, who).await;
            for (method, path, needs) in &routes {
                let answer = ask(&api, method, path, &things, &victim).await;
                let wanted = expected(who, method, path, *needs);
                if !fits(wanted, method, path, &answer) {
                    faults.push(format!("{who:?} {method} {path}: {wanted:?}, got {} {}", answer.status, answer.text));
                }
                if who.is_elsewhere() && tells(path, &answer, &things) {
                    faults.push(format!("{who:?} {method} {path} is told of another client: {}", answer.text));
                }
                if let Some(kind) = ended_by(method, path) && answer.status < 300 {
                    things.renew(&rmm, &rmm.technician, kind).await;
                }
            }
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    async fn a_ticket_to_look_is_for_who_may_watch_and_opens_no_connection(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/v1/tunnel/{session}/ticket");
        let look = json!({"read_only": true});
        let (_, colleague) = rmm.add_user("colleague@example.com", "technician").await;
        colleague.post(&path, look.clone()).await.problem(403, "not_your_session");
        let body = json!({"email": "elsewhere@example.com", "password": "a long password 3",
            "role": "administrator", "scope": {"client_ids": []}});
        rmm.admin.post("/api/users", body).await.check(201);
        let elsewhere = rmm.server.anonymous().log_in("elsewhere@example.com", "a long password 3").await;
        elsewhere.post(&path, look.clone()).await.problem(403, "out_of_scope");
        for watcher in [&rmm.admin, &rmm.technician] {
            let ticket = watcher.post(&path, look.clone()).await.expect(201);
            let url = format!("/api/v1/tunnel/{session}/tcp?host=127.0.0.1&port=9&ticket={}", text(&ticket, "ticket"));
            let anonymous = rmm.server.anonymous();
            let answer = anonymous.send(reqwest::Method::GET, &url, &UPGRADE, None).await;
            answer.unwrap().problem(403, "read_only_ticket");
        }
        rmm.admin.post(&path, json!({})).await.problem(403, "not_your_session");
    }
}
