//! Keeps the agent connected: dials, authenticates, serves, waits, and so on until the agent stops.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use gururmm_shared::{
    Auth, AuthAck, CAPABILITY_BULK_LANE, CAPABILITY_COMMAND_CANCEL, CAPABILITY_COMMAND_ENVIRONMENT,
    CAPABILITY_COMMAND_JOURNAL, CAPABILITY_COMMAND_OUTPUT, CAPABILITY_CONSENT,
    CAPABILITY_DATA_PLANE, CAPABILITY_FILES, CAPABILITY_OUTPUT_WINDOW, CAPABILITY_PROCESSES,
    CAPABILITY_REGISTRY, CAPABILITY_RESUME, CAPABILITY_SERVICE_WATCH, CAPABILITY_SERVICES,
    CAPABILITY_TCP_FORWARD, CAPABILITY_TERMINAL, CommandId, KeptSession, PROTOCOL,
};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::backoff::Backoff;
use super::dial::Dialer;
use super::handshake::authenticate;
use super::lane::LaneDialer;
use super::outbox::Outbox;
use super::parting::Parting;
use super::peers::Peers;
use super::reader::Reader;
use super::{Socket, writer};
use crate::commands::dispatcher;
use crate::config::Config;
use crate::device::Device;
use crate::identity::{Identity, IdentityStore};
use crate::link::Link;
use crate::machine;
use crate::platform::registry;
use crate::reports::Reporter;

#[cfg(feature = "legacy")]
#[path = "polling.rs"]
mod polling;

/// How long the server may take to answer the agent's good-bye.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long the machine may take to say which session it kept: it may still be ending one. What it does
/// not say cannot be resumed, and is ended when its grace is over.
const KEPT_PATIENCE: Duration = Duration::from_secs(5);

/// A technician waits for a session that was kept: the longest wait between two attempts then.
const HURRY: Duration = Duration::from_secs(1);

/// How long the dispatcher may take to say what is in flight: its disk may hold it up, and that is no
/// reason to stay away. What it does not say is sent by the server again, and answered then.
const IN_FLIGHT_PATIENCE: Duration = Duration::from_secs(5);

/// What the agent can do beyond its protocol.
const CAPABILITIES: [&str; 15] = [
    CAPABILITY_OUTPUT_WINDOW,
    CAPABILITY_COMMAND_JOURNAL,
    CAPABILITY_COMMAND_CANCEL,
    CAPABILITY_COMMAND_OUTPUT,
    CAPABILITY_COMMAND_ENVIRONMENT,
    CAPABILITY_DATA_PLANE,
    CAPABILITY_TERMINAL,
    CAPABILITY_FILES,
    CAPABILITY_TCP_FORWARD,
    CAPABILITY_SERVICES,
    CAPABILITY_PROCESSES,
    CAPABILITY_RESUME,
    CAPABILITY_BULK_LANE,
    CAPABILITY_SERVICE_WATCH,
    CAPABILITY_CONSENT,
];

/// All that this agent can do on its platform.
fn capabilities() -> Vec<String> {
    let registry = registry::IS_THERE.then_some(CAPABILITY_REGISTRY);
    let all = CAPABILITIES.into_iter().chain(registry);
    all.map(str::to_owned).collect()
}

/// Keeps the connection.
pub struct Keeper {
    config: Arc<Config>,
    dialer: Dialer,
    store: IdentityStore,
    identity: Identity,
    device: Device,
    peers: Peers,
    lanes: LaneDialer,
    reporter: Reporter,
    link: Link,
    #[cfg(feature = "legacy")]
    blocked: u32,
}

