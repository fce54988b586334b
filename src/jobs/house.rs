//! What holds for runs in a repository: what the operator set, as far as the repository narrows it on its default branch, and what
//! people set for the thread. Pure but for the looking up.

use std::sync::Arc;

use super::Services;
use super::repository::RepositoryFacts;
use crate::agent::Kit;
use crate::agent::store::Taken;
use crate::github::{FileProblem, GithubError, RepoRef, RepositoryFile};
use crate::intake::Place;
use crate::memory;
use crate::model::ModelName;
use crate::settings::{Limits, Network, Settings};

/// The rules of a repository under this service.
#[derive(Clone, Debug)]
pub(super) struct House {
    /// What it says about itself.
    pub facts: Arc<RepositoryFacts>,
    /// Ceilings of its runs.
    pub limits: Limits,
    /// What its sandboxes may reach, where that is less than the service allows.
    pub network: Option<Network>,
    /// Who answers, where that is not the service's own choice. Never empty.
    pub models: Option<Vec<ModelName>>,
    /// What is wrong with its file, by itself or under this service.
    pub problems: Vec<FileProblem>,
}

impl House {
    fn new(services: &Services, facts: Arc<RepositoryFacts>, place: &Place) -> Self {
        let (settings, file) = (services.settings.as_ref(), &facts.file);
        let mut problems = file.problems.clone();
        let limits = narrowed(&limits_at(settings, place), file, &mut problems);
        let network = network(&settings.sandbox.network, file, &mut problems);
        let can_ask = |model: &ModelName| services.models.can_ask(model);
        let models = models(file, can_ask, &mut problems);
        problems.sort_by_key(|problem| problem.line);
        Self { facts, limits, network, models, problems }
    }

    /// The rules as of now, for letting somebody in. A repository whose contents we may not read says nothing.
    ///
    /// # Errors
    /// When GitHub does not answer: somebody might be let in whom the repository keeps out.
    pub async fn now(services: &Services, place: &Place) -> Result<Self, GithubError> {
        let known = match (&services.repositories, RepoRef::about(place)) {
            (Some(repositories), Some(repo)) => repositories.now(&repo).await,
            (None, _) | (_, None) => Ok(Arc::default()),
        };
        unless_hidden(known, place).map(|facts| Self::new(services, facts, place))
    }

    /// The rules as of half a minute ago at most.
    ///
    /// # Errors
    /// When GitHub does not answer.
    pub async fn of(services: &Services, place: &Place) -> Result<Self, GithubError> {
        let known = match (&services.repositories, RepoRef::about(place)) {
            (Some(repositories), Some(repo)) => repositories.of(&repo).await,
            (None, _) | (_, None) => Ok(Arc::default()),
        };
        unless_hidden(known, place).map(|facts| Self::new(services, facts, place))
    }

    /// The rules for a run that was let in. Where GitHub does not answer, it goes on with the service's own.
    pub async fn of_run(services: &Services, taken: &Taken) -> Self {
        match Self::of(services, &taken.request.place).await {
            Ok(house) => house,
            Err(error) => {
                tracing::warn!(run.id = %taken.id, %error, "what the repository says is not known to the run");
                // Less rather than more: the repository may want its sandboxes without a network.
                Self { network: Some(Network::None), ..Self::new(services, Arc::default(), &taken.request.place) }
            }
        }
    }

    /// What a run works with.
    pub fn kit(&self, services: &Services, taken: &Taken) -> Kit {
        let mut kit = services.kit.clone();
        kit.limits = self.limits.clone();
        if let Some(budget) = taken.budget_usd {
            kit.limits.run_budget_usd = budget.min(kit.limits.daily_budget_usd);
        }
        let chosen = taken.model.as_deref().and_then(|name| name.parse::<ModelName>().ok());
        // A provider may have lost its key since.
        let chosen = chosen.filter(|name| services.models.can_ask(name)).map(|name| vec![name]);
        if let Some(chain) = chosen.as_ref().or(self.models.as_ref())
            && let Ok(model) = services.models.of(chain)
        {
            kit.model = model;
        }
        kit
    }

