//! Brings releases to agents: sends what is asked for a machine, and what rollouts bring to those whose turn it is.
//!
//! ```text
//!   tick, a word ──▶ look: settle ─▶ send again ─▶ send what waits ─▶ each rollout: decide ─▶ send to its wave
//! ```
//!
//! What it decides (`domain::rollout`) rests on the database alone: an update stands there before it is sent, so
//! that a crash loses none and sends none twice to an agent that has ended it. What it keeps itself is only to save work:
//! the fleet as it was a moment ago, and which agents have come since the last look.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use chrono::{DateTime, TimeDelta, Utc};
use gururmm_shared::{AgentId, ReleaseId, RolloutId};

use super::event_messages::Happened;
use super::registry::AgentRegistry;
use super::registry_messages::TellAgent;
use super::scheduler::online;
use super::update_messages::{AgentCame, LookAtUpdates};
use crate::config::UpdateSettings;
use crate::db::agent_updates::{self, AgentUpdate, NewUpdate};
use crate::db::releases::{self, Release};
use crate::db::rollouts::{self, Change, Rollout};
use crate::db::{Db, DbError};
use crate::domain::policy::alerts::Severity;
use crate::domain::rollout::{Step, Tally};
use crate::error::AppError;
use crate::services::alerts::open_about_fleet;
use crate::services::audit;
use crate::services::updates::{Member, Offers, Progress, fleet, message, plan_of, progress};

/// How often it looks without a word.
const TICK: Duration = Duration::from_secs(2);
/// How long the fleet is taken to be as it was.
const REFRESH: Duration = Duration::from_secs(30);
/// The fleet is read anew at most this often, or in ten times what the last reading took.
const REST: Duration = Duration::from_secs(1);
/// Agents that came and are remembered until the next look; with more of them all are.
const MOST_CAME: usize = 100_000;
/// Messages that wait at most.
const MAILBOX: usize = 8192;

/// The actor.
pub struct UpdateDesk {
    hands: Hands,
    memory: Option<Memory>,
    came: HashMap<AgentId, Option<String>>,
    again: bool,
}

/// What a look needs.
#[derive(Clone)]
struct Hands {
    db: Db,
    settings: Arc<UpdateSettings>,
    registry: Addr<AgentRegistry>,
    events: Recipient<Happened>,
}

/// What is known since the last look.
#[derive(Default)]
struct Memory {
    fleet: Vec<Member>,
    read_at: Option<Instant>,
    read_took: Duration,
    stale: bool,
    /// Whether somebody came at the last look.
    newcomers: bool,
    /// How far updates under way were.
    under_way: HashMap<i64, (AgentId, String)>,
    /// How far rollouts were.
    rollouts: HashMap<RolloutId, (String, Vec<Tally>)>,
}

impl UpdateDesk {
    /// One that has not looked yet; `events` is told what moves.
    #[must_use]
    pub fn new(
        db: Db,
        settings: Arc<UpdateSettings>,
        registry: Addr<AgentRegistry>,
        events: Recipient<Happened>,
    ) -> Self {
        Self {
            hands: Hands {
                db,
                settings,
                registry,
                events,
            },
            memory: Some(Memory::default()),
            came: HashMap::new(),
            again: false,
        }
    }

    /// Looks, unless it is looking.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let Some(mut memory) = self.memory.take() else {
            self.again = true;
            return;
        };
        let came = std::mem::take(&mut self.came);
        // What who comes says of itself is in the database a moment later: it is read at the next look, too.
        let newcomers = !came.is_empty();
        memory.stale |= newcomers || memory.newcomers || self.again;
        memory.newcomers = newcomers;
        self.again = false;
        let hands = self.hands.clone();
        let look = async move {
            let looked = hands.look(&mut memory, &came).await;
            if let Err(error) = &looked {
                tracing::error!(%error, "updates cannot be looked at; trying again");
                memory.stale = true;
            }
            (memory, looked.is_err().then_some(came))
        };
        ctx.spawn(look.into_actor(self).map(|(memory, missed), act, ctx| {
            act.memory = Some(memory);
            for (agent_id, version) in missed.into_iter().flatten() {
                act.came.entry(agent_id).or_insert(version);
            }
            if act.again {
                act.look(ctx);
            }
        }));
    }
}

