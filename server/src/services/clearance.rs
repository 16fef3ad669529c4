//! Whether a command that was accepted may still be sent: the giver's rights, the agent's place and its
//! policy are read anew whenever commands are handed out, for they may have waited for days.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, ApiKeyId, CommandId, UserId};

use super::api_keys;
use super::audit::{self, Caller};
use super::policies::Rulebook;
use crate::db::api_keys::{self as stored_keys, ApiKey};
use crate::db::commands::{self, Command, Poll, Refused};
use crate::db::tunnel_audit::NewAudit;
use crate::db::users::Account;
use crate::db::{Db, DbError, places, users};
use crate::domain::role::{Capability, Role};
use crate::domain::scope::Place;

/// Which of some commands may be sent, and which may not.
#[derive(Debug, Default)]
pub struct Cleared {
    /// Those that may.
    pub allowed: Vec<CommandId>,
    /// Those that may not.
    pub refused: Vec<Refused>,
}

/// What was handed out.
#[derive(Debug, Default)]
pub struct Taken {
    /// Marked as running, of each agent in the order in which they are to be sent.
    pub sent: HashMap<AgentId, Vec<Command>>,
    /// Agents of which commands were refused: there is room for others.
    pub refused_for: Vec<AgentId>,
    /// How many were refused.
    pub refused: usize,
    /// Which.
    pub refused_ids: Vec<CommandId>,
}

