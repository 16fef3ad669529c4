//! The API's description (OpenAPI 3.1): what the handlers say of themselves, collected from the router
//! as it registers them, and what all of them have in common.

use actix_web::App;
use utoipa::OpenApi;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa_actix_web::AppExt;

use super::route_table::{Needs, ROUTES};
use super::router;
use crate::error::Problem;

/// What users send: the token of a log-in, or a key.
pub const BEARER: &str = "bearer";
/// What agents that poll send.
pub const AGENT_KEY: &str = "agent_key";
/// What browsers send: the token of a log-in as a cookie.
pub const COOKIE: &str = "cookie";

const PROBLEM: &str = "application/problem+json";

const REQUEST_ID: &str = "x-request-id";
const RATE_LIMIT: &str = "ratelimit";
const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
const RETRY_AFTER: &str = "retry-after";

#[derive(OpenApi)]
#[openapi(
    info(title = "GuruRMM", description = "The API of a GuruRMM server. Errors are RFC 9457 problems."),
    components(schemas(Problem, super::services::Control)),
    tags(
        (name = "auth", description = "Log-ins"),
        (name = "users", description = "Users"),
        (name = "keys", description = "Keys of users, for scripts"),
        (name = "clients", description = "Client organisations"),
        (name = "sites", description = "Sites of clients, where agents enrol"),
        (name = "agents", description = "Enrolled machines"),
        (name = "releases", description = "Releases of the agent, and how they come to machines"),
        (name = "install", description = "What an installer of the agent needs"),
        (name = "policies", description = "Settings of the fleet"),
        (name = "inventory", description = "What machines are made of"),
        (name = "alerts", description = "Alerts, and when there are none"),
        (name = "notifications", description = "How alerts are told"),
        (name = "tunnels", description = "Tunnels to machines"),
        (name = "recordings", description = "Recordings of terminals"),
        (name = "files", description = "Files of machines, through a tunnel"),
        (name = "services", description = "Services of machines, through a tunnel"),
        (name = "processes", description = "Processes of machines, through a tunnel"),
        (name = "registry", description = "The registry of Windows machines, through a tunnel"),
        (name = "commands", description = "Commands outside tunnels"),
        (name = "jobs", description = "One command for many agents"),
        (name = "audit", description = "What was written down"),
        (name = "polling", description = "Agents that poll"),
        (name = "system", description = "The server itself"),
        (name = "events", description = "What happens, as it happens"),
        (name = "health", description = "Signs of life"),
        (name = "docs", description = "This description")
    )
)]
struct Base;

/// The whole description.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let app = App::new().into_utoipa_app().openapi(Base::openapi());
    let (_, mut document) = app.configure(router::services).split_for_parts();
    let components = document.components.get_or_insert_default();
    let scheme = |description: &str| {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.description = Some(description.to_owned());
        RefOr::T(SecurityScheme::Http(http))
    };
    let schemes = [
        (
            BEARER,
            "the `token` of a log-in, or a user's key (`grmu_…`)",
        ),
        (AGENT_KEY, "the agent's own key (`grmm_…`)"),
    ];
    for (name, description) in schemes {
        let name = name.to_owned();
        components
            .security_schemes
            .insert(name, scheme(description));
    }
    let cookie = ApiKeyValue::with_description(
        super::browser::COOKIE,
        "a log-in with `cookie: true`; all but GET and HEAD need `X-GuruRMM-CSRF: 1` beside it",
    );
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
    components
        .security_schemes
        .insert(COOKIE.to_owned(), RefOr::T(cookie));
    components.headers.extend(headers());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete(method, path, operation);
        }
    }
    document
}