    /// What the repository decides about memory.
    pub fn memory(&self) -> &memory::Options {
        &self.facts.file.memory
    }

    /// What sandboxes of its runs reach, in words.
    pub fn network_words(&self, usual: String) -> String {
        match &self.network {
            None | Some(Network::Full) => usual,
            Some(Network::None) => "no network".to_owned(),
            Some(Network::Allow(hosts)) => format!("only {}, as the repository's file says", hosts.join(", ")),
        }
    }
}

fn unless_hidden(known: Result<Arc<RepositoryFacts>, GithubError>, place: &Place) -> Result<Arc<RepositoryFacts>, GithubError> {
    match known {
        Err(error) if !error.is_transient() => {
            tracing::info!(place = place.key(), %error, "the repository's file cannot be read; the service's own rules hold");
            Ok(Arc::default())
        }
        known => known,
    }
}

/// The limits of the service where a conversation is: on Discord it is the guild that pays, not a repository.
fn limits_at(settings: &Settings, place: &Place) -> Limits {
    let limits = settings.limits.clone();
    match place {
        Place::Github { .. } => limits,
        Place::Discord { guild, .. } => {
            let of_guild = guild.and(settings.discord.as_ref()).and_then(|discord| discord.guild_daily_budget_usd);
            Limits { repository_daily_budget_usd: of_guild, ..limits }
        }
    }
}

/// The limits of the service, where the repository does not set lower ones.
fn narrowed(service: &Limits, file: &RepositoryFile, problems: &mut Vec<FileProblem>) -> Limits {
    let mut limits = service.clone();
    let mut above = |entry: &str, wanted: String, most: String| {
        let (_, name) = entry.split_once('.').unwrap_or_default();
        problems.push(file.note(entry, format!("`{name}` is {wanted}, more than the {most} of this service, which hold")));
    };
    if let Some(steps) = file.agent.max_steps {
        match steps > service.max_steps {
            true => above("agent.max_steps", steps.to_string(), service.max_steps.to_string()),
            false => limits.max_steps = steps,
        }
    }
    if let Some(runs) = file.limits.user_runs_per_hour {
        match runs > service.user_runs_per_hour {
            true => above("limits.user_runs_per_hour", runs.to_string(), service.user_runs_per_hour.to_string()),
            false => limits.user_runs_per_hour = runs,
        }
    }
    if let Some(time) = file.limits.run_timeout {
        let minutes = |time: std::time::Duration| format!("{} min", time.as_secs_f64() / 60.0);
        match time > service.run_timeout {
            true => above("limits.run_timeout", minutes(time), minutes(service.run_timeout)),
            false => limits.run_timeout = time,
        }
    }
    let mut money = |entry: &str, wanted: Option<f64>, most: f64, lower: &mut dyn FnMut(f64)| {
        let Some(wanted) = wanted else { return };
        match wanted > most {
            true => above(entry, format!("${wanted}"), format!("${most}")),
            false => lower(wanted),
        }
    };
    let of = &file.limits;
    let day = service.daily_budget_usd;
    money("limits.run_budget_usd", of.run_budget_usd, service.run_budget_usd, &mut |usd| limits.run_budget_usd = usd);
    money("limits.daily_budget_usd", of.daily_budget_usd, service.repository_daily_budget_usd.unwrap_or(day), &mut |usd| {
        limits.repository_daily_budget_usd = Some(usd);
    });
    money("limits.user_daily_budget_usd", of.user_daily_budget_usd, service.user_daily_budget_usd.unwrap_or(day), &mut |usd| {
        limits.user_daily_budget_usd = Some(usd);
    });
    limits
}

/// What both the service and the repository allow; none where the repository takes nothing away.
fn network(service: &Network, file: &RepositoryFile, problems: &mut Vec<FileProblem>) -> Option<Network> {
    let wanted = file.sandbox.network.as_ref()?;
    let both = service.narrowed_to(wanted);
    if both != *wanted {
        let reason = format!("`network` asks for {wanted}, more than this service allows; it is {both}");
        problems.push(file.note("sandbox.network", reason));
    }
    (both != *service).then_some(both)
}

