//! Commands outside tunnels, with real programs and a connection made of queues.

use gururmm_shared::{AgentMessage, CommandType, EndReason};

use super::*;
use crate::commands::interpreter::CLAUDE_TASK_REFUSAL;
use crate::config::Config;
use crate::connection::Outgoing;
use crate::settings::SettingsStore;

struct Server {
    state: tempfile::TempDir,
    live: SettingsStore,
    inputs: mpsc::Sender<Input>,
    outgoing: mpsc::Receiver<Outgoing>,
}

impl Server {
    async fn start(settings: CommandSettings, acknowledges: bool) -> Self {
        let (inputs, received) = mpsc::channel(8);
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().to_owned();
        let warden = Warden::without_guard();
        let text = "[server]\nurl = \"ws://127.0.0.1:1/ws\"\napi_key = \"A-B-1\"\n";
        let config = Config::parse(text, Path::new("/etc/gururmm/agent.toml")).unwrap();
        let live = SettingsStore::new(&config);
        let told = live.subscribe();
        tokio::spawn(run(Arc::new(settings), told, directory, warden, received));
        let (outbox, outgoing) = Outbox::new();
        inputs
            .send(Input::Connected {
                outbox,
                acknowledges,
            })
            .await
            .unwrap();
        Self {
            state,
            live,
            inputs,
            outgoing,
        }
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
        loop {
            let Some(Outgoing::Message(message)) = self.outgoing.recv().await else {
                panic!("nothing")
            };
            match *message {
                AgentMessage::CommandResult(result) => return result,
                AgentMessage::CommandOutput(_) => {}
                other => panic!("{other:?}"),
            }
        }
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
        environment: Default::default(),
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
async fn a_repeated_order_is_run_once_and_answered() {
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
        max_queued: 1,
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
    server.order(&command("true")).await;
    assert_eq!(
        server.result().await.stderr,
        "1 commands are running and 1 wait already: send it again later"
    );
}

#[tokio::test]
async fn the_id_is_in_the_journal_before_the_command_runs_and_the_result_before_it_is_sent() {
    let mut server = Server::start(CommandSettings::default(), true).await;
    let journal = server.state.path().join("commands.journal");
    let line = format!("cat {}; echo once", journal.display());
    let order = command(&line);
    server.order(&order).await;
    let result = server.result().await;
    assert!(
        result
            .stdout
            .contains(&format!("\"started\":{{\"id\":\"{}", order.id)),
        "{}",
        result.stdout
    );
    let written = std::fs::read_to_string(&journal).unwrap();
    assert!(written.contains("\\nonce"), "{written}");
}

#[tokio::test]
async fn a_command_is_refused_while_the_journal_cannot_be_opened_and_runs_afterwards() {
    let mut server = Server::start(CommandSettings::default(), true).await;
    let state = server.state.path().to_owned();
    // Another agent with the same directory.
    let (inputs, received) = mpsc::channel(8);
    let warden = Warden::without_guard();
    let settings = Arc::new(CommandSettings::default());
    let (outbox, outgoing) = Outbox::new();
    server.in_flight().await;
    let live = server.live.clone();
    tokio::spawn(run(settings, live.subscribe(), state, warden, received));
    let mut other = Server {
        state: tempfile::tempdir().unwrap(),
        live,
        inputs,
        outgoing,
    };
    let acknowledges = true;
    let connected = Input::Connected {
        outbox,
        acknowledges,
    };
    other.inputs.send(connected).await.unwrap();
    let ran = server.state.path().join("ran");
    let order = command(&format!("echo x >> {}", ran.display()));
    other.order(&order).await;
    let refused = other.result().await;
    assert_eq!(refused.reason, Some(EndReason::Refused));
    assert!(
        refused.stderr.contains("another agent uses it"),
        "{}",
        refused.stderr
    );
    assert!(!ran.exists());
    // The first one goes.
    let (inputs, _) = mpsc::channel(1);
    server.inputs = inputs;
    let next = loop {
        let order = command(&format!("echo x >> {}", ran.display()));
        other.order(&order).await;
        let mut result = other.result().await;
        while result.id != order.id {
            // Refusals that were not acknowledged are told again.
            result = other.result().await;
        }
        if result.exit_code == Some(0) {
            break order;
        }
    };
    assert!(other.in_flight().await.contains(&next.id));
    assert!(
        other.in_flight().await.contains(&order.id),
        "its refusal waits"
    );
    assert_eq!(std::fs::read_to_string(ran).unwrap(), "x\n");
}

#[tokio::test]
async fn many_commands_of_one_moment_are_run_in_their_order() {
    let settings = CommandSettings {
        max_running: 1,
        ..CommandSettings::default()
    };
    let mut server = Server::start(settings, true).await;
    let orders: Vec<_> = (0..20)
        .map(|number| command(&format!("echo {number}")))
        .collect();
    for order in &orders {
        server.order(order).await;
    }
    for (number, order) in orders.iter().enumerate() {
        let result = server.result().await;
        assert_eq!(
            (result.id, result.stdout),
            (order.id, format!("{number}\n"))
        );
    }
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

#[tokio::test]
async fn a_parameter_reaches_its_command_as_a_variable_and_as_nothing_else() {
    let mut server = Server::start(CommandSettings::default(), true).await;
    let hostile = "$(touch /tmp/x); `id` \" ' \n%PATH% | reboot";
    let variable = ("GURURMM_NAME".to_owned(), hostile.to_owned());
    let mut order = command("printf %s \"$GURURMM_NAME\"");
    order.environment.extend([variable]);
    server.order(&order).await;
    let result = server.result().await;
    assert_eq!(
        (result.exit_code, result.stdout.as_str()),
        (Some(0), hostile)
    );
}

#[tokio::test]
async fn a_command_that_would_change_what_a_system_reads_is_refused() {
    let mut server = Server::start(CommandSettings::default(), true).await;
    for name in ["PATH", "LD_PRELOAD", "GURURMM_COMMAND_ID", "GURURMM_A=B"] {
        let mut order = command("true");
        order
            .environment
            .extend([(name.to_owned(), "/tmp".to_owned())]);
        server.order(&order).await;
        let result = server.result().await;
        assert_eq!(result.reason, Some(EndReason::Refused), "{name}");
        assert!(result.stderr.contains("variable"), "{}", result.stderr);
    }
}
