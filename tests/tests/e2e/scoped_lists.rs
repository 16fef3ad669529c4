//! Every list shows what lies within its reader's scope, and nothing else.

use std::collections::BTreeSet;

use crate::matrix::route_table::ROUTES;
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::{Site, add_site};
use gururmm_tests::{Api, Deployment, on_both_databases};
use serde_json::{Value, json};

use crate::things::Things;

/// Routes that read and are no list of things that belong to somebody.
const NO_LISTS: [&str; 16] = [
    // Programs for machines, the same for everybody.
    "/api/releases",
    "/api/install/ca.pem",
    "/install.sh",
    "/install.ps1",
    "/healthz",
    "/readyz",
    "/metrics",
    "/ws",
    "/api/openapi.json",
    "/api/auth/me",
    // Counted, not listed: `counts_are_of_what_is_in_scope_only`.
    "/api/agents/stats",
    "/api/metrics/summary",
    // A search, which needs a word: `everything_that_machines_are_made_of_is_searched_over_the_fleet`.
    "/api/inventory/search",
    "/api/system",
    // A stream: `nobody_is_told_of_another_client_and_a_move_is_told_to_both`.
    "/api/events",
    // A file: `an_export_of_the_audit_holds_what_is_in_scope_only`.
    "/api/audit/export",
];

/// What a list names in its items, and which of a client's things those are.
type Row = (&'static str, &'static str, fn(&Things) -> Vec<String>);

/// Lists that technicians read.
const TECHNICIANS: [Row; 16] = [
    ("/api/clients", "id", |t| vec![t.site.client_id.clone()]),
    ("/api/sites", "id", |t| {
        vec![t.site.id.clone(), t.spare_site.id.clone()]
    }),
    ("/api/agents", "id", |t| {
        let by_hand = [&t.spare_agent, &t.polling_agent, &t.twin, &t.pending_agent];
        let mut ids: Vec<_> = by_hand.into_iter().cloned().collect();
        ids.push(t.agent_id.to_string());
        ids
    }),
    ("/api/agents/unassigned", "id", |_| Vec::new()),
    ("/api/agents/pending", "agent_id", |t| {
        vec![t.pending_agent.clone()]
    }),
    ("/api/agents/duplicates", "device_id", |t| {
        vec![t.device_id.clone()]
    }),
    ("/api/inventory/software", "name", |t| {
        vec![format!("{}-software", t.word)]
    }),
    ("/api/jobs", "id", |t| vec![t.job.clone()]),
    ("/api/alerts", "id", |t| vec![t.alert.clone()]),
    ("/api/policies", "id", |t| vec![t.policy.clone()]),
    ("/api/maintenance", "id", |t| vec![t.window.clone()]),
    ("/api/schedules", "id", |t| vec![t.schedule.clone()]),
    ("/api/recordings", "id", |t| vec![t.recording.clone()]),
    ("/api/keys", "id", |t| vec![t.key.clone()]),
    ("/api/sessions", "session_id", |t| vec![t.session.clone()]),
    ("/api/v1/tunnel", "session_id", |t| vec![t.session.clone()]),
];

/// Lists that only administrators read.
const ADMINISTRATORS: [Row; 2] = [
    ("/api/registration-tokens", "id", |t| vec![t.token.clone()]),
    ("/api/notifications", "id", |t| vec![t.channel.clone()]),
];

/// Lists of which no row is the very row of another list: what stands in their items.
const ACTS: [(&str, &str); 3] = [
    ("/api/commands", "agent_id"),
    ("/api/audit", "agent_id"),
    ("/api/audit/tunnel", "agent_id"),
];

/// Lists of what belongs to all: everybody who may read them reads all of them.
const OF_ALL: [&str; 1] = ["/api/scripts"];
/// Lists of what belongs to nobody's client: only who may act everywhere reads them.
const EVERYWHERE: [&str; 3] = ["/api/users", "/api/keys?all=true", "/api/rollouts"];