impl Keeper {
    /// A keeper that has not dialled yet.
    ///
    /// # Errors
    /// A text for the operator: the server's address or certificates cannot be used.
    pub fn new(
        config: Arc<Config>,
        store: IdentityStore,
        identity: Identity,
        device: Device,
        (peers, lanes): (Peers, LaneDialer),
        (link, sample): (Link, Arc<Notify>),
    ) -> Result<Self, String> {
        let dialer = Dialer::new(&config.server)?;
        if dialer.is_in_clear() {
            tracing::warn!(
                url = config.server.url,
                "the connection is not encrypted: use wss://"
            );
        }
        let reporter = Reporter::new(
            &config,
            peers.settings().subscribe(),
            peers.inventory_again(),
            peers.backlog().clone(),
            sample,
        );
        Ok(Self {
            config,
            dialer,
            store,
            identity,
            device,
            peers,
            lanes,
            reporter,
            link,
            #[cfg(feature = "legacy")]
            blocked: 0,
        })
    }

    /// Serves until `stopping` becomes true; the server is then told good-bye.
    pub async fn run(mut self, stopping: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(&self.config.server);
        loop {
            let (parting, held) = self.connect_and_serve(stopping.clone()).await;
            if parting == Parting::Stopped || *stopping.borrow() {
                return;
            }
            self.link.lost(parting.to_string());
            #[cfg(feature = "legacy")]
            let (parting, held) = self.poll_if_blocked(parting, held, stopping.clone()).await;
            if *stopping.borrow() {
                return;
            }
            let mut delay = backoff.next(&parting, held, &mut rand::rng());
            if self.is_awaited(&parting).await {
                delay = delay.min(HURRY);
            }
            self.tell(&parting, delay);
            let mut stop = stopping.clone();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn connect_and_serve(
        &mut self,
        mut stopping: watch::Receiver<bool>,
    ) -> (Parting, Option<Duration>) {
        let connected = tokio::select! {
            connected = self.connect() => connected,
            _ = stopping.wait_for(|stop| *stop) => Err(Parting::Stopped),
        };
        match connected {
            Ok((socket, ack)) => {
                let since = Instant::now();
                let parting = self.serve(socket, &ack, stopping).await;
                (parting, Some(since.elapsed()))
            }
            Err(parting) => (parting, None),
        }
    }

    async fn connect(&mut self) -> Result<(Socket, AuthAck), Parting> {
        let patience = self.config.server.auth_timeout();
        let mut socket = timeout(patience, self.dialer.dial())
            .await
            .map_err(|_| Parting::Lost("the server did not answer in time".to_owned()))?
            .map_err(Parting::Lost)?;
        let auth = self.auth().await;
        let ack = timeout(patience, authenticate(&mut socket, auth))
            .await
            .map_err(|_| Parting::Lost("the server sent no auth_ack in time".to_owned()))??;
        self.keep(&ack).await?;
        self.lanes.set_key(self.identity.api_key.clone());
        Ok((socket, ack))
    }

    async fn auth(&self) -> Auth {
        let (in_flight, kept) = tokio::join!(
            timeout(IN_FLIGHT_PATIENCE, self.in_flight()),
            timeout(KEPT_PATIENCE, self.kept_session()),
        );
        let device = self.device.clone();
        // Once the agent has a key of its own, the one of the configuration is never sent again.
        let key = self
            .identity
            .api_key
            .as_ref()
            .unwrap_or(&self.config.server.api_key);
        Auth {
            api_key: key.clone(),
            hostname: device.hostname,
            os_info: Some(device.os_info),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            device_id: Some(device.device_id),
            previous_version: None,
            protocol: Some(PROTOCOL),
            capabilities: capabilities(),
            boot_id: device.boot_id,
            enrollment_nonce: Some(self.identity.enrollment_nonce.clone()),
            in_flight: in_flight.unwrap_or_default(),
            kept_session: kept.unwrap_or_default(),
        }
    }

    async fn in_flight(&self) -> Vec<CommandId> {
        let (answer, in_flight) = oneshot::channel();
        self.peers
            .command(dispatcher::Input::InFlight(answer))
            .await;
        // An error means that the dispatcher is gone, which was said already.
        in_flight.await.unwrap_or_default()
    }

    /// Whether a session waits for the next connection, and the server is likely to let it in.
    async fn is_awaited(&self, parting: &Parting) -> bool {
        matches!(parting, Parting::Lost(_) | Parting::ServerRestarts)
            && matches!(
                timeout(KEPT_PATIENCE, self.kept_session()).await,
                Ok(Some(_))
            )
    }

    async fn kept_session(&self) -> Option<KeptSession> {
        let (answer, kept) = oneshot::channel();
        self.peers.machine(machine::Input::Kept(answer)).await;
        // An error means that the machine is gone, and with it every session.
        kept.await.ok()?
    }

    /// Keeps what `auth_ack` tells about the agent, before anything else is sent.
    async fn keep(&mut self, ack: &AuthAck) -> Result<(), Parting> {
        let mut identity = self.identity.clone();
        identity.agent_id = ack.agent_id.or(identity.agent_id);
        if let Some(key) = &ack.api_key {
            identity.api_key = Some(key.clone());
        }
        if identity == self.identity {
            return Ok(());
        }
        let (store, kept) = (self.store.clone(), identity.clone());
        tokio::task::spawn_blocking(move || store.store(&kept))
            .await
            .map_err(|error| Parting::Lost(error.to_string()))?
            // Without it the server would wait for a key that nobody has: enrol again instead.
            .map_err(|error| Parting::Lost(error.to_string()))?;
        self.identity = identity;
        Ok(())
    }

    async fn serve(
        &self,
        socket: Socket,
        ack: &AuthAck,
        stopping: watch::Receiver<bool>,
    ) -> Parting {
        let agent = self.identity.agent_id.map(tracing::field::display);
        tracing::info!(agent.id = agent, url = self.config.server.url, "connected");
        self.link.connected(self.identity.agent_id, ack.server_time);
        let (outbox, control) = Outbox::new();
        let (sink, stream) = socket.split();
        self.peers
            .connected(&outbox, ack.protocol >= Some(PROTOCOL))
            .await;
        let idle_timeout = self.config.server.idle_timeout();
        let reader = Reader {
            peers: &self.peers,
            outbox: &outbox,
            idle_timeout,
        };
        let parting = tokio::select! {
            parting = reader.read(stream) => parting,
            parting = writer::write(sink, control) => parting,
            parting = self.farewell(&outbox, stopping.clone()) => parting,
            () = self.reporter.run(&outbox, ack.protocol >= Some(PROTOCOL)) => Parting::Lost("nothing can be reported".to_owned()),
        };
        self.peers.disconnected().await;
        if *stopping.borrow() {
            Parting::Stopped
        } else {
            parting
        }
    }

    /// Waits until the agent is to stop; then ends the session and the commands, says good-bye and
    /// waits for the answer.
    async fn farewell(&self, outbox: &Outbox, mut stopping: watch::Receiver<bool>) -> Parting {
        // An error means that nobody can stop the agent any more, so it stops by itself.
        let _ = stopping.wait_for(|stop| *stop).await;
        let (done, left) = oneshot::channel();
        let (finished, written) = oneshot::channel();
        self.peers.machine(machine::Input::Stop(done)).await;
        self.peers.command(dispatcher::Input::Stop(finished)).await;
        // An error means that the machine is gone, and with it every session; or the dispatcher.
        let _ = tokio::join!(left, written);
        outbox.goodbye().await;
        tokio::time::sleep(LAST_WORDS).await;
        Parting::Stopped
    }

    fn tell(&self, parting: &Parting, delay: Duration) {
        let retry_seconds = delay.as_secs_f64();
        match parting {
            Parting::Lost(reason) => tracing::warn!(%reason, retry_seconds, "not connected"),
            Parting::ServerRestarts => tracing::info!(retry_seconds, "the server restarts"),
            Parting::Replaced => tracing::error!(
                retry_seconds,
                "another process connects as this agent: stop it, or if this machine is a clone remove {} here",
                self.store.path().display()
            ),
            Parting::Refused(reason) if self.identity.api_key.is_some() => tracing::error!(
                %reason,
                retry_seconds,
                "the server does not accept this agent's own key: if the agent was deleted there, remove {} to enrol anew with the site code",
                self.store.path().display()
            ),
            Parting::Refused(reason) => tracing::error!(
                %reason,
                retry_seconds,
                "the server does not accept server.api_key of the configuration: check the site code"
            ),
            Parting::Stopped => {}
        }
    }
}
