//! Tells subscribers what happens: each what its role and scope let it see, of each thing the newest,
//! and no more than its socket takes.
//!
//! Whoever changes something says so in a word ([`Happened`]); what stands in the database is read here,
//! once for all subscribers, and not at all while there are none. `domain::event_queue` decides what
//! waits for whom and `domain::agent_news` how often an agent is told of.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use actix::prelude::*;
use bytestring::ByteString;
use gururmm_shared::{
    AgentId, AlertId, ApiKeyId, CommandId, JobId, RolloutId, SessionId, UserId, close_code,
};

use super::event_messages::{
    Admit, Attach, CountSubscribers, EndSubscriptions, Happened, Left, NotAdmitted, SubscriberId,
    Subscription, Taken, ToSubscriber,
};
use super::event_texts::{self, AgentText};
use super::registry_messages::{Drain, SessionsOf};
use crate::db::news::{self, AlertNews, CommandNews};
use crate::db::{Db, DbError, api_keys, places, users};
use crate::domain::agent_news::AgentNews;
use crate::domain::event_queue::{EventQueue, Told};
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::services::{access, audit};

/// How often what waits is read and told.
const TICK: Duration = Duration::from_millis(200);
/// How often it is looked whether subscribers may still subscribe.
const CHECK: Duration = Duration::from_secs(3);
/// How long a place is kept for a socket that does not come.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Things whose news wait for one subscriber.
const MOST_WAITING: usize = 20_000;
/// Messages that are on their way to one subscriber.
const BATCH: usize = 1000;
/// Things that are read from the database at once.
const READ_AT_ONCE: usize = 500;
/// Things that wait to be read; of more than that everybody is told to look anew.
const MOST_UNREAD: usize = 50_000;
/// Words that wait for the hub at most, where they may be lost.
const MAILBOX: usize = 8192;
/// The close code of one that takes nothing (RFC 6455, registered: try again later).
const TRY_AGAIN_LATER: u16 = 1013;

/// What news are about: of each only the newest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Agent(AgentId),
    AgentChanged(AgentId),
    Alert(AlertId),
    Command(CommandId),
    Job(JobId),
    Session(SessionId),
    Update(AgentId),
    Rollout(RolloutId),
}

/// Who may hear of something.
#[derive(Debug, Clone, Copy)]
enum Audience {
    /// Who may see what is there.
    At(Place),
    /// The owner of a session there, and who may watch others'.
    SessionAt(Place, UserId),
}

struct Subscriber {
    who: Subscription,
    socket: Option<Recipient<ToSubscriber>>,
    since: Instant,
    queue: EventQueue<Key, ByteString>,
}

impl Subscriber {
    fn may_hear(&self, audience: Audience) -> bool {
        let (capability, place) = match audience {
            Audience::At(place) => (Capability::ReadFleet, place),
            Audience::SessionAt(place, owner) if owner == self.who.user_id => {
                (Capability::UseTunnels, place)
            }
            Audience::SessionAt(place, _) => (Capability::WatchTunnels, place),
        };
        access::authorise_at(self.who.role, &self.who.scope, capability, place).is_ok()
    }

    fn close(&self, code: u16, reason: &'static str) {
        if let Some(socket) = &self.socket {
            socket.do_send(ToSubscriber::Close { code, reason });
        }
    }
}

/// What is named and not read yet.
#[derive(Default)]
struct Unread {
    agents: BTreeSet<AgentId>,
    /// Agents of which something is to be told, as soon as it is known where they are.
    unplaced: BTreeSet<AgentId>,
    commands: BTreeSet<CommandId>,
    jobs: BTreeSet<JobId>,
    alerts: BTreeSet<AlertId>,
}

impl Unread {
    fn len(&self) -> usize {
        self.agents.len()
            + self.unplaced.len()
            + self.commands.len()
            + self.jobs.len()
            + self.alerts.len()
    }