impl Hands {
    async fn look(
        &self,
        memory: &mut Memory,
        came: &HashMap<AgentId, Option<String>>,
    ) -> Result<(), AppError> {
        let now = audit::now();
        let silent_since = now - TimeDelta::seconds(self.settings.answer_seconds.into());
        let settled = agent_updates::settle(&self.db, now, silent_since).await?;
        let mut under_way = agent_updates::under_way(&self.db).await?;
        let open = rollouts::open(&self.db).await?;
        let mut moved: HashSet<AgentId> = settled.iter().map(|moved| moved.agent_id).collect();
        if !under_way.is_empty() {
            let releases = self.releases_of(&under_way).await?;
            self.send_again(&under_way, &releases, came);
            let states = open.iter().map(|open| (open.id, open.state.clone()));
            let states = states.collect();
            self.send_waiting(&mut under_way, &releases, &states, now)
                .await?;
        }
        let mut news = Vec::new();
        let mut slots = self.slots(&under_way);
        for rollout in open {
            self.refresh(memory).await?;
            let looked = self.bring(rollout, memory, &mut under_way, &mut slots, now);
            news.extend(looked.await?);
        }
        let before = std::mem::take(&mut memory.under_way);
        memory.under_way = under_way
            .into_iter()
            .map(|update| (update.id, (update.agent_id, update.status)))
            .collect();
        moved.extend(differing(&before, &memory.under_way));
        if !moved.is_empty() {
            self.events
                .do_send(Happened::Updates(moved.into_iter().collect()));
        }
        // A rollout that is open no more ended in this look, or by a person who said so.
        memory
            .rollouts
            .retain(|id, _| news.iter().any(|(known, _)| known == id));
        let mut changed = Vec::new();
        for (id, state) in news {
            if memory.rollouts.get(&id) != Some(&state) {
                changed.push(id);
                memory.rollouts.insert(id, state);
            }
        }
        if !changed.is_empty() {
            self.events.do_send(Happened::Rollouts(changed));
        }
        Ok(())
    }

    fn slots(&self, under_way: &[AgentUpdate]) -> usize {
        let sent = under_way.iter().filter(|update| update.status == "sent");
        (self.settings.concurrent as usize).saturating_sub(sent.count())
    }

    async fn releases_of(
        &self,
        under_way: &[AgentUpdate],
    ) -> Result<HashMap<ReleaseId, Release>, DbError> {
        let wanted: HashSet<_> = under_way
            .iter()
            .filter_map(|update| update.release_id)
            .collect();
        let all = releases::all(&self.db, releases::ReleaseFilter::default()).await?;
        Ok(all
            .into_iter()
            .filter(|release| wanted.contains(&release.id))
            .map(|release| (release.id, release))
            .collect())
    }

    /// Sends again what was sent to agents over an earlier connection, which may have ended before it came there. An agent
    /// that has it already, or is at it, knows its version.
    fn send_again(
        &self,
        under_way: &[AgentUpdate],
        releases: &HashMap<ReleaseId, Release>,
        came: &HashMap<AgentId, Option<String>>,
    ) {
        for update in under_way.iter().filter(|update| update.status == "sent") {
            let Some(version) = came.get(&update.agent_id) else {
                continue;
            };
            let release = update.release_id.and_then(|id| releases.get(&id));
            if let Some(release) = release
                && version.as_deref() != Some(update.to_version.as_str())
            {
                self.tell(update.agent_id, release);
            }
        }
    }

    fn tell(&self, agent_id: AgentId, release: &Release) {
        tracing::info!(agent.id = %agent_id, version = release.version, "an update is sent");
        metrics::counter!("gururmm_updates_sent_total").increment(1);
        self.registry.do_send(TellAgent {
            agent_id,
            message: message(release),
        });
    }

    /// Sends what waits for its agent, where that is there.
    async fn send_waiting(
        &self,
        under_way: &mut [AgentUpdate],
        releases: &HashMap<ReleaseId, Release>,
        states: &HashMap<RolloutId, String>,
        now: DateTime<Utc>,
    ) -> Result<(), AppError> {
        let mut slots = self.slots(under_way);
        let waiting = under_way
            .iter_mut()
            .filter(|update| update.status == "pending")
            .filter(|update| update.not_before.is_none_or(|at| at <= now));
        let waiting: Vec<&mut AgentUpdate> = waiting.collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let agents = waiting.iter().map(|update| update.agent_id).collect();
        let here = online(&self.registry, agents).await?;
        for update in waiting {
            let state = update
                .rollout_id
                .map_or(Some("running"), |id| states.get(&id).map(String::as_str));
            let release = update.release_id.and_then(|id| releases.get(&id));
            let release = release.filter(|release| now < release.expires_at);
            let (Some(release), Some(state)) = (release, state) else {
                let (code, error) = match state {
                    None => (
                        "rollout_over",
                        "the rollout was over before it was sent again",
                    ),
                    Some(_) => ("release_gone", "the release was removed, or has expired"),
                };
                let failed =
                    agent_updates::fail(&self.db, update.id, code, error.to_owned(), now).await?;
                tracing::info!(agent.id = %update.agent_id, code, failed, "an update that waited is given up");
                "failed".clone_into(&mut update.status);
                continue;
            };
            if state != "running" {
                continue;
            }
            if slots == 0 || !here.contains(&update.agent_id) {
                continue;
            }
            if let Some(sent) = agent_updates::send(&self.db, update.id, now).await? {
                self.tell(sent.agent_id, release);
                slots -= 1;
                *update = sent;
            }
        }
        Ok(())
    }

