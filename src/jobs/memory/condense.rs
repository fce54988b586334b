//! Condenses the older part of long threads.
//!
//! A thread is due when the runs after its cut are longer than a history should be. The cheap model makes lines of the oldest of them,
//! one statement stores lines and cut, and so until the newest half is left. A model that is down or answers rubbish is asked again later;
//! after some failures code makes the lines, so that no thread grows without bound.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::agent::spending::{self, Charge, Purpose};
use crate::intake::policy;
use crate::jobs::Services;
use crate::jobs::house::House;
use crate::memory::history;
use crate::memory::observations::store::{self, Batch, Claim, Condensed};
use crate::memory::observations::{self, Known, Observation, extract, read, shorten};
use crate::model::{Request, Usage, price};
use crate::thread;

/// How long a thread is claimed: longer than everything that is done with it takes.
const CLAIM: Duration = Duration::from_secs(600);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Failures after which code makes the lines.
const FAILURES: i32 = 3;
/// The pauses after the first failures.
const PAUSES: [TimeDelta; 2] = [TimeDelta::minutes(1), TimeDelta::minutes(5)];
/// How long a day's budget that is used up is taken for granted.
const NO_MONEY: TimeDelta = TimeDelta::minutes(15);
/// What an answer may come to, for looking at the day's budget before it is asked for.
const ANSWER: u64 = 2_000;

/// Works until nothing is due.
pub(in crate::jobs) async fn work(services: Services) {
    if let Err(error) = work_through(&services).await {
        // What was claimed is taken up again when the claim is over.
        tracing::error!(%error, "condensing has to stop for now");
    }
}

async fn work_through(services: &Services) -> Result<(), sqlx::Error> {
    while !services.shutdown.is_cancelled() && history::store::measure_some(&services.pool).await? > 0 {}
    while !services.shutdown.is_cancelled() {
        let Some(claim) = store::claim(&services.pool, CLAIM, services.clock.now()).await? else { break };
        condense(services, claim).await?;
    }
    Ok(())
}

/// Why a thread is put down without new lines.
enum Pause {
    /// The process ends; somebody else goes on at once.
    Shutdown,
    /// The day's budget is used up.
    NoMoney,
    /// The model did not do it.
    Failed { why: String, spent: Option<Charge> },
}

/// What is known of the answer that made lines.
struct Made {
    lines: Vec<Observation>,
    spent: Option<Charge>,
}

async fn condense(services: &Services, claim: Claim) -> Result<(), sqlx::Error> {
    let Some(batch) = store::batch(&services.pool, &claim).await? else {
        return store::release(&services.pool, &claim, false, None).await;
    };
    // Lines first: what a worker that died left too long is put together before there are more.
    let Some(lines) = put_together(services, &claim, &batch, batch.lines.clone()).await? else { return Ok(()) };
    let Some(until) = batch.until else {
        // One endless run is all there is; looked at again when there are more.
        return store::release(&services.pool, &claim, false, Some(services.clock.now() + NO_MONEY)).await;
    };
    let request = observations::condense(&batch.runs, &lines, services.poster.redactor());
    let known = Known::of_runs(&batch.runs);
    let by_code = || extract(&batch.runs, services.poster.redactor());
    let Some(made) = lines_or_release(services, &claim, &batch, &request, &known, by_code).await? else { return Ok(()) };
    let condensed = Condensed {
        lines: &made.lines,
        cut: Some(until),
        replaced: &[],
        failures: failures_after(&made),
        spent: made.spent.as_ref(),
    };
    if !store::commit(&services.pool, &claim, &condensed).await? {
        tracing::info!(thread.id = %claim.thread, "somebody else condensed it, or something of it was forgotten meanwhile");
        return Ok(());
    }
    tracing::info!(
        thread.id = %claim.thread, runs = batch.runs.len(), lines = made.lines.len(), by_model = made.spent.is_some(),
        "the older part of a thread is condensed"
    );
    let mut claim = claim;
    claim.cut = Some(until);
    let lines = lines.into_iter().chain(made.lines).collect();
    if put_together(services, &claim, &batch, lines).await?.is_some() {
        store::release(&services.pool, &claim, false, None).await?;
    }
    Ok(())
}

/// Makes fewer lines of the older ones when they have become too long. Returns the lines as they are now; none when the thread was put
/// down meanwhile.
async fn put_together(
    services: &Services,
    claim: &Claim,
    batch: &Batch,
    mut lines: Vec<Observation>,
) -> Result<Option<Vec<Observation>>, sqlx::Error> {
    if observations::size(&lines) <= observations::CEILING {
        return Ok(Some(lines));
    }
    lines.sort_by_key(|line| line.said_at);
    let newer = newest_within(&lines, observations::CEILING / 4);
    let older = &lines[..lines.len() - newer];
    let request = observations::reflect(older, services.poster.redactor());
    let by_code = || shorten(older);
    let known = Known::of_lines(older);
    let Some(made) = lines_or_release(services, claim, batch, &request, &known, by_code).await? else { return Ok(None) };
    // An answer that is as long as what it stands for helps nobody.
    let short =
        if observations::size(&made.lines) > observations::CEILING / 2 { shorten(&made.lines) } else { made.lines.clone() };
    let condensed =
        Condensed { lines: &short, cut: claim.cut, replaced: older, failures: failures_after(&made), spent: made.spent.as_ref() };
    if !store::commit(&services.pool, claim, &condensed).await? {
        return Ok(None);
    }
    tracing::info!(thread.id = %claim.thread, before = older.len(), after = short.len(), "observations are put together");
    Ok(Some(short.into_iter().chain(lines[lines.len() - newer..].iter().cloned()).collect()))
}

