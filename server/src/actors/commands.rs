//! Brings commands to their agents and their ends into the database.
//!
//! The database is the truth: a command is marked as running before it is sent, and its end is
//! acknowledged only when it is kept. What this actor remembers (who is connected, what was sent) can
//! be lost at any time: when an agent comes back, what was sent to it is read again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use chrono::{DateTime, Utc};
use gururmm_shared::{
    Ack, AgentId, Command as Order, CommandCancel, CommandId, CommandType, ServerMessage,
};
use serde::Deserialize;

use super::command_messages::{AgentDown, AgentUp, Cancel, CommandReport, Wake};
use super::command_reports::{Reports, settle};
use super::connection_messages::ToConnection;
use super::event_messages::Happened;
use super::registry_messages::Generation;
use crate::config::CommandSettings;
use crate::db::commands::{self, Command, Refused};
use crate::db::{Db, DbError};
use crate::domain::command_state::{Again, on_return, overdue_at};
use crate::domain::script_parameters::variables;
use crate::services::audit::now;
use crate::services::clearance::{self, Cleared};

/// How often commands that take too long are looked for.
const WATCH: Duration = Duration::from_secs(1);
/// How often the database is asked for commands that waited too long.
const SWEEP: Duration = Duration::from_secs(15);
/// Between two tries when the database does not answer.
const RETRY: Duration = Duration::from_secs(2);
/// Agents that are served in one transaction.
const AGENTS_AT_ONCE: usize = 64;

/// A connected agent.
struct Link {
    generation: Generation,
    connection: Recipient<ToConnection>,
    connected_at: DateTime<Utc>,
    /// How long beyond its time a result may take to come.
    grace: chrono::Duration,
    journal: bool,
    cancels: bool,
    environment: bool,
    in_flight: HashSet<CommandId>,
    /// What was sent and has not ended, and when it is given up.
    sent: HashMap<CommandId, DateTime<Utc>>,
    /// Whether what was sent on earlier connections has been read.
    ready: bool,
}

impl Link {
    fn tell(&self, message: ServerMessage) {
        self.connection
            .do_send(ToConnection::Tell(Box::new(message)));
    }

    /// Whether the agent would run it as it is meant: without its variables a script does something else.
    fn takes(&self, order: &Order) -> bool {
        self.environment || order.environment.is_empty()
    }

    fn note(&mut self, command: &Command, at: DateTime<Utc>) {
        let sent_at = command.sent_at.unwrap_or(at);
        let (back, timeout) = (self.connected_at, command.timeout_seconds);
        let overdue = overdue_at(sent_at, back, timeout, self.grace);
        self.sent.insert(command.id, overdue);
    }
}

/// The actor.
pub struct CommandDispatcher {
    db: Db,
    settings: Arc<CommandSettings>,
    events: Recipient<Happened>,
    agents: HashMap<AgentId, Link>,
    woken: BTreeSet<AgentId>,
    sending: bool,
    reports: Reports,
    settling: bool,
}

impl CommandDispatcher {
    /// A dispatcher that knows of no agent; `events` is told which commands are further.
    #[must_use]
    pub fn new(db: Db, settings: Arc<CommandSettings>, events: Recipient<Happened>) -> Self {
        Self {
            db,
            settings,
            events,
            agents: HashMap::new(),
            woken: BTreeSet::new(),
            sending: false,
            reports: Reports::default(),
            settling: false,
        }
    }

