//! Whatever ends a session ends it on both sides, in the database and on the machine.

use std::time::Duration;

use gururmm_shared::{AgentId, SessionId};
use gururmm_tests::api::text;
use gururmm_tests::processes::Marker;
use gururmm_tests::wait::CLEAN_UP;
use gururmm_tests::{Api, Deployment, TestAgent, on_both_databases};
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);

on_both_databases! {
    async fn a_close_ends_every_process_that_the_session_started(world: World) {
        let job = Job::start(&world).await;
        let body = json!({"session_id": job.session});
        job.rmm.technician.post("/api/v1/tunnel/close", body).await.check(200);
        job.ended("closed_by_technician").await;
        job.opens_again(&job.rmm.technician).await;
    }

    async fn a_process_that_outlived_its_command_ends_with_the_session(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let marker = Marker::new();
        let command = format!("setsid {} >/dev/null 2>&1 & echo started", marker.sleep());
        assert_eq!(rmm.run(session, &command).await.exit_code, Some(0));
        let body = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", body).await.check(200);
        marker.wait_gone(CLEAN_UP).await;
    }

    async fn a_process_that_cleared_its_environment_ends_with_the_session(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let marker = Marker::new();
        let command = format!("env -i setsid {} >/dev/null 2>&1 & echo started", marker.sleep());
        assert_eq!(rmm.run(session, &command).await.exit_code, Some(0));
        marker.wait_running(1, SOON).await;
        let body = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", body).await.check(200);
        marker.wait_gone(CLEAN_UP).await;
    }

    async fn a_process_that_cleared_its_environment_ends_with_a_killed_agent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let marker = Marker::new();
        let command = format!("env -i setsid {} >/dev/null 2>&1 & echo started", marker.sleep());
        assert_eq!(rmm.run(session, &command).await.exit_code, Some(0));
        marker.wait_running(1, SOON).await;
        agent.kill9();
        marker.wait_gone(CLEAN_UP).await;
    }

    async fn an_agent_killed_in_mid_command_leaves_nothing_behind(world: World) {
        let mut job = Job::start(&world).await;
        let mut viewer = job.rmm.view(job.session).await;
        viewer.session().await;
        job.agent.kill9();
        job.ended("agent_disconnected").await;
        let (last, _) = viewer.closed().await;
        assert_eq!(last.reason, "agent_disconnected");
        job.outcome_is("lost").await;
        job.rmm.wait_status(job.id, "offline", SOON).await;
        job.agent.restart();
        job.opens_again(&job.rmm.technician).await;
    }

    async fn an_agent_stopped_in_mid_command_leaves_nothing_behind(world: World) {
        let mut job = Job::start(&world).await;
        job.agent.stop().await;
        job.processes_gone().await;
        let row = job.rmm.session_row(job.session).await;
        assert_eq!(row["status"], "closed");
        assert!(["agent_closed", "agent_disconnected"].contains(&text(&row, "close_reason")), "{row}");
        job.agent.restart();
        job.opens_again(&job.rmm.technician).await;
    }

    async fn a_server_killed_in_mid_command_leaves_nothing_behind(world: World) {
        let mut job = Job::start(&world).await;
        job.rmm.server.kill9();
        // While it is away, the agent goes back to heartbeat mode by itself.
        job.processes_gone().await;
        assert!(job.agent.is_running());
        job.rmm.server.restart().await;
        let row = job.rmm.session_row(job.session).await;
        assert_eq!(row["status"], "closed", "before it answers: {row}");
        assert_eq!(row["close_reason"], "server_crashed");
        job.outcome_is("interrupted").await;
        job.rmm.technician.get("/api/auth/me").await.check(200);
        job.opens_again(&job.rmm.technician).await;
    }

    async fn a_server_stopped_in_mid_command_leaves_nothing_behind(world: World) {
        let mut job = Job::start(&world).await;
        job.rmm.server.stop().await;
        job.ended("server_stopped").await;
        job.rmm.server.restart().await;
        job.outcome_is("interrupted").await;
        job.opens_again(&job.rmm.technician).await;
    }

    async fn a_viewer_that_goes_leaves_its_session_and_its_command_running(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        let (_, channel) = rmm.command(session, "echo one; sleep 2; echo two").await;
        viewer.piece(&channel).await;
        // Without a word.
        drop(viewer);
        let mut other = rmm.view(session).await;
        let output = other.output(&channel).await;
        assert_eq!((output.stdout.as_str(), output.exit_code), ("one\ntwo\n", Some(0)));
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn a_viewer_that_goes_does_not_stall_the_others(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut gone = rmm.view(session).await;
        let mut stays = rmm.view(session).await;
        let (_, channel) = rmm.command(session, "seq 1 1000000").await;
        gone.piece(&channel).await;
        drop(gone);
        let output = stays.output(&channel).await;
        assert_eq!(output.stdout.len(), 6_888_896);
        assert_eq!(output.exit_code, Some(0));
    }

    async fn a_technician_who_is_disabled_loses_the_session(world: World) {
        let job = Job::start(&world).await;
        let path = format!("/api/users/{}", job.rmm.technician_id);
        job.rmm.admin.patch(&path, json!({"disabled": true})).await.check(200);
        job.ended("access_revoked").await;
        job.opens_again(&job.rmm.admin).await;
    }

    async fn a_technician_whose_role_changes_loses_the_session(world: World) {
        let job = Job::start(&world).await;
        let path = format!("/api/users/{}", job.rmm.technician_id);
        let mut viewer = job.rmm.view(job.session).await;
        viewer.session().await;
        job.rmm.admin.patch(&path, json!({"role": "read_only"})).await.check(200);
        job.ended("access_revoked").await;
        assert_eq!(viewer.closed().await.0.reason, "access_revoked");
        job.opens_again(&job.rmm.admin).await;
    }

    async fn a_technician_who_logs_out_loses_the_session(world: World) {
        let job = Job::start(&world).await;
        job.rmm.technician.post("/api/auth/logout", json!({})).await.check(204);
        job.ended("access_revoked").await;
        job.opens_again(&job.rmm.admin).await;
    }

    async fn a_change_of_name_ends_no_session(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        rmm.admin.patch(&path, json!({"name": "New Name"})).await.check(200);
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn an_agent_that_is_deleted_loses_the_session(world: World) {
        let job = Job::start(&world).await;
        let mut viewer = job.rmm.view(job.session).await;
        viewer.session().await;
        job.rmm.admin.delete(&format!("/api/agents/{}", job.id)).await.check(204);
        assert_eq!(viewer.closed().await.0.reason, "agent_deleted");
        job.processes_gone().await;
        let path = format!("/api/v1/tunnel/status/{}", job.session);
        job.rmm.technician.get(&path).await.refusal(404);
        let open = json!({"agent_id": job.id});
        job.rmm.technician.post("/api/v1/tunnel/open", open).await.refusal(404);
    }

    async fn an_agent_that_is_moved_loses_the_session(world: World) {
        let job = Job::start(&world).await;
        let site = gururmm_tests::deployment::add_site(&job.rmm.admin, &job.rmm.site.client_id, "Branch").await;
        let path = format!("/api/agents/{}/move", job.id);
        job.rmm.admin.post(&path, json!({"site_id": site.id})).await.check(200);
        job.ended("agent_moved").await;
        job.opens_again(&job.rmm.technician).await;
    }

    async fn an_idle_session_ends_its_processes(world: World) {
        let rmm = world.deploy(&[("tunnel.idle_timeout_seconds", "3")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        // A command that still runs is no idleness: what it left behind is all there is.
        let marker = Marker::new();
        rmm.run(session, &format!("setsid {} >/dev/null 2>&1 & echo started", marker.sleep())).await;
        marker.wait_running(1, SOON).await;
        rmm.wait_session(session, "closed", "idle_timeout", CLEAN_UP).await;
        marker.wait_gone(CLEAN_UP).await;
        rmm.wait_opens(&rmm.technician, id, CLEAN_UP).await;
    }

    async fn a_command_that_a_viewer_ends_ends_with_its_children(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        let marker = Marker::new();
        let (command, channel) = rmm.command(session, &format!("({}; :); :", marker.sleep())).await;
        marker.wait_running(1, SOON).await;
        viewer.send_data(&channel, gururmm_shared::TunnelPayload::Close).await;
        let output = viewer.output(&channel).await;
        assert_eq!(output.reason, Some(gururmm_shared::EndReason::Cancelled));
        marker.wait_gone(CLEAN_UP).await;
        rmm.wait_outcome(session, &command, "cancelled").await;
    }
}

/// A session on a real agent with a command that starts processes in three ways.
struct Job {
    rmm: Deployment,
    agent: TestAgent,
    id: AgentId,
    session: SessionId,
    command: String,
    markers: [Marker; 3],
}

impl Job {
    async fn start(world: &gururmm_tests::World) -> Self {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let markers = [Marker::new(), Marker::new(), Marker::new()];
        let [own, nohup, setsid] = markers.each_ref().map(Marker::sleep);
        let text = format!("nohup {nohup} >/dev/null 2>&1 & setsid {setsid} & {own}");
        let (command, _) = rmm.command(session, &text).await;
        for marker in &markers {
            marker.wait_running(1, SOON).await;
        }
        Self {
            rmm,
            agent,
            id,
            session,
            command,
            markers,
        }
    }

    /// The session ends by `reason`, in the database and on the machine.
    async fn ended(&self, reason: &str) {
        let status = "closed";
        self.rmm
            .wait_session(self.session, status, reason, CLEAN_UP)
            .await;
        self.processes_gone().await;
    }

    async fn processes_gone(&self) {
        for marker in &self.markers {
            marker.wait_gone(CLEAN_UP).await;
        }
    }

    /// The agent is back in heartbeat mode.
    async fn opens_again(&self, api: &Api) {
        self.rmm.wait_opens(api, self.id, CLEAN_UP).await;
    }

    async fn outcome_is(&self, outcome: &str) {
        self.rmm
            .wait_outcome(self.session, &self.command, outcome)
            .await;
    }
}