on_both_databases! {
    async fn lists_show_what_is_in_scope_only(world: World) {
        let rmm = world.deploy(&[]).await;
        let (ours, theirs) = two(&rmm).await;
        for one in [&ours, &theirs] {
            let other = if one.things.word == ours.things.word { &theirs } else { &ours };
            for (path, field, expected) in TECHNICIANS {
                let list = whole(&one.technician, path).await;
                assert_eq!(fields(&list, field), set(expected(&one.things)), "{path}: {list}");
                tells_nothing_of(&list, &other.things, path);
            }
            let sites = format!("/api/clients/{}/sites", one.things.site.client_id);
            let list = whole(&one.technician, &sites).await;
            assert_eq!(fields(&list, "id").len(), 2, "{list}");
            let sites = format!("/api/clients/{}/sites", other.things.site.client_id);
            one.technician.get(&sites).await.problem(403, "out_of_scope");
            for (path, field, expected) in ADMINISTRATORS {
                let list = whole(&one.administrator, path).await;
                assert_eq!(fields(&list, field), set(expected(&one.things)), "{path}: {list}");
                tells_nothing_of(&list, &other.things, path);
            }
            for (path, field) in ACTS {
                let reader = if path == "/api/commands" { &one.technician } else { &one.administrator };
                let list = whole(reader, path).await;
                let agent = one.things.agent_id.to_string();
                assert!(fields(&list, field).contains(&agent), "{path}: {list}");
                tells_nothing_of(&list, &other.things, path);
            }
            for path in OF_ALL {
                let list = whole(&one.technician, path).await.to_string();
                assert!(list.contains(&ours.things.script) && list.contains(&theirs.things.script), "{list}");
            }
            for path in EVERYWHERE {
                one.administrator.get(path).await.problem(403, "out_of_scope");
            }
        }
        // Who may act everywhere reads both: what was left out above is there.
        let tables = TECHNICIANS.iter().chain(&ADMINISTRATORS);
        for (path, field, expected) in tables {
            let path = match *path {
                // Sessions are listed to their own technician alone.
                "/api/v1/tunnel" => continue,
                "/api/keys" => "/api/keys?all=true",
                path => path,
            };
            let list = fields(&whole(&rmm.admin, path).await, field);
            for side in [&ours, &theirs] {
                assert!(list.is_superset(&set(expected(&side.things))), "{path}: {list:?}");
            }
        }
        let emails = fields(&whole(&rmm.admin, "/api/users").await, "email");
        assert!(emails.contains("zanzibar-technician@example.com") && emails.contains("timbuktu-technician@example.com"));
    }

    async fn counts_are_of_what_is_in_scope_only(world: World) {
        let rmm = world.deploy(&[]).await;
        let (ours, theirs) = two(&rmm).await;
        let stats = ours.technician.get("/api/agents/stats").await.expect(200);
        assert_eq!((&stats["total"], &stats["online"]), (&json!(5), &json!(1)));
        let summary = ours.technician.get("/api/metrics/summary").await.expect(200);
        assert_eq!(summary["fleet"]["agents"], 5, "{summary}");
        tells_nothing_of(&summary, &theirs.things, "the summary");
        assert_eq!(rmm.admin.get("/api/agents/stats").await.expect(200)["total"], 10);
    }

    async fn an_export_of_the_audit_holds_what_is_in_scope_only(world: World) {
        let rmm = world.deploy(&[]).await;
        let (ours, theirs) = two(&rmm).await;
        for format in ["csv", "jsonl"] {
            let file = ours.administrator.get(&format!("/api/audit/export?format={format}")).await;
            file.check(200);
            assert!(file.text.contains(&ours.things.agent_id.to_string()), "{}", file.text);
            assert!(!file.text.contains(&theirs.things.word), "{}", file.text);
            assert!(theirs.things.ids().iter().all(|id| !file.text.contains(id)), "{}", file.text);
        }
    }

    async fn a_key_for_one_client_lists_nothing_that_its_maker_has_in_another(world: World) {
        let rmm = world.deploy(&[]).await;
        let (ours, theirs) = two(&rmm).await;
        let scope = json!({"client_ids": [ours.things.site.client_id]});
        let mut keys = Vec::new();
        for (maker, role) in [(&rmm.technician, "technician"), (&rmm.admin, "administrator")] {
            let body = json!({"name": "narrow", "role": role, "scope": scope});
            let made = maker.post("/api/keys", body).await.expect(201);
            keys.push(rmm.server.anonymous().with_token(text(&made, "key")));
        }
        let foreign = Things::create(&rmm, theirs.things.site.clone(), &rmm.technician, "samarkand").await;
        for key in keys {
            for (path, ..) in TECHNICIANS.iter().filter(|(path, ..)| *path != "/api/keys") {
                tells_nothing_of(&whole(&key, path).await, &foreign, path);
            }
            for path in [format!("/api/jobs/{}", foreign.job), format!("/api/recordings/{}", foreign.recording),
                format!("/api/v1/tunnel/status/{}", foreign.session), format!("/api/schedules/{}", foreign.schedule)] {
                key.get(&path).await.refusal(403);
            }
        }
    }
}

