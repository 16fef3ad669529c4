//! The running server against the description of its own API: Schemathesis asks what the description
//! allows, and things that it does not, follows ids from answer to answer, and finds nothing.
//!
//! `.ci/install-test-tools` installs it. It runs beside no other test: it takes what there is of the
//! machine for two minutes.

#[path = "contract/examples.rs"]
mod examples;
#[path = "contract/report.rs"]
mod report;
#[path = "e2e/things.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod things;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use examples::Examples;
use gururmm_tests::api::text;
use gururmm_tests::{Deployment, World, on_both_databases};
use report::{Operation, Report};
use serde_json::{Value, json};

/// The same requests in each run, as far as time allows.
const SEED: &str = "20261121";
/// A run is ended after so long; its own budget is shorter, and both databases are asked at once.
const LIMIT: Duration = Duration::from_secs(120);
/// What is checked of every answer.
const CHECKS: &str = "not_a_server_error,response_schema_conformance,ignored_auth,\
    status_code_conformance,content_type_conformance,response_headers_conformance,\
    use_after_free,ensure_resource_availability";

/// Links from answer to question that must have been followed.
const LINKS: u64 = 10;

/// Left out, and why.
const EXCLUDED: [&str; 5] = [
    // WebSockets: an upgrade is no exchange of one request and one answer. They have tests of their own.
    "/ws",
    "/api/events",
    "/api/v1/tunnel/{session_id}/stream",
    "/api/v1/tunnel/{session_id}/tcp",
    // Half of an exchange whose other half is on a WebSocket; it has tests of its own.
    "/api/agent/lanes/{session_id}/{channel_id}",
];
/// Its body is an archive, which Schemathesis cannot make.
const BINARY: &str = "files_upload_archive";
/// With these a run may end the user whom its own key is of; they have a run of their own, the last.
const OF_USERS: [&str; 2] = ["users_change", "users_remove"];
/// What takes along what others are asked about; only the stateful run, which comes after, does it.
const DESTRUCTIVE: [&str; 4] = [
    "agents_remove",
    "clients_remove",
    "sites_remove",
    "tunnels_close",
];

/// Operations that nobody need have carried out, and why.
const NEVER_DONE: [(&str, &str); 6] = [
    ("POST /api/auth/setup", "the server is set up"),
    ("POST /api/auth/password", "no key may"),
    ("POST /api/auth/logout", "no key may"),
    (
        "POST /api/agent/command-result",
        "its command may have ended before",
    ),
    (
        "DELETE /api/recordings/{id}",
        "the recording is still being written",
    ),
    (
        "POST /api/agents/{id}/reject",
        "its agent may have been let in before",
    ),
];
/// What an agent does on its machine in a tunnel: random paths to delete and processes to kill are
/// for no real machine, and the agent of this test has none.
const ON_MACHINES: [&str; 5] = ["files", "services", "processes", "registry", "terminal"];

fn schemathesis() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("there is a home")).join(".cache");
    let program = cache
        .unwrap_or_else(home)
        .join("gururmm/schemathesis/bin/schemathesis");
    assert!(
        program.exists(),
        "{} is missing; run .ci/install-test-tools",
        program.display()
    );
    program
}

/// One run, as whom and over what.
struct Run<'a> {
    name: &'a str,
    description: &'a Path,
    key: &'a str,
    phases: &'a str,
    seconds: u32,
    /// Which operations.
    only: &'a [&'a str],
}

impl Run<'_> {
    /// Runs it; it finds nothing. Answers what it did.
    async fn done(&self, world: &World, rmm: &Deployment) -> Report {
        // Without the phase `examples`: on Python 3.11 Hypothesis 6.170 trips there over itself
        // (`AST constructor recursion depth mismatch`), now and then; the values of the examples come in
        // the phase `coverage`, too.
        let written = world.file(&format!("{}.ndjson", self.name));
        let mut command = Command::new(schemathesis());
        command
            .arg("run")
            .arg(self.description)
            .args(["--url", &rmm.server.url()])
            .args(["--header", &format!("Authorization: Bearer {}", self.key)])
            .args(["--checks", CHECKS, "--phases", self.phases])
            .args(["--seed", SEED, "--max-time", &self.seconds.to_string()])
            .args(["--request-timeout", "10", "--workers", "1"])
            .args(["--no-color", "--warnings", "off"])
            .args(["--generation-database", "none", "--report", "ndjson"])
            .arg("--report-ndjson-path")
            .arg(&written)
            .args(self.only);
        command
            .current_dir(world.data_dir())
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let run = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output();
        let done = tokio::time::timeout(LIMIT, run).await;
        let output = done
            .expect("Schemathesis ends in time")
            .expect("Schemathesis starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}\n{errors}", self.name);
        println!("{}: {said}", self.name);
        Report::read(&written, &said)
    }
}