    /// Takes waiting commands of the woken agents, marks them and sends them.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.sending {
            return;
        }
        let most = self.settings.max_in_flight as usize;
        let mut room = Vec::new();
        let agents = &self.agents;
        self.woken.retain(|agent_id| {
            let Some(link) = agents.get(agent_id) else {
                return false;
            };
            let free = most.saturating_sub(link.sent.len());
            if !link.ready || free == 0 {
                // It is woken again when it is ready, and by the next end.
                return false;
            }
            if room.len() >= AGENTS_AT_ONCE {
                return true;
            }
            room.push((*agent_id, i64::try_from(free).unwrap_or(i64::MAX)));
            false
        });
        if room.is_empty() {
            return;
        }
        self.sending = true;
        let db = self.db.clone();
        let asked: Vec<AgentId> = room.iter().map(|(agent_id, _)| *agent_id).collect();
        let take = async move { clearance::take(&db, room, now()).await };
        ctx.spawn(take.into_actor(self).map(move |taken, act, ctx| {
            act.sending = false;
            match taken {
                Ok(taken) => {
                    report_ended("refused", taken.refused);
                    let sent = taken.sent.values().flatten();
                    let further = sent.map(|command| command.id).chain(taken.refused_ids);
                    tell(&act.events, further.collect());
                    act.woken.extend(taken.refused_for);
                    for (agent_id, commands) in taken.sent {
                        act.send(agent_id, commands, ctx);
                    }
                    act.pump(ctx);
                }
                Err(error) => act.later(&error, asked, ctx),
            }
        }));
    }

    fn later(&mut self, error: &DbError, agents: Vec<AgentId>, ctx: &mut Context<Self>) {
        tracing::error!(%error, "commands cannot be taken from the database; trying again");
        ctx.run_later(RETRY, move |act, ctx| {
            act.woken.extend(agents);
            act.pump(ctx);
        });
    }

    fn send(&mut self, agent_id: AgentId, commands: Vec<Command>, ctx: &mut Context<Self>) {
        let most = self.settings.max_in_flight as usize;
        let Some(link) = self.agents.get_mut(&agent_id) else {
            // It went while they were taken: they were not sent, so they wait again.
            let ids: Vec<CommandId> = commands.into_iter().map(|command| command.id).collect();
            let (db, events) = (self.db.clone(), self.events.clone());
            let back = async move {
                if let Err(error) = commands::put_back(&db, ids.clone()).await {
                    tracing::error!(%error, "commands that were not sent cannot be put back");
                }
                tell(&events, ids);
            };
            // Its agent may be back before they are.
            ctx.spawn(back.into_actor(self).map(move |(), act, ctx| {
                act.woken.insert(agent_id);
                act.pump(ctx);
            }));
            return;
        };
        let mut unreadable = Vec::new();
        for command in &commands {
            let sendable = order(command).filter(|order| link.takes(order));
            let Some(order) = sendable else {
                unreadable.push(command.id);
                continue;
            };
            link.note(command, now());
            link.tell(ServerMessage::Command(order));
            metrics::counter!("gururmm_commands_sent_total").increment(1);
        }
        if link.sent.len() < most && !commands.is_empty() {
            self.woken.insert(agent_id);
        }
        if !unreadable.is_empty() {
            self.give_up(unreadable, "refused", ctx);
        }
    }

    /// Looks after what was sent to an agent on earlier connections, then lets it have more.
    fn welcome(&mut self, agent_id: AgentId, ctx: &mut Context<Self>) {
        let db = self.db.clone();
        let load = async move {
            let sent = commands::sent_to(&db, agent_id).await?;
            let Cleared { refused, .. } = clearance::clear(&db, &sent).await?;
            Ok::<_, DbError>((sent, refused))
        };
        ctx.spawn(load.into_actor(self).map(move |loaded, act, ctx| {
            let Some(link) = act.agents.get_mut(&agent_id) else {
                return;
            };
            match loaded {
                Ok((sent, mut refused)) => {
                    let denied: HashSet<CommandId> = refused.iter().map(|one| one.id).collect();
                    // What the agent has already is its own business; what never arrived stays here.
                    let mut never = HashSet::new();
                    for command in sent {
                        if !return_to(link, &command, denied.contains(&command.id)) {
                            never.insert(command.id);
                        }
                    }
                    refused.retain(|one| never.contains(&one.id));
                    link.ready = true;
                    link.in_flight = HashSet::new();
                    act.woken.insert(agent_id);
                    act.refuse_sent(refused, ctx);
                    act.pump(ctx);
                }
                Err(error) => {
                    tracing::error!(%error, agent.id = %agent_id, "what was sent to an agent cannot be read; trying again");
                    ctx.run_later(RETRY, move |act, ctx| act.welcome(agent_id, ctx));
                }
            }
        }));
    }

    /// Ends what never arrived and may not be sent again.
    fn refuse_sent(&mut self, refused: Vec<Refused>, ctx: &mut Context<Self>) {
        if refused.is_empty() {
            return;
        }
        let (db, events) = (self.db.clone(), self.events.clone());
        let ids: Vec<CommandId> = refused.iter().map(|one| one.id).collect();
        let refuse = async move {
            match commands::refuse_sent(&db, refused, now()).await {
                Ok(count) => {
                    report_ended("refused", count);
                    tell(&events, ids);
                }
                // They are looked at again when the agent comes back.
                Err(error) => tracing::error!(%error, "commands cannot be refused"),
            }
        };
        ctx.spawn(refuse.into_actor(self));
    }

    /// Keeps what agents reported, then acknowledges it.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        if self.settling || self.reports.is_empty() {
            return;
        }
        self.settling = true;
        let db = self.db.clone();
        let batch = self.reports.take();
        let keep = async move { settle(&db, batch).await };
        ctx.spawn(keep.into_actor(self).map(|kept, act, ctx| {
            act.settling = false;
            tell(&act.events, kept.iter().map(|(_, id, _)| *id).collect());
            for (agent_id, id, connection) in kept {
                connection.do_send(ToConnection::Tell(Box::new(ServerMessage::Ack(Ack {
                    id: Some(id),
                }))));
                act.reports.forget(id);
                if let Some(link) = act.agents.get_mut(&agent_id) {
                    link.sent.remove(&id);
                    act.woken.insert(agent_id);
                }
            }
            act.pump(ctx);
            act.settle(ctx);
        }));
    }

    /// Ends the wait for commands whose agents are here and should have told their end long ago.
    fn watch(&mut self, ctx: &mut Context<Self>) {
        let at = now();
        let mut overdue = Vec::new();
        for (agent_id, link) in &mut self.agents {
            let late: Vec<CommandId> = link
                .sent
                .iter()
                .filter(|(_, deadline)| **deadline <= at)
                .map(|(id, _)| *id)
                .collect();
            for id in late {
                link.sent.remove(&id);
                if link.cancels {
                    link.tell(ServerMessage::CommandCancel(CommandCancel { id }));
                }
                overdue.push(id);
                self.woken.insert(*agent_id);
            }
        }
        if !overdue.is_empty() {
            self.give_up(overdue, "timed_out", ctx);
        }
        self.pump(ctx);
    }

    fn give_up(&mut self, ids: Vec<CommandId>, reason: &'static str, ctx: &mut Context<Self>) {
        let (db, events) = (self.db.clone(), self.events.clone());
        ctx.spawn(
            async move {
                match commands::give_up(&db, ids, reason, now()).await {
                    Ok(ended) => {
                        report_ended(reason, ended.len());
                        tell(&events, ended);
                    }
                    // The sweep finds them again when their time to wait is over.
                    Err(error) => tracing::error!(%error, "commands cannot be given up"),
                }
            }
            .into_actor(self),
        );
    }

    /// Ends what waited too long, also for agents that never came back.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let (db, events) = (self.db.clone(), self.events.clone());
        let margin = chrono::Duration::seconds(self.settings.poll_margin_seconds.into());
        let look = async move {
            let at = now();
            let expired = commands::expire(&db, at).await?;
            report_ended("expired", expired.len());
            tell(&events, expired);
            let late = commands::overdue_polled(&db, at, margin).await?;
            let ended = commands::give_up(&db, late, "timed_out", at).await?;
            report_ended("timed_out", ended.len());
            tell(&events, ended);
            commands::overdue(&db, at).await
        };
        ctx.spawn(look.into_actor(self).map(
            |overdue: Result<_, DbError>, act, ctx| match overdue {
                Ok(overdue) => {
                    let absent = |agent_id: &AgentId| !act.agents.contains_key(agent_id);
                    let lost: Vec<CommandId> = overdue
                        .into_iter()
                        .filter(|(_, agent_id)| absent(agent_id))
                        .map(|(id, _)| id)
                        .collect();
                    if !lost.is_empty() {
                        act.give_up(lost, "expired", ctx);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "commands that waited too long cannot be looked for");
                }
            },
        ));
    }
}

