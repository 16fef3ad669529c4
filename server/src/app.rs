//! Puts the rooms together: `build` makes everything, `run` serves until it is told to stop.

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::dev::{Extensions, Server};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App as WebApp, HttpServer};
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use socket2::{Domain, Socket, Type};
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt;
use uuid::Uuid;

use crate::actors::alerts::AlertWatcher;
use crate::actors::audit_sealer::{AuditSealer, SealAll};
use crate::actors::commands::CommandDispatcher;
use crate::actors::metrics_messages::{Flush, WatchReports};
use crate::actors::metrics_writer::MetricsWriter;
use crate::actors::notifier::Notifier;
use crate::actors::policy_push::PolicyPush;
use crate::actors::recording_keeper::RecordingKeeper;
use crate::actors::registry::AgentRegistry;
use crate::actors::registry_messages::{Adopt, Drain};
use crate::actors::rollups::Rollups;
use crate::actors::scheduler::Scheduler;
use crate::config::Settings;
use crate::db::metrics_rollups::Keep;
use crate::db::{self, DatabaseSettings, Db, retention};
use crate::domain::credentials::generate_token;
use crate::domain::idempotency::Run;
use crate::http::audit_trail as audit_trail_of_requests;
use crate::http::docs::Docs;
use crate::http::request_span::RequestSpan;
use crate::http::state::AppState;
use crate::http::{once, problems, router};
use crate::services::accounts::Accounts;
use crate::services::audit_seal::Sealer;
use crate::services::audit_trail;
use crate::services::commands::CommandRates;
use crate::services::inventory::InventoryDesk;
use crate::services::login_limits::LoginLimits;
use crate::services::passwords::Passwords;
use crate::services::recordings::Recordings;
use crate::services::recovery;
use crate::services::request_limits::RequestLimits;
use crate::services::secret_file;
use crate::services::tickets::Tickets;
use crate::services::tokens::Tokens;
use crate::ws::agent_socket::AgentGateway;

/// How long the last writes may take when the server stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long requests that run have to end when the server stops, in seconds.
const SHUTDOWN_SECONDS: u64 = 1;
/// Unacknowledged data ends a connection after so long: a peer that takes nothing freezes its
/// actor, and only the kernel can end that socket.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(45);

/// A server that is ready to listen.
pub struct App {
    state: AppState,
    writer: Addr<MetricsWriter>,
    sealer: Addr<AuditSealer>,
    arbiters: Vec<Arbiter>,
}

/// Opens the database that the settings name.
///
/// # Errors
/// It cannot be reached, in one line.
pub async fn open_database(settings: &Settings) -> anyhow::Result<Db> {
    let mut url = settings.database.url.expose_secret().to_owned();
    if url.is_empty() {
        prepare_data_dir(&settings.data_dir)?;
        url = format!(
            "sqlite://{}",
            settings.data_dir.join("gururmm.db").display()
        );
    }
    let settings = DatabaseSettings {
        url,
        max_connections: settings.database.max_connections,
    };
    Ok(Db::connect(&settings).await?)
}

fn prepare_data_dir(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("cannot make the data directory {}", path.display()))
}