    /// Reads the fleet, unless it was just now.
    async fn refresh(&self, memory: &mut Memory) -> Result<(), DbError> {
        let rest = REST.max(memory.read_took * 10);
        let age = memory.read_at.map(|at| at.elapsed());
        let due = age.is_none_or(|age| age >= REFRESH || (memory.stale && age >= rest));
        if !due {
            return Ok(());
        }
        let began = Instant::now();
        memory.fleet = fleet(&self.db).await?;
        memory.read_took = began.elapsed();
        memory.read_at = Some(began);
        memory.stale = false;
        Ok(())
    }

    /// Decides what becomes of a rollout and sends it to those whose turn it is; answers how far it is, where it goes on.
    async fn bring(
        &self,
        mut rollout: Rollout,
        memory: &mut Memory,
        under_way: &mut Vec<AgentUpdate>,
        slots: &mut usize,
        now: DateTime<Utc>,
    ) -> Result<Option<(RolloutId, (String, Vec<Tally>))>, AppError> {
        let offers = Offers::of(&self.db, &rollout).await?;
        let progress = progress(&self.db, &rollout, &memory.fleet, &offers, now).await?;
        let far = |rollout: &Rollout| {
            let state = format!("{} {}", rollout.state, rollout.wave);
            Some((rollout.id, (state, progress.waves.clone())))
        };
        if rollout.state != "running" {
            return Ok(far(&rollout));
        }
        if !offers.alive(now) {
            let reason =
                "no release of this version is left, or it has expired; sign and add it anew";
            self.stop_by_itself(&rollout, reason.to_owned(), now)
                .await?;
            return Ok(far(&rollout));
        }
        let plan = plan_of(&rollout);
        loop {
            let wave = usize::try_from(rollout.wave).unwrap_or(0);
            let upto = progress.waves.get(..=wave).unwrap_or(&progress.waves);
            let next = match plan.step(wave, rollout.wave_began_at, upto, now) {
                Step::Wait => break,
                // Who has come since the fleet was read may be in this wave.
                Step::Begin(_) | Step::Complete if memory.stale => break,
                Step::Begin(next) => i32::try_from(next).unwrap_or(i32::MAX),
                Step::Complete => {
                    self.end(&rollout, "completed", None, now).await?;
                    tracing::info!(rollout.id = %rollout.id, version = rollout.version, "a rollout is complete");
                    return Ok(far(&rollout));
                }
                Step::Fail { failed, ended } => {
                    let reason = reason_of(&progress, failed, ended);
                    self.stop_by_itself(&rollout, reason, now).await?;
                    return Ok(far(&rollout));
                }
            };
            let change = Change {
                from: &["running"],
                at_wave: rollout.wave,
                state: "running",
                reason: None,
                wave: next,
                at: now,
            };
            let Some(changed) = rollouts::change(&self.db, rollout.id, change).await? else {
                // A person was faster; the next look sees what they said.
                return Ok(far(&rollout));
            };
            tracing::info!(rollout.id = %changed.id, wave = changed.wave, "the next wave of a rollout begins");
            rollout = changed;
        }
        self.send_wave(&rollout, &offers, &progress, memory, under_way, slots, now)
            .await?;
        Ok(far(&rollout))
    }