    /// Takes what is read at once.
    fn take(&mut self) -> Self {
        fn some<T: Ord>(from: &mut BTreeSet<T>) -> BTreeSet<T> {
            std::iter::from_fn(|| from.pop_first())
                .take(READ_AT_ONCE)
                .collect()
        }
        Self {
            agents: some(&mut self.agents),
            unplaced: some(&mut self.unplaced),
            commands: some(&mut self.commands),
            jobs: some(&mut self.jobs),
            alerts: some(&mut self.alerts),
        }
    }
}

/// What was read.
struct Read {
    changed: BTreeSet<AgentId>,
    unplaced: BTreeSet<AgentId>,
    places: HashMap<AgentId, Place>,
    commands: Vec<CommandNews>,
    jobs: Vec<(JobId, Place)>,
    alerts: Vec<AlertNews>,
}

/// The actor.
pub struct EventHub {
    db: Db,
    most_per_user: u32,
    patience: Duration,
    agents: HashMap<AgentId, AgentNews>,
    places: HashMap<AgentId, Place>,
    /// Agents whose load came too soon after the last one that was told.
    resting: HashSet<AgentId>,
    unread: Unread,
    reading: bool,
    subscribers: HashMap<SubscriberId, Subscriber>,
    last_id: SubscriberId,
    stopping: bool,
}

impl EventHub {
    /// A hub without subscribers: `most_per_user` is how many a user may have, `patience` how long one may
    /// take nothing.
    #[must_use]
    pub fn new(db: Db, most_per_user: u32, patience: Duration) -> Self {
        Self {
            db,
            most_per_user,
            patience,
            agents: HashMap::new(),
            places: HashMap::new(),
            resting: HashSet::new(),
            unread: Unread::default(),
            reading: false,
            subscribers: HashMap::new(),
            last_id: 0,
            stopping: false,
        }
    }

    fn publish(&mut self, key: Key, audience: &[Audience], text: &ByteString) {
        for subscriber in self.subscribers.values_mut() {
            let hears = audience.iter().any(|one| subscriber.may_hear(*one));
            if hears && subscriber.queue.push(key, text.clone()) {
                metrics::counter!("gururmm_event_resyncs_total").increment(1);
            }
        }
    }

    /// Tells what is known of an agent, where it is known where that is.
    fn tell_agent(&mut self, agent_id: AgentId) {
        let Some(place) = self.places.get(&agent_id).copied() else {
            self.unread.unplaced.insert(agent_id);
            return;
        };
        let news = self.agents.get(&agent_id);
        let Some(news) = news.filter(|_| !self.subscribers.is_empty()) else {
            return;
        };
        let text = AgentText::of(agent_id, news).encode();
        self.publish(Key::Agent(agent_id), &[Audience::At(place)], &text);
    }

    fn on_session(
        &mut self,
        session_id: SessionId,
        agent_id: AgentId,
        owner: UserId,
        status: &str,
    ) {
        // An agent that is not known is one that has just come: its place is read with its other news.
        let place = self.places.get(&agent_id).copied().unwrap_or_default();
        let text = event_texts::session(session_id, agent_id, status);
        let audience = Audience::SessionAt(place, owner);
        self.publish(Key::Session(session_id), &[audience], &text);
    }

    /// Of an agent that is not known yet its place is read with its other news, and these are not missed: whoever is told
    /// of it looks at all of it.
    fn on_update(&mut self, agent_id: AgentId) {
        let place = self.places.get(&agent_id).copied().unwrap_or_default();
        let text = event_texts::agent_update(agent_id);
        self.publish(Key::Update(agent_id), &[Audience::At(place)], &text);
    }

    /// A rollout belongs to all.
    fn on_rollout(&mut self, id: RolloutId) {
        let audience = Audience::At(Place::default());
        self.publish(Key::Rollout(id), &[audience], &event_texts::rollout(id));
    }

    fn everybody_looks_anew(&mut self) {
        for subscriber in self.subscribers.values_mut() {
            subscriber.queue.lose();
        }
    }