/// The operations of a path, with their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("HEAD", &mut item.head),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete(method: &str, path: &str, operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next().cloned();
    // Handlers have short names, which stand in many files.
    if let (Some(tag), Some(name)) = (&tag, &mut operation.operation_id) {
        *name = format!("{tag}_{name}");
    }
    let bearer = || SecurityRequirement::new(BEARER, [""; 0]);
    let cookie = || SecurityRequirement::new(COOKIE, [""; 0]);
    let security = operation
        .security
        .get_or_insert_with(|| vec![bearer(), cookie()]);
    let is_signed = security.contains(&bearer());
    let parameters = operation.parameters.iter_mut().flatten();
    let mut asks = false;
    for parameter in parameters {
        if let RefOr::T(parameter) = parameter {
            never_null(parameter);
            asks |= !parameter.name.starts_with("If-");
        }
    }
    let sends = operation.request_body.is_some();
    let needs = ROUTES
        .iter()
        .find(|(m, p, _)| *m == method && *p == path)
        .map(|(_, _, needs)| *needs);
    let forbids = match needs {
        Some(Needs::Capability(_)) => Some(
            "the role may not do this, or not here; or `csrf_header_missing`, `foreign_origin`",
        ),
        Some(Needs::Person) => Some("`not_with_a_key`: only for who is logged in"),
        Some(Needs::LogIn | Needs::AgentKey | Needs::Nothing) | None => None,
    };
    let answers_always = tag.as_deref() == Some("health");
    let common = [
        (asks || sends).then_some((400, "malformed; `field` names what is")),
        is_signed.then_some((401, "no token or key, or none that is good")),
        forbids.map(|why| (403, why)),
        sends.then_some((408, "`body_timeout`: the body did not come in time")),
        sends.then_some((413, "`body_too_large`")),
        is_signed.then_some((429, "`too_many_requests`; come back after `Retry-After`")),
        (!answers_always).then_some((500, "a fault of the server")),
        (!answers_always).then_some((503, "the database does not answer, or the server stops")),
    ];
    let responses = &mut operation.responses.responses;
    for (status, description) in common.into_iter().flatten() {
        let missing = || RefOr::T(Response::new(description));
        responses.entry(status.to_string()).or_insert_with(missing);
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response {
            finish(status, response, is_signed);
        }
    }
}

/// A parameter of a path, query or header is there or it is not: it is never null.
fn never_null(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema else {
        return;
    };
    if let SchemaType::Array(types) = &mut object.schema_type {
        types.retain(|kind| *kind != Type::Null);
        if let [only] = types.as_slice() {
            object.schema_type = SchemaType::Type(only.clone());
        }
    }
}

/// What every answer has: its headers, and the problem of an error.
fn finish(status: &str, response: &mut Response, is_signed: bool) {
    let is_error = status.starts_with(['4', '5']);
    if is_error && response.content.is_empty() {
        let problem = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(problem)).build();
        response
            .content
            .insert(PROBLEM.to_owned(), RefOr::T(content));
    }
    let limited = is_signed && status != "401";
    let wanted = [
        (true, REQUEST_ID),
        (limited, RATE_LIMIT),
        (limited, RATE_LIMIT_POLICY),
        (status == "429" || status == "503", RETRY_AFTER),
    ];
    for (_, name) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
        let header = Ref::new(format!("#/components/headers/{name}"));
        response.headers.insert(name.to_owned(), RefOr::Ref(header));
    }
}

