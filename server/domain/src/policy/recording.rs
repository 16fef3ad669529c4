//! Whether terminals are recorded, whether they may run without, and how long recordings are kept.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// How long recordings are kept where nothing else is said.
const KEEP_DAYS: u32 = 90;

/// Whether terminals are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct RecordingPolicy {
    /// What of a terminal is recorded; nothing where nobody says.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<RecordingMode>,
    /// Whether a terminal that cannot be recorded is refused, and ended where its recording fails.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// How long a recording is kept; 90 days where nobody says.
    #[garde(range(min = 1, max = 3650))]
    #[schema(minimum = 1, maximum = 3650)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
}

/// What of a terminal is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(utoipa::ToSchema)]
pub enum RecordingMode {
    /// Nothing.
    #[default]
    Off,
    /// What is shown.
    Output,
    /// What is shown and what is typed, passwords too.
    OutputAndInput,
}

/// What holds for the terminals of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingRules {
    /// What is recorded.
    pub mode: RecordingMode,
    /// Whether a terminal may not run without its recording.
    pub required: bool,
    /// How long it is kept.
    pub keep_days: u32,
}

impl RecordingPolicy {
    /// What holds, with the defaults for what nobody says.
    #[must_use]
    pub fn rules(&self) -> RecordingRules {
        let mode = self.mode.unwrap_or_default();
        RecordingRules {
            mode,
            // What is not to be recorded at all cannot fail to be.
            required: mode != RecordingMode::Off && self.required.unwrap_or(false),
            keep_days: self.keep_days.unwrap_or(KEEP_DAYS),
        }
    }
}

impl RecordingRules {
    /// Whether anything is recorded.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode != RecordingMode::Off
    }

    /// Whether what is typed is recorded, too.
    #[must_use]
    pub fn with_input(&self) -> bool {
        self.mode == RecordingMode::OutputAndInput
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Layer, Level, PolicySettings, merge};
    use super::*;

    fn settings(value: serde_json::Value) -> PolicySettings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn without_a_word_nothing_is_recorded_and_nothing_is_required() {
        let rules = RecordingPolicy::default().rules();
        assert_eq!((rules.is_on(), rules.required), (false, false));
        assert_eq!(rules.keep_days, 90);
        let off = settings(json!({"recording": {"mode": "off", "required": true}}));
        assert!(!off.recording.rules().required, "off is off");
    }

    #[test]
    fn the_nearest_policy_says_whether_input_is_recorded() {
        let layer = |level, value| Layer {
            policy_id: gururmm_shared::PolicyId::generate(),
            name: String::new(),
            level,
            settings: settings(value),
        };
        let merged = merge(vec![
            layer(
                Level::Default,
                json!({"recording": {"mode": "output_and_input", "required": true, "keep_days": 7}}),
            ),
            layer(Level::Agent, json!({"recording": {"mode": "output"}})),
        ]);
        let rules = merged.settings.recording.rules();
        assert!(rules.is_on() && !rules.with_input());
        assert_eq!((rules.required, rules.keep_days), (true, 7));
        assert_eq!(merged.sources["recording.mode"].level, Level::Agent);
    }

    #[test]
    fn days_outside_their_limits_and_unknown_modes_are_refused() {
        for days in [0, 3651] {
            let error = settings(json!({"recording": {"keep_days": days}}))
                .validate()
                .unwrap_err();
            assert!(error.to_string().contains("recording.keep_days"), "{error}");
        }
        let unknown = json!({"recording": {"mode": "input"}});
        assert!(serde_json::from_value::<PolicySettings>(unknown).is_err());
    }
}
