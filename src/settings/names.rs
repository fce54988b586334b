//! The names that exist, and what somebody may have meant with one that does not.

use super::reader::Reader;

/// Every variable with a name of its own. Keys and addresses of providers follow a pattern instead.
const KNOWN: [&str; 53] = [
    "DAILY_BUDGET_USD",
    "DATABASE_URL",
    "DAYTONA_API_KEY",
    "DAYTONA_API_URL",
    "DAYTONA_IMAGE",
    "DAYTONA_JWT_TOKEN",
    "DAYTONA_ORGANIZATION_ID",
    "DAYTONA_SNAPSHOT",
    "DAYTONA_TARGET",
    "DISCORD_ALLOW_CHANNELS",
    "DISCORD_ALLOW_GUILDS",
    "DISCORD_ALLOW_ROLES",
    "DISCORD_API_URL",
    "DISCORD_GUILD_DAILY_BUDGET_USD",
    "DISCORD_TOKEN",
    "EMBEDDING_MODEL",
    "GITHUB_API_URL",
    "GITHUB_APP_ID",
    "GITHUB_APP_PRIVATE_KEY",
    "GITHUB_TOKEN",
    "GITHUB_WEBHOOK_SECRET",
    "LOG_FORMAT",
    "MAX_CONCURRENT_RUNS",
    "MODEL",
    "REPOSITORY_DAILY_BUDGET_USD",
    "RUN_BUDGET_USD",
    "RUN_MAX_STEPS",
    "RUN_TIMEOUT",
    "RUST_LOG",
    "SANDBOX",
    "SANDBOX_CPUS",
    "SANDBOX_DISK_MB",
    "SANDBOX_IDLE_MINUTES",
    "SANDBOX_MEMORY_MB",
    "SANDBOX_NETWORK",
    "SANDBOX_WARM",
    "SANDBOX_WARM_HOURS_PER_DAY",
    "THREADBOX_ADMIN_TOKEN",
    "THREADBOX_ALLOW",
    "THREADBOX_DATA_DIR",
    "THREADBOX_INSTRUCTIONS",
    "THREADBOX_LISTEN",
    "THREADBOX_MEMORY_DAYS",
    "THREADBOX_NAME",
    "THREADBOX_OFFLINE",
    "THREADBOX_POSTGRES_BIN",
    "THREADBOX_POSTGRES_URL",
    "THREADBOX_PUBLIC_URL",
    "TITLE_MODEL",
    "USER_DAILY_BUDGET_USD",
    "USER_RUNS_PER_HOUR",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
];

const PREFIX: &str = "THREADBOX_";

/// Warns about names with our prefix that mean nothing, and near misses in the `.env`.
pub(super) fn report_unknown(reader: &mut Reader<'_>) {
    let names: Vec<&str> = reader.names().filter(|name| !KNOWN.contains(name)).collect();
    for name in names {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            let remedy = match closest_own(rest) {
                Some(guess) => format!("did you mean {guess}?"),
                None => "remove it".to_owned(),
            };
            reader.warn(name, "is unknown and has no effect", remedy);
        } else if reader.is_from_file(name)
            && !is_pattern(name)
            && let Some(guess) = closest(name, KNOWN)
        {
            reader.warn(name, "in `.env` is unknown and has no effect", format!("did you mean {guess}?"));
        }
    }
}

/// `THREADBOX_MODEL` means `MODEL`; otherwise the nearest of our own, compared without the prefix they share.
fn closest_own(rest: &str) -> Option<String> {
    if KNOWN.contains(&rest) {
        return Some(rest.to_owned());
    }
    let own = KNOWN.into_iter().filter_map(|name| name.strip_prefix(PREFIX));
    closest(rest, own).map(|guess| format!("{PREFIX}{guess}"))
}

fn is_pattern(name: &str) -> bool {
    name.ends_with("_API_KEY") || name.ends_with("_BASE_URL")
}

/// The candidate most like the text, if one is like it at all.
pub(crate) fn closest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    const LIKE: f64 = 0.7;
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(text, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../.env.example");
    const README: &str = include_str!("../../README.md");

    fn example_names() -> Vec<&'static str> {
        let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix("# "));
        lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name).filter(is_name).collect()
    }

    #[test]
    fn every_variable_is_in_the_example_and_in_the_readme() {
        let example = example_names();
        for name in KNOWN {
            assert!(example.contains(&name), "{name} is missing in .env.example");
            assert!(README.contains(&format!("`{name}`")), "{name} is missing in README.md");
        }
    }

    #[test]
    fn the_example_names_nothing_that_does_not_exist() {
        for name in example_names() {
            assert!(KNOWN.contains(&name) || is_pattern(name), "{name} does not exist");
        }
    }

    #[test]
    fn a_guess_is_made_only_when_it_is_close() {
        assert_eq!(closest("SANDBOX_CPU", KNOWN), Some("SANDBOX_CPUS"));
        assert_eq!(closest("POSTGRES_PASSWORD", KNOWN), None);
        assert_eq!(closest_own("LISTEN_ON").as_deref(), None);
        assert_eq!(closest_own("RUN_TIMEOUT").as_deref(), Some("RUN_TIMEOUT"));
    }
}
