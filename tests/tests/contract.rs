//! The running server against the description of its own API: Schemathesis asks what the description
//! allows, and things that it does not, follows ids from answer to answer, and finds nothing.
//!
//! `.ci/install-test-tools` installs it. It runs beside no other test: it takes what there is of the
//! machine for two minutes.

#[path = "contract/report.rs"]
mod report;
#[path = "e2e/things.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod things;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use gururmm_tests::api::text;
use gururmm_tests::{Deployment, World, on_both_databases};
use report::{Operation, Report};
use serde_json::{Value, json};
use things::Things;

/// The same requests in each run, as far as time allows.
const SEED: &str = "20261121";
/// A run is ended after so long; its own budget is shorter, and both databases are asked at once.
const LIMIT: Duration = Duration::from_secs(120);
/// What is checked of every answer.
const CHECKS: &str = "not_a_server_error,response_schema_conformance,ignored_auth,\
    status_code_conformance,content_type_conformance,response_headers_conformance,\
    use_after_free,ensure_resource_availability";

/// Links from answer to question that must have been followed.
const LINKS: u64 = 20;

/// Left out, and why.
const EXCLUDED: [&str; 3] = [
    // WebSockets: an upgrade is no exchange of one request and one answer. They have tests of their own.
    "/ws",
    "/api/v1/tunnel/{session_id}/stream",
    "/api/v1/tunnel/{session_id}/tcp",
];

/// Operations that nobody need have carried out, and why.
const NEVER_DONE: [(&str, &str); 9] = [
    (
        "POST /api/auth/setup",
        "the server is set up; the token is used",
    ),
    ("POST /api/auth/login", "a password that cannot be guessed"),
    (
        "POST /api/auth/password",
        "a password that cannot be guessed",
    ),
    (
        "POST /api/auth/logout",
        "a key may not, and a log-in would end itself",
    ),
    ("GET /api/docs/{file}", "names of files that nothing tells"),
    (
        "POST /api/agent/register-legacy",
        "a site's code that cannot be guessed",
    ),
    (
        "POST /api/agent/command-result",
        "an id of a command of that agent's, which no answer of the API's tells",
    ),
    (
        "DELETE /api/recordings/{id}",
        "the recording is still being written",
    ),
    (
        "POST /api/notifications/{id}/test",
        "a channel's queue may be full by then",
    ),
];
/// What an agent does on its machine in a tunnel: random paths to delete and processes to kill are
/// for no real machine, and the agent of this test has none.
const ON_MACHINES: &str = "/api/v1/tunnel/{session_id}/";

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
    key: &'a str,
    seconds: u32,
    /// Which operations; all but what is left out where it is empty.
    include: &'a [&'a str],
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
            .args(["run", &format!("{}/api/openapi.json", rmm.server.url())])
            .args(["--header", &format!("Authorization: Bearer {}", self.key)])
            .args(["--checks", CHECKS, "--phases", "coverage,fuzzing,stateful"])
            .args(["--seed", SEED, "--max-time", &self.seconds.to_string()])
            .args(["--request-timeout", "10", "--workers", "1"])
            .args(["--no-color", "--warnings", "off"])
            .args(["--generation-database", "none", "--report", "ndjson"])
            .arg("--report-ndjson-path")
            .arg(&written)
            .args(self.include);
        for path in EXCLUDED.iter().filter(|_| self.include.is_empty()) {
            command.args(["--exclude-path", path]);
        }
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

/// Everything that can be asked, as the description has it.
async fn described(rmm: &Deployment) -> Vec<Operation> {
    let document: Value = rmm
        .server
        .anonymous()
        .get("/api/openapi.json")
        .await
        .expect(200);
    let paths = document["paths"].as_object().expect("there are paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(|method| Operation::new(method, path))
    });
    all.filter(|operation| !EXCLUDED.contains(&operation.path.as_str()))
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
        // What belongs to a person belongs to whom the key is of.
        let things = Things::create(&rmm, rmm.site.clone(), &rmm.admin, "zanzibar").await;
        // A key, which no log-out revokes.
        let key = json!({"name": "schemathesis", "role": "administrator"});
        let key = rmm.admin.post("/api/keys", key).await.expect(201);
        let key = text(&key, "key").to_owned();
        let whole = Run { name: "whole", key: &key, seconds: 70, include: &[] };
        let whole = whole.done(&world, &rmm).await;
        // Had the run ended its own key, it would have asked as nobody from there on.
        let api = rmm.server.anonymous().with_token(&key);
        api.get("/api/auth/me").await.check(200);
        // What only a person may do, and what only an agent may.
        let (_, person) = rmm.add_user("person@example.com", "administrator").await;
        let only = ["--include-tag", "keys", "--include-tag", "schedules"];
        let person = Run { name: "person", key: person.token(), seconds: 12, include: &only };
        let person = person.done(&world, &rmm).await;
        let only = ["--include-tag", "polling"];
        let agent = Run { name: "agent", key: &things.polling_key, seconds: 8, include: &only };
        let agent = agent.done(&world, &rmm).await;

        assert!(whole.scenarios > 0, "the stateful phase ran");
        assert!(whole.links >= LINKS, "{} links were followed", whole.links);
        assert!(agent.has_done("POST", "/api/agent/heartbeat"), "an agent's key lets it poll");
        let operations = described(&rmm).await;
        let runs = [&whole, &person, &agent];
        let wanted: Vec<_> = operations.iter().filter(|operation| {
            let on_machine = operation.path.starts_with(ON_MACHINES);
            !on_machine && NEVER_DONE.iter().all(|(name, _)| *name != operation.to_string())
        }).collect();
        let undone: Vec<_> = wanted.iter()
            .filter(|operation| !runs.iter().any(|run| run.has_done(&operation.method, &operation.path)))
            .map(ToString::to_string)
            .collect();
        println!("{} of {} operations were carried out, but not {undone:?}",
            wanted.len() - undone.len(), wanted.len());
        assert!(undone.len() * 10 <= wanted.len(), "these were never carried out: {undone:?}");
    }
}
