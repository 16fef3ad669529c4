//! Who sits at the machine is asked, or told, before a tunnel opens; what they say is on record and told to the technician.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gururmm_shared::{AgentId, ConsentOutcome};
use gururmm_tests::agent::AgentSettings;
use gururmm_tests::deployment::session_id;
use gururmm_tests::files::text;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Answer, Deployment, TestAgent, Viewer, World, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_yes_opens_the_tunnel_and_is_on_record_and_told(world: World) {
        let (rmm, _agent, id, person) = with_person(&world, json!({"consent": "required"})).await;
        person.says("exit 0");
        let answer = open(&rmm, id).await.expect(201);
        assert_eq!(answer["consent"], "granted", "{answer}");
        let asked = person.asked();
        assert!(asked.contains("question|--title|") && asked.contains("tech@example.com"), "{asked}");
        let session = session_id(&answer);
        let mut viewer = Viewer::open(&rmm.technician, session).await;
        assert_eq!(viewer.session().await.consent, Some(ConsentOutcome::Granted));
        let rows = rmm.audit(session).await;
        let row = rows.iter().find(|row| row["action"] == "consent").expect("it is on record");
        assert_eq!((&row["outcome"], &row["user_email"]), (&json!("granted"), &json!("tech@example.com")), "{row}");
        let acts = format!("/api/audit?action=tunnel.consent&session_id={session}");
        assert_eq!(gururmm_tests::api::items(&rmm.admin.get(&acts).await.expect(200)).len(), 1);
        assert_eq!(rmm.run(session, "echo works").await.stdout, "works\n");
    }

    async fn a_no_keeps_it_shut_and_the_next_question_is_another(world: World) {
        let (rmm, _agent, id, person) = with_person(&world, json!({"consent": "required"})).await;
        person.says("exit 1");
        open(&rmm, id).await.problem(403, "consent_refused");
        let row = last_consent(&rmm, id).await;
        assert_eq!(row["outcome"], "refused", "{row}");
        let path = format!("/api/audit/tunnel?agent_id={id}");
        let rows = gururmm_tests::api::items(&rmm.admin.get(&path).await.expect(200));
        let opened = rows.iter().find(|row| row["action"] == "open").expect("the open is on record");
        assert_eq!(opened["outcome"], "no_consent", "{opened}");
        person.says("exit 0");
        open(&rmm, id).await.check(201);
    }

    async fn no_answer_in_time_is_what_the_policy_says(world: World) {
        let policy = json!({"consent": "required", "consent_timeout_seconds": 5});
        let (rmm, _agent, id, person) = with_person(&world, policy).await;
        person.says("exit 9");
        open(&rmm, id).await.problem(403, "consent_not_answered");
        // Not only a program that gives up: one that is not answered is given up.
        person.says("exec sleep 1000");
        open(&rmm, id).await.problem(403, "consent_not_answered");
        rmm.set_policy(json!({"consent": "required", "consent_timeout_seconds": 5, "on_no_answer": "allow"})).await;
        let answer = open(&rmm, id).await.expect(201);
        assert_eq!(answer["consent"], "no_answer", "{answer}");
    }

    async fn where_nobody_is_there_it_is_what_the_policy_says(world: World) {
        let (rmm, _agent, id, person) = with_person(&world, json!({"consent": "required"})).await;
        person.says("exit 3");
        open(&rmm, id).await.problem(403, "nobody_to_ask");
        rmm.set_policy(json!({"consent": "required", "when_nobody_is_there": "allow"})).await;
        let answer = open(&rmm, id).await.expect(201);
        assert_eq!(answer["consent"], "nobody_there", "{answer}");
    }

    async fn a_notice_is_told_and_keeps_nothing_shut(world: World) {
        let (rmm, _agent, id, person) = with_person(&world, json!({"consent": "notice"})).await;
        person.says("test \"$1\" = notice");
        let answer = open(&rmm, id).await.expect(201);
        assert_eq!(answer["consent"], "told", "{answer}");
        assert!(person.asked().starts_with("notice|"), "{}", person.asked());
    }

    async fn an_agent_that_cannot_ask_is_opened_only_where_the_policy_says_so(world: World) {
        let rmm = world.deploy(&[]).await;
        rmm.set_policy(json!({"consent": "required"})).await;
        let (mut agent, id) = rmm.raw_agent().await;
        open(&rmm, id).await.problem(403, "nobody_to_ask");
        rmm.set_policy(json!({"consent": "required", "when_nobody_is_there": "allow"})).await;
        let (answer, ()) = tokio::join!(open(&rmm, id), async {
            let session = agent.tunnel_open().await;
            agent.ready(session).await;
        });
        assert_eq!(answer.expect(201)["consent"], "cannot_ask");
        let row = last_consent(&rmm, id).await;
        assert_eq!(row["outcome"], "cannot_ask", "{row}");
    }

    async fn who_asks_for_the_tunnel_and_leaves_is_not_asked_for_any_longer(world: World) {
        let policy = json!({"consent": "required", "consent_timeout_seconds": 600});
        let (rmm, mut agent, id, person) = with_person(&world, policy).await;
        person.says("exec sleep 1000");
        let waiting = {
            let technician = rmm.technician.clone();
            tokio::spawn(async move { technician.post("/api/v1/tunnel/open", json!({"agent_id": id})).await })
        };
        eventually("the person is asked", SOON, || async { person.was_asked().then_some(()) }).await;
        agent.kill9();
        let answer = tokio::time::timeout(SOON, waiting).await.expect("it ends with the agent").unwrap();
        answer.problem(409, "agent_offline");
    }
}

