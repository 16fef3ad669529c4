//! The actors that there is one of: started in their order, each on its arbiter.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::alerts::AlertWatcher;
use crate::actors::audit_sealer::AuditSealer;
use crate::actors::commands::CommandDispatcher;
use crate::actors::events::EventHub;
use crate::actors::metrics_messages::WatchReports;
use crate::actors::metrics_writer::MetricsWriter;
use crate::actors::notifier::Notifier;
use crate::actors::policy_push::PolicyPush;
use crate::actors::recording_keeper::RecordingKeeper;
use crate::actors::registry::{AgentRegistry, Listeners};
use crate::actors::registry_messages::Adopt;
use crate::actors::rollups::Rollups;
use crate::actors::scheduler::Scheduler;
use crate::actors::session_messages::LeftOpen;
use crate::actors::updates::UpdateDesk;
use crate::config::Settings;
use crate::db::metrics_rollups::Keep;
use crate::db::{Db, retention};
use crate::services::audit_seal::Sealer;
use crate::services::recordings::Recordings;

/// Those that others speak to, and the arbiters of all.
pub struct Staff {
    /// Who is connected.
    pub registry: Addr<AgentRegistry>,
    /// Who writes what agents report.
    pub writer: Addr<MetricsWriter>,
    /// Who brings commands to agents.
    pub commands: Addr<CommandDispatcher>,
    /// Who tells what happens.
    pub events: Addr<EventHub>,
    /// Who tells agents of changed policies.
    pub policies: Addr<PolicyPush>,
    /// Who watches for alerts.
    pub alerts: Addr<AlertWatcher>,
    /// Who brings releases to agents.
    pub updates: Addr<UpdateDesk>,
    /// Who seals the audit.
    pub sealer: Addr<AuditSealer>,
    arbiters: Vec<Arbiter>,
}

impl Staff {
    /// Starts all of them. The first arbiters are the registry's, the writer's and the dispatcher's, the last
    /// is that of those who ask the database and wait; sessions are spread over the rest.
    #[must_use]
    pub fn start(
        db: &Db,
        recordings: &Recordings,
        settings: &Arc<Settings>,
        sealer: Sealer,
        left_open: Vec<LeftOpen>,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let arbiters: Vec<Arbiter> = (0..cores + 4).map(|_| Arbiter::new()).collect();
        let handles: Vec<ArbiterHandle> = arbiters
            .iter()
            .take(cores + 3)
            .map(Arbiter::handle)
            .collect();
        let current = Arbiter::current();
        let own = |index: usize| handles.get(index).unwrap_or(&current);
        let patient = arbiters
            .last()
            .map_or_else(Arbiter::current, Arbiter::handle);

        let most = settings.limits.event_streams_per_user;
        let stall = Duration::from_secs(settings.tunnel.viewer_stall_seconds.into());
        let events = EventHub::new(db.clone(), most, stall);
        let events = Supervisor::start_in_arbiter(&patient, |_| events);

        let writer = MetricsWriter::new(db.clone());
        let writer = Supervisor::start_in_arbiter(own(1), |_| writer);
        let rollups = rollups(db, settings);
        Supervisor::start_in_arbiter(own(1), |_| rollups);
        let sealer = AuditSealer::new(sealer);
        let sealer = Supervisor::start_in_arbiter(own(1), |_| sealer);

        let commands = Arc::new(settings.commands.clone());
        let commands = CommandDispatcher::new(db.clone(), commands, events.clone().recipient());
        let commands = Supervisor::start_in_arbiter(own(2), |_| commands);

        let idle = Duration::from_secs(settings.agents.idle_timeout_seconds.into());
        let listeners = Listeners {
            reports: writer.clone().recipient(),
            commands: commands.clone().recipient(),
            events: events.clone().recipient(),
        };
        let registry = AgentRegistry::new(
            db.clone(),
            recordings.clone(),
            Arc::new(settings.tunnel.clone()),
            idle,
            handles.iter().skip(3).cloned().collect(),
            listeners,
        );
        let registry = Supervisor::start_in_arbiter(own(0), |_| registry);
        registry.do_send(Adopt(left_open));

        let policies = PolicyPush::new(db.clone(), registry.clone());
        let policies = Supervisor::start(|_| policies);
        let notifier = Notifier::new(db.clone(), Arc::new(settings.notifications.clone()));
        Supervisor::start_in_arbiter(&patient, |_| notifier);
        let alerts = AlertWatcher::new(db.clone(), registry.clone(), events.clone().recipient());
        let alerts = Supervisor::start_in_arbiter(&patient, |_| alerts);
        let scheduler = Scheduler::new(
            db.clone(),
            Arc::clone(settings),
            registry.clone(),
            commands.clone(),
        );
        Supervisor::start_in_arbiter(&patient, |_| scheduler);
        let updates = UpdateDesk::new(
            db.clone(),
            Arc::new(settings.updates.clone()),
            registry.clone(),
            events.clone().recipient(),
        );
        let updates = Supervisor::start_in_arbiter(&patient, |_| updates);
        let keeper = RecordingKeeper::new(recordings.clone());
        Supervisor::start_in_arbiter(&patient, |_| keeper);
        writer.do_send(WatchReports {
            alerts: alerts.clone().recipient(),
            events: events.clone().recipient(),
        });
        Self {
            registry,
            writer,
            commands,
            events,
            policies,
            alerts,
            updates,
            sealer,
            arbiters,
        }
    }

    /// Stops all of them, whatever they are doing.
    pub fn stop(&self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

fn rollups(db: &Db, settings: &Settings) -> Rollups {
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
    Rollups::new(db.clone(), keep, ages)
}
