//! Commands outside tunnels, with real programs and a connection made of queues.

use gururmm_shared::CommandType;

use super::*;
use crate::connection::Outgoing;

struct Server {
    inputs: mpsc::Sender<Input>,
    outgoing: mpsc::Receiver<Outgoing>,
}

impl Server {
    async fn start(settings: CommandSettings, acknowledges: bool) -> Self {
        let (inputs, received) = mpsc::channel(8);
        tokio::spawn(run(Arc::new(settings), received));
        let (outbox, outgoing) = Outbox::new();
        inputs
            .send(Input::Connected {
                outbox,
                acknowledges,
            })
            .await
            .unwrap();
        Self { inputs, outgoing }
    }

    async fn reconnect(&mut self, acknowledges: bool) {
        self.inputs.send(Input::Disconnected).await.unwrap();
        let (outbox, outgoing) = Outbox::new();
        self.outgoing = outgoing;
        self.inputs
            .send(Input::Connected {
                outbox,
                acknowledges,
            })
            .await
            .unwrap();
    }

    async fn order(&self, command: &Command) {
        self.inputs.send(Input::Run(command.clone())).await.unwrap();
    }

    async fn result(&mut self) -> CommandResult {
        let Some(Outgoing::Message(message)) = self.outgoing.recv().await else {
            panic!("nothing")
        };
        let AgentMessage::CommandResult(result) = *message else {
            panic!("{message:?}")
        };
        result
    }

    async fn in_flight(&self) -> Vec<CommandId> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::InFlight(answer)).await.unwrap();
        answered.await.unwrap()
    }
}

fn command(line: &str) -> Command {
    Command {
        id: CommandId::generate(),
        command_type: CommandType::Shell,
        command: line.to_owned(),
        timeout_seconds: None,
        elevated: false,
    }
}

#[tokio::test]
async fn a_result_is_sent_again_until_it_is_acknowledged() {
    let mut server = Server::start(CommandSettings::default(), true).await;
    let order = command("echo out; echo err >&2; exit 4");
    server.order(&order).await;
    let result = server.result().await;
    assert_eq!((result.id, result.exit_code), (order.id, Some(4)));
    assert_eq!(
        (result.stdout.as_str(), result.stderr.as_str()),
        ("out\n", "err\n")
    );
    server.reconnect(true).await;
    assert_eq!(server.result().await, result);
    assert_eq!(server.in_flight().await, [order.id]);
    server
        .inputs
        .send(Input::Acknowledged(order.id))
        .await
        .unwrap();
    assert_eq!(server.in_flight().await, []);
    server.reconnect(true).await;
    assert_eq!(server.in_flight().await, []);
    assert!(server.outgoing.try_recv().is_err());
}

#[tokio::test]
async fn a_server_that_never_acknowledges_is_told_once() {
    let mut server = Server::start(CommandSettings::default(), false).await;
    let order = command("true");
    server.order(&order).await;
    assert_eq!(server.result().await.exit_code, Some(0));
    server.reconnect(false).await;
    assert_eq!(server.in_flight().await, []);
    assert!(server.outgoing.try_recv().is_err());
}

#[tokio::test]
async fn a_repeated_order_is_run_once_and_answered_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (ran, gate) = (directory.path().join("ran"), directory.path().join("gate"));
    let line = format!(
        "echo x >> {}; while [ ! -e {} ]; do sleep 0.01; done; echo done",
        ran.display(),
        gate.display()
    );
    let mut server = Server::start(CommandSettings::default(), true).await;
    let order = command(&line);
    server.order(&order).await;
    server.order(&order).await;
    assert_eq!(server.in_flight().await, [order.id]);
    std::fs::write(gate, "").unwrap();
    let result = server.result().await;
    server.order(&order).await;
    assert_eq!(server.result().await, result);
    assert_eq!(std::fs::read_to_string(ran).unwrap(), "x\n");
}

#[tokio::test]
async fn commands_go_on_while_the_connection_is_lost() {
    let mut server = Server::start(CommandSettings::default(), true).await;
    let order = command("sleep 0.2; echo survived");
    server.order(&order).await;
    server.inputs.send(Input::Disconnected).await.unwrap();
    while server.in_flight().await.is_empty() {
        tokio::task::yield_now().await;
    }
    server.reconnect(true).await;
    assert_eq!(server.result().await.stdout, "survived\n");
}

#[tokio::test]
async fn what_may_not_run_is_refused_with_its_reason() {
    let settings = CommandSettings {
        max_running: 1,
        ..CommandSettings::default()
    };
    let mut server = Server::start(settings, true).await;
    let task = CommandType::ClaudeTask {
        task: "x".to_owned(),
        working_directory: None,
        context_files: Vec::new(),
    };
    server
        .order(&Command {
            command_type: task,
            ..command("")
        })
        .await;
    let result = server.result().await;
    assert_eq!(
        (result.exit_code, result.stderr.as_str()),
        (Some(-1), CLAUDE_TASK_REFUSAL)
    );
    server.order(&command(" ")).await;
    assert_eq!(server.result().await.stderr, "the command is empty");
    server.order(&command("sleep 1000")).await;
    server.order(&command("true")).await;
    assert_eq!(
        server.result().await.stderr,
        "1 commands are running already"
    );
}

#[tokio::test]
async fn a_command_times_out() {
    let mut server = Server::start(CommandSettings::default(), true).await;
    server
        .order(&Command {
            timeout_seconds: Some(1),
            ..command("echo begun; sleep 1000")
        })
        .await;
    let result = server.result().await;
    assert_eq!(
        (result.exit_code, result.stdout.as_str()),
        (Some(124), "begun\n")
    );
    assert!(result.duration_ms >= 1000);
}
