//! What is told of things that have just changed: as they are now, and where they are.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, AlertId, ClientId, CommandId, JobId, SiteId};

use super::schema::{agents, alerts, commands, sites};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Place;

/// A command as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandNews {
    /// Which.
    pub id: CommandId,
    /// Of which agent.
    pub agent_id: AgentId,
    /// Of which job.
    pub job_id: Option<JobId>,
    /// How far it is.
    pub status: String,
    /// Where its agent is.
    pub place: Place,
}

/// An alert as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertNews {
    /// Which.
    pub id: AlertId,
    /// About which agent.
    pub agent_id: Option<AgentId>,
    /// `open`, `acknowledged` or `resolved`.
    pub status: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Where its agent is.
    pub place: Place,
}

type Where = (Option<SiteId>, Option<ClientId>);

fn place((site_id, client_id): Where) -> Place {
    Place { client_id, site_id }
}

/// These commands, as far as they are there.
pub async fn commands(db: &Db, ids: Vec<CommandId>) -> Result<Vec<CommandNews>, DbError> {
    type Row = (CommandId, AgentId, Option<JobId>, String, Where);
    let rows: Vec<Row> = query!(db, |conn| commands::table
        .inner_join(agents::table.left_join(sites::table))
        .filter(commands::id.eq_any(ids.into_iter().map(Bind)))
        .select((
            commands::id,
            commands::agent_id,
            commands::job_id,
            commands::status,
            (agents::site_id, sites::client_id.nullable()),
        ))
        .load(conn)
        .await)?;
    let news = rows
        .into_iter()
        .map(|(id, agent_id, job_id, status, at)| CommandNews {
            id,
            agent_id,
            job_id,
            status,
            place: place(at),
        });
    Ok(news.collect())
}

/// These alerts, as far as they are there.
pub async fn alerts(db: &Db, ids: Vec<AlertId>) -> Result<Vec<AlertNews>, DbError> {
    type Row = (AlertId, Option<AgentId>, String, String, Where);
    let rows: Vec<Row> = query!(db, |conn| alerts::table
        .left_join(agents::table.left_join(sites::table))
        .filter(alerts::id.eq_any(ids.into_iter().map(Bind)))
        .select((
            alerts::id,
            alerts::agent_id,
            alerts::status,
            alerts::severity,
            (sites::id.nullable(), sites::client_id.nullable()),
        ))
        .load(conn)
        .await)?;
    let news = rows
        .into_iter()
        .map(|(id, agent_id, status, severity, at)| AlertNews {
            id,
            agent_id,
            status,
            severity,
            place: place(at),
        });
    Ok(news.collect())
}

/// Where the agents of these jobs are; each place of a job once.
pub async fn jobs(db: &Db, ids: Vec<JobId>) -> Result<Vec<(JobId, Place)>, DbError> {
    type Row = (Option<JobId>, Where);
    let rows: Vec<Row> = query!(db, |conn| commands::table
        .inner_join(agents::table.left_join(sites::table))
        .filter(commands::job_id.eq_any(ids.into_iter().map(|id| Some(Bind(id)))))
        .select((
            commands::job_id,
            (agents::site_id, sites::client_id.nullable()),
        ))
        .distinct()
        .load(conn)
        .await)?;
    let news = rows.into_iter();
    Ok(news.filter_map(|(id, at)| Some((id?, place(at)))).collect())
}
