//! Schedules: what runs by the clock, with its owner's rights.
//!
//! Who may see one: its owner, and who sees everything. Who may change or run one: its owner, and
//! administrators whose scope is everything; whoever saves it owns it from then on. API keys may only
//! read: a key with less rights than its user would gain the user's.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use garde::Validate;
use gururmm_shared::{ClientId, CommandType, ScheduleId, ScheduleRunId, SiteId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::command_body::CommandBody;
use super::etag::Version;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::once::Once;
use super::page::{Page, cut, limit_within};
use super::schedule_view::{RunView, ScheduleView};
use super::schemas::{IfMatch, Name};
use super::state::AppState;
use super::targets::place_of;
use crate::actors::command_messages::Wake;
use crate::actors::scheduler::online;
use crate::db::DbError;
use crate::db::schedules::{self, Noted, Planned, Schedule, ScheduleFilter};
use crate::domain::job_targets::Targets;
use crate::domain::role::{Capability, Role};
use crate::domain::schedule::{Calendar, NoCalendar};
use crate::domain::scope::Scope;
use crate::domain::target::Target;
use crate::error::AppError;
use crate::services::audit::now;
use crate::services::schedules::{Occasion, Runner};

/// Runs of a page.
const RUNS_MOST: i64 = 1000;

/// What is done with agents that are away.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WhenOffline {
    /// They are left out.
    Skip,
    /// Their commands wait for them.
    Wait,
}

/// Body of a schedule, new or written anew.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = NewSchedule)]
pub struct Body {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(skip)]
    #[schema(examples("0 3 * * *"))]
    cron: String,
    #[garde(skip)]
    #[schema(examples("Europe/Berlin"))]
    time_zone: String,
    #[garde(skip)]
    #[serde(default = "yes")]
    enabled: bool,
    #[garde(dive)]
    filter: Targets,
    #[garde(skip)]
    when_offline: WhenOffline,
    #[garde(dive)]
    #[serde(flatten)]
    command: CommandBody,
}

fn yes() -> bool {
    true
}

fn version(schedule: &Schedule) -> Version {
    Version::of(schedule.id.0, schedule.updated_at, None)
}

fn stamped(mut response: HttpResponse, version: &Version) -> HttpResponse {
    version.stamp(&mut response);
    response
}

/// Refuses who may not write schedules at all.
fn may_write(who: &Authenticated) -> Result<(), AppError> {
    who.require(Capability::ManageAutomation)?;
    who.require_person()
}

/// Finds a schedule that the caller may see.
async fn find(
    state: &AppState,
    who: &Authenticated,
    id: uuid::Uuid,
) -> Result<(Schedule, Option<String>), AppError> {
    let found = schedules::by_id(&state.db, ScheduleId(id)).await?;
    let (schedule, email) = found.ok_or_else(|| AppError::not_found("schedule"))?;
    if who.owns(schedule.owner_id) || who.scope == Scope::Everything {
        return Ok((schedule, email));
    }
    Err(AppError::forbidden(
        "not_your_schedule",
        "only its owner, and who may act everywhere, may see a schedule; ask an administrator",
    ))
}

/// Finds a schedule that the caller may change or run.
async fn find_own(
    state: &AppState,
    who: &Authenticated,
    id: uuid::Uuid,
) -> Result<(Schedule, Option<String>), AppError> {
    may_write(who)?;
    let (schedule, email) = find(state, who, id).await?;
    let runs_all = who.role == Role::Administrator && who.scope == Scope::Everything;
    if schedule.owner_id == Some(who.user.id) || runs_all {
        return Ok((schedule, email));
    }
    Err(AppError::forbidden(
        "not_your_schedule",
        "only its owner, and administrators who may act everywhere, may do this; ask one of them",
    ))
}