/// Everything that can be asked and that the runs are held to.
fn wanted(description: &Value) -> Vec<Operation> {
    let paths = description["paths"].as_object().expect("there are paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(|method| Operation::new(method, path))
    });
    all.filter(|operation| {
        let path = operation.path.as_str();
        let in_tunnel = path.strip_prefix("/api/v1/tunnel/{session_id}/");
        let on_machine = in_tunnel
            .is_some_and(|rest| ON_MACHINES.contains(&rest.split('/').next().unwrap_or_default()));
        let name = operation.to_string();
        !on_machine
            && !EXCLUDED.contains(&path)
            && NEVER_DONE.iter().all(|(never, _)| *never != name)
    })
    .collect()
}

on_both_databases! {
    async fn nothing_is_found_between_the_server_and_its_description(world: World) {
        let many = "100000";
        let rmm = world.deploy(&[
            ("auth.account_attempts_per_minute", many),
            ("auth.address_attempts_per_minute", many),
            ("auth.registration", "true"),
            ("commands.per_minute", many),
        ]).await;
        let examples = Examples::furnish(&rmm).await;
        let description = rmm.server.anonymous().get("/api/openapi.json").await.expect(200);
        let description = examples.put_into(description);
        let file = world.file("openapi.json");
        std::fs::write(&file, description.to_string()).unwrap();
        // A key, which no log-out revokes.
        let key = json!({"name": "schemathesis", "role": "administrator"});
        let key = rmm.admin.post("/api/keys", key).await.expect(201);
        let key = text(&key, "key").to_owned();
        // What only a person may do is not for keys.
        let (_, person) = rmm.add_user("person@example.com", "administrator").await;
        let mut rest = vec!["--exclude-operation-id", BINARY];
        rest.extend(EXCLUDED.iter().flat_map(|path| ["--exclude-path", path]));
        rest.extend(OF_USERS.iter().flat_map(|name| ["--exclude-operation-id", name]));
        let mut gentle = rest.clone();
        gentle.extend(DESTRUCTIVE.iter().flat_map(|name| ["--exclude-operation-id", name]));
        let of_agents = ["--include-tag", "polling"];
        let of_users = ["--include-tag", "users"];
        let of_people = ["--include-tag", "keys", "--include-tag", "schedules"];
        let (all, single) = ("coverage,fuzzing,stateful", "coverage,fuzzing");
        let runs = [
            ("agent", examples.agent_key(), all, 15, of_agents.as_slice()),
            ("person", person.token(), all, 15, &of_people),
            ("single", &key, single, 45, &gentle),
            ("stateful", &key, "stateful", 40, &rest),
            ("users", &key, single, 10, &of_users),
        ];
        let mut reports = Vec::new();
        for (name, key, phases, seconds, only) in runs {
            if name == "users" {
                // Had a run ended its own key, it would have asked as nobody from there on.
                rmm.server.anonymous().with_token(key).get("/api/auth/me").await.check(200);
            }
            let run = Run { name, description: &file, key, phases, seconds, only };
            reports.push(run.done(&world, &rmm).await);
        }

        let [agent, _, _, stateful, _] = reports.as_slice() else { unreachable!("five runs") };
        assert!(agent.has_done("POST", "/api/agent/heartbeat"), "an agent's key lets it poll");
        assert!(stateful.scenarios > 0, "the stateful phase ran");
        assert!(stateful.links >= LINKS, "{} links were followed", stateful.links);
        let wanted = wanted(&description);
        let done = |operation: &&Operation| {
            reports.iter().any(|run| run.has_done(&operation.method, &operation.path))
        };
        let undone: Vec<_> = wanted.iter().filter(|one| !done(one)).map(ToString::to_string).collect();
        println!("{} of {} operations were carried out, not {undone:?}", wanted.len() - undone.len(), wanted.len());
        assert!(undone.len() * 5 <= wanted.len(), "these were never carried out: {undone:?}");
    }
}