/// The models the repository names, as far as they can be asked here.
fn models(
    file: &RepositoryFile,
    can_ask: impl Fn(&ModelName) -> bool,
    problems: &mut Vec<FileProblem>,
) -> Option<Vec<ModelName>> {
    let (known, unknown): (Vec<ModelName>, Vec<ModelName>) = file.agent.model.iter().cloned().partition(can_ask);
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
        let reason = format!("`model` names {}, for which this service has no key", names.join(" and "));
        problems.push(file.note("agent.model", reason));
    }
    (!known.is_empty()).then_some(known)
}

/// The model a thread's runs are answered by, for people.
pub(super) fn model_of(settings: &Settings, house: &House, chosen: Option<&str>) -> String {
    let first = house.models.as_ref().unwrap_or(&settings.models.chain).first();
    chosen.map(str::to_owned).or_else(|| first.map(ToString::to_string)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn service() -> Limits {
        Limits {
            max_steps: 50,
            run_timeout: Duration::from_secs(1800),
            run_budget_usd: 2.0,
            daily_budget_usd: 50.0,
            user_daily_budget_usd: Some(10.0),
            repository_daily_budget_usd: None,
            user_runs_per_hour: 30,
            max_concurrent_runs: 8,
        }
    }

    #[test]
    fn limits_are_only_lowered() {
        let lower = RepositoryFile::parse(
            b"[agent]\nmax_steps = 5\n[limits]\nrun_budget_usd = 1\ndaily_budget_usd = 7\nuser_daily_budget_usd = 3\nrun_timeout = '5m'\nuser_runs_per_hour = 4\n",
        );
        let mut problems = Vec::new();
        let limits = narrowed(&service(), &lower, &mut problems);
        assert!(problems.is_empty());
        assert_eq!((limits.max_steps, limits.user_runs_per_hour, limits.run_timeout), (5, 4, Duration::from_secs(300)));
        assert_eq!(
            (limits.run_budget_usd, limits.repository_daily_budget_usd, limits.user_daily_budget_usd, limits.daily_budget_usd),
            (1.0, Some(7.0), Some(3.0), 50.0)
        );
        let higher = RepositoryFile::parse(
            b"[agent]\nmax_steps = 500\n[limits]\nrun_budget_usd = 20\nuser_daily_budget_usd = 11.5\nrun_timeout = '5h'\n",
        );
        let limits = narrowed(&service(), &higher, &mut problems);
        assert_eq!((limits.max_steps, limits.run_budget_usd, limits.user_daily_budget_usd), (50, 2.0, Some(10.0)));
        let lines: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.line, problem.reason)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        2: `max_steps` is 500, more than the 50 of this service, which hold
        6: `run_timeout` is 300 min, more than the 30 min of this service, which hold
        4: `run_budget_usd` is $20, more than the $2 of this service, which hold
        5: `user_daily_budget_usd` is $11.5, more than the $10 of this service, which hold
        ");
    }

    #[test]
    fn a_network_is_only_narrowed_and_that_is_said() {
        let wants = |text: &str| RepositoryFile::parse(format!("[sandbox]\nnetwork = '{text}'").as_bytes());
        let mut problems = Vec::new();
        assert_eq!(network(&Network::Full, &wants("none"), &mut problems), Some(Network::None));
        assert_eq!(network(&Network::None, &wants("none"), &mut problems), None);
        assert!(problems.is_empty());
        assert_eq!(network(&Network::None, &wants("full"), &mut problems), None);
        insta::assert_snapshot!(problems[0], @".github/threadbox.toml, line 2: `network` asks for full, more than this service allows; it is none");
    }

    #[test]
    fn models_without_a_key_are_left_out_and_named() {
        let file = RepositoryFile::parse(b"[agent]\nmodel = 'groq/x, openai/gpt-4.1'");
        let mut problems = Vec::new();
        let found = models(&file, |model| model.provider == "openai", &mut problems);
        assert_eq!(found.map(|models| models.len()), Some(1));
        assert_eq!(problems[0].reason, "`model` names `groq/x`, for which this service has no key");
        assert_eq!(models(&file, |_| false, &mut problems), None);
    }
}
