//! What each list may be asked for, said once: `Listing` reads these parameters and no others, and
//! the API's description shows them.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Required, Schema};

use super::listing::{CURSOR_BYTES, LIMIT_DEFAULT, LIMIT_MOST, WORDS};
use crate::db::agents::AgentSort;
use crate::db::alerts::AlertSort;
use crate::db::api_keys::ApiKeySort;
use crate::db::audit_acts::ActSort;
use crate::db::clients::ClientSort;
use crate::db::commands::CommandSort;
use crate::db::jobs::JobSort;
use crate::db::maintenance::WindowSort;
use crate::db::metrics_history::HistorySort;
use crate::db::notifications::ChannelSort;
use crate::db::page::SortKey;
use crate::db::policies::PolicySort;
use crate::db::recordings::RecordingSort;
use crate::db::registration_tokens::TokenSort;
use crate::db::releases::ReleaseSort;
use crate::db::rollouts::RolloutSort;
use crate::db::schedules::ScheduleSort;
use crate::db::scripts::ScriptSort;
use crate::db::sites::SiteSort;
use crate::db::tech_sessions::SessionSort;
use crate::db::users::UserSort;
use crate::domain::recording::RecordingState;

/// What a filter may hold.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// An id.
    Id,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A time.
    Time,
    /// A short text.
    Text,
}

/// A filter's name, its kind and what it is for.
pub type Filter = (&'static str, Kind, &'static str);

/// The parameters of one list.
pub trait Parameters: 'static {
    /// Its orders.
    type Sort: SortKey;
    /// Its filters, beside `limit`, `cursor` and `sort`.
    const FILTERS: &'static [Filter];
}

/// Words that say yes and no.
pub const YES_NO: &[&str] = &["true", "false"];
/// Whether an agent is connected.
pub const STATUSES: &[&str] = &["online", "offline"];
/// How far samples are summed up.
pub const STEPS: &[&str] = &["raw", "1m", "1h"];
/// The roles of users.
pub const ROLES: &[&str] = &["administrator", "technician", "read_only"];

/// How far commands are.
pub const COMMAND_STATUSES: &[&str] = &["pending", "running", "completed", "failed"];
/// Why commands failed.
pub const COMMAND_REASONS: &[&str] = &[
    "exit_code",
    "timed_out",
    "cancelled",
    "interrupted",
    "expired",
    "refused",
    "signalled",
];
/// Whether something of a job waits or runs.
pub const JOB_STATES: &[&str] = &["active", "done"];
/// How far alerts are; `unresolved` stands for the first two.
pub const ALERT_STATUSES: &[&str] = &["open", "acknowledged", "resolved", "unresolved"];
/// How bad alerts are.
pub const SEVERITIES: &[&str] = &["info", "warning", "critical"];
/// For what policies are.
pub const POLICY_LEVELS: &[&str] = &["default", "client", "site", "agent"];
/// Whether a maintenance window has begun.
pub const WINDOW_STATES: &[&str] = &["active", "upcoming"];
/// How notifications are told.
pub const CHANNEL_KINDS: &[&str] = &["email", "webhook"];
/// How sessions are; `open` stands for the first two.
pub const SESSION_STATUSES: &[&str] = &["active", "ready", "closed", "error", "open"];

/// Where releases are offered.
pub const CHANNELS: &[&str] = &["stable", "beta"];
/// How rollouts are.
pub const ROLLOUT_STATES: &[&str] = &["running", "paused", "stopped", "failed", "completed"];

/// As what an export comes.
pub const FORMATS: &[&str] = &["csv", "jsonl"];