/// What a body says, checked as it would be when it runs.
async fn planned(state: &AppState, who: &Authenticated, body: Body) -> Result<Planned, AppError> {
    let fault = |fault: NoCalendar| AppError::invalid_field(fault.field(), fault.to_string());
    let calendar = Calendar::parse(&body.cron, &body.time_zone).map_err(fault)?;
    if calendar.next_after(now()).is_none() {
        return Err(fault(NoCalendar::Never));
    }
    for target in [
        body.filter.client_id.map(|id| Target {
            client_id: Some(ClientId(id)),
            ..Target::default()
        }),
        body.filter.site_id.map(|id| Target {
            site_id: Some(SiteId(id)),
            ..Target::default()
        }),
    ]
    .into_iter()
    .flatten()
    {
        let place = place_of(state, target).await?;
        who.require_at(Capability::RunCommands, place)?;
    }
    let settings = &state.settings;
    let command = body.command.saved();
    let wanted = body.command.resolve(&state.db).await?;
    let is_script = wanted.script.is_some();
    let (command_type, line) = (wanted.command_type.clone(), wanted.command.clone());
    wanted.accept(&settings.commands, &settings.limits)?;
    let json_of = |value: &CommandType| {
        serde_json::to_value(value).map_err(|error| AppError::internal(&error))
    };
    let filter = serde_json::to_value(&body.filter).map_err(|error| AppError::internal(&error))?;
    Ok(Planned {
        name: body.name.trim().to_owned(),
        owner_id: who.user.id,
        cron: body.cron.trim().to_owned(),
        time_zone: body.time_zone,
        enabled: body.enabled,
        script_id: command.script_id,
        arguments: command.parameters,
        command_type: (!is_script).then(|| json_of(&command_type)).transpose()?,
        command: (!is_script).then_some(line),
        timeout_seconds: command.timeout_seconds,
        elevated: command.elevated,
        filter,
        when_offline: match body.when_offline {
            WhenOffline::Skip => "skip",
            WhenOffline::Wait => "wait",
        },
        expires_in_seconds: command.expires_in_seconds,
    })
}

fn refused(error: DbError) -> AppError {
    match error {
        DbError::ForeignKey => AppError::invalid_field("script_id", "there is no such script"),
        other => other.into(),
    }
}

/// Lists schedules: own ones, or all for who sees everything.
#[utoipa::path(
    tag = "schedules",
    params(list_parameters::Schedules),
    responses(
        (status = 200, description = "a page", body = Page<ScheduleView>),
    ),
)]
#[get("/api/schedules")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Schedules>(&request)?;
    let enabled = asked.choice("enabled", list_parameters::YES_NO)?;
    if who.scope != Scope::Everything && !who.owns(Some(who.user.id)) {
        return Ok(HttpResponse::Ok().json(Page::<ScheduleView>::whole(Vec::new())));
    }
    let filter = ScheduleFilter {
        owner_id: (who.scope != Scope::Everything).then_some(who.user.id),
        words: asked.text("q")?,
        enabled: enabled.map(|word| word == "true"),
    };
    let rows = schedules::list(&state.db, filter, asked.page()).await?;
    let page = asked
        .cut(rows, |(schedule, _), sort| schedule.position(sort))
        .map(|row| ScheduleView::new(row, None));
    Ok(HttpResponse::Ok().json(page))
}

/// Makes a schedule.
#[utoipa::path(
    tag = "schedules",
    request_body = Body,
    responses(
        (status = 201, description = "the schedule", body = ScheduleView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such client or site"),
        (status = 409, description = "`too_many_schedules`"),
    ),
)]
#[post("/api/schedules")]
pub async fn create(state: Data<AppState>, signed: Signed<Body>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    may_write(&who)?;
    let plan = planned(&state, &who, body).await?;
    let most = state.settings.schedules.max;
    let inserted = schedules::insert(&state.db, plan, most.into()).await;
    let schedule = inserted.map_err(refused)?.ok_or_else(|| {
        let detail = format!("there are {most} schedules, as many as there may be; delete some");
        AppError::conflict("too_many_schedules", detail)
    })?;
    tracing::info!(schedule.id = %schedule.id, user.id = %who.user.id, "schedule created");
    let version = version(&schedule);
    let view = ScheduleView::new((schedule, Some(who.user.email)), None);
    Ok(stamped(HttpResponse::Created().json(view), &version))
}

/// Shows a schedule and its last run.
#[utoipa::path(
    tag = "schedules",
    responses(
        (status = 200, description = "the schedule", body = ScheduleView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such schedule"),
    ),
)]
#[get("/api/schedules/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let row = find(&state, &who, id.into_inner()).await?;
    let last = schedules::runs_of(&state.db, row.0.id, None, 1)
        .await?
        .pop();
    let version = version(&row.0);
    // Never 304: what comes next changes by itself.
    let view = ScheduleView::new(row, last);
    Ok(stamped(HttpResponse::Ok().json(view), &version))
}