/// The program that stands for who sits at the machine.
struct Person {
    program: PathBuf,
    asked: PathBuf,
}

impl Person {
    /// What they do from now on, as shell.
    fn says(&self, text: &str) {
        let _ = std::fs::remove_file(&self.asked);
        let script = format!(
            "#!/bin/sh\nprintf '%s|' \"$@\" > {}\n{text}\n",
            self.asked.display()
        );
        // Not in place: it may be running.
        let new = self.program.with_extension("new");
        std::fs::write(&new, script).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(new, &self.program).unwrap();
    }

    fn was_asked(&self) -> bool {
        self.asked.exists()
    }

    /// What they were asked.
    fn asked(&self) -> String {
        std::fs::read_to_string(&self.asked).expect("they were asked")
    }
}

/// A server with such a policy, and an agent at whose machine somebody sits.
async fn with_person(world: &World, tunnel: Value) -> (Deployment, TestAgent, AgentId, Person) {
    let rmm = world.deploy(&[]).await;
    let person = Person {
        program: world.file("ask"),
        asked: world.file("asked"),
    };
    person.says("exit 1");
    let settings = AgentSettings {
        more: format!("\n[consent]\nprogram = \"{}\"\n", text(&person.program)),
        ..AgentSettings::default()
    };
    let agent = TestAgent::start(&rmm.server.agents_url(), &rmm.site.code, settings);
    let id = agent.wait_online(&rmm.admin).await;
    rmm.set_policy(tunnel).await;
    (rmm, agent, id, person)
}

trait Policy {
    /// Sets what holds for tunnels to all agents.
    async fn set_policy(&self, tunnel: Value);
}

impl Policy for Deployment {
    async fn set_policy(&self, tunnel: Value) {
        let settings = json!({"tunnel": tunnel});
        let list = self.admin.get("/api/policies").await.expect(200);
        let body = json!({"name": "of the test", "settings": settings});
        match gururmm_tests::api::items(&list).first() {
            None => self.admin.post("/api/policies", body).await.check(201),
            Some(policy) => {
                let path = format!("/api/policies/{}", policy["id"].as_str().expect("an id"));
                self.admin.put(&path, body).await.check(200);
            }
        }
    }
}

async fn open(rmm: &Deployment, id: AgentId) -> Answer {
    let body = json!({"agent_id": id});
    rmm.technician.post("/api/v1/tunnel/open", body).await
}

/// The newest row of what was said at a machine.
async fn last_consent(rmm: &Deployment, id: AgentId) -> Value {
    let path = format!("/api/audit/tunnel?agent_id={id}");
    let rows = gururmm_tests::api::items(&rmm.admin.get(&path).await.expect(200));
    let row = rows.into_iter().find(|row| row["action"] == "consent");
    row.expect("what was said is on record")
}
