//! What is said where a limit ended a run: what was reached, what was spent, what going on would cost, and who can let it go on.

use std::time::Duration;

use crate::reply::{LimitKind, Reckoning, inline};

/// The warning above the answer.
pub(super) fn header(limit: LimitKind, reckoning: Option<&Reckoning>) -> String {
    let Some(reckoning) = reckoning else {
        return format!("> [!WARNING]\n> {} What was reached until then is kept. {}", reached(limit), go_on(limit));
    };
    let lines = [
        format!("{} {} What was reached until then is kept.", reached(limit), spent(reckoning)),
        remains(reckoning.doing.as_deref()),
        how(limit, reckoning),
    ];
    format!("> [!WARNING]\n> {}", lines.join("\n>\n> "))
}

pub(in crate::reply) fn reached(limit: LimitKind) -> String {
    match limit {
        LimitKind::Steps { max } => format!("**Ended at the limit of {}.**", inline::counted(max.into(), "step")),
        LimitKind::Time { seconds } => format!("**Ended at the time limit of {}.**", inline::time(Duration::from_secs(seconds))),
        LimitKind::Cost { max_milli_usd } => format!("**Ended at the cost limit of ${}.**", dollars(max_milli_usd)),
        LimitKind::DailyCost { max_milli_usd } => {
            format!("**Ended: the budget of ${} for today is used up.**", dollars(max_milli_usd))
        }
        LimitKind::PersonDailyCost { max_milli_usd } => {
            format!("**Ended: your budget of ${} for today is used up.**", dollars(max_milli_usd))
        }
        LimitKind::RepositoryDailyCost { max_milli_usd } => {
            format!("**Ended: the budget of ${} of this repository for today is used up.**", dollars(max_milli_usd))
        }
    }
}

pub(in crate::reply) fn spent(reckoning: &Reckoning) -> String {
    let spent = dollars(reckoning.spent_milli_usd);
    match reckoning.next_milli_usd {
        Some(next) => format!("This run has cost ${spent}, and its next step would cost about ${}.", dollars(next)),
        None => format!("This run has cost ${spent}."),
    }
}

pub(in crate::reply) fn remains(doing: Option<&str>) -> String {
    match doing.map(|doing| inline::sentence(doing, 200)).filter(|doing| !doing.is_empty()) {
        Some(doing) => format!("The request is not finished. Done last: {doing}"),
        None => "The request is not finished.".to_owned(),
    }
}

fn how(limit: LimitKind, reckoning: &Reckoning) -> String {
    let raise = reckoning.raise_to_usd;
    match limit {
        LimitKind::Cost { .. } => format!(
            "It goes on exactly there when somebody who maintains this repository mentions me with `budget {raise}`: runs of this \
             conversation may then cost ${raise} each."
        ),
        LimitKind::Steps { .. }
        | LimitKind::Time { .. }
        | LimitKind::DailyCost { .. }
        | LimitKind::PersonDailyCost { .. }
        | LimitKind::RepositoryDailyCost { .. } => {
            format!(
                "{} Then it goes on exactly there when somebody who maintains this repository mentions me with `budget {raise}`.",
                go_on(limit)
            )
        }
    }
}

fn go_on(limit: LimitKind) -> &'static str {
    match limit {
        LimitKind::Steps { .. } | LimitKind::Time { .. } | LimitKind::Cost { .. } => {
            "Mention me with “continue” to go on from there."
        }
        LimitKind::DailyCost { .. } => {
            "It starts afresh tomorrow (UTC); whoever runs this service can raise it with `DAILY_BUDGET_USD`."
        }
        LimitKind::PersonDailyCost { .. } => {
            "It starts afresh tomorrow (UTC); whoever runs this service can raise it with `USER_DAILY_BUDGET_USD`."
        }
        LimitKind::RepositoryDailyCost { .. } => {
            "It starts afresh tomorrow (UTC); it is set by `REPOSITORY_DAILY_BUDGET_USD`, or lower by `[limits]` in the repository's file."
        }
    }
}

/// Thousandths of a dollar as people write them.
pub(in crate::reply) fn dollars(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.strip_suffix('0').map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_says_what_was_spent_and_how_to_go_on() {
        let reckoning = Reckoning {
            spent_milli_usd: 1_870,
            next_milli_usd: Some(210),
            raise_to_usd: 4,
            doing: Some("Running `cargo test`".into()),
        };
        insta::assert_snapshot!(header(LimitKind::Cost { max_milli_usd: 2_000 }, Some(&reckoning)), @r"
        > [!WARNING]
        > **Ended at the cost limit of $2.00.** This run has cost $1.87, and its next step would cost about $0.21. What was reached until then is kept.
        >
        > The request is not finished. Done last: Running `cargo test`
        >
        > It goes on exactly there when somebody who maintains this repository mentions me with `budget 4`: runs of this conversation may then cost $4 each.
        ");
        let cheap = Reckoning { next_milli_usd: None, doing: None, ..reckoning };
        insta::assert_snapshot!(header(LimitKind::PersonDailyCost { max_milli_usd: 5_000 }, Some(&cheap)), @r"
        > [!WARNING]
        > **Ended: your budget of $5.00 for today is used up.** This run has cost $1.87. What was reached until then is kept.
        >
        > The request is not finished.
        >
        > It starts afresh tomorrow (UTC); whoever runs this service can raise it with `USER_DAILY_BUDGET_USD`. Then it goes on exactly there when somebody who maintains this repository mentions me with `budget 4`.
        ");
    }
}