    #[allow(clippy::too_many_arguments, reason = "what one look knows")]
    async fn send_wave(
        &self,
        rollout: &Rollout,
        offers: &Offers,
        progress: &Progress,
        memory: &Memory,
        under_way: &mut Vec<AgentUpdate>,
        slots: &mut usize,
        now: DateTime<Utc>,
    ) -> Result<(), AppError> {
        let wave = usize::try_from(rollout.wave).unwrap_or(0);
        let busy: HashSet<AgentId> = under_way.iter().map(|update| update.agent_id).collect();
        let turn: Vec<_> = progress
            .pending
            .iter()
            .filter(|(id, own, _)| *own <= wave && !busy.contains(id))
            .collect();
        if turn.is_empty() || *slots == 0 {
            return Ok(());
        }
        let here = online(&self.registry, turn.iter().map(|(id, ..)| *id).collect()).await?;
        let versions: HashMap<AgentId, Option<&String>> = memory
            .fleet
            .iter()
            .filter(|member| here.contains(&member.id))
            .map(|member| (member.id, member.version.as_ref()))
            .collect();
        for (id, wave, index) in turn {
            let release = offers.releases.get(*index).map(|(release, _)| release);
            let (Some(release), true) = (release, here.contains(id)) else {
                continue;
            };
            if *slots == 0 {
                break;
            }
            let new = NewUpdate {
                agent_id: *id,
                from_version: versions.get(id).copied().flatten().cloned(),
                to_version: release.version.clone(),
                release_id: release.id,
                rollout: Some((rollout.id, i32::try_from(*wave).unwrap_or(i32::MAX))),
            };
            match agent_updates::begin(&self.db, new, now).await {
                Ok(update) => {
                    self.tell(*id, release);
                    under_way.push(update);
                    *slots -= 1;
                }
                // It has one under way meanwhile, or is gone.
                Err(DbError::Duplicate { .. } | DbError::ForeignKey) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn end(
        &self,
        rollout: &Rollout,
        state: &'static str,
        reason: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        let change = Change {
            from: &["running"],
            at_wave: rollout.wave,
            state,
            reason,
            wave: rollout.wave,
            at: now,
        };
        let changed = rollouts::change(&self.db, rollout.id, change).await?;
        if changed.is_some() {
            self.events.do_send(Happened::Rollouts(vec![rollout.id]));
        }
        Ok(changed.is_some())
    }

    async fn stop_by_itself(
        &self,
        rollout: &Rollout,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        if !self
            .end(rollout, "failed", Some(reason.clone()), now)
            .await?
        {
            return Ok(());
        }
        tracing::warn!(rollout.id = %rollout.id, version = rollout.version, reason, "a rollout stopped by itself");
        metrics::counter!("gururmm_rollouts_failed_total").increment(1);
        let message = format!(
            "the rollout of version {} to the channel {} stopped by itself: {reason}",
            rollout.version, rollout.channel
        );
        match open_about_fleet(&self.db, "rollout_failed", Severity::Critical, message).await {
            Ok(id) => self.events.do_send(Happened::Alerts(vec![id])),
            // The rollout's own row says it, too.
            Err(error) => tracing::error!(%error, "an alert about a rollout cannot be opened"),
        }
        Ok(())
    }
}

/// Why a rollout stops, for a person.
fn reason_of(progress: &Progress, failed: u64, ended: u64) -> String {
    let mut codes: Vec<_> = progress.failures.iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let codes: Vec<String> = codes
        .into_iter()
        .take(5)
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    let codes = codes.join(", ");
    format!("{failed} of {ended} updates failed: {codes}")
        .chars()
        .take(500)
        .collect()
}

/// The agents of updates that came, went or are further.
fn differing(
    before: &HashMap<i64, (AgentId, String)>,
    now: &HashMap<i64, (AgentId, String)>,
) -> Vec<AgentId> {
    let gone = before.iter().filter(|(id, _)| !now.contains_key(id));
    let further = now
        .iter()
        .filter(|(id, state)| before.get(id) != Some(state));
    gone.chain(further)
        .map(|(_, (agent_id, _))| *agent_id)
        .collect()
}

impl Actor for UpdateDesk {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.memory.get_or_insert_default();
        self.look(ctx);
        ctx.run_interval(TICK, |act, ctx| act.look(ctx));
    }
}

impl Supervised for UpdateDesk {}

impl Handler<AgentCame> for UpdateDesk {
    type Result = ();

    fn handle(&mut self, message: AgentCame, _: &mut Self::Context) {
        // The next tick looks: when a site comes back, many come at once.
        if self.came.len() < MOST_CAME {
            self.came.insert(message.agent_id, message.version);
        }
    }
}

impl Handler<LookAtUpdates> for UpdateDesk {
    type Result = ();

    fn handle(&mut self, _: LookAtUpdates, ctx: &mut Self::Context) {
        self.again = true;
        self.look(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_how_many_failed_and_the_most_frequent_codes_first() {
        let failures = [("no_answer", 1), ("self_test_failed", 3)];
        let progress = Progress {
            failures: failures
                .map(|(code, count)| (code.to_owned(), count))
                .into(),
            ..Progress::default()
        };
        assert_eq!(
            reason_of(&progress, 4, 10),
            "4 of 10 updates failed: self_test_failed 3, no_answer 1"
        );
    }

    #[test]
    fn what_came_went_or_moved_is_told() {
        let (one, two, three) = (
            AgentId::generate(),
            AgentId::generate(),
            AgentId::generate(),
        );
        let state = |id, status: &str| (id, status.to_owned());
        let before = HashMap::from([(1, state(one, "sent")), (2, state(two, "pending"))]);
        let now = HashMap::from([(2, state(two, "sent")), (3, state(three, "sent"))]);
        let mut told = differing(&before, &now);
        told.sort_unstable();
        let mut wanted = vec![one, two, three];
        wanted.sort_unstable();
        assert_eq!(told, wanted);
        assert!(differing(&now, &now).is_empty());
    }
}
