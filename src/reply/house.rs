//! Short comments about the rules of a repository and a thread: its file, its model, its ceiling, and who may change them.

use serde::{Deserialize, Serialize};

use super::{fence, inline};

/// A short comment about the rules here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum HouseCard {
    /// The repository's file has mistakes.
    WrongFile {
        /// Where it lies.
        path: String,
        /// Line and reason, in order.
        problems: Vec<(usize, String)>,
    },
    /// Mentions in free words do not count in this repository.
    MentionsOff {
        /// Our name, without `@`.
        handle: String,
        /// The label that counts instead.
        label: Option<String>,
    },
    /// They may ask, but not set models and ceilings.
    NotTheirs {
        /// Who asked.
        login: String,
    },
    /// The same on Discord.
    NotTheirsOnDiscord {
        /// Who asked.
        login: String,
    },
    /// The thread has this model now.
    Model {
        /// `provider/model`.
        name: String,
        /// False when its price is not known, so that ceilings of money cannot hold it.
        priced: bool,
    },
    /// The model cannot be asked here.
    NoSuchModel {
        /// As they wrote it.
        name: String,
        /// The providers that can be.
        providers: Vec<String>,
    },
    /// Runs of the thread may cost this much now.
    Budget {
        /// Thousandths of a dollar.
        milli_usd: u64,
        /// True when they wanted more than a day may cost.
        capped: bool,
    },
}

/// Problems that are listed.
const MOST_LISTED: usize = 10;

/// The comment without its marker.
pub(super) fn text(card: &HouseCard) -> String {
    match card {
        HouseCard::WrongFile { path, problems } => wrong_file(path, problems),
        HouseCard::MentionsOff { handle, label } => {
            let handle = inline::plain(handle, 60);
            let instead = match label {
                Some(label) => format!("Add the label {} instead, or use a command: `@{handle} help`.", fence::code_span(label)),
                None => format!("Use a command instead: `@{handle} help`."),
            };
            format!(
                "This repository's file says that mentions in free words do not count here (`[triggers] mention = false`), so nothing was run. {instead}"
            )
        }
        HouseCard::NotTheirs { login } => format!(
            "What runs may cost and which model answers is set by those who maintain this repository, or are named under `[allow]` in its file. {} is not among them, so nothing was changed.",
            inline::plain(login, 60)
        ),
        HouseCard::NotTheirsOnDiscord { login } => format!(
            "What runs may cost and which model answers is set by those who have a role of `DISCORD_ALLOW_ROLES`, or whose linked account maintains the linked repository. {} is not among them, so nothing was changed.",
            inline::plain(login, 60)
        ),
        HouseCard::Model { name, priced } => {
            let price = if *priced {
                ""
            } else {
                " Its price is not known to me, so no ceiling of money can hold its runs; steps and time still do."
            };
            format!("From now on {} answers in this conversation.{price}", fence::code_span(name))
        }
        HouseCard::NoSuchModel { name, providers } => {
            let known: Vec<String> = providers.iter().map(|name| format!("`{}`", inline::plain(name, 40))).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!(
                "I cannot ask {}: this service has no key for its provider. Nothing was changed. Providers that work here: {known}.",
                fence::code_span(&name.chars().take(100).collect::<String>())
            )
        }
        HouseCard::Budget { milli_usd, capped } => {
            let usd = super::answer::dollars(*milli_usd);
            let cap = if *capped { " More than a whole day may cost (`DAILY_BUDGET_USD`) is not possible." } else { "" };
            format!("A run in this conversation may cost ${usd} now.{cap}")
        }
    }
}

fn wrong_file(path: &str, problems: &[(usize, String)]) -> String {
    let mut lines = vec![
        format!("{} has mistakes. Where it is wrong the defaults hold; what is right in it counts.", fence::code_span(path)),
        String::new(),
    ];
    lines.extend(
        problems.iter().take(MOST_LISTED).map(|(line, reason)| format!("- line {line}: {}", inline::sentence(reason, 400))),
    );
    match problems.len().saturating_sub(MOST_LISTED) {
        0 => {}
        more => lines.push(format!("- and {more} more")),
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_the_rules() {
        let cards = [
            HouseCard::WrongFile {
                path: ".github/threadbox.toml".into(),
                problems: vec![(3, "unknown section `agnet`; did you mean `agent`?".into()), (9, "@maya <b>".into())],
            },
            HouseCard::MentionsOff { handle: "threadbox".into(), label: Some("robot".into()) },
            HouseCard::MentionsOff { handle: "threadbox".into(), label: None },
            HouseCard::NotTheirs { login: "wes".into() },
            HouseCard::Model { name: "openai/gpt-4.1".into(), priced: true },
            HouseCard::Model { name: "local/x".into(), priced: false },
            HouseCard::NoSuchModel { name: "acme/x".into(), providers: vec!["anthropic".into(), "openai".into()] },
            HouseCard::Budget { milli_usd: 5_000, capped: false },
            HouseCard::Budget { milli_usd: 50_000, capped: true },
        ];
        let all: Vec<String> = cards.iter().map(text).collect();
        insta::assert_snapshot!(all.join("\n---\n").replace('\u{200b}', "·"), @r"
        `.github/threadbox.toml` has mistakes. Where it is wrong the defaults hold; what is right in it counts.

        - line 3: unknown section `agnet`; did you mean `agent`?
        - line 9: @·maya &lt;b>
        ---
        This repository's file says that mentions in free words do not count here (`[triggers] mention = false`), so nothing was run. Add the label `robot` instead, or use a command: `@threadbox help`.
        ---
        This repository's file says that mentions in free words do not count here (`[triggers] mention = false`), so nothing was run. Use a command instead: `@threadbox help`.
        ---
        What runs may cost and which model answers is set by those who maintain this repository, or are named under `[allow]` in its file. wes is not among them, so nothing was changed.
        ---
        From now on `openai/gpt-4.1` answers in this conversation.
        ---
        From now on `local/x` answers in this conversation. Its price is not known to me, so no ceiling of money can hold its runs; steps and time still do.
        ---
        I cannot ask `acme/x`: this service has no key for its provider. Nothing was changed. Providers that work here: `anthropic`, `openai`.
        ---
        A run in this conversation may cost $5.00 now.
        ---
        A run in this conversation may cost $50.00 now. More than a whole day may cost (`DAILY_BUDGET_USD`) is not possible.
        ");
    }
}
