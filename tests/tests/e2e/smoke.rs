//! The main job in one breath.

use gururmm_tests::on_both_databases;

on_both_databases! {
    async fn a_technician_opens_a_tunnel_to_a_real_agent_and_runs_a_command(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "uname -s; exit 3").await;
        assert_eq!(output.stdout, "Linux\n");
        assert_eq!(output.exit_code, Some(3));
        let close = serde_json::json!({"session_id": session});
        let closed = rmm.technician.post("/api/v1/tunnel/close", close).await.expect(200);
        assert_eq!(closed["status"], "closed");
    }
}
