//! The audit as administrators read it: acts with their ends, filtered, page by page or as a file.

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use futures_util::stream;
use gururmm_shared::{AgentId, ApiKeyId, AuditId, ClientId, CommandId, SessionId, SiteId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::csv;
use super::extract::Authenticated;
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::state::AppState;
use crate::db::audit_acts::{self, Act, ActFilter, ActSort};
use crate::db::page::PageOf;
use crate::db::{Db, DbError};
use crate::domain::role::Capability;
use crate::domain::scope::{Place, Scope};
use crate::error::AppError;
use crate::services::audit::now;

/// Rows of an export that are read at once.
const PAGE: i64 = 500;

/// An act as the API shows it; the fields are an export's columns.
#[derive(Serialize, ToSchema)]
#[schema(as = Act)]
struct ActView {
    id: AuditId,
    at: DateTime<Utc>,
    action: String,
    user_id: Option<UserId>,
    user_email: String,
    key_id: Option<ApiKeyId>,
    agent_id: Option<AgentId>,
    agent_hostname: Option<String>,
    client_id: Option<ClientId>,
    site_id: Option<SiteId>,
    session_id: Option<String>,
    command_id: Option<CommandId>,
    target: String,
    detail: String,
    remote_addr: String,
    request_id: String,
    outcome: Option<String>,
    exit_code: Option<i32>,
    ended_at: Option<DateTime<Utc>>,
    seq: Option<i64>,
    sealed: bool,
}

const COLUMNS: [&str; 21] = [
    "id",
    "at",
    "action",
    "user_id",
    "user_email",
    "key_id",
    "agent_id",
    "agent_hostname",
    "client_id",
    "site_id",
    "session_id",
    "command_id",
    "target",
    "detail",
    "remote_addr",
    "request_id",
    "outcome",
    "exit_code",
    "ended_at",
    "seq",
    "sealed",
];

impl From<Act> for ActView {
    fn from(act: Act) -> Self {
        Self {
            id: act.act_id,
            at: act.at,
            action: act.action,
            user_id: act.user_id,
            user_email: act.user_email,
            key_id: act.key_id,
            agent_id: act.agent_id,
            agent_hostname: act.agent_hostname.filter(|name| !name.is_empty()),
            client_id: act.client_id,
            site_id: act.site_id,
            session_id: act.session_id,
            command_id: act.command_id,
            target: act.target,
            detail: act.detail,
            remote_addr: act.remote_addr,
            request_id: act.request_id,
            outcome: act.outcome,
            exit_code: act.exit_code,
            ended_at: act.ended_at,
            seq: act.seq,
            sealed: act.last_seq.is_some(),
        }
    }
}

/// An act as somebody may see it: one's own is shown wherever it was tried, but what the server found
/// there outside of the scope is not.
fn shown(act: Act, scope: &Scope) -> ActView {
    let (client_id, site_id) = (act.client_id, act.site_id);
    let mut view = ActView::from(act);
    if !scope.covers(Place { client_id, site_id }) {
        view.agent_hostname = None;
        view.client_id = None;
        view.site_id = None;
    }
    view
}

fn filter(asked: &Listing<ActSort>, who: &Authenticated) -> Result<ActFilter, AppError> {
    Ok(ActFilter {
        scope: who.scope.clone(),
        reader: Some(who.user.id).filter(|id| who.owns(Some(*id))),
        from: asked.time("from")?,
        to: asked.time("to")?,
        user_id: asked.id("user_id", UserId)?,
        agent_id: asked.id("agent_id", AgentId)?,
        client_id: asked.id("client_id", ClientId)?,
        site_id: asked.id("site_id", SiteId)?,
        session_id: asked.id("session_id", SessionId)?,
        command_id: asked.id("command_id", CommandId)?,
        action: asked.text("action")?,
        outcome: asked.text("outcome")?,
        words: asked.text("q")?,
    })
}

/// Lists what was done, the newest first.
#[utoipa::path(
    tag = "audit",
    params(list_parameters::Acts),
    responses(
        (status = 200, description = "a page", body = Page<ActView>),
    ),
)]
#[get("/api/audit")]
pub async fn list_acts(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadAudit)?;
    let asked = Listing::read::<list_parameters::Acts>(&request)?;
    let rows = audit_acts::list(&state.db, filter(&asked, &who)?, asked.page()).await?;
    let page = asked.cut(rows, Act::position);
    Ok(HttpResponse::Ok().json(page.map(|act| shown(act, &who.scope))))
}

/// As what an export comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/jsonl; charset=utf-8",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    fn head(self) -> String {
        match self {
            Self::Csv => csv::row(COLUMNS.iter().map(|name| (*name).to_owned())),
            Self::JsonLines => String::new(),
        }
    }

    fn line(self, act: &ActView) -> Result<String, serde_json::Error> {
        match self {
            Self::JsonLines => serde_json::to_string(act).map(|line| line + "\n"),
            Self::Csv => {
                let fields = serde_json::to_value(act)?;
                let cells = COLUMNS.iter().map(|name| match &fields[*name] {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => csv::defused(text),
                    // Numbers and words of our own.
                    other => other.to_string(),
                });
                Ok(csv::row(cells))
            }
        }
    }
}

/// An export on its way: what is written follows what the reader takes, one page at a time.
struct Export {
    db: Db,
    filter: ActFilter,
    page: PageOf<ActSort>,
    format: Format,
    begun: bool,
    over: bool,
}

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, DbError> {
        if self.over {
            return Ok(None);
        }
        let acts = audit_acts::list(&self.db, self.filter.clone(), self.page.clone()).await?;
        let mut text = String::new();
        if !self.begun {
            self.begun = true;
            text = self.format.head();
        }
        self.over = i64::try_from(acts.len()).is_ok_and(|count| count < PAGE);
        self.page.after = acts.last().map(|act| act.position(ActSort::Time));
        for act in acts {
            let line = self.format.line(&shown(act, &self.filter.scope));
            text += &line.map_err(|error| DbError::Other(error.to_string()))?;
        }
        Ok(Some((Bytes::from(text), self)))
    }
}

/// Answers what was done as a file.
#[utoipa::path(
    tag = "audit",
    params(list_parameters::ActsExport),
    responses(
        (status = 200, description = "the file", content((String = "text/csv"), (String = "application/jsonl"))),
    ),
)]
#[get("/api/audit/export")]
pub async fn export(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadAudit)?;
    let asked = Listing::read::<list_parameters::ActsExport>(&request)?;
    let format = match asked.choice("format", list_parameters::FORMATS)?.as_deref() {
        Some("jsonl") => Format::JsonLines,
        _ => Format::Csv,
    };
    let mut filter = filter(&asked, &who)?;
    let at = now();
    // What comes while the file is written is not for it: it would come twice or in part.
    filter.to = Some(filter.to.map_or(at, |to| to.min(at)));
    let file = Export {
        db: state.db.clone(),
        filter,
        page: PageOf {
            limit: PAGE,
            ..asked.page()
        },
        format,
        begun: false,
        over: false,
    };
    // An error in the middle breaks the line off, so that half a file is not taken for a whole one.
    let body = stream::try_unfold(file, async |file| {
        file.next().await.inspect_err(|error| {
            tracing::error!(%error, "an export of the audit was broken off");
        })
    });
    let name = format!(
        "gururmm-audit-{}.{}",
        at.format("%Y%m%dT%H%M%SZ"),
        format.extension()
    );
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, format.content_type()))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(body))
}