/// Tells that commands are further than they were.
fn tell(events: &Recipient<Happened>, ids: Vec<CommandId>) {
    if !ids.is_empty() {
        events.do_send(Happened::Commands(ids));
    }
}

fn report_ended(reason: &'static str, count: usize) {
    if count > 0 {
        tracing::info!(count, reason, "commands have failed");
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        metrics::counter!("gururmm_commands_ended_total", "outcome" => reason).increment(count);
    }
}

/// Does with a command of an earlier connection what the agent's return asks for; `false` for one that
/// never arrived and may not be sent any more.
fn return_to(link: &mut Link, command: &Command, denied: bool) -> bool {
    let cancel = command.cancel_requested_at.is_some();
    match on_return(command.id, cancel, &link.in_flight, link.journal) {
        Again::Wait => {}
        Again::Resend if denied => return false,
        Again::Resend => {
            if let Some(order) = order(command).filter(|order| link.takes(order)) {
                link.tell(ServerMessage::Command(order));
            }
        }
        Again::Cancel => {
            if link.cancels {
                let id = command.id;
                link.tell(ServerMessage::CommandCancel(CommandCancel { id }));
            }
        }
    }
    link.note(command, now());
    true
}

/// A command as the wire has it; none where its row holds no type that can be sent, as one that was
/// changed by hand.
#[must_use]
pub fn order(command: &Command) -> Option<Order> {
    let named = serde_json::Value::String(command.command_type.clone());
    let command_type = command.parameters.clone().unwrap_or(named);
    let command_type: CommandType = serde_json::from_value(command_type).ok()?;
    // Of a Claude task the row shows the task, and the type holds it.
    let line = match command_type {
        CommandType::ClaudeTask { .. } => String::new(),
        _ => command.command.clone(),
    };
    let environment = match &command.arguments {
        None => BTreeMap::new(),
        Some(arguments) => variables(&BTreeMap::deserialize(arguments).ok()?),
    };
    Some(Order {
        id: command.id,
        command_type,
        command: line,
        timeout_seconds: u64::try_from(command.timeout_seconds).ok(),
        elevated: command.elevated,
        environment,
    })
}

