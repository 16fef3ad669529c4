//! The guard: a small process beside the agent that starts programs and ends them, and whatever they
//! left, also when the agent is gone, were it by `kill -9`. Each tunnel session has one, after which
//! nothing is left; the commands outside tunnels share one, which ends only what has not ended by
//! itself: what a finished command left running stays ([`Remains`]).
//!
//! It is the *child subreaper* (prctl(2)) of all it starts: a process that leaves its group, its
//! session, its environment and its parents behind becomes the guard's own child, so nothing gets away
//! but work that was handed to another service (systemd, cron, a container engine). That the guard has
//! no child left is the kernel's word that nothing is.
//!
//! The two talk over a socket pair (`wire`); its end, without a word before, says that the agent is
//! gone.

mod process;
mod wire;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use process::guard_main;
use wire::{OUTPUTS, Reply, Request};

use crate::platform::{Order, Remains};

/// Questions that may wait: some for every command that may run at once.
const QUESTIONS: usize = 1024;

/// The agent's end of a guard; dropping it makes the guard kill what is left.
#[derive(Debug)]
pub struct Guard {
    starter: Starter,
    relay: JoinHandle<Option<usize>>,
    _child: Child,
}

impl Guard {
    /// Starts a guard (`program guard`).
    ///
    /// # Errors
    /// What the operating system said.
    pub fn start(program: &Path, remains: Remains) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let child = Command::new(program)
            .arg("guard")
            .args((remains == Remains::Stay).then_some("--remains-stay"))
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        ours.set_nonblocking(true)?;
        let socket = UnixStream::from_std(ours)?;
        let (questions, asked) = mpsc::channel(QUESTIONS);
        Ok(Self {
            starter: Starter {
                questions,
                next_id: Arc::default(),
            },
            relay: tokio::spawn(relay(socket, asked)),
            _child: child,
        })
    }

    /// What starts programs under this guard.
    #[must_use]
    pub fn starter(&self) -> Starter {
        self.starter.clone()
    }

    /// Whether the guard is gone, with what it would have told.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.relay.is_finished()
    }

    /// Has everything killed that is to be killed, and waits for it at most `patience`: how many processes
    /// that were. None: they are not gone yet, or the guard itself was killed.
    pub async fn end(self, patience: Duration) -> Option<usize> {
        let Self { starter, relay, .. } = self;
        starter.say(Request::End);
        tokio::time::timeout(patience, relay).await.ok()?.ok()?
    }
}

/// Starts programs under a guard.
#[derive(Debug, Clone)]
pub struct Starter {
    questions: mpsc::Sender<Question>,
    next_id: Arc<AtomicU64>,
}

impl Starter {
    /// Starts a program whose output goes to `outputs`.
    ///
    /// # Errors
    /// What the operating system said to the guard, or that the guard is gone.
    pub async fn start(&self, order: Order, outputs: [OwnedFd; OUTPUTS]) -> io::Result<Guarded> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.ask(id, Request::Start(id, order), outputs.into())
            .await
    }

    /// Starts a program on a terminal, as the leader of a session of its own.
    ///
    /// # Errors
    /// What the operating system said to the guard, or that the guard is gone.
    pub async fn start_on_terminal(&self, order: Order, terminal: OwnedFd) -> io::Result<Guarded> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.ask(id, Request::StartOnTerminal(id, order), vec![terminal])
            .await
    }

    async fn ask(
        &self,
        id: u64,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<Guarded> {
        let (started, answer) = oneshot::channel();
        let (exited, exit) = oneshot::channel();
        let question = Question {
            request,
            descriptors,
            answers: Some((
                id,
                Answers {
                    started: Some(started),
                    exited,
                },
            )),
        };
        self.questions.send(question).await.map_err(|_| gone())?;
        let pid = answer.await.map_err(|_| gone())??;
        Ok(Guarded {
            id,
            pid,
            exit,
            starter: self.clone(),
        })
    }

    fn say(&self, request: Request) {
        let question = Question {
            request,
            descriptors: Vec::new(),
            answers: None,
        };
        // A guard that is gone has nothing left to be told; one that does not take its questions for
        // so long is beyond being told, and kills everything at its end.
        if let Err(TrySendError::Full(question)) = self.questions.try_send(question) {
            tracing::error!(?question, "a guard does not listen");
        }
    }
}

/// A program that a guard has started.
#[derive(Debug)]
pub struct Guarded {
    id: u64,
    pid: i32,
    exit: oneshot::Receiver<ExitStatus>,
    starter: Starter,
}