const FROM: Filter = ("from", Kind::Time, "from this time on");
const TO: Filter = ("to", Kind::Time, "up to this time");
const USER: Filter = ("user_id", Kind::Id, "what this user did");
const AGENT: Filter = ("agent_id", Kind::Id, "about this agent");
const SITE: Filter = ("site_id", Kind::Id, "about this site");
const SESSION: Filter = ("session_id", Kind::Id, "in this session");
const COMMAND: Filter = ("command_id", Kind::Id, "about this command");
const ACTION: Filter = (
    "action",
    Kind::Text,
    "this action, or with a dot at its end all that begin so",
);
const OUTCOME: Filter = ("outcome", Kind::Text, "what ended so");
const Q: Filter = ("q", Kind::Text, "a part of the text, whatever its case");
const CLIENT: Filter = ("client_id", Kind::Id, "those of this client");
const OF_SITE: Filter = ("site_id", Kind::Id, "those of this site");
const OF_AGENT: Filter = ("agent_id", Kind::Id, "those of this agent");
const GIVER: Filter = ("user_id", Kind::Id, "those that this user gave");

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident: $sort:ty = $filters:expr;)*) => { $(
        $(#[$doc])*
        pub struct $name;

        impl Parameters for $name {
            type Sort = $sort;
            const FILTERS: &'static [Filter] = $filters;
        }

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                described::<Self>()
            }
        }
    )* };
}