impl Actor for CommandDispatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
        ctx.run_interval(WATCH, Self::watch);
        ctx.run_interval(SWEEP, Self::sweep);
    }
}

impl Supervised for CommandDispatcher {
    fn restarting(&mut self, _: &mut Self::Context) {
        tracing::error!("the dispatcher of commands was restarted");
    }
}

impl Handler<AgentUp> for CommandDispatcher {
    type Result = ();

    fn handle(&mut self, message: AgentUp, ctx: &mut Self::Context) {
        let agent_id = message.agent_id;
        let known = self.agents.get(&agent_id);
        if known.is_some_and(|link| link.generation > message.generation) {
            return;
        }
        let link = Link {
            generation: message.generation,
            connection: message.connection,
            connected_at: now(),
            grace: chrono::Duration::seconds(self.settings.result_grace_seconds.into()),
            journal: message.journal,
            cancels: message.cancels,
            environment: message.environment,
            in_flight: message.in_flight.into_iter().collect(),
            sent: HashMap::new(),
            ready: false,
        };
        self.agents.insert(agent_id, link);
        self.welcome(agent_id, ctx);
    }
}

impl Handler<AgentDown> for CommandDispatcher {
    type Result = ();

    fn handle(&mut self, message: AgentDown, _: &mut Self::Context) {
        let link = self.agents.get(&message.agent_id);
        if link.is_some_and(|link| link.generation == message.generation) {
            self.agents.remove(&message.agent_id);
        }
    }
}

impl Handler<Wake> for CommandDispatcher {
    type Result = ();

    fn handle(&mut self, message: Wake, ctx: &mut Self::Context) {
        self.woken.extend(message.agents);
        self.pump(ctx);
    }
}

impl Handler<Cancel> for CommandDispatcher {
    type Result = ();

    fn handle(&mut self, message: Cancel, _: &mut Self::Context) {
        if let Some(link) = self.agents.get(&message.agent_id)
            && link.cancels
        {
            let id = message.id;
            link.tell(ServerMessage::CommandCancel(CommandCancel { id }));
        }
    }
}

impl Handler<CommandReport> for CommandDispatcher {
    type Result = ();

    fn handle(&mut self, message: CommandReport, ctx: &mut Self::Context) {
        self.reports.push(message);
        self.settle(ctx);
    }
}
