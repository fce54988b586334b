//! `model` and `budget`: what people with permission set for a thread, and the run that goes on where a ceiling had ended it.

mod store;

use self::store::Raised;
use super::notice;
use super::repository::may_govern;
use super::store::{Claimed, Verdict};
use crate::github::{GithubError, Reaction};
use crate::intake::{Place, policy};
use crate::jobs::Services;
use crate::jobs::house::{self, House};
use crate::model::{ModelName, Usage, price};
use crate::reply::{Card, HouseCard, PostError};

/// Sets the model of the thread.
pub(super) async fn model(services: &Services, claimed: &Claimed, name: &ModelName) -> Result<Verdict, PostError> {
    let house = House::of(services, &claimed.request.place).await?;
    if !may_govern(services, &house, &claimed.request).await? {
        return not_theirs(services, claimed).await;
    }
    if !services.models.can_ask(name) {
        let providers = services.models.providers();
        return tell(services, claimed, HouseCard::NoSuchModel { name: name.to_string(), providers }).await;
    }
    store::set_model(&services.pool, claimed.thread, &name.to_string()).await?;
    let priced = price::cost(name, &Usage::default()).is_some();
    tell(services, claimed, HouseCard::Model { name: name.to_string(), priced }).await
}

/// Sets the ceiling of the thread's runs. The newest run, if a ceiling of money had ended it, goes on where it stopped.
pub(super) async fn budget(
    services: &Services,
    claimed: &Claimed,
    usd: f64,
) -> Result<Result<Verdict, policy::Refusal>, PostError> {
    let house = House::of(services, &claimed.request.place).await?;
    if !may_govern(services, &house, &claimed.request).await? {
        return not_theirs(services, claimed).await.map(Ok);
    }
    let most = house.limits.daily_budget_usd;
    let ceiling = usd.min(most);
    let now = services.clock.now();
    let stopped = store::stopped_run(&services.pool, claimed.thread).await?;
    if let Some(stopped) = &stopped {
        if !stopped.posted {
            // Its answer is on its way; a moment later it can go on.
            let cause = "the answer of the run that is to go on is being posted".to_owned();
            return Err(PostError::Github(GithubError::Unavailable { maybe_done: false, cause }));
        }
        let spent =
            services.kit.spending.today(&services.pool, &house.limits, &stopped.requester, &stopped.repository, now).await?;
        if let Some((line, _)) = policy::line_reached(&house.limits, &spent, 0.0) {
            return Ok(Err(policy::Refusal::Budget(line)));
        }
    }
    match store::raise(&services.pool, claimed, ceiling, now).await? {
        Raised::Continued => {
            services.poster.react(&claimed.request, Reaction::Eyes).await?;
            Ok(Ok(Verdict::Done { what: "a run goes on", wake: true }))
        }
        Raised::Set => {
            let milli_usd = (ceiling * 1000.0).round() as u64;
            tell(services, claimed, HouseCard::Budget { milli_usd, capped: usd > most }).await.map(Ok)
        }
    }
}

/// The model and the ceiling of the thread, for `status`.
pub(super) async fn settings(services: &Services, claimed: &Claimed) -> Result<String, PostError> {
    let set = store::set(&services.pool, claimed.thread).await?;
    let house = House::of(services, &claimed.request.place).await?;
    let model = house::model_of(&services.settings, &house, set.model.as_deref());
    let ceiling = set.budget_usd.unwrap_or(house.limits.run_budget_usd);
    Ok(format!("{model}, at most ${ceiling:.2} a run"))
}

async fn not_theirs(services: &Services, claimed: &Claimed) -> Result<Verdict, PostError> {
    let login = claimed.request.author.login.clone();
    let card = match &claimed.request.place {
        Place::Github { .. } => HouseCard::NotTheirs { login },
        Place::Discord { .. } => HouseCard::NotTheirsOnDiscord { login },
    };
    tell(services, claimed, card).await
}

async fn tell(services: &Services, claimed: &Claimed, card: HouseCard) -> Result<Verdict, PostError> {
    notice(services, claimed, &Card::House { what: card }).await?;
    Ok(Verdict::Done { what: "answered by the service", wake: false })
}
