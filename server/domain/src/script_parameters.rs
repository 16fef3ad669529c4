//! What a script may be given: the parameters that it declares, and whether values fit them.
//!
//! A value never becomes a part of the script's text: it travels as an environment variable
//! (`gururmm_shared::environment`), so there is nothing to escape and nothing to forget to.

use std::collections::{BTreeMap, BTreeSet};

use gururmm_shared::environment::{
    ENVIRONMENT_VARIABLES, check_environment, check_parameter_name, check_value, variable_of,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Characters of a parameter's description.
const DESCRIPTION_CHARS: usize = 500;
/// Choices of a parameter.
const CHOICES: usize = 100;

/// What values a parameter has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScriptParameterKind)]
pub enum Kind {
    /// Any text.
    #[default]
    Text,
    /// A number as JSON has it.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of some texts.
    Choice,
}

/// A parameter that a script declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScriptParameter)]
pub struct Parameter {
    /// Its name.
    #[schema(pattern = "^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
    pub name: String,
    /// What it is for.
    #[schema(max_length = 500)]
    #[serde(default)]
    pub description: String,
    /// Whether the script cannot do without.
    #[serde(default)]
    pub required: bool,
    /// What it is where nothing is given; without one the variable is not set then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What values it has.
    #[serde(default)]
    pub kind: Kind,
    /// The texts of a choice.
    #[schema(max_items = 100)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// Which field is at fault, and a sentence that says what is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As `parameters.service`.
    pub field: String,
    /// What is right.
    pub detail: String,
}

fn fault(name: &str, detail: impl std::fmt::Display) -> Fault {
    let name: String = name.chars().take(80).collect();
    let field = format!("parameters.{name}");
    Fault {
        detail: format!("{field} {detail}"),
        field,
    }
}

/// Whether a script may declare these parameters.
///
/// # Errors
/// The first fault.
pub fn check_declared(declared: &[Parameter]) -> Result<(), Fault> {
    if declared.len() > ENVIRONMENT_VARIABLES {
        return Err(Fault {
            field: "parameters".to_owned(),
            detail: format!("a script has at most {ENVIRONMENT_VARIABLES} parameters"),
        });
    }
    let mut names = BTreeSet::new();
    for parameter in declared {
        let name = &parameter.name;
        check_parameter_name(name).map_err(|why| fault(name, format!("is no name: it {why}")))?;
        if !names.insert(variable_of(name)) {
            return Err(fault(name, "is declared twice; case makes no difference"));
        }
        if parameter.description.chars().count() > DESCRIPTION_CHARS
            || parameter.description.contains('\0')
        {
            let detail = format!("has a description of at most {DESCRIPTION_CHARS} characters");
            return Err(fault(name, detail));
        }
        check_choices(parameter).map_err(|detail| fault(name, detail))?;
        if let Some(default) = &parameter.default {
            if parameter.required {
                return Err(fault(name, "is required, so its default never counts"));
            }
            text_of(parameter, default).map_err(|why| fault(name, format!("as default {why}")))?;
        }
    }
    Ok(())
}

fn check_choices(parameter: &Parameter) -> Result<(), String> {
    let choices = &parameter.choices;
    if parameter.kind != Kind::Choice {
        if choices.is_empty() {
            return Ok(());
        }
        return Err("has choices, so its kind is choice".to_owned());
    }
    if !(1..=CHOICES).contains(&choices.len()) {
        return Err(format!("has 1 to {CHOICES} choices"));
    }
    for choice in choices {
        check_value(choice).map_err(|why| format!("has a choice that {why}"))?;
    }
    let different: BTreeSet<_> = choices.iter().collect();
    if different.len() < choices.len() {
        return Err("has a choice twice".to_owned());
    }
    Ok(())
}

/// A value as its variable holds it.
fn text_of(parameter: &Parameter, value: &Value) -> Result<String, String> {
    let text = match (parameter.kind, value) {
        (Kind::Text, Value::String(text)) => text.clone(),
        (Kind::Number, Value::Number(number)) => number.to_string(),
        (Kind::Boolean, Value::Bool(value)) => value.to_string(),
        (Kind::Choice, Value::String(text)) if parameter.choices.contains(text) => text.clone(),
        (Kind::Text, _) => return Err("is a text".to_owned()),
        (Kind::Number, _) => return Err("is a number".to_owned()),
        (Kind::Boolean, _) => return Err("is true or false".to_owned()),
        (Kind::Choice, _) => {
            let shown: Vec<_> = parameter.choices.iter().take(20).cloned().collect();
            return Err(format!("is one of {}", shown.join(", ")));
        }
    };
    check_value(&text)?;
    Ok(text)
}

/// What a script is run with: the values that are given and the defaults of the others, as texts.
///
/// # Errors
/// The first value that is missing, unknown or of another kind.
pub fn bind(
    declared: &[Parameter],
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, String>, Fault> {
    let known = |name: &String| declared.iter().any(|parameter| parameter.name == *name);
    if let Some(name) = given.keys().find(|name| !known(name)) {
        let names: Vec<_> = declared.iter().map(|one| one.name.as_str()).collect();
        let detail = if names.is_empty() {
            "is unknown: this script has no parameters".to_owned()
        } else {
            format!("is unknown: this script has {}", names.join(", "))
        };
        return Err(fault(name, detail));
    }
    let mut bound = BTreeMap::new();
    for parameter in declared {
        let name = &parameter.name;
        let Some(value) = given.get(name).or(parameter.default.as_ref()) else {
            if parameter.required {
                return Err(fault(name, "is required"));
            }
            continue;
        };
        let text = text_of(parameter, value).map_err(|why| fault(name, why))?;
        bound.insert(name.clone(), text);
    }
    check_environment(&variables(&bound)).map_err(|detail| Fault {
        field: "parameters".to_owned(),
        detail,
    })?;
    Ok(bound)
}

/// The variables of what a script is run with.
#[must_use]
pub fn variables(arguments: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let variable = |(name, value): (&String, &String)| (variable_of(name), value.clone());
    arguments.iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn declared(value: Value) -> Vec<Parameter> {
        serde_json::from_value(value).unwrap()
    }

    fn service() -> Vec<Parameter> {
        declared(json!([
            {"name": "service", "required": true},
            {"name": "tries", "kind": "number", "default": 3},
            {"name": "force", "kind": "boolean"},
            {"name": "mode", "kind": "choice", "choices": ["soft", "hard"]},
        ]))
    }

    fn given(value: Value) -> Result<BTreeMap<String, String>, String> {
        let given = serde_json::from_value(value).unwrap();
        bind(&service(), &given).map_err(|fault| fault.field)
    }

    #[test]
    fn values_become_texts_and_defaults_stand_in() {
        let bound = given(json!({"service": "a; b\n$(c)", "force": true, "mode": "hard"})).unwrap();
        let wanted = [
            ("force", "true"),
            ("mode", "hard"),
            ("service", "a; b\n$(c)"),
            ("tries", "3"),
        ];
        let wanted = wanted.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(bound, BTreeMap::from(wanted));
        assert_eq!(variables(&bound)["GURURMM_SERVICE"], "a; b\n$(c)");
        let bound = given(json!({"service": "", "tries": 1.5})).unwrap();
        assert_eq!(
            (bound["service"].as_str(), bound["tries"].as_str()),
            ("", "1.5")
        );
        assert!(
            !bound.contains_key("force"),
            "without a default it is not set"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (value, field) in [
            (json!({}), "parameters.service"),
            (
                json!({"service": "x", "Service": "y"}),
                "parameters.Service",
            ),
            (json!({"service": 1}), "parameters.service"),
            (json!({"service": null}), "parameters.service"),
            (json!({"service": "a\u{0}b"}), "parameters.service"),
            (json!({"service": "x".repeat(4097)}), "parameters.service"),
            (json!({"service": "x", "tries": "3"}), "parameters.tries"),
            (json!({"service": "x", "force": "yes"}), "parameters.force"),
            (json!({"service": "x", "mode": "Hard"}), "parameters.mode"),
        ] {
            assert_eq!(given(value.clone()), Err(field.to_owned()), "{value}");
        }
    }

    #[test]
    fn declarations_that_cannot_hold_are_refused() {
        for (value, field) in [
            (json!([{"name": "a b"}]), "parameters.a b"),
            (json!([{"name": "command_id"}]), "parameters.command_id"),
            (json!([{"name": "a"}, {"name": "A"}]), "parameters.A"),
            (
                json!([{"name": "a", "required": true, "default": "x"}]),
                "parameters.a",
            ),
            (
                json!([{"name": "a", "kind": "number", "default": "x"}]),
                "parameters.a",
            ),
            (json!([{"name": "a", "kind": "choice"}]), "parameters.a"),
            (
                json!([{"name": "a", "kind": "choice", "choices": ["x", "x"]}]),
                "parameters.a",
            ),
            (json!([{"name": "a", "choices": ["x"]}]), "parameters.a"),
            (
                json!([{"name": "a", "kind": "choice", "choices": ["x"], "default": "y"}]),
                "parameters.a",
            ),
        ] {
            let fault = check_declared(&declared(value.clone())).unwrap_err();
            assert_eq!(fault.field, field, "{value}");
        }
        let many: Vec<_> = (0..33)
            .map(|index| json!({"name": format!("a{index}")}))
            .collect();
        assert_eq!(
            check_declared(&declared(json!(many))).unwrap_err().field,
            "parameters"
        );
        assert_eq!(check_declared(&service()), Ok(()));
    }
}