impl App {
    /// Opens the database, brings it up to date, clears up what a crash left, starts the actors.
    ///
    /// # Errors
    /// One line that says what is missing.
    pub async fn build(settings: Settings, figures: PrometheusHandle) -> anyhow::Result<Self> {
        // One provider for all that speaks TLS; an error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        prepare_data_dir(&settings.data_dir)?;
        let db = open_database(&settings).await?;
        let migrations = db.migrate().await?;
        if !migrations.is_empty() {
            tracing::info!(count = migrations.len(), "database migrated");
        }
        let resumable = settings.tunnel.resume_grace_seconds > 0;
        let left_open = recovery::clear_up(&db, resumable).await?;
        let sealer = Sealer::open(&db, &settings.data_dir)?;
        audit_trail::record_start(&db, &migrations).await?;
        let accounts = Arc::new(accounts(&settings)?);
        announce_setup(&db, &settings.data_dir).await?;
        let recordings = Recordings::new(db.clone(), &settings.data_dir);
        let settings = Arc::new(settings);
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let arbiters: Vec<Arbiter> = (0..cores + 4).map(|_| Arbiter::new()).collect();
        let handles: Vec<ArbiterHandle> = arbiters
            .iter()
            .take(cores + 3)
            .map(Arbiter::handle)
            .collect();
        let (registry, writer, commands) = start_actors(&db, &recordings, &settings, &handles);
        registry.do_send(Adopt(left_open));
        let scheduler = Scheduler::new(
            db.clone(),
            Arc::clone(&settings),
            registry.clone(),
            commands.clone(),
        );
        let gateway = AgentGateway {
            db: db.clone(),
            registry: registry.clone(),
            writer: writer.clone(),
            commands: commands.clone(),
            settings: Arc::new(settings.agents.clone()),
            guesses: Arc::default(),
            audit_limits: Arc::default(),
            inventories: InventoryDesk::default(),
            lanes: Arc::default(),
            message_bytes: settings.limits.agent_message_bytes,
        };
        let audit_limits = gateway.audit_limits.clone();
        let sealer = AuditSealer::new(sealer);
        let writers = handles.get(1).cloned().unwrap_or_else(Arbiter::current);
        let sealer = Supervisor::start_in_arbiter(&writers, |_| sealer);
        let policies = PolicyPush::new(db.clone(), registry.clone());
        let policies = Supervisor::start(|_| policies);
        let alerts = start_alerts(&db, &settings, &registry, arbiters.last());
        // It asks the database and waits; the alerts' arbiter has time for that.
        let arbiter = arbiters
            .last()
            .map_or_else(Arbiter::current, Arbiter::handle);
        Supervisor::start_in_arbiter(&arbiter, |_| scheduler);
        let keeper = RecordingKeeper::new(recordings.clone());
        Supervisor::start_in_arbiter(&arbiter, |_| keeper);
        writer.do_send(WatchReports(alerts.clone().recipient()));
        let tickets = Arc::new(Tickets::default());
        let command_rates = Arc::new(CommandRates::new(settings.commands.per_minute));
        let requests = Arc::new(RequestLimits::new(settings.limits.requests_per_minute));
        let state = AppState {
            settings,
            run: Run(Uuid::now_v7()),
            db,
            registry,
            commands,
            command_rates,
            poll_rates: Arc::default(),
            policies,
            alerts,
            accounts,
            requests,
            audit_limits,
            recordings,
            tickets,
            gateway,
            figures,
        };
        Ok(Self {
            state,
            writer,
            sealer,
            arbiters,
        })
    }

    /// Serves on a listener until the process is told to stop, then stops within 5 s: sessions
    /// end, sockets are closed with 1001, what waits is written.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn run(self, listener: TcpListener) -> anyhow::Result<()> {
        let server = self.serve(listener)?;
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        let stopped_by = stop_signal().await?;
        tracing::info!(signal = stopped_by, "stopping");
        self.state.registry.send(Drain).await?;
        handle.stop(true).await;
        serving.await??;
        let last_writes = async {
            self.writer.send(Flush).await?;
            self.state.recordings.drain().await;
            db::agents::set_all_offline(&self.state.db).await?;
            let stopped = audit_trail::event("server.stopped", "ok");
            audit_trail::note(&self.state.db, stopped).await;
            self.sealer.send(SealAll).await?;
            anyhow::Ok(())
        };
        match tokio::time::timeout(FLUSH_TIMEOUT, last_writes).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last reports could not be written"),
            Err(_) => tracing::warn!("the last reports could not be written in time"),
        }
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        tracing::info!("stopped");
        Ok(())
    }

    fn serve(&self, listener: TcpListener) -> anyhow::Result<Server> {
        let state = self.state.clone();
        let docs = Docs::new().context("cannot write the description of the API")?;
        let make = move || {
            WebApp::new()
                .wrap(from_fn(audit_trail_of_requests::follow))
                .wrap(from_fn(once::once))
                .wrap(router::cors(&state.settings))
                .wrap(from_fn(problems::complete))
                .wrap(TracingLogger::<RequestSpan>::new())
                .into_utoipa_app()
                .configure(|config| router::routes(config, &state, &docs))
                .into_app()
        };
        Ok(HttpServer::new(make)
            .on_connect(prepare_socket)
            .h1_allow_half_closed(false)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .tcp_nodelay(true)
            .listen(listener)?
            .run())
    }
}

type Actors = (
    Addr<AgentRegistry>,
    Addr<MetricsWriter>,
    Addr<CommandDispatcher>,
);

