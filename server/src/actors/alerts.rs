//! Watches for what policies call an alert: carries out what `domain::alert_rules` decides.
//!
//! One actor on an arbiter of its own. What it knows of rules, places and maintenance it reads from
//! the database now and then, and at once when told; what it sees comes from the writer of reports.
//! A flood of samples may lose some here (the mailbox is bounded), never an agent that is offline:
//! who is connected is asked of the registry at every tick.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use chrono::{DateTime, Utc};
use gururmm_shared::AgentId;

use super::alert_messages::{AlertResolved, Observed, RulesChanged};
use super::event_messages::Happened;
use super::registry::AgentRegistry;
use super::registry_messages::Online;
use crate::db::maintenance::Window;
use crate::db::policies::Policy;
use crate::db::{Db, DbError, alerts, maintenance, places, policies};
use crate::domain::alert_rules::{AgentWatch, Event, Transition};
use crate::domain::message_budget::MessageBudget;
use crate::domain::policy::alerts::AlertsPolicy;
use crate::domain::scope::Place;
use crate::services::alerts::{Told, open, resolve, wake};
use crate::services::audit;
use crate::services::policies::{merged, touches};

/// How often time passes.
const TICK: Duration = Duration::from_secs(2);
/// How often rules, places and windows are read without a word that they changed.
const REFRESH: Duration = Duration::from_secs(30);
/// Messages that wait at most.
const MAILBOX: usize = 8192;
/// Transitions that wait for the database at most.
const MOST_WAITING: usize = 10_000;
/// Alerts that an agent may raise at once, and in a second: what flaps takes nobody else's place in the queues of
/// the channels.
const RAISED_AT_ONCE: u32 = 50;
const RAISED_PER_SECOND: f64 = 1.0 / 60.0;
/// How long a transition is tried that the database refuses.
const REFUSED_PATIENCE: Duration = Duration::from_secs(600);

/// What was read of the fleet.
struct Fleet {
    places: HashMap<AgentId, Place>,
    policies: Vec<Policy>,
    windows: Vec<Window>,
}

/// One agent under watch.
struct Watched {
    place: Place,
    rules: Arc<AlertsPolicy>,
    watch: AgentWatch,
    raises: MessageBudget,
}

impl Watched {
    fn new(place: Place, rules: Arc<AlertsPolicy>, watch: AgentWatch) -> Self {
        Self {
            place,
            rules,
            watch,
            raises: MessageBudget::new(RAISED_PER_SECOND, RAISED_AT_ONCE, Instant::now()),
        }
    }
}

/// A transition that waits for the database, and since when that refuses it.
struct Waiting {
    agent_id: AgentId,
    transition: Transition,
    refused_since: Option<Instant>,
}

/// The actor.
pub struct AlertWatcher {
    db: Db,
    registry: Addr<AgentRegistry>,
    events: Recipient<Happened>,
    agents: HashMap<AgentId, Watched>,
    windows: Vec<Window>,
    waiting: VecDeque<Waiting>,
    started: bool,
    reading: bool,
    stale: bool,
    writing: bool,
    read_at: Instant,
}

impl AlertWatcher {
    /// An actor that knows nothing yet; `events` is told which alerts change.
    #[must_use]
    pub fn new(db: Db, registry: Addr<AgentRegistry>, events: Recipient<Happened>) -> Self {
        Self {
            db,
            registry,
            events,
            agents: HashMap::new(),
            windows: Vec::new(),
            waiting: VecDeque::new(),
            started: false,
            reading: false,
            stale: false,
            writing: false,
            read_at: Instant::now(),
        }
    }

    fn refresh(&mut self, ctx: &mut Context<Self>) {
        if self.reading {
            self.stale = true;
            return;
        }
        self.reading = true;
        self.stale = false;
        let (db, first) = (self.db.clone(), !self.started);
        let read = async move {
            let raised = if first {
                Some(alerts::unresolved(&db).await?)
            } else {
                None
            };
            Ok::<_, DbError>((read(&db).await?, raised))
        };
        ctx.spawn(read.into_actor(self).map(|read, act, ctx| {
            act.reading = false;
            act.read_at = Instant::now();
            match read {
                Ok((fleet, raised)) => {
                    act.learn(fleet, raised);
                    act.look_who_is_there(ctx);
                }
                Err(error) => tracing::error!(%error, "the rules of alerts cannot be read"),
            }
            if act.stale {
                act.refresh(ctx);
            }
        }));
    }