    /// Reads what was named.
    fn read(&mut self, ctx: &mut Context<Self>) {
        if self.unread.len() > MOST_UNREAD {
            self.unread = Unread::default();
            self.everybody_looks_anew();
        }
        if self.reading || self.unread.len() == 0 {
            return;
        }
        self.reading = true;
        let mut unread = self.unread.take();
        if self.subscribers.is_empty() {
            // Where agents are is kept up to date all the same.
            unread.commands.clear();
            unread.jobs.clear();
            unread.alerts.clear();
        }
        let read = read(self.db.clone(), unread);
        ctx.spawn(read.into_actor(self).map(|read, act, _| {
            act.reading = false;
            match read {
                Ok(read) => act.tell(read),
                Err(error) => {
                    tracing::warn!(%error, "what happened cannot be read; everybody is told to look anew");
                    act.everybody_looks_anew();
                }
            }
        }));
    }

    fn tell(&mut self, read: Read) {
        for agent_id in read.changed {
            let before = self.places.get(&agent_id).copied();
            let now = read.places.get(&agent_id).copied();
            match now {
                Some(place) => {
                    self.places.insert(agent_id, place);
                }
                None => {
                    self.places.remove(&agent_id);
                    self.agents.remove(&agent_id);
                    self.resting.remove(&agent_id);
                }
            }
            let audience: Vec<Audience> = before.into_iter().chain(now).map(Audience::At).collect();
            let text = event_texts::agent_changed(agent_id);
            self.publish(Key::AgentChanged(agent_id), &audience, &text);
        }
        for agent_id in read.unplaced {
            if let Some(place) = read.places.get(&agent_id) {
                self.places.insert(agent_id, *place);
                self.tell_agent(agent_id);
            }
        }
        let mut jobs: HashMap<JobId, Vec<Audience>> = HashMap::new();
        for command in read.commands {
            let audience = Audience::At(command.place);
            if let Some(job_id) = command.job_id {
                jobs.entry(job_id).or_default().push(audience);
            }
            let text = event_texts::command(&command);
            self.publish(Key::Command(command.id), &[audience], &text);
        }
        for (job_id, place) in read.jobs {
            jobs.entry(job_id).or_default().push(Audience::At(place));
        }
        for (job_id, audience) in jobs {
            self.publish(Key::Job(job_id), &audience, &event_texts::job(job_id));
        }
        for alert in read.alerts {
            let text = event_texts::alert(&alert);
            self.publish(Key::Alert(alert.id), &[Audience::At(alert.place)], &text);
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let mut rested = Vec::new();
        let agents = &mut self.agents;
        self.resting.retain(|agent_id| {
            let due = agents.get_mut(agent_id).is_none_or(|news| news.is_due(now));
            if due {
                rested.push(*agent_id);
            }
            !due
        });
        for agent_id in rested {
            self.tell_agent(agent_id);
        }
        self.read(ctx);
        self.send(now);
    }

    /// Sends each subscriber what its socket takes; ends those that take nothing, or never came.
    fn send(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for (id, subscriber) in &mut self.subscribers {
            let Some(socket) = &subscriber.socket else {
                if now.saturating_duration_since(subscriber.since) >= ARRIVAL {
                    ended.push(*id);
                }
                continue;
            };
            if subscriber.queue.is_stalled(now, self.patience) {
                tracing::warn!(user.id = %subscriber.who.user_id, "a subscriber of events takes nothing and is closed");
                subscriber.close(TRY_AGAIN_LATER, "you take nothing; come back");
                ended.push(*id);
                continue;
            }
            let texts: Vec<ByteString> = subscriber
                .queue
                .take(BATCH, now)
                .into_iter()
                .map(|told| match told {
                    Told::Resync => event_texts::resync(),
                    Told::News(text) => text,
                })
                .collect();
            if !texts.is_empty() {
                let count = u64::try_from(texts.len()).unwrap_or(u64::MAX);
                metrics::counter!("gururmm_events_sent_total").increment(count);
                socket.do_send(ToSubscriber::Texts(texts));
            }
        }
        for id in ended {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: SubscriberId) {
        self.subscribers.remove(&id);
        self.report();
    }

    #[allow(clippy::cast_precision_loss, reason = "a gauge of how many there are")]
    fn report(&self) {
        metrics::gauge!("gururmm_event_subscribers").set(self.subscribers.len() as f64);
    }

    fn end(&mut self, which: impl Fn(&Subscription) -> bool) {
        self.subscribers.retain(|_, subscriber| {
            let ends = which(&subscriber.who);
            if ends {
                subscriber.close(close_code::POLICY, "access revoked");
            }
            !ends
        });
        self.report();
    }

    /// Ends what has expired, and what was revoked while nobody could say so here: by the command line,
    /// or in the moment in which it was admitted.
    fn check(&mut self, ctx: &mut Context<Self>) {
        let now = audit::now();
        self.end(|who| who.valid_until.is_some_and(|end| end <= now));
        if self.subscribers.is_empty() {
            return;
        }
        let db = self.db.clone();
        let all = || self.subscribers.values().map(|subscriber| &subscriber.who);
        let ids: BTreeSet<UserId> = all().map(|who| who.user_id).collect();
        let keys: BTreeSet<ApiKeyId> = all().filter_map(|who| who.key_id).collect();
        let look = async move {
            let versions = users::versions(&db, ids.into_iter().collect()).await?;
            let alive = if keys.is_empty() {
                Vec::new()
            } else {
                api_keys::alive(&db, keys.into_iter().collect()).await?
            };
            Ok::<_, DbError>((versions, alive))
        };
        let asked = self.last_id;
        ctx.spawn(look.into_actor(self).map(move |found, act, _| {
            let Ok((versions, alive)) = found else {
                return;
            };
            let versions: HashMap<UserId, i64> = versions.into_iter().collect();
            let late: HashSet<SubscriberId> = act
                .subscribers
                .iter()
                .filter(|(id, one)| **id <= asked && !holds(&one.who, &versions, &alive))
                .map(|(id, _)| *id)
                .collect();
            for id in late {
                if let Some(subscriber) = act.subscribers.get(&id) {
                    subscriber.close(close_code::POLICY, "access revoked");
                }
                act.remove(id);
            }
        }));
    }
}

/// Whether what lets somebody subscribe is there still. A key lives on when its maker logs out.
fn holds(who: &Subscription, versions: &HashMap<UserId, i64>, alive: &[ApiKeyId]) -> bool {
    match who.key_id {
        Some(key) => versions.contains_key(&who.user_id) && alive.contains(&key),
        None => versions.get(&who.user_id) == Some(&who.token_version),
    }
}

async fn read(db: Db, unread: Unread) -> Result<Read, DbError> {
    fn ids<T: Copy>(set: &BTreeSet<T>) -> Vec<T> {
        set.iter().copied().collect()
    }
    let agents: BTreeSet<AgentId> = unread.agents.union(&unread.unplaced).copied().collect();
    let mut found = HashMap::new();
    if !agents.is_empty() {
        let named = places::of_named(&db, ids(&agents)).await?;
        found.extend(named.into_iter().map(|(id, (place, _))| (id, place)));
    }
    let mut commands = Vec::new();
    if !unread.commands.is_empty() {
        commands = news::commands(&db, ids(&unread.commands)).await?;
    }
    let mut jobs = Vec::new();
    if !unread.jobs.is_empty() {
        jobs = news::jobs(&db, ids(&unread.jobs)).await?;
    }
    let mut alerts = Vec::new();
    if !unread.alerts.is_empty() {
        alerts = news::alerts(&db, ids(&unread.alerts)).await?;
    }
    Ok(Read {
        changed: unread.agents,
        unplaced: unread.unplaced,
        places: found,
        commands,
        jobs,
        alerts,
    })
}

impl Actor for EventHub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let db = self.db.clone();
        let load = async move { places::of_all(&db).await };
        // What is not read here is read when it is needed.
        ctx.spawn(load.into_actor(self).map(|read, act, _| match read {
            Ok(read) => {
                for (agent_id, place) in read {
                    act.places.entry(agent_id).or_insert(place);
                }
            }
            Err(error) => tracing::warn!(%error, "where agents are cannot be read yet"),
        }));
        ctx.run_interval(TICK, Self::tick);
        ctx.run_interval(CHECK, Self::check);
    }
}

