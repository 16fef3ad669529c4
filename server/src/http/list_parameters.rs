//! What each list may be asked for, said once: `Listing` reads these parameters and no others, and
//! the API's description shows them.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Required, Schema};

use super::listing::{CURSOR_BYTES, LIMIT_DEFAULT, LIMIT_MOST, WORDS};
use crate::db::agents::AgentSort;
use crate::db::api_keys::ApiKeySort;
use crate::db::audit_acts::ActSort;
use crate::db::clients::ClientSort;
use crate::db::metrics_history::HistorySort;
use crate::db::page::SortKey;
use crate::db::recordings::RecordingSort;
use crate::db::schedules::ScheduleSort;
use crate::db::scripts::ScriptSort;
use crate::db::sites::SiteSort;
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
        FROM, TO, AGENT, SESSION,
        ("tech_id", Kind::Id, "of this user's terminals"),
        ("state", Kind::Choice(RecordingState::NAMES), "those of this state"),
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
