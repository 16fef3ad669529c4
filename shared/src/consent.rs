//! The person at the machine: whether they are asked before a tunnel opens, and what they said.

use serde::{Deserialize, Serialize};

/// What the person at the machine is asked or told before a tunnel opens (server to agent).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRequest {
    /// Whether they are asked.
    pub mode: ConsentMode,
    /// Who wants to work there, for the person.
    pub technician: String,
    /// How long they have to answer.
    pub timeout_seconds: u32,
    /// What counts where they do not answer in time.
    pub on_no_answer: ConsentDefault,
    /// What counts where nobody is there who can be asked.
    pub when_nobody_is_there: ConsentDefault,
}

/// Whether the person at the machine is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConsentMode {
    /// They are neither asked nor told.
    #[default]
    None,
    /// They are told.
    Notice,
    /// They are asked, and a no keeps the tunnel shut.
    Required,
}

/// What counts where there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConsentDefault {
    /// The tunnel opens.
    Allow,
    /// It does not.
    Refuse,
}

/// What became of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConsentOutcome {
    /// They said yes.
    Granted,
    /// They said no.
    Refused,
    /// They did not answer in time.
    NoAnswer,
    /// Nobody was there who could be asked or told.
    NobodyThere,
    /// The machine cannot ask anybody.
    CannotAsk,
    /// They were told.
    Told,
    /// A word of a newer agent.
    #[serde(other)]
    Unknown,
}

impl ConsentOutcome {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::NobodyThere => "nobody_there",
            Self::CannotAsk => "cannot_ask",
            Self::Told => "told",
            Self::Unknown => "unknown",
        }
    }
}

impl ConsentRequest {
    /// Whether the tunnel may open after this.
    #[must_use]
    pub fn allows(&self, outcome: ConsentOutcome) -> bool {
        if self.mode != ConsentMode::Required {
            return true;
        }
        match outcome {
            ConsentOutcome::Granted => true,
            ConsentOutcome::NoAnswer => self.on_no_answer == ConsentDefault::Allow,
            ConsentOutcome::NobodyThere | ConsentOutcome::CannotAsk => {
                self.when_nobody_is_there == ConsentDefault::Allow
            }
            // To be told is not to agree.
            ConsentOutcome::Refused | ConsentOutcome::Told | ConsentOutcome::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(mode: ConsentMode) -> ConsentRequest {
        ConsentRequest {
            mode,
            technician: "Ada".to_owned(),
            timeout_seconds: 30,
            on_no_answer: ConsentDefault::Refuse,
            when_nobody_is_there: ConsentDefault::Allow,
        }
    }

    #[test]
    fn a_required_yes_is_a_yes_and_the_defaults_stand_where_there_is_none() {
        let required = request(ConsentMode::Required);
        assert!(required.allows(ConsentOutcome::Granted));
        assert!(!required.allows(ConsentOutcome::Refused));
        assert!(!required.allows(ConsentOutcome::NoAnswer));
        assert!(required.allows(ConsentOutcome::NobodyThere));
        assert!(required.allows(ConsentOutcome::CannotAsk));
        assert!(!required.allows(ConsentOutcome::Told));
        assert!(!required.allows(ConsentOutcome::Unknown));
    }

    #[test]
    fn a_notice_keeps_nothing_shut() {
        for outcome in [ConsentOutcome::Told, ConsentOutcome::NobodyThere] {
            assert!(request(ConsentMode::Notice).allows(outcome));
        }
    }

    #[test]
    fn a_word_of_a_newer_agent_breaks_nothing() {
        let outcome: ConsentOutcome = serde_json::from_str("\"shrugged\"").unwrap();
        assert_eq!(outcome, ConsentOutcome::Unknown);
    }
}