#[test]
fn every_list_of_the_api_stands_in_the_tables_of_these_tests() {
    let tables = TECHNICIANS.iter().chain(&ADMINISTRATORS);
    let tables = tables.map(|(path, ..)| *path);
    let acts = ACTS.iter().map(|(path, _)| *path);
    let others = [OF_ALL.as_slice(), &EVERYWHERE, &NO_LISTS].concat();
    let known: BTreeSet<&str> = tables.chain(acts).chain(others).collect();
    for (method, path, _) in ROUTES {
        if *method == "GET" && !path.contains('{') {
            assert!(
                known.contains(path),
                "{path} is a list that no test looks at"
            );
        }
    }
}

/// What one client has, and who works there.
struct Side {
    things: Things,
    technician: Api,
    administrator: Api,
}

async fn two(rmm: &Deployment) -> (Side, Side) {
    let client = json!({"name": "Their Client"});
    let client = rmm.admin.post("/api/clients", client).await.expect(201);
    let site = add_site(&rmm.admin, text(&client, "id"), "There").await;
    (
        side(rmm, rmm.site.clone(), "zanzibar").await,
        side(rmm, site, "timbuktu").await,
    )
}

async fn side(rmm: &Deployment, site: Site, word: &str) -> Side {
    let password = "a long password 3";
    let mut people = Vec::new();
    for role in ["technician", "administrator"] {
        let email = format!("{word}-{role}@example.com");
        let body = json!({"email": email, "password": password, "role": role,
            "scope": {"client_ids": [site.client_id]}});
        rmm.admin.post("/api/users", body).await.check(201);
        people.push(rmm.server.anonymous().log_in(&email, password).await);
    }
    let [technician, administrator] = people.try_into().unwrap();
    let things = Things::create(rmm, site, &technician, word).await;
    Side {
        things,
        technician,
        administrator,
    }
}

/// A list that fits onto one page.
async fn whole(api: &Api, path: &str) -> Value {
    let list = api.get(path).await.expect(200);
    assert_eq!(list["next_cursor"], Value::Null, "{path}");
    list
}

fn fields(list: &Value, field: &str) -> BTreeSet<String> {
    let rows = items(list);
    let values = rows.iter().filter_map(|row| row[field].as_str());
    values.map(ToOwned::to_owned).collect()
}

fn set(ids: Vec<String>) -> BTreeSet<String> {
    ids.into_iter().collect()
}

#[track_caller]
fn tells_nothing_of(list: &Value, other: &Things, what: &str) {
    let list = list.to_string();
    assert!(!list.contains(&other.word), "{what}: {list}");
    for id in other.ids() {
        assert!(!list.contains(id), "{what} tells {id}: {list}");
    }
}