/// The headers of many answers.
fn headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    let draft = "draft-ietf-httpapi-ratelimit-headers";
    let after = "seconds after which another try makes sense, where waiting helps";
    let all = [
        (REQUEST_ID, Type::String, "the request's id in the log"),
        (RATE_LIMIT, Type::String, draft),
        (RATE_LIMIT_POLICY, Type::String, draft),
        (RETRY_AFTER, Type::Integer, after),
    ];
    all.into_iter().map(|(name, kind, description)| {
        let mut header = Header::new(Object::with_type(kind));
        header.description = Some(description.to_owned());
        (name.to_owned(), RefOr::T(header))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    fn written() -> Value {
        serde_json::to_value(document()).unwrap()
    }

    /// Every operation with its method and path.
    fn described(document: &Value) -> Vec<(String, String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, it)| (method.to_uppercase(), path.clone(), it.clone()))
        });
        all.collect()
    }

    #[test]
    fn every_route_of_the_table_is_described_and_no_other() {
        let document = written();
        let described: BTreeSet<_> = described(&document)
            .into_iter()
            .map(|(method, path, _)| (method, path))
            .collect();
        let table: BTreeSet<_> = ROUTES
            .iter()
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        let missing: Vec<_> = table.difference(&described).collect();
        assert!(missing.is_empty(), "these are no routes: {missing:?}");
        let unseen: Vec<_> = described.difference(&table).collect();
        assert!(unseen.is_empty(), "write down what these need: {unseen:?}");
    }

    #[test]
    fn every_operation_says_what_it_is_and_what_it_needs() {
        let document = written();
        let mut names = BTreeSet::new();
        for (method, path, operation) in described(&document) {
            let what = format!("{method} {path}");
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{what}: {name} stands twice");
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(
                summary.ends_with('.') && !summary.contains('/'),
                "{what}: {summary:?}"
            );
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{what}");
            let answers = operation["responses"].as_object().unwrap();
            let done = |status: &String| status.starts_with('2') || status == "101";
            assert!(answers.keys().any(done), "{what} has no good answer");
            for (status, answer) in answers {
                assert!(answer["description"].is_string(), "{what} {status}");
                assert!(
                    answer["headers"]["x-request-id"].is_object(),
                    "{what} {status}"
                );
            }
            let security = operation["security"].as_array().unwrap();
            let open = security
                .iter()
                .any(|one| one.as_object().unwrap().is_empty());
            let bearer = security.iter().any(|one| one.get(BEARER).is_some());
            let cookie = security.iter().any(|one| one.get(COOKIE).is_some());
            assert_eq!(cookie, bearer, "{what} {security:?}");
            let agents = security.iter().any(|one| one.get(AGENT_KEY).is_some());
            let needs = ROUTES.iter().find(|(m, p, _)| *m == method && *p == path);
            let (_, _, needs) = needs.unwrap();
            // An agent's key may stand in the body, which no security scheme can say.
            let unsigned = matches!(needs, Needs::Nothing | Needs::AgentKey);
            let in_header = ["/api/agent/lanes/", "/api/agent/releases/"]
                .iter()
                .any(|begin| path.starts_with(begin));
            assert_eq!(open, unsigned && !in_header, "{what} {security:?}");
            assert_eq!(bearer, !unsigned, "{what} {security:?}");
            assert_eq!(agents, *needs == Needs::AgentKey, "{what} {security:?}");
        }
    }

    #[test]
    fn routes_are_registered_only_with_their_description() {
        assert!(!include_str!("router.rs").contains(".route("));
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_error_is_a_problem() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(to)) = map.get("$ref") {
                        found.insert(to.clone());
                    }
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = written();
        assert_eq!(document["openapi"], "3.1.0");
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for (method, path, operation) in described(&document) {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let is_error = status.starts_with(['4', '5']);
                let problem = &answer["content"][PROBLEM];
                assert_eq!(problem.is_object(), is_error, "{method} {path} {status}");
            }
        }
    }

    /// Two types of one name would hide each other: each `as` and each derived name stands once.
    #[test]
    fn no_two_schemas_share_a_name() {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let roots = ["src", "../shared/src"];
        let mut waiting: Vec<_> = roots.map(std::path::PathBuf::from).into();
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(
                    std::fs::read_dir(path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("ToSchema").skip(1) {
                let Some((head, body)) = part
                    .split_once("pub struct ")
                    .into_iter()
                    .chain(part.split_once("struct "))
                    .chain(part.split_once("enum "))
                    .min_by_key(|(head, _)| head.len())
                else {
                    continue;
                };
                // Whatever is further away belongs to something else.
                if head.contains('}') || head.contains(';') {
                    continue;
                }
                let own = body
                    .split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap_or_default();
                let name = head.split_once("as = ").map_or(own, |(_, rest)| {
                    rest.split(|c: char| !c.is_alphanumeric())
                        .next()
                        .unwrap_or_default()
                });
                // A macro's, or a text such as this one.
                if name.is_empty() {
                    continue;
                }
                let at = names.entry(name.to_owned()).or_default();
                assert!(
                    at.insert(path.display().to_string()),
                    "{name} twice in {path:?}"
                );
            }
        }
        assert!(names.len() > 40, "{names:?}");
        for (name, at) in names {
            assert_eq!(at.len(), 1, "{name}: {at:?}");
        }
    }
}