/// A word for the audit, and a sentence for the one who gave the command.
type Why = (&'static str, String);

/// Whether the API key that a command was given with is good for it still: it may have leaked, and its end has to
/// end what it has set going.
fn key_may(key: Option<&ApiKey>, place: Place, now: DateTime<Utc>) -> Result<(), Why> {
    let again = "it must be given again";
    let Some(key) = key else {
        let why = format!("the API key that gave this command was deleted or revoked; {again}");
        return Err(("key_revoked", why));
    };
    if key.expires_at.is_some_and(|end| end <= now) {
        let why = format!(
            "the API key {:?} gave this command and has expired; {again}",
            key.name
        );
        return Err(("key_revoked", why));
    }
    let role = key.role.parse::<Role>().ok();
    if !role.is_some_and(|role| role.may(Capability::RunCommands)) {
        let why = format!("the API key {:?} may not run commands; {again}", key.name);
        return Err(("not_allowed", why));
    }
    if !api_keys::scope_of(key).is_ok_and(|scope| scope.covers(place)) {
        let why = format!(
            "the API key {:?} gave this command and is not for where the agent is now; {again}",
            key.name
        );
        return Err(("out_of_scope", why));
    }
    Ok(())
}

/// Whether the giver has the rights still, where the agent is now.
fn may_give(giver: Option<&Account>, place: Place) -> Result<(), Why> {
    let again = "somebody who may must give it again";
    let Some(account) = giver else {
        let why = format!("who gave this command was deleted; {again}");
        return Err(("not_allowed", why));
    };
    let user = &account.user;
    if user.disabled {
        let why = format!(
            "{} gave this command and is disabled now; {again}",
            user.email
        );
        return Err(("not_allowed", why));
    }
    let role = user.role.parse::<Role>().ok();
    if !role.is_some_and(|role| role.may(Capability::RunCommands)) {
        let why = format!(
            "{} gave this command and has the role {} now, which may not run commands; {again}",
            user.email, user.role
        );
        return Err(("not_allowed", why));
    }
    if !account.scope.covers(place) {
        let why = format!(
            "{} gave this command and has no access to where the agent is now; {again}",
            user.email
        );
        return Err(("out_of_scope", why));
    }
    Ok(())
}

/// Tells which commands may still be sent.
///
/// # Errors
/// That cannot be found out now.
pub async fn clear(db: &Db, waiting: &[Command]) -> Result<Cleared, DbError> {
    let mut cleared = Cleared::default();
    if waiting.is_empty() {
        return Ok(cleared);
    }
    let mut givers: Vec<UserId> = waiting.iter().filter_map(|one| one.created_by).collect();
    givers.sort_unstable();
    givers.dedup();
    let mut agents: Vec<AgentId> = waiting.iter().map(|one| one.agent_id).collect();
    agents.sort_unstable();
    agents.dedup();
    let givers: HashMap<UserId, Account> = users::accounts(db, givers)
        .await?
        .into_iter()
        .map(|account| (account.user.id, account))
        .collect();
    let agents = places::of_named(db, agents).await?;
    let keys = keys_of(db, waiting).await?;
    let now = audit::now();
    let mut rulebook = Rulebook::load(db).await?;
    for command in waiting {
        // An agent that is gone has taken its commands along.
        let Some((place, hostname)) = agents.get(&command.agent_id) else {
            continue;
        };
        let giver = command.created_by.and_then(|id| givers.get(&id));
        let with_key = match command.key_id {
            Some(id) => key_may(keys.get(&id), *place, now),
            None => Ok(()),
        };
        let allowed = match may_give(giver, *place).and(with_key) {
            Ok(()) => rulebook
                .check(
                    command.agent_id,
                    *place,
                    (&command.command_type, &command.command),
                )?
                .map_or(Ok(()), |denied| {
                    Err(("command_not_allowed", denied.to_string()))
                }),
            Err(why) => Err(why),
        };
        match allowed {
            Ok(()) => cleared.allowed.push(command.id),
            Err(why) => cleared.refused.push(refusal(command, giver, hostname, why)),
        }
    }
    Ok(cleared)
}

async fn keys_of(db: &Db, waiting: &[Command]) -> Result<HashMap<ApiKeyId, ApiKey>, DbError> {
    let mut ids: Vec<ApiKeyId> = waiting.iter().filter_map(|one| one.key_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let keys = stored_keys::named(db, ids).await?;
    Ok(keys.into_iter().map(|key| (key.id, key)).collect())
}

fn refusal(
    command: &Command,
    giver: Option<&Account>,
    hostname: &str,
    (code, why): Why,
) -> Refused {
    let agent = Some((command.agent_id, hostname));
    let named = giver.map(|account| Caller {
        user_id: account.user.id,
        email: account.user.email.clone(),
        key_id: None,
        remote_addr: String::new(),
        request_id: String::new(),
    });
    let nobody = Caller {
        user_id: UserId(uuid::Uuid::nil()),
        email: String::new(),
        key_id: None,
        remote_addr: String::new(),
        request_id: String::new(),
    };
    let row = audit::row("refused", named.as_ref().unwrap_or(&nobody), agent);
    let audit = NewAudit {
        user_id: named.map(|caller| caller.user_id),
        detail: audit::detail(&format!("[command {}] {why}", command.id)),
        outcome: Some(code.to_owned()),
        ended_at: Some(row.at),
        ..row
    };
    tracing::warn!(command.id = %command.id, agent.id = %command.agent_id, why, "a command that waited is not sent");
    Refused {
        id: command.id,
        why,
        audit,
    }
}

/// Hands out waiting commands, of each agent at most as many as it has room for, the oldest first; ends
/// those that may not be sent any more.
///
/// # Errors
/// The database does not answer; nothing was handed out.
pub async fn take(db: &Db, room: Vec<(AgentId, i64)>, at: DateTime<Utc>) -> Result<Taken, DbError> {
    let waiting = commands::pending(db, room, at).await?;
    if waiting.is_empty() {
        return Ok(Taken::default());
    }
    let Cleared { allowed, refused } = clear(db, &waiting).await?;
    let ids: Vec<CommandId> = refused.iter().map(|one| one.id).collect();
    let refused_for = waiting
        .iter()
        .filter(|command| ids.contains(&command.id))
        .map(|command| command.agent_id)
        .collect();
    let (sent, refused) = commands::take_pending(db, allowed, refused, at).await?;
    Ok(Taken {
        sent,
        refused_for,
        refused,
        refused_ids: ids,
    })
}

/// Answers a poll, and ends what may not be sent any more.
///
/// # Errors
/// The database does not answer; nothing was handed out.
pub async fn poll(
    db: &Db,
    agent_id: AgentId,
    number: Option<String>,
    most: i64,
    at: DateTime<Utc>,
) -> Result<Vec<Command>, DbError> {
    let waiting = commands::pending_for_poll(db, agent_id, most, at).await?;
    let Cleared { allowed, refused } = clear(db, &waiting).await?;
    let poll = Poll {
        agent_id,
        number,
        most,
        allowed,
        refused,
    };
    commands::poll(db, poll, at).await
}