impl Supervised for EventHub {
    fn restarting(&mut self, _: &mut Self::Context) {
        tracing::error!("the hub of events was restarted");
        self.reading = false;
    }
}

impl Handler<Happened> for EventHub {
    type Result = ();

    fn handle(&mut self, message: Happened, _: &mut Self::Context) {
        match message {
            Happened::AgentMode { agent_id, mode, at } => {
                let news = self.agents.entry(agent_id).or_default();
                if news.on_mode(mode, at, Instant::now()) {
                    self.tell_agent(agent_id);
                }
            }
            Happened::AgentLoad { agent_id, load, at } => {
                let news = self.agents.entry(agent_id).or_default();
                if news.on_load(load, at, Instant::now()) {
                    self.tell_agent(agent_id);
                } else {
                    self.resting.insert(agent_id);
                }
            }
            Happened::AgentsChanged(ids) => self.unread.agents.extend(ids),
            Happened::Session {
                session_id,
                agent_id,
                owner,
                status,
            } => self.on_session(session_id, agent_id, owner, status),
            Happened::Commands(ids) => self.unread.commands.extend(ids),
            Happened::Jobs(ids) => self.unread.jobs.extend(ids),
            Happened::Alerts(ids) => self.unread.alerts.extend(ids),
            Happened::Updates(ids) => ids.into_iter().for_each(|id| self.on_update(id)),
            Happened::Rollouts(ids) => ids.into_iter().for_each(|id| self.on_rollout(id)),
        }
    }
}