lists! {
    /// The list of clients.
    Clients: ClientSort = &[Q];
    /// The sites of one client.
    SitesOfClient: SiteSort = &[Q];
    /// The list of sites.
    Sites: SiteSort = &[CLIENT, Q];
    /// The list of agents.
    Agents: AgentSort = &[
        ("site_id", Kind::Id, "those of this site"),
        CLIENT,
        ("status", Kind::Choice(STATUSES), "those that are connected, or not"),
        ("os_family", Kind::Text, "as `linux`"),
        Q,
    ];
    /// The agents without a site.
    Unassigned: AgentSort = &[Q];
    /// The list of users.
    Users: UserSort = &[
        Q,
        ("role", Kind::Choice(ROLES), "those of this role"),
        ("disabled", Kind::Choice(YES_NO), "those that may not log in, or the others"),
    ];
    /// The list of keys.
    Keys: ApiKeySort = &[
        Q,
        ("all", Kind::Choice(YES_NO), "those of all users, for administrators"),
    ];
    /// The list of commands.
    Commands: CommandSort = &[
        OF_AGENT, OF_SITE, CLIENT,
        ("job_id", Kind::Id, "those of this job"),
        GIVER,
        ("status", Kind::Choice(COMMAND_STATUSES), "those of this status"),
        ("reason", Kind::Choice(COMMAND_REASONS), "those that failed so"),
        FROM, TO, Q,
    ];
    /// The list of jobs.
    Jobs: JobSort = &[
        GIVER,
        ("state", Kind::Choice(JOB_STATES), "those of which something waits or runs, or the others"),
        FROM, TO, Q,
    ];
    /// The list of alerts.
    Alerts: AlertSort = &[
        ("status", Kind::Choice(ALERT_STATUSES), "those of this status; `unresolved` are open and acknowledged ones"),
        ("severity", Kind::Choice(SEVERITIES), "those of this severity"),
        ("kind", Kind::Text, "those of this kind, as `cpu`; of `service_down` those of every service"),
        OF_AGENT, OF_SITE, CLIENT, FROM, TO, Q,
    ];
    /// The list of policies.
    Policies: PolicySort = &[
        ("level", Kind::Choice(POLICY_LEVELS), "those for all, for clients, for sites or for agents"),
        ("client_id", Kind::Id, "the one of this client"),
        ("site_id", Kind::Id, "the one of this site"),
        ("agent_id", Kind::Id, "the one of this agent"),
        Q,
    ];
    /// The list of registration tokens.
    Tokens: TokenSort = &[
        OF_SITE, CLIENT,
        ("usable", Kind::Choice(YES_NO), "those that let agents in still, or the others"),
        Q,
    ];
    /// The list of notification channels.
    Channels: ChannelSort = &[
        CLIENT,
        ("kind", Kind::Choice(CHANNEL_KINDS), "those of this kind"),
        ("enabled", Kind::Choice(YES_NO), "those that are used, or the others"),
        Q,
    ];
    /// The list of maintenance windows.
    Windows: WindowSort = &[
        ("state", Kind::Choice(WINDOW_STATES), "those that have begun, or the others"),
        ("client_id", Kind::Id, "those of this client as a whole"),
        OF_SITE, OF_AGENT, Q,
    ];
    /// The list of sessions.
    Sessions: SessionSort = &[
        ("tech_id", Kind::Id, "those of this user"),
        OF_AGENT, OF_SITE, CLIENT,
        ("status", Kind::Choice(SESSION_STATUSES), "those of this status; `open` are active and ready ones"),
        FROM, TO, Q,
    ];
    /// The list of scripts.
    Scripts: ScriptSort = &[Q];
    /// The list of schedules.
    Schedules: ScheduleSort = &[
        Q,
        ("enabled", Kind::Choice(YES_NO), "those that run by the clock, or the others"),
    ];
    /// The audit.
    Acts: ActSort = &[
        FROM, TO, USER, AGENT, CLIENT, SITE, SESSION, COMMAND, ACTION, OUTCOME, Q,
    ];
    /// The audit as a file.
    ActsExport: ActSort = &[
        FROM, TO, USER, AGENT, CLIENT, SITE, SESSION, COMMAND, ACTION, OUTCOME, Q,
        ("format", Kind::Choice(FORMATS), "CSV, or one JSON object a line; CSV"),
    ];
    /// The list of recordings.
    Recordings: RecordingSort = &[
        FROM, TO, AGENT, CLIENT, SITE, SESSION, Q,
        ("tech_id", Kind::Id, "of this user's terminals"),
        ("state", Kind::Choice(RecordingState::NAMES), "those of this state"),
    ];
    /// The list of releases.
    Releases: ReleaseSort = &[
        ("channel", Kind::Choice(CHANNELS), "those of this channel"),
        ("platform", Kind::Text, "those for this platform, as `linux-x86_64`"),
        ("version", Kind::Text, "those of this version"),
    ];
    /// The list of rollouts.
    Rollouts: RolloutSort = &[
        ("channel", Kind::Choice(CHANNELS), "those to this channel"),
        ("state", Kind::Choice(ROLLOUT_STATES), "those in this state"),
    ];
    /// An agent's past load.
    History: HistorySort = &[
        ("from", Kind::Time, "the beginning; 1 hour, 1 day or 30 days before `to`"),
        ("to", Kind::Time, "the end; now"),
        ("step", Kind::Choice(STEPS), "samples as they came, by the minute or by the hour"),
    ];
}

fn described<P: Parameters>() -> Vec<Parameter> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let keys = P::Sort::KEYS.iter().map(|(word, _)| *word);
    let sorts: Vec<String> = keys
        .flat_map(|word| [word.to_owned(), format!("-{word}")])
        .collect();
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(LIMIT_MOST))
        .default(Some(LIMIT_DEFAULT.into()));
    let mut all = vec![
        query("limit", "rows of a page", limit),
        query(
            "cursor",
            "`next_cursor` of the page before, with the same `sort`",
            text().max_length(Some(CURSOR_BYTES)),
        ),
        query(
            "sort",
            "the order; `-` turns it round",
            text().enum_values(Some(sorts)),
        ),
    ];
    for (name, kind, description) in P::FILTERS {
        let format = |format| text().format(Some(SchemaFormat::KnownFormat(format)));
        let schema = match kind {
            Kind::Id => format(KnownFormat::Uuid),
            Kind::Time => format(KnownFormat::DateTime),
            Kind::Choice(words) => text().enum_values(Some(words.iter().copied())),
            Kind::Text => text().min_length(Some(1)).max_length(Some(WORDS)),
        };
        all.push(query(name, description, schema));
    }
    all
}

fn query(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(Schema::Object(schema.build())))
        .build()
}