    fn learn(&mut self, fleet: Fleet, raised: Option<Vec<(AgentId, String)>>) {
        if let Some(raised) = raised {
            self.started = true;
            let mut kinds: HashMap<AgentId, Vec<String>> = HashMap::new();
            for (agent_id, kind) in raised {
                kinds.entry(agent_id).or_default().push(kind);
            }
            for (agent_id, kinds) in kinds {
                let watch = AgentWatch::with_raised(kinds);
                let watched = Watched::new(Place::default(), Arc::default(), watch);
                self.agents.insert(agent_id, watched);
            }
        }
        self.windows = fleet.windows;
        self.agents.retain(|id, _| fleet.places.contains_key(id));
        // Most agents have the same policies, so each set of them is merged once.
        let mut known: HashMap<Vec<usize>, Arc<AlertsPolicy>> = HashMap::new();
        for (id, place) in fleet.places {
            let own: Vec<usize> = fleet
                .policies
                .iter()
                .enumerate()
                .filter(|(_, policy)| touches(policy, id, place))
                .map(|(index, _)| index)
                .collect();
            let rules = known.entry(own).or_insert_with_key(|own| {
                let own = own.iter().filter_map(|index| fleet.policies.get(*index));
                match merged(own) {
                    Ok(effective) => Arc::new(effective.settings.alerts),
                    Err(error) => {
                        tracing::error!(%error, "a policy's alerts cannot be read");
                        Arc::default()
                    }
                }
            });
            let rules = rules.clone();
            let new = || Watched::new(place, rules.clone(), AgentWatch::default());
            let watched = self.agents.entry(id).or_insert_with(new);
            watched.place = place;
            watched.rules = rules;
        }
    }

    /// Asks the registry, for a word of a connection's end may be lost.
    fn look_who_is_there(&mut self, ctx: &mut Context<Self>) {
        let agents = self.agents.keys().copied().collect();
        let online = self.registry.send(Online { agents });
        ctx.spawn(online.into_actor(self).map(|online, act, ctx| {
            let Ok(online) = online else { return };
            let ids: Vec<AgentId> = act.agents.keys().copied().collect();
            for id in ids {
                let event = if online.contains_key(&id) {
                    Event::Online
                } else {
                    Event::Offline
                };
                act.observe(id, event, ctx);
            }
        }));
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if !self.started || self.read_at.elapsed() >= REFRESH {
            self.refresh(ctx);
        } else {
            self.look_who_is_there(ctx);
        }
        if self.started {
            let db = self.db.clone();
            let waking = async move { wake(&db, audit::now()).await };
            ctx.spawn(waking.into_actor(self).map(|woken, _, _| {
                if let Err(error) = woken {
                    tracing::error!(%error, "snoozed alerts cannot be woken");
                }
            }));
        }
        self.write(ctx);
    }

    fn observe(&mut self, agent_id: AgentId, event: Event, ctx: &mut Context<Self>) {
        let now = audit::now();
        let Some(watched) = self.agents.get_mut(&agent_id) else {
            return;
        };
        let quiet = in_maintenance(&self.windows, agent_id, watched.place, now);
        let transitions = watched
            .watch
            .on_event(&watched.rules, event, now.timestamp());
        for transition in transitions {
            if let Transition::Open { kind, .. } = &transition
                && quiet
            {
                // What still is so when the window is over raises its alert then.
                watched.watch.forget(kind);
                continue;
            }
            if let Transition::Open { kind, .. } = &transition
                && !watched.raises.take(Instant::now())
            {
                metrics::counter!("gururmm_alerts_dropped_total").increment(1);
                tracing::warn!(agent.id = %agent_id, kind, "an agent raises too many alerts; this one is not told");
                watched.watch.forget(kind);
                continue;
            }
            if self.waiting.len() >= MOST_WAITING {
                metrics::counter!("gururmm_alerts_dropped_total").increment(1);
                tracing::error!("too many alerts wait for the database; the oldest is dropped");
                self.waiting.pop_front();
            }
            self.waiting.push_back(Waiting {
                agent_id,
                transition,
                refused_since: None,
            });
        }
        self.write(ctx);
    }

