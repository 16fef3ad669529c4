//! Rollouts: a release comes to the fleet wave by wave, stops where it fails, and a crash of the server changes nothing.

use gururmm_shared::{
    AgentId, AgentMessage, CAPABILITY_SIGNED_UPDATE, ServerMessage, Update, UpdateResult,
};
use gururmm_tests::api::{items, text};
use gururmm_tests::release::{Place, Signed};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Api, Deployment, RawAgent, Subscriber, World, eventually, on_both_databases};
use serde_json::{Value, json};

fn place(world: &World) -> Place {
    Place {
        data_dir: world.data_dir(),
        database: world.database.clone(),
    }
}

/// An agent that installs what is signed, or says so.
struct Updatable {
    socket: RawAgent,
    id: AgentId,
    key: String,
}

impl Updatable {
    async fn enrol(rmm: &Deployment) -> Self {
        let mut socket = RawAgent::connect(&rmm.server.agents_url()).await;
        let mut auth = socket.auth(&rmm.site.code);
        auth.capabilities.push(CAPABILITY_SIGNED_UPDATE.to_owned());
        let ack = socket.authenticate(auth).await;
        Self {
            socket,
            id: ack.agent_id.unwrap(),
            key: ack.api_key.unwrap(),
        }
    }

    /// Connects anew, and says that it runs this.
    async fn come_with(&mut self, rmm: &Deployment, version: &str) {
        let mut socket = RawAgent::connect(&rmm.server.agents_url()).await;
        socket.device_id.clone_from(&self.socket.device_id);
        let mut auth = socket.auth(&self.key);
        auth.capabilities.push(CAPABILITY_SIGNED_UPDATE.to_owned());
        auth.version = Some(version.to_owned());
        socket.authenticate(auth).await;
        self.socket = socket;
    }

    /// Waits until it is told to update.
    async fn update(&mut self) -> Update {
        let told = self.socket.expect("update", |message| match message {
            ServerMessage::Update(update) => Some(update.clone()),
            _ => None,
        });
        told.await
    }

    async fn fail(&mut self, version: &str, code: &str) {
        let result = UpdateResult {
            version: Some(version.to_owned()),
            success: false,
            error: Some("it went wrong".to_owned()),
            code: Some(code.to_owned()),
        };
        self.socket.send(&AgentMessage::UpdateResult(result)).await;
    }

    /// Its updates, the newest first.
    async fn updates(&self, api: &Api) -> Vec<Value> {
        let path = format!("/api/agents/{}/updates", self.id);
        items(&api.get(&path).await.expect(200))
    }
}

/// Enrols so many, and waits until all are known with their version.
async fn fleet(rmm: &Deployment, count: usize) -> Vec<Updatable> {
    let mut fleet = Vec::new();
    for _ in 0..count {
        fleet.push(Updatable::enrol(rmm).await);
    }
    eventually("all are online", SOON, || async {
        let online = rmm.admin.get("/api/agents?status=online").await.expect(200);
        (items(&online).len() == count).then_some(())
    })
    .await;
    fleet
}

async fn begin(rmm: &Deployment, body: Value) -> String {
    let made = rmm.admin.post("/api/rollouts", body).await.expect(201);
    text(&made, "id").to_owned()
}

async fn show(rmm: &Deployment, id: &str) -> Value {
    rmm.admin
        .get(&format!("/api/rollouts/{id}"))
        .await
        .expect(200)
}

/// Waits until a rollout is so.
async fn until(rmm: &Deployment, id: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, || async {
        let rollout = show(rmm, id).await;
        let fits = fits(&rollout);
        if !fits {
            eprintln!("{rollout}");
        }
        fits.then_some(rollout)
    })
    .await
}

fn count(rollout: &Value, wave: usize, field: &str) -> u64 {
    rollout["progress"][wave][field].as_u64().unwrap()
}

fn is_of(update: &Update, signed: &Signed) -> bool {
    update.download_url == format!("/api/agent/releases/{}", signed.sha256())
        && update.checksum == signed.sha256()
        && update.manifest.as_deref() == Some(&signed.manifest())
        && update.signature.as_deref() == Some(&signed.signature())
}

