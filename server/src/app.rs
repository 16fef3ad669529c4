//! Puts the rooms together: `build` makes everything, `run` serves until it is told to stop.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::{Condition, DefaultHeaders, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App as WebApp, HttpServer};
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt;
use uuid::Uuid;

use crate::actors::audit_sealer::SealAll;
use crate::actors::metrics_messages::Flush;
use crate::actors::registry_messages::Drain;
use crate::config::{Settings, TrustedProxies};
use crate::db::{self, DatabaseSettings, Db};
use crate::domain::credentials::generate_token;
use crate::domain::idempotency::Run;
use crate::http::audit_trail as audit_trail_of_requests;
use crate::http::dashboard::Dashboard;
use crate::http::docs::Docs;
use crate::http::request_span::RequestSpan;
use crate::http::state::AppState;
use crate::http::{once, problems, router, to_https};
use crate::listener::{Ports, prepare_socket, stop_signal};
use crate::service_manager;
use crate::services::accounts::Accounts;
use crate::services::audit_seal::Sealer;
use crate::services::commands::CommandRates;
use crate::services::enrollment_limits::EnrollmentLimits;
use crate::services::inventory::{self, InventoryDesk};
use crate::services::login_limits::LoginLimits;
use crate::services::passwords::Passwords;
use crate::services::recordings::Recordings;
use crate::services::releases::Programs;
use crate::services::request_limits::RequestLimits;
use crate::services::tickets::Tickets;
use crate::services::tokens::Tokens;
use crate::services::{audit, audit_trail, recovery, secret_file};
use crate::staff::Staff;
use crate::tls::Encryption;
use crate::ws::agent_socket::AgentGateway;

/// How long the last writes may take when the server stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long requests that run have to end when the server stops, in seconds.
const SHUTDOWN_SECONDS: u64 = 1;
/// How long a connection has to agree on its encryption: agents on bad lines need a while.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Browsers come by https only, for a year.
const ONLY_HTTPS: &str = "max-age=31536000";

