//! What is filled in: code to run, and a new ceiling. Pure.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::id::RunId;
use crate::sandbox::Language;

/// The field with the code.
pub(in crate::discord) const CODE: &str = "code";
/// The field with its language.
pub(in crate::discord) const LANGUAGE: &str = "language";
/// The field with the ceiling.
pub(in crate::discord) const USD: &str = "usd";

const PREFIX: &str = "tb1:ask";
const MOST_CODE: usize = 4_000;

/// Something to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::discord) enum Modal {
    /// Code, and what it is in.
    Run {
        /// What was chosen so far.
        language: Language,
    },
    /// A new ceiling for the conversation of a run that ended at one.
    Budget {
        /// The run.
        run: RunId,
        /// One with room to go on.
        suggested: Option<u64>,
    },
}

/// What was filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::discord) enum Filled {
    /// Code.
    Run,
    /// A ceiling.
    Budget(RunId),
}

impl Filled {
    /// Which it is, from what it says of itself; none when it is none of ours.
    pub fn parse(custom_id: &str) -> Option<Self> {
        let rest = custom_id.strip_prefix(PREFIX)?.strip_prefix(':')?;
        match rest.split_once(':') {
            None if rest == "run" => Some(Self::Run),
            Some(("budget", run)) => Some(Self::Budget(RunId(Uuid::try_parse(run).ok()?))),
            Some(_) | None => None,
        }
    }
}

impl Modal {
    /// As Discord is told.
    pub fn json(self) -> Value {
        match self {
            Self::Run { language } => {
                let code = json!({"custom_id": CODE, "label": "Code", "style": 2, "required": true, "max_length": MOST_CODE,
                    "placeholder": "It runs as it is, without a model."});
                let language = json!({"custom_id": LANGUAGE, "label": "Language", "style": 1, "required": false,
                    "max_length": 30, "value": language.fence()});
                json!({"custom_id": format!("{PREFIX}:run"), "title": "Run code", "components": [row(code), row(language)]})
            }
            Self::Budget { run, suggested } => {
                let mut field = json!({"custom_id": USD, "label": "At most, in US dollars", "style": 1, "required": true,
                    "max_length": 20});
                if let Some(suggested) = suggested {
                    field["value"] = suggested.to_string().into();
                }
                json!({"custom_id": format!("{PREFIX}:budget:{}", run.0.simple()), "title": "How much may it cost?",
                    "components": [row(field)]})
            }
        }
    }
}

fn row(mut field: Value) -> Value {
    field["type"] = 4.into();
    json!({"type": 1, "components": [field]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modal_says_what_it_is_about() {
        let run = RunId::new();
        let id = |modal: Modal| modal.json()["custom_id"].as_str().map(str::to_owned).unwrap_or_default();
        assert_eq!(Filled::parse(&id(Modal::Run { language: Language::Python })), Some(Filled::Run));
        assert_eq!(Filled::parse(&id(Modal::Budget { run, suggested: Some(4) })), Some(Filled::Budget(run)));
        for foreign in ["", "tb1:ask", "tb1:ask:", "tb1:ask:budget:x", "tb2:ask:run", "other"] {
            assert_eq!(Filled::parse(foreign), None);
        }
    }
}