on_both_databases! {
    async fn a_rollout_goes_wave_by_wave_and_each_agent_is_told_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let signed = place(&world).release("0.2.0");
        // Of 14 all are in the same half once in 8192 times.
        let mut fleet = fleet(&rmm, 14).await;
        let mut events = Subscriber::open(&rmm.admin).await;
        let body = json!({"version": "0.2.0", "waves": [50, 100], "soak_seconds": 1});
        let id = begin(&rmm, body).await;
        let first = until(&rmm, &id, "the first wave is sent", |rollout| {
            let (sent, waiting) = (count(rollout, 0, "sent"), count(rollout, 1, "pending"));
            sent > 0 && count(rollout, 0, "pending") == 0 && sent + waiting == 14
        })
        .await;
        let (sent, waiting) = (count(&first, 0, "sent"), count(&first, 1, "pending"));
        assert_eq!((sent + waiting, first["wave"].as_i64()), (14, Some(1)));
        assert_eq!(count(&first, 1, "sent"), 0);
        let is_this = |event: &Value| event["rollout_id"] == id.as_str();
        events.expect("rollout", is_this).await;
        let mut early = Vec::new();
        for agent in &mut fleet {
            if let Some(update) = agent.updates(&rmm.admin).await.first() {
                assert_eq!((&update["status"], &update["rollout_id"]), (&json!("sent"), &json!(id)));
                assert_eq!(update["from_version"], "0.1.0");
                let told = agent.update().await;
                assert!(is_of(&told, &signed), "{told:?}");
                early.push(agent.id);
            }
        }
        assert_eq!(early.len() as u64, sent);
        // They run it, and the next wave begins by itself.
        for agent in fleet.iter_mut().filter(|agent| early.contains(&agent.id)) {
            agent.come_with(&rmm, "0.2.0").await;
        }
        let one = early[0].to_string();
        events.expect("agent_update", |event| event["agent_id"] == one.as_str()).await;
        for agent in fleet.iter_mut().filter(|agent| !early.contains(&agent.id)) {
            assert!(is_of(&agent.update().await, &signed));
            agent.come_with(&rmm, "0.2.0").await;
        }
        let done = until(&rmm, &id, "it is over", |rollout| rollout["state"] == "completed").await;
        assert_eq!(count(&done, 0, "completed") + count(&done, 1, "completed"), 14);
        assert!(done["ended_at"].is_string());
        for agent in &fleet {
            let updates = agent.updates(&rmm.admin).await;
            assert_eq!((updates.len(), &updates[0]["status"], &updates[0]["attempts"]), (1, &json!("completed"), &json!(1)));
            let shown = rmm.admin.get(&format!("/api/agents/{}", agent.id)).await.expect(200);
            assert_eq!(shown["agent_version"], "0.2.0");
        }
        let kept = "SELECT CAST(count(*) AS TEXT) AS value FROM agents WHERE previous_version = '0.1.0'";
        assert_eq!(rmm.database.count(kept).await, 14);
    }

    async fn a_rollout_stops_by_itself_when_updates_fail(world: World) {
        let rmm = world.deploy(&[("updates.concurrent", "1")]).await;
        let _ = place(&world).release("0.2.0");
        let mut fleet = fleet(&rmm, 4).await;
        let mut events = Subscriber::open(&rmm.admin).await;
        let id = begin(&rmm, json!({"version": "0.2.0", "waves": [100], "soak_seconds": 0})).await;
        let sent = until(&rmm, &id, "one is sent", |rollout| count(rollout, 0, "sent") == 1).await;
        assert_eq!(count(&sent, 0, "pending"), 3, "no more at once than may be");
        for agent in &mut fleet {
            if !agent.updates(&rmm.admin).await.is_empty() {
                agent.update().await;
                agent.fail("0.2.0", "self_test_failed").await;
            }
        }
        let stopped = until(&rmm, &id, "it stops", |rollout| rollout["state"] == "failed").await;
        let reason = text(&stopped, "reason");
        assert_eq!(reason, "1 of 1 updates failed: self_test_failed 1");
        assert_eq!(stopped["failures"], json!({"self_test_failed": 1}));
        let told = events.expect("alert", |event| event["severity"] == "critical").await;
        assert_eq!(told["agent_id"], Value::Null);
        let alerts = items(&rmm.admin.get("/api/alerts?kind=rollout_failed").await.expect(200));
        let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
        assert!(text(alert, "message").contains("0.2.0") && text(alert, "message").contains(reason));
        let path = format!("/api/alerts/{}/resolve", text(alert, "id"));
        rmm.admin.post(&path, json!({})).await.check(200);
        // The others were never told, and are not.
        let mut touched = 0;
        for agent in &fleet {
            let updates = agent.updates(&rmm.admin).await;
            touched += updates.len();
            if let Some(update) = updates.first() {
                assert_eq!((&update["status"], &update["code"]), (&json!("failed"), &json!("self_test_failed")));
                assert_eq!(update["error"], "it went wrong");
            }
        }
        assert_eq!(touched, 1);
        let again = json!({"version": "0.2.0", "waves": [100], "soak_seconds": 0, "max_failed_percent": 100});
        let id = begin(&rmm, again).await;
        // Another rollout is a new try for all of them, one after the other.
        let mut left: Vec<_> = fleet.iter_mut().collect();
        while !left.is_empty() {
            let index = eventually("the next is sent", SOON, || async {
                for (index, agent) in left.iter().enumerate() {
                    let updates = agent.updates(&rmm.admin).await;
                    if updates.first().is_some_and(|update| update["status"] == "sent") {
                        return Some(index);
                    }
                }
                None
            })
            .await;
            let agent = left.remove(index);
            agent.update().await;
            agent.fail("0.2.0", "no_space").await;
        }
        let done = until(&rmm, &id, "it is over", |rollout| rollout["state"] == "completed").await;
        assert_eq!((count(&done, 0, "failed"), &done["failures"]), (4, &json!({"no_space": 4})));
    }

    async fn a_crash_of_the_server_in_mid_rollout_loses_nothing_and_sends_nothing_twice(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let signed = place(&world).release("0.2.0");
        let mut fleet = fleet(&rmm, 3).await;
        let mut away = fleet.pop().unwrap();
        let away_key = away.key.clone();
        away.socket.close().await;
        eventually("one is away", SOON, || async {
            let gone = rmm.admin.get("/api/agents?status=offline").await.expect(200);
            (items(&gone).len() == 1).then_some(())
        })
        .await;
        let id = begin(&rmm, json!({"version": "0.2.0", "waves": [100], "soak_seconds": 0})).await;
        for agent in &mut fleet {
            assert!(is_of(&agent.update().await, &signed));
        }
        fleet[0].come_with(&rmm, "0.2.0").await;
        until(&rmm, &id, "the first has it", |rollout| count(rollout, 0, "completed") == 1).await;
        rmm.server.kill9();
        rmm.server.restart().await;
        let after = show(&rmm, &id).await;
        assert_eq!((&after["state"], count(&after, 0, "sent"), count(&after, 0, "pending")), (&json!("running"), 1, 1));
        // Whether what was sent arrived nobody knows: it is sent again to who comes with the old version.
        fleet[1].come_with(&rmm, "0.1.0").await;
        assert!(is_of(&fleet[1].update().await, &signed));
        fleet[0].come_with(&rmm, "0.2.0").await;
        fleet[1].come_with(&rmm, "0.2.0").await;
        // Who was away gets it when it comes.
        away.socket = RawAgent::connect(&rmm.server.agents_url()).await;
        away.key = away_key;
        let mut auth = away.socket.auth(&away.key);
        auth.capabilities.push(CAPABILITY_SIGNED_UPDATE.to_owned());
        auth.device_id = None;
        away.socket.authenticate(auth).await;
        assert!(is_of(&away.update().await, &signed));
        away.fail("0.2.0", "busy").await;
        until(&rmm, &id, "it waits once more", |rollout| count(rollout, 0, "pending") == 1).await;
        let waits = away.updates(&rmm.admin).await.remove(0);
        assert_eq!((&waits["status"], &waits["code"]), (&json!("pending"), &json!("busy")));
        assert!(waits["not_before"].is_string());
        let mut auth = away.socket.auth(&away.key);
        auth.capabilities.push(CAPABILITY_SIGNED_UPDATE.to_owned());
        auth.device_id = None;
        auth.version = Some("0.2.0".to_owned());
        away.socket = RawAgent::connect(&rmm.server.agents_url()).await;
        away.socket.authenticate(auth).await;
        let done = until(&rmm, &id, "it is over", |rollout| rollout["state"] == "completed").await;
        assert_eq!(count(&done, 0, "completed"), 3);
        let first = fleet[0].updates(&rmm.admin).await;
        assert_eq!((first.len(), &first[0]["attempts"]), (1, &json!(1)));
    }

    async fn who_says_nothing_in_time_has_failed(world: World) {
        let rmm = world.deploy(&[("updates.answer_seconds", "1")]).await;
        let _ = place(&world).release("0.2.0");
        let mut fleet = fleet(&rmm, 1).await;
        let id = begin(&rmm, json!({"version": "0.2.0", "waves": [100], "soak_seconds": 0})).await;
        fleet[0].update().await;
        let failed = until(&rmm, &id, "it stops", |rollout| rollout["state"] == "failed").await;
        assert_eq!(failed["failures"], json!({"no_answer": 1}));
    }

    async fn who_cannot_check_signatures_or_follows_another_channel_is_left_out_and_said_so(world: World) {
        let rmm = world.deploy(&[]).await;
        let place = place(&world);
        let _ = place.release("0.2.0");
        let (_plain, plain_id) = rmm.raw_agent().await;
        let mut able = Updatable::enrol(&rmm).await;
        let off = Updatable::enrol(&rmm).await;
        let policy = json!({"name": "no updates", "agent_id": off.id, "settings": {"update": {"channel": "off"}}});
        rmm.admin.post("/api/policies", policy).await.check(201);
        eventually("all are online", SOON, || async {
            let online = rmm.admin.get("/api/agents?status=online").await.expect(200);
            (items(&online).len() == 3).then_some(())
        })
        .await;
        let id = begin(&rmm, json!({"version": "0.2.0", "waves": [100], "soak_seconds": 0})).await;
        able.update().await;
        let rollout = show(&rmm, &id).await;
        assert_eq!((&rollout["without_capability"], &rollout["without_release"]), (&json!(1), &json!(0)));
        assert_eq!((count(&rollout, 0, "pending"), count(&rollout, 0, "sent")), (0, 1));
        let path = format!("/api/agents/{plain_id}/update");
        rmm.admin.post(&path, json!({})).await.problem(409, "no_signed_update");
        let path = format!("/api/agents/{}/update", off.id);
        rmm.admin.post(&path, json!({})).await.problem(409, "updates_off");
        // Who names a version knows what they do.
        rmm.admin.post(&path, json!({"version": "0.2.0"})).await.check(202);
        let path = format!("/api/agents/{}/update", able.id);
        rmm.admin.post(&path, json!({})).await.problem(409, "update_under_way");
    }

    async fn a_person_pauses_resumes_advances_and_stops_a_rollout(world: World) {
        let rmm = world.deploy(&[]).await;
        let _ = place(&world).release("0.2.0");
        // Agents that say nothing: nothing moves but by a person.
        let _fleet = fleet(&rmm, 14).await;
        let body = json!({"version": "0.2.0", "waves": [50, 75, 100]});
        let key = [("content-type", "application/json"), ("idempotency-key", "\"once\"")];
        let post = async || rmm.admin.send(reqwest::Method::POST, "/api/rollouts", &key, Some(body.to_string())).await.unwrap();
        let made = post().await.expect(201);
        let id = text(&made, "id").to_owned();
        assert_eq!(post().await.expect(201)["id"], made["id"], "the same again");
        rmm.admin.post("/api/rollouts", body.clone()).await.problem(409, "rollout_open");
        let act = async |api: &Api, word: &str| api.post(&format!("/api/rollouts/{id}/{word}"), json!({})).await;
        act(&rmm.technician, "pause").await.problem(403, "not_allowed");
        assert_eq!(act(&rmm.admin, "pause").await.expect(200)["state"], "paused");
        act(&rmm.admin, "pause").await.problem(409, "wrong_state");
        act(&rmm.admin, "advance").await.problem(409, "wrong_state");
        assert_eq!(act(&rmm.admin, "resume").await.expect(200)["state"], "running");
        assert_eq!(act(&rmm.admin, "advance").await.expect(200)["wave"], 2);
        assert_eq!(act(&rmm.admin, "advance").await.expect(200)["wave"], 3);
        act(&rmm.admin, "advance").await.problem(409, "last_wave");
        until(&rmm, &id, "all are sent it", |rollout| (0..3).map(|wave| count(rollout, wave, "sent")).sum::<u64>() == 14).await;
        let stopped = act(&rmm.admin, "stop").await.expect(200);
        assert_eq!((&stopped["state"], &stopped["reason"]), (&json!("stopped"), &json!("stopped by admin@example.com")));
        act(&rmm.admin, "resume").await.problem(409, "wrong_state");
        let listed = items(&rmm.admin.get("/api/rollouts?state=stopped").await.expect(200));
        assert_eq!((listed.len(), &listed[0]["id"]), (1, &json!(id)));
        for action in ["rollout.create", "rollout.pause", "rollout.resume", "rollout.advance", "rollout.stop"] {
            let acts = items(&rmm.admin.get(&format!("/api/audit?action={action}")).await.expect(200));
            assert!(acts.iter().any(|act| act["outcome"] == "ok"), "{action}: {acts:?}");
        }
    }

    async fn what_cannot_be_rolled_out_is_refused_with_a_reason(world: World) {
        let rmm = world.deploy(&[]).await;
        let place = place(&world);
        let post = async |body: Value| rmm.admin.post("/api/rollouts", body).await;
        post(json!({"version": "9.9.9"})).await.problem(404, "not_found");
        post(json!({})).await.problem(400, "invalid_field");
        let _ = place.release("0.2.0");
        for waves in [json!([]), json!([0, 100]), json!([10, 10, 100]), json!([50])] {
            let refused = post(json!({"version": "0.2.0", "waves": waves})).await.problem(400, "invalid_field");
            assert_eq!(refused["field"], "waves");
        }
        post(json!({"version": "0.2.0", "channel": "off"})).await.problem(400, "invalid_field");
        post(json!({"version": "0.2.0", "channel": "beta"})).await.problem(404, "not_found");
        post(json!({"version": "0.2.0", "max_failed_percent": 101})).await.problem(400, "invalid_field");
        let agent = Updatable::enrol(&rmm).await;
        let path = format!("/api/agents/{}/update", agent.id);
        rmm.admin.post(&path, json!({"version": "9.9.9"})).await.problem(409, "no_release");
        let _ = place.release("0.1.0");
        rmm.admin.post(&path, json!({"version": "0.1.0"})).await.problem(409, "not_newer");
        rmm.technician.post(&path, json!({})).await.problem(403, "not_allowed");
    }

    async fn an_update_that_is_asked_for_waits_for_its_agent(world: World) {
        let rmm = world.deploy(&[]).await;
        let signed = place(&world).release("0.2.0");
        let mut agent = Updatable::enrol(&rmm).await;
        let away = RawAgent::connect(&rmm.server.agents_url()).await;
        std::mem::replace(&mut agent.socket, away).close().await;
        eventually("it is away", SOON, || async {
            let gone = rmm.admin.get("/api/agents?status=offline").await.expect(200);
            (items(&gone).len() == 1).then_some(())
        })
        .await;
        let path = format!("/api/agents/{}/update", agent.id);
        let asked = rmm.admin.post(&path, json!({})).await.expect(202);
        assert_eq!((&asked["status"], &asked["to_version"]), (&json!("pending"), &json!("0.2.0")));
        let mut auth = agent.socket.auth(&agent.key);
        auth.capabilities.push(CAPABILITY_SIGNED_UPDATE.to_owned());
        auth.device_id = None;
        agent.socket.authenticate(auth).await;
        assert!(is_of(&agent.update().await, &signed));
        agent.fail("0.2.0", "bad_signature").await;
        let failed = eventually("it has failed", SOON, || async {
            let update = agent.updates(&rmm.admin).await.remove(0);
            (update["status"] == "failed").then_some(update)
        })
        .await;
        assert_eq!((&failed["code"], &failed["rollout_id"]), (&json!("bad_signature"), &Value::Null));
        assert!(failed["sent_at"].is_string() && failed["finished_at"].is_string());
    }
}