    /// Puts what the database refuses behind all others, with what else waits of its agent: their order
    /// stays, and nobody else waits for them.
    fn put_back(&mut self, refused: Waiting) {
        let agent_id = refused.agent_id;
        let (own, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|one| one.agent_id == agent_id);
        self.waiting = others;
        let since = refused.refused_since.unwrap_or_else(Instant::now);
        if since.elapsed() < REFUSED_PATIENCE {
            self.waiting.push_back(Waiting {
                refused_since: Some(since),
                ..refused
            });
        } else {
            metrics::counter!("gururmm_alerts_dropped_total").increment(1);
            tracing::error!(agent.id = %agent_id, "an alert is dropped, for the database refuses it");
        }
        self.waiting.extend(own);
    }

    /// Writes one transition after the other, in their order; one that cannot be written waits.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.writing {
            return;
        }
        let Some(next) = self.waiting.pop_front() else {
            return;
        };
        let agent_id = next.agent_id;
        self.writing = true;
        let place = self.agents.get(&agent_id).map(|agent| agent.place);
        let (db, transition) = (self.db.clone(), next.transition.clone());
        let write = async move { write(&db, agent_id, place, transition).await };
        ctx.spawn(write.into_actor(self).map(move |written, act, ctx| {
            act.writing = false;
            match written {
                Ok(Told::Done(changed)) => {
                    if let Some(id) = changed {
                        act.events.do_send(Happened::Alerts(vec![id]));
                    }
                    act.write(ctx);
                }
                Ok(Told::Unknown) => {
                    act.agents.remove(&agent_id);
                    act.write(ctx);
                }
                // The next tick tries again.
                Err(DbError::Unavailable(error)) => {
                    tracing::error!(error, "an alert cannot be written yet");
                    act.waiting.push_front(next);
                }
                Err(error) => {
                    tracing::error!(%error, agent.id = %agent_id, "an alert cannot be written");
                    act.put_back(next);
                }
            }
        }));
    }
}

async fn read(db: &Db) -> Result<Fleet, DbError> {
    Ok(Fleet {
        places: places::of_agents(db, 0).await?.into_iter().collect(),
        policies: policies::all(db).await?,
        windows: maintenance::upcoming(db, audit::now()).await?,
    })
}

async fn write(
    db: &Db,
    agent_id: AgentId,
    place: Option<Place>,
    transition: Transition,
) -> Result<Told, DbError> {
    match transition {
        Transition::Open {
            kind,
            severity,
            message,
        } => {
            let place = place.unwrap_or_default();
            open(db, agent_id, place, kind, severity, message).await
        }
        Transition::Resolve { kind } => resolve(db, agent_id, kind).await,
    }
}

fn in_maintenance(windows: &[Window], agent_id: AgentId, place: Place, now: DateTime<Utc>) -> bool {
    windows.iter().any(|window| {
        window.starts_at <= now && now < window.ends_at && window.target().covers(agent_id, place)
    })
}

impl Actor for AlertWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.refresh(ctx);
        ctx.run_interval(TICK, |act, ctx| act.tick(ctx));
    }
}

impl Supervised for AlertWatcher {}

impl Handler<Observed> for AlertWatcher {
    type Result = ();

    fn handle(&mut self, message: Observed, ctx: &mut Self::Context) {
        if !self.agents.contains_key(&message.agent_id) {
            // One that has just enrolled; what it does next is seen.
            return self.refresh(ctx);
        }
        self.observe(message.agent_id, message.event, ctx);
    }
}

impl Handler<RulesChanged> for AlertWatcher {
    type Result = ();

    fn handle(&mut self, _: RulesChanged, ctx: &mut Self::Context) {
        self.refresh(ctx);
    }
}

impl Handler<AlertResolved> for AlertWatcher {
    type Result = ();

    fn handle(&mut self, message: AlertResolved, _: &mut Self::Context) {
        if let Some(watched) = self.agents.get_mut(&message.agent_id) {
            watched.watch.forget(&message.kind);
        }
    }
}
