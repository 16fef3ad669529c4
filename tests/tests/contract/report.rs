//! What Schemathesis reports: which operations the server carried out, and how far links were followed.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

/// An operation of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its method, in capitals.
    pub method: String,
    /// Its path, with names in braces.
    pub path: String,
}

impl Operation {
    /// The operation of a method in any case.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What one run did.
#[derive(Debug, Default)]
pub struct Report {
    /// Scenarios of the stateful phase.
    pub scenarios: usize,
    /// Links that were followed.
    pub links: u64,
    /// Methods and paths, as they were asked, of requests that were answered with 2xx.
    done: BTreeSet<(String, String)>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "ScenarioFinished")]
    scenario: Option<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    phase: String,
    recorder: Recorder,
}

#[derive(Deserialize)]
struct Recorder {
    #[serde(default)]
    interactions: HashMap<String, Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: Request,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    uri: String,
}

#[derive(Deserialize)]
struct Response {
    status_code: u16,
}

impl Report {
    /// Reads the events of a run, and the table that it printed at its end.
    pub fn read(events: &Path, printed: &str) -> Self {
        let mut report = Self {
            links: links(printed),
            ..Self::default()
        };
        let events = File::open(events).expect("the run wrote its events");
        for line in BufReader::new(events).lines() {
            let line = line.expect("it is text");
            let line: Line = serde_json::from_str(&line).expect("it is an event");
            let Some(scenario) = line.scenario else {
                continue;
            };
            let is_stateful = scenario.phase.to_lowercase().contains("stateful");
            report.scenarios += usize::from(is_stateful);
            for interaction in scenario.recorder.interactions.into_values() {
                let Some(response) = interaction.response else {
                    continue;
                };
                if (200..300).contains(&response.status_code) {
                    let path = path_of(&interaction.request.uri);
                    report.done.insert((interaction.request.method, path));
                }
            }
        }
        report
    }

    /// Whether the server carried this operation out.
    pub fn has_done(&self, method: &str, path: &str) -> bool {
        let wanted = |(m, p): &(String, String)| m == method && is_one_of(p, path);
        self.done.iter().any(wanted)
    }
}

/// How many links the printed table says were followed; none where there is no such row.
fn links(printed: &str) -> u64 {
    let row = printed.split("API Links:").nth(1).unwrap_or_default();
    let number = row.split_whitespace().next().unwrap_or_default();
    number.parse().unwrap_or_default()
}

/// The path of a URI, without what comes before and behind it.
fn path_of(uri: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Whether a path is one that a template describes: /api/agents/stats is no agent's.
fn is_one_of(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    let fits = |(part, name): (&str, &str)| {
        let is_id = uuid::Uuid::parse_str(part).is_ok();
        match name {
            "{id}" | "{session_id}" => is_id,
            name if name.starts_with('{') => true,
            name => part == name,
        }
    };
    path.clone().count() == template.clone().count() && path.zip(template).all(fits)
}