/// A server that is ready to listen.
pub struct App {
    state: AppState,
    staff: Staff,
    encryption: Option<Encryption>,
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
        let encryption = Encryption::open(&settings)?;
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
        let proxies = TrustedProxies::parse(&settings.server.trusted_proxies);
        let proxies = Arc::new(proxies.map_err(anyhow::Error::msg)?);
        let settings = Arc::new(settings);
        let staff = Staff::start(&db, &recordings, &settings, sealer, left_open);
        let gateway = AgentGateway {
            db: db.clone(),
            registry: staff.registry.clone(),
            writer: staff.writer.clone(),
            commands: staff.commands.clone(),
            events: staff.events.clone().recipient(),
            updates: staff.updates.clone().recipient(),
            settings: Arc::new(settings.agents.clone()),
            doors: Arc::new(EnrollmentLimits::new(
                settings.agents.enrollments_per_site_per_minute,
            )),
            budgets: Arc::default(),
            copies: Arc::default(),
            audit_limits: Arc::default(),
            inventories: InventoryDesk::default(),
            lanes: Arc::default(),
            message_bytes: settings.limits.agent_message_bytes,
        };
        actix_web::rt::spawn(inventory::index_old(db.clone()));
        let audit_limits = gateway.audit_limits.clone();
        let state = AppState {
            run: Run(Uuid::now_v7()),
            proxies,
            ca: encryption
                .as_ref()
                .and_then(|own| own.ca.clone())
                .map(Arc::new),
            db,
            registry: staff.registry.clone(),
            commands: staff.commands.clone(),
            command_rates: Arc::new(CommandRates::new(settings.commands.per_minute)),
            poll_rates: Arc::default(),
            policies: staff.policies.clone(),
            alerts: staff.alerts.clone(),
            updates: staff.updates.clone(),
            programs: Programs::new(&settings.data_dir),
            program_rates: Arc::default(),
            events: staff.events.clone(),
            writer: staff.writer.clone(),
            started_at: audit::now(),
            accounts,
            requests: Arc::new(RequestLimits::new(settings.limits.requests_per_minute)),
            audit_limits,
            recordings,
            tickets: Arc::new(Tickets::default()),
            gateway,
            figures,
            settings,
        };
        Ok(Self {
            state,
            staff,
            encryption,
        })
    }

    /// Serves on its ports until the process is told to stop, then stops within 5 s: sessions
    /// end, sockets are closed with 1001, what waits is written.
    ///
    /// # Errors
    /// A port cannot be used.
    pub async fn run(mut self, ports: Ports) -> anyhow::Result<()> {
        let Ports { main, redirect } = ports;
        let redirect = redirect
            .map(|port| self.redirect(&main, port))
            .transpose()?;
        let server = self.serve(main)?;
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        if let Some(redirect) = redirect {
            actix_web::rt::spawn(redirect);
        }
        if let Some(encryption) = self.encryption.take() {
            let reload = Duration::from_secs(self.state.settings.tls.reload_seconds.into());
            actix_web::rt::spawn(encryption.keep(reload));
        }
        let (registry, db) = (self.state.registry.clone(), self.state.db.clone());
        actix_web::rt::spawn(service_manager::feed_watchdog(registry, db));
        service_manager::ready();
        let stopped_by = stop_signal().await?;
        tracing::info!(signal = stopped_by, "stopping");
        service_manager::stopping();
        self.state.events.send(Drain).await?;
        self.state.registry.send(Drain).await?;
        handle.stop(true).await;
        serving.await??;
        let last_writes = async {
            self.staff.writer.send(Flush).await?;
            self.state.recordings.drain().await;
            db::agents::set_all_offline(&self.state.db).await?;
            let stopped = audit_trail::event("server.stopped", "ok");
            audit_trail::note(&self.state.db, stopped).await;
            self.staff.sealer.send(SealAll).await?;
            anyhow::Ok(())
        };
        match tokio::time::timeout(FLUSH_TIMEOUT, last_writes).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last reports could not be written"),
            Err(_) => tracing::warn!("the last reports could not be written in time"),
        }
        self.staff.stop();
        tracing::info!("stopped");
        Ok(())
    }

    fn serve(&self, listener: TcpListener) -> anyhow::Result<Server> {
        let state = self.state.clone();
        let docs = Docs::new().context("cannot write the description of the API")?;
        // One for all workers: each file is compressed once.
        let dashboard = Dashboard::default();
        let encrypted = self.encryption.is_some();
        let make = move || {
            let only_https =
                DefaultHeaders::new().add((header::STRICT_TRANSPORT_SECURITY, ONLY_HTTPS));
            WebApp::new()
                .wrap(from_fn(audit_trail_of_requests::follow))
                .wrap(from_fn(once::once))
                .wrap(router::cors(&state.settings))
                .wrap(from_fn(problems::complete))
                .wrap(Condition::new(encrypted, only_https))
                .wrap(TracingLogger::<RequestSpan>::new())
                .into_utoipa_app()
                .configure(|config| router::routes(config, &state, &docs, &dashboard))
                .into_app()
        };
        let server = HttpServer::new(make)
            .on_connect(prepare_socket)
            .h1_allow_half_closed(false)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
            .tcp_nodelay(true);
        let server = match &self.encryption {
            None => server.listen(listener)?,
            Some(own) => server.listen_rustls_0_23(listener, own.server_config()?)?,
        };
        Ok(server.run())
    }

    /// The port without encryption; it needs one thread and waits for nobody at the end.
    fn redirect(&self, main: &TcpListener, port: TcpListener) -> anyhow::Result<Server> {
        let target = to_https::Target {
            public_url: self.state.settings.server.public_url.clone(),
            port: main.local_addr()?.port(),
        };
        let target = Data::new(target);
        let make = move || {
            WebApp::new()
                .wrap(from_fn(problems::complete))
                .wrap(TracingLogger::<RequestSpan>::new())
                .app_data(target.clone())
                .default_service(web::to(to_https::redirect))
        };
        Ok(HttpServer::new(make)
            .workers(1)
            .on_connect(prepare_socket)
            .h1_allow_half_closed(false)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .listen(port)?
            .run())
    }
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