/// Writes a schedule anew; who does owns it from then on.
#[utoipa::path(
    tag = "schedules",
    request_body = Body,
    params(IfMatch),
    responses(
        (status = 200, description = "the schedule", body = ScheduleView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such schedule, client or site"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[put("/api/schedules/{id}")]
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    signed: Signed<Body>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let (before, _) = find_own(&state, &who, id.into_inner()).await?;
    let conditional = version(&before).check(&request)?;
    let plan = planned(&state, &who, body).await?;
    let unchanged = conditional.then_some(before.updated_at);
    let changed = schedules::update(&state.db, before.id, plan, unchanged).await;
    let schedule = match changed.map_err(refused)? {
        Some(schedule) => schedule,
        None if conditional => return Err(AppError::changed()),
        None => return Err(AppError::not_found("schedule")),
    };
    tracing::info!(schedule.id = %schedule.id, user.id = %who.user.id, "schedule changed");
    let version = version(&schedule);
    let view = ScheduleView::new((schedule, Some(who.user.email)), None);
    Ok(stamped(HttpResponse::Ok().json(view), &version))
}

/// Deletes a schedule.
#[utoipa::path(
    tag = "schedules",
    params(IfMatch),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such schedule"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[delete("/api/schedules/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let (schedule, _) = find_own(&state, &who, id.into_inner()).await?;
    version(&schedule).check(&request)?;
    if !schedules::delete(&state.db, schedule.id, schedule.updated_at).await? {
        return Err(AppError::changed());
    }
    tracing::info!(schedule.id = %schedule.id, user.id = %who.user.id, "schedule deleted");
    Ok(HttpResponse::NoContent().finish())
}

/// Runs a schedule now.
#[utoipa::path(
    tag = "schedules",
    responses(
        (status = 201, description = "the run", body = RunView),
        (status = 404, description = "no such schedule"),
        (status = 412, description = "`precondition_failed`: it was changed meanwhile"),
    ),
)]
#[post("/api/schedules/{id}/run")]
pub async fn run_now(
    who: Authenticated,
    state: Data<AppState>,
    once: Once,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let (schedule, _) = find_own(&state, &who, id.into_inner()).await?;
    who.require(Capability::RunCommands)?;
    let id = ScheduleRunId(once.id);
    if once.again
        && let Some(run) = schedules::run_by_id(&state.db, schedule.id, id).await?
    {
        return Ok(HttpResponse::Created().json(RunView::from(run)));
    }
    state.command_rates.take(who.user.id)?;
    let runner = Runner {
        db: &state.db,
        settings: &state.settings,
    };
    let here = async |agents| online(&state.registry, agents).await;
    let asked = Occasion::Asked(who.caller.clone(), id);
    let ran = runner.run(&schedule, &asked, None, &here).await?;
    state.commands.do_send(Wake { agents: ran.woken });
    match ran.noted {
        Noted::Written(Some(run)) => Ok(HttpResponse::Created().json(RunView::from(*run))),
        _ => Err(AppError::changed()),
    }
}

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    cursor: Option<uuid::Uuid>,
}

/// Lists a schedule's runs, the newest first.
#[utoipa::path(
    tag = "schedules",
    responses(
        (status = 200, description = "a page", body = Page<RunView>),
        (status = 404, description = "no such schedule"),
    ),
)]
#[get("/api/schedules/{id}/runs")]
pub async fn runs(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    filter: Query<Filter>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let (schedule, _) = find(&state, &who, id.into_inner()).await?;
    let limit = limit_within(filter.limit, RUNS_MOST)?;
    let before = filter.cursor.map(ScheduleRunId);
    let mut rows = schedules::runs_of(&state.db, schedule.id, before, limit + 1).await?;
    let more = cut(&mut rows, limit);
    let next_cursor = rows.last().filter(|_| more).map(|run| run.id.to_string());
    let items: Vec<RunView> = rows.into_iter().map(RunView::from).collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}