fn start_actors(
    db: &Db,
    recordings: &Recordings,
    settings: &Settings,
    arbiters: &[ArbiterHandle],
) -> Actors {
    // The first three are the registry's, the writer's and the dispatcher's; sessions are spread over
    // the rest.
    let current = Arbiter::current();
    let (own, rest) = arbiters.split_at(3.min(arbiters.len()));
    let own = |index: usize| own.get(index).unwrap_or(&current);
    let idle = Duration::from_secs(settings.agents.idle_timeout_seconds.into());
    let writer = MetricsWriter::new(db.clone());
    let writer = Supervisor::start_in_arbiter(own(1), |_| writer);
    let days = |days: u32| chrono::Duration::days(days.into());
    let keep = Keep {
        samples: days(settings.metrics.raw_days),
        minutes: days(settings.metrics.minute_days),
        hours: days(settings.metrics.hour_days),
    };
    let old = &settings.retention;
    let unless_zero = |count: u32| (count > 0).then(|| days(count));
    let ages = retention::Keep {
        commands: unless_zero(old.commands_days),
        alerts: unless_zero(old.alerts_days),
        events: unless_zero(old.events_days),
        sessions: unless_zero(old.sessions_days),
        audit: unless_zero(old.audit_days),
    };
    let rollups = Rollups::new(db.clone(), keep, ages);
    Supervisor::start_in_arbiter(own(1), |_| rollups);
    let commands = CommandDispatcher::new(db.clone(), Arc::new(settings.commands.clone()));
    let commands = Supervisor::start_in_arbiter(own(2), |_| commands);
    let registry = AgentRegistry::new(
        db.clone(),
        recordings.clone(),
        Arc::new(settings.tunnel.clone()),
        idle,
        rest.to_vec(),
        writer.clone().recipient(),
        commands.clone().recipient(),
    );
    let registry = Supervisor::start_in_arbiter(own(0), |_| registry);
    (registry, writer, commands)
}

/// The last arbiter is that of the alerts: a slow rule holds nobody up.
fn start_alerts(
    db: &Db,
    settings: &Settings,
    registry: &Addr<AgentRegistry>,
    arbiter: Option<&Arbiter>,
) -> Addr<AlertWatcher> {
    let arbiter = arbiter.map_or_else(Arbiter::current, Arbiter::handle);
    let notifier = Notifier::new(db.clone(), Arc::new(settings.notifications.clone()));
    Supervisor::start_in_arbiter(&arbiter, |_| notifier);
    let watcher = AlertWatcher::new(db.clone(), registry.clone());
    Supervisor::start_in_arbiter(&arbiter, |_| watcher)
}

fn accounts(settings: &Settings) -> anyhow::Result<Accounts> {
    let mut key = settings.auth.signing_key.expose_secret().to_owned();
    if key.is_empty() {
        let path = settings.data_dir.join("signing-key");
        key = secret_file::read_or_create(&path, || generate_token(&mut rand::rng()))
            .with_context(|| format!("cannot use the signing key {}", path.display()))?;
    }
    anyhow::ensure!(
        key.len() >= 32,
        "the signing key is shorter than 32 bytes; delete its file to have one made"
    );
    let life = chrono::Duration::hours(settings.auth.token_hours.into());
    Ok(Accounts {
        passwords: Passwords::new()?,
        tokens: Tokens::new(key.as_bytes(), life),
        limits: LoginLimits::new(
            settings.auth.account_attempts_per_minute,
            settings.auth.address_attempts_per_minute,
        ),
        registration: settings.auth.registration,
        setup_token: settings.data_dir.join("setup-token"),
    })
}

/// While there is no user, whoever reads the log or the data directory may make the first.
async fn announce_setup(db: &Db, data_dir: &Path) -> anyhow::Result<()> {
    if db::users::count(db).await? > 0 {
        return Ok(());
    }
    let path = data_dir.join("setup-token");
    secret_file::read_or_create(&path, || generate_token(&mut rand::rng()))
        .with_context(|| format!("cannot keep the set-up token in {}", path.display()))?;
    tracing::warn!(
        file = %path.display(),
        "there is no user yet: make the first administrator with the one-time token in this file (POST /api/auth/setup), or with gururmm-server admin create"
    );
    Ok(())
}

fn prepare_socket(connection: &dyn Any, _: &mut Extensions) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let socket = socket2::SockRef::from(stream);
        if let Err(error) = socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
            tracing::debug!(%error, "a socket has no user time-out");
        }
    }
}

async fn stop_signal() -> anyhow::Result<&'static str> {
    #[cfg(unix)]
    {
        use actix_web::rt::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        })
    }
    #[cfg(not(unix))]
    {
        actix_web::rt::signal::ctrl_c().await?;
        Ok("Ctrl-C")
    }
}

/// Connections that wait to be accepted: after a restart all agents come back at once.
const BACKLOG: i32 = 4096;

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restarted server takes its port back at once.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Opens the port, and keeps its address where scripts and tests find it.
///
/// # Errors
/// The port is in use or may not be used, in one line.
pub fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = settings.listen;
    let listener = bind(address).map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}; stop what uses the port, or set listen to another one")
    })?;
    let bound: SocketAddr = listener.local_addr()?;
    let file = settings.data_dir.join("listen.addr");
    std::fs::write(&file, bound.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    tracing::info!("listening on http://{bound}");
    Ok(listener)
}