impl Handler<Admit> for EventHub {
    type Result = Result<SubscriberId, NotAdmitted>;

    fn handle(&mut self, message: Admit, _: &mut Self::Context) -> Self::Result {
        if self.stopping {
            return Err(NotAdmitted::Stopping);
        }
        let user_id = message.0.user_id;
        let own = self.subscribers.values();
        let own = own.filter(|one| one.who.user_id == user_id).count();
        if own >= self.most_per_user as usize {
            return Err(NotAdmitted::TooMany(self.most_per_user));
        }
        self.last_id += 1;
        let subscriber = Subscriber {
            who: message.0,
            socket: None,
            since: Instant::now(),
            queue: EventQueue::new(MOST_WAITING),
        };
        self.subscribers.insert(self.last_id, subscriber);
        self.report();
        Ok(self.last_id)
    }
}

impl Handler<Attach> for EventHub {
    type Result = ();

    fn handle(&mut self, message: Attach, _: &mut Self::Context) {
        match self.subscribers.get_mut(&message.id) {
            Some(subscriber) => {
                let hello = vec![event_texts::hello()];
                message.socket.do_send(ToSubscriber::Texts(hello));
                subscriber.socket = Some(message.socket);
            }
            // It was ended before its socket came.
            None => message.socket.do_send(ToSubscriber::Close {
                code: close_code::POLICY,
                reason: "access revoked",
            }),
        }
    }
}

impl Handler<Taken> for EventHub {
    type Result = ();

    fn handle(&mut self, message: Taken, _: &mut Self::Context) {
        if let Some(subscriber) = self.subscribers.get_mut(&message.0) {
            subscriber.queue.taken();
        }
    }
}

impl Handler<Left> for EventHub {
    type Result = ();

    fn handle(&mut self, message: Left, _: &mut Self::Context) {
        self.remove(message.0);
    }
}

impl Handler<EndSubscriptions> for EventHub {
    type Result = ();

    fn handle(&mut self, message: EndSubscriptions, _: &mut Self::Context) {
        match message.0 {
            // As with sessions: what a user's keys opened ends too, and may come back.
            SessionsOf::User(id) => self.end(|who| who.user_id == id),
            SessionsOf::Key(id) => self.end(|who| who.key_id == Some(id)),
            SessionsOf::Agent(_) => {}
        }
    }
}

impl Handler<CountSubscribers> for EventHub {
    type Result = usize;

    fn handle(&mut self, _: CountSubscribers, _: &mut Self::Context) -> Self::Result {
        self.subscribers.len()
    }
}

impl Handler<Drain> for EventHub {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.stopping = true;
        for subscriber in self.subscribers.values() {
            subscriber.close(close_code::GOING_AWAY, "the server stops");
        }
        self.subscribers.clear();
    }
}