fn newest_within(lines: &[Observation], room: usize) -> usize {
    let mut left = room;
    let fits = lines.iter().rev().take_while(|line| {
        let fits = line.size() <= left;
        left = left.saturating_sub(line.size());
        fits
    });
    fits.count()
}

/// After lines by code the model is asked once more the next time, before code makes them again.
fn failures_after(made: &Made) -> i32 {
    if made.spent.is_some() { 0 } else { FAILURES - 1 }
}

/// Lines by the model, or by code where the model failed too often. None when there are none for now: the claim is given back then.
async fn lines_or_release(
    services: &Services,
    claim: &Claim,
    batch: &Batch,
    request: &Request,
    known: &Known,
    by_code: impl Fn() -> Vec<Observation>,
) -> Result<Option<Made>, sqlx::Error> {
    if claim.failures >= FAILURES {
        tracing::warn!(thread.id = %claim.thread, failures = claim.failures, "the model does not condense it; code does, more roughly");
        return Ok(Some(Made { lines: by_code(), spent: None }));
    }
    let now = services.clock.now();
    match ask(services, claim, batch, request, known).await? {
        Ok(made) => return Ok(Some(made)),
        Err(Pause::Shutdown) => store::release(&services.pool, claim, false, None).await?,
        Err(Pause::NoMoney) => {
            tracing::info!(thread.id = %claim.thread, "not condensed: the day's budget is used up");
            store::release(&services.pool, claim, false, Some(now + NO_MONEY)).await?;
        }
        Err(Pause::Failed { why, spent }) => {
            if let Some(spent) = spent {
                spending::charge(&services.pool, &spent).await?;
            }
            let again = again_at(claim.failures, now);
            tracing::warn!(thread.id = %claim.thread, failures = claim.failures + 1, why, retry_at = %again, "not condensed yet");
            store::release(&services.pool, claim, true, Some(again)).await?;
        }
    }
    Ok(None)
}

fn again_at(failures: i32, now: DateTime<Utc>) -> DateTime<Utc> {
    // Once code is to do it, nothing is waited for.
    usize::try_from(failures).ok().and_then(|failures| PAUSES.get(failures)).map_or(now, |pause| now + *pause)
}

async fn ask(
    services: &Services,
    claim: &Claim,
    batch: &Batch,
    request: &Request,
    known: &Known,
) -> Result<Result<Made, Pause>, sqlx::Error> {
    if !may_spend(services, claim, batch, request).await? {
        return Ok(Err(Pause::NoMoney));
    }
    let answer = tokio::select! {
        answer = tokio::time::timeout(PATIENCE, services.title_model.answer(request, &|_| {})) => answer,
        () = services.shutdown.cancelled() => return Ok(Err(Pause::Shutdown)),
    };
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Ok(Err(Pause::Failed { why: error.to_string(), spent: None })),
        Err(_) => return Ok(Err(Pause::Failed { why: "the model did not answer in time".to_owned(), spent: None })),
    };
    let spent = Some(Charge {
        run: batch.newest,
        purpose: Purpose::Condensing,
        requester: batch.requester.clone(),
        repository: batch.repository.clone(),
        model: answer.model.clone(),
        usage: answer.usage,
        at: services.clock.now(),
    });
    let lines = read(&answer.message.plain_text(), known, services.poster.redactor());
    Ok(if lines.is_empty() {
        Err(Pause::Failed { why: "the model answered without a line that cites what it was shown".to_owned(), spent })
    } else {
        Ok(Made { lines, spent })
    })
}

/// Whether the day's budget has room for an answer.
async fn may_spend(services: &Services, claim: &Claim, batch: &Batch, request: &Request) -> Result<bool, sqlx::Error> {
    let house = match thread::place(&services.pool, claim.thread).await? {
        Some(place) => House::of(services, &place).await.ok(),
        None => None,
    };
    let limits = house.map_or_else(|| services.settings.limits.clone(), |house| house.limits);
    let kit = &services.kit;
    let spent = kit.spending.today(&services.pool, &limits, &batch.requester, &batch.repository, services.clock.now()).await?;
    let asked: u64 = request.messages.iter().map(|message| price::estimate_tokens(&message.plain_text())).sum();
    let usage = Usage { input: asked, output: ANSWER, ..Usage::default() };
    let next = price::cost(services.title_model.name(), &usage).unwrap_or(0.0);
    Ok(policy::line_reached(&limits, &spent, next).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_waited_out_and_then_code_does_it_at_once() {
        let now = DateTime::UNIX_EPOCH;
        let waits: Vec<i64> = (0..4).map(|failures| (again_at(failures, now) - now).num_minutes()).collect();
        assert_eq!(waits, [1, 5, 0, 0]);
    }
}