impl Guarded {
    /// Waits for the program's end. Cancel safe; not to be called again after its answer.
    ///
    /// # Errors
    /// When the guard is gone.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        (&mut self.exit).await.map_err(|_| gone())
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Asks the program's group to end.
    pub fn terminate(&self) {
        self.starter.say(Request::Terminate(self.id));
    }

    /// Tells the session that the program leads that its terminal is gone.
    pub fn hang_up(&self) {
        self.starter.say(Request::HangUp(self.id));
    }

    /// Ends the session that the program leads.
    pub fn kill_session(&self) {
        self.starter.say(Request::KillSession(self.id));
    }

    /// Ends the program's group.
    pub fn kill(&self) {
        self.starter.say(Request::Kill(self.id));
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.starter.say(Request::Forget(self.id));
    }
}

/// A request and, where it starts a program, what belongs to it.
#[derive(Debug)]
struct Question {
    request: Request,
    descriptors: Vec<OwnedFd>,
    answers: Option<(u64, Answers)>,
}

#[derive(Debug)]
struct Answers {
    started: Option<oneshot::Sender<io::Result<i32>>>,
    exited: oneshot::Sender<ExitStatus>,
}

/// Who waits for which program.
type Waiting = Mutex<HashMap<u64, Answers>>;

/// Carries requests to the guard and its replies to those who wait; tells what the guard said last.
async fn relay(mut socket: UnixStream, asked: mpsc::Receiver<Question>) -> Option<usize> {
    let waiting = Waiting::default();
    let (reader, writer) = socket.split();
    // Those who still wait learn from their dropped senders that the guard is gone.
    let ended: io::Result<Option<usize>> = tokio::select! {
        ended = listen(reader, &waiting) => ended.map(Some),
        asked = ask(writer, asked, &waiting) => asked.map(|()| None),
    };
    ended.unwrap_or_else(|error| {
        tracing::warn!(%error, "a guard is lost");
        None
    })
}

/// Reads replies until the last one.
async fn listen(mut reader: ReadHalf<'_>, waiting: &Waiting) -> io::Result<usize> {
    loop {
        let mut head = [0; 4];
        reader.read_exact(&mut head).await?;
        let mut body = vec![0; wire::length(head)?];
        reader.read_exact(&mut body).await?;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asked may have stopped waiting: a failed send below means that.
        match wire::decode(&body)? {
            Reply::Started(id, pid) => {
                if let Some(started) = waiting.get_mut(&id).and_then(|one| one.started.take()) {
                    let _ = started.send(Ok(pid));
                }
            }
            Reply::Failed(id, code) => {
                if let Some(started) = waiting.remove(&id).and_then(|one| one.started) {
                    let error = code.map_or_else(gone, io::Error::from_raw_os_error);
                    let _ = started.send(Err(error));
                }
            }
            Reply::Exited(id, status) => {
                if let Some(answers) = waiting.remove(&id) {
                    let _ = answers.exited.send(ExitStatus::from_raw(status));
                }
            }
            Reply::Ended(killed) => return Ok(killed),
        }
    }
}

/// Writes requests until nobody is left who could ask.
async fn ask(
    mut writer: WriteHalf<'_>,
    mut asked: mpsc::Receiver<Question>,
    waiting: &Waiting,
) -> io::Result<()> {
    while let Some(question) = asked.recv().await {
        let (head, body) = match wire::encode(&question.request) {
            Ok(encoded) => encoded,
            Err(error) => {
                // Only a program to be started can be too long.
                if let Some(started) = question.answers.and_then(|(_, one)| one.started) {
                    let _ = started.send(Err(error));
                }
                continue;
            }
        };
        if let Some((id, answers)) = question.answers {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.insert(id, answers);
        }
        let socket: &UnixStream = writer.as_ref();
        let sent = socket
            .async_io(Interest::WRITABLE, || {
                wire::send_head(socket.as_fd(), &head, &question.descriptors)
            })
            .await?;
        // The guard has its own by now; as long as ours are open, pipes and terminals do not end.
        drop(question.descriptors);
        writer.write_all(&head[sent..]).await?;
        writer.write_all(&body).await?;
        if matches!(question.request, Request::End) {
            // What comes now is its reply.
            return std::future::pending().await;
        }
    }
    Ok(())
}

fn gone() -> io::Error {
    io::Error::other("the session's guard is gone: close the tunnel and open another")
}
