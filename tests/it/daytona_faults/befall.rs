//! Something befalls a sandbox before any request of a run, or between two runs.

use std::time::Instant;

use futures::StreamExt;
use futures::stream::iter;
use threadbox::standin::daytona::{Fault, Mischief};

use super::place::Place;
use super::script::{is_told_of_doubt, is_told_of_loss};

/// The request that writes the first file, after those that look around in a new sandbox.
const FIRST_WRITE: usize = 5;
/// Runs beside each other.
const TOGETHER: usize = 8;

/// Requests about the sandbox in an undisturbed run, once it has one.
async fn undisturbed(place: &Place) -> usize {
    let case = place.case("undisturbed").await;
    assert_eq!(place.run(&case).await, "rocket");
    place.is_done_once(&case);
    let requests = place.requests(&case);
    for (at, request) in requests.iter().enumerate() {
        let body = request.body.as_ref().and_then(|body| body["command"].as_str()).unwrap_or_default();
        println!(
            "{at:3} {} {}",
            request.line(),
            body.chars().rev().take(60).collect::<Vec<_>>().iter().rev().collect::<String>()
        );
    }
    requests.len()
}

/// What the runs of one mischief came to.
#[derive(Default, Debug)]
struct Tally {
    runs: usize,
    /// Over before the request at which it was to happen.
    spared: usize,
    /// Told that it is not known what a command did.
    in_doubt: usize,
    /// Told in the run that the sandbox was replaced.
    told_of_loss: usize,
    /// Told in the run after it.
    told_later: usize,
    /// Calls of the model that failed, so that it had to decide what to do.
    failed: usize,
}

/// One run with this before request number `k`.
async fn disturbed(place: &Place, mischief: Mischief, k: usize, tally: &std::sync::Mutex<Tally>) {
    let case = place.case(&format!("{mischief:?}-{k}")).await;
    place.inject(&case, Fault::before("*", "", mischief).skip(k));
    let begun = Instant::now();
    let ended = place.run(&case).await;
    let told = place.told(&case);
    let loss = told.iter().any(|text| is_told_of_loss(text));
    let doubt = told.iter().any(|text| is_told_of_doubt(text));
    println!("{mischief:?} before request {k}: {ended} after {:.1} s, doubt {doubt}, loss {loss}", begun.elapsed().as_secs_f64());
    assert_eq!(ended, "rocket", "{}: {told:#?}\n{}", case.name, place.answer(&case));
    let gone = place.ids(&case).count() == 0;
    if gone {
        // It was deleted when the run was over, but for looking at what it changed. The next one is told.
        assert_eq!(mischief, Mischief::Delete, "{}", case.name);
        let answer = place.answer(&case);
        assert!(answer.contains(&super::script::good_answer()), "{answer}");
        let next = place.again(&case.issue, &format!("{}-next", case.name)).await;
        assert_eq!(place.run(&next).await, "rocket");
        let told = place.told(&next);
        assert!(told.iter().any(|text| is_told_of_loss(text)), "{}: nobody was told: {told:#?}", case.name);
        assert_eq!(place.on_disk(&case, "log.txt").as_deref(), Some("ran\n"), "{told:#?}");
    } else {
        place.is_done_once(&case);
    }
    // How often a run asks whether a command has ended depends on how busy the machine is.
    let met = place.daytona.world(|world| world.faults_left_of(&case.sandbox())) == 0;
    // Until the first file is written there is nothing to lose.
    let may_lose = met && mischief == Mischief::Delete && k >= FIRST_WRITE;
    assert_eq!(loss || gone, may_lose, "{}: {told:#?}", case.name);
    for id in place.ids(&case) {
        place.daytona.befall(&id, Mischief::Delete).await.unwrap();
    }
    let mut tally = tally.lock().unwrap();
    tally.runs += 1;
    tally.spared += usize::from(!met);
    tally.in_doubt += usize::from(doubt);
    tally.told_of_loss += usize::from(loss);
    tally.told_later += usize::from(gone);
    tally.failed += told.iter().filter(|text| text.contains("\"error\"")).count();
}

async fn before_every_request(mischief: Mischief) {
    let place = Place::start().await;
    let requests = undisturbed(&place).await;
    assert!(requests > 10, "only {requests} requests");
    let tally = std::sync::Mutex::default();
    // The first one looks for the name, when there is no sandbox yet.
    iter(1..requests).for_each_concurrent(TOGETHER, |k| disturbed(&place, mischief, k, &tally)).await;
    let tally = tally.into_inner().unwrap();
    println!("{mischief:?}: {tally:?}");
    assert_eq!(place.daytona.world(|world| world.faults_left()), tally.spared, "a fault was never met");
    assert!(tally.spared * 4 < tally.runs, "hardly anything befell anybody: {tally:?}");
    place.end().await;
}

#[tokio::test]
async fn stopped_before_any_request() {
    before_every_request(Mischief::Stop).await;
}

#[tokio::test]
async fn archived_before_any_request() {
    before_every_request(Mischief::Archive).await;
}

#[tokio::test]
async fn dead_but_said_to_run_before_any_request() {
    before_every_request(Mischief::Zombie).await;
}

#[tokio::test]
async fn deleted_before_any_request() {
    before_every_request(Mischief::Delete).await;
}

#[tokio::test]
async fn between_two_runs() {
    let place = Place::start().await;
    let one = async |mischief: Mischief| {
        let case = place.case(&format!("{mischief:?}-first")).await;
        assert_eq!(place.run(&case).await, "rocket");
        place.is_done_once(&case);
        place.bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
        for id in place.ids(&case) {
            place.daytona.befall(&id, mischief).await.unwrap();
        }
        let next = place.again(&case.issue, &format!("{mischief:?}-second")).await;
        assert_eq!(place.run(&next).await, "rocket");
        let told = place.told(&next);
        let is_lost = matches!(mischief, Mischief::Delete | Mischief::BreakForGood);
        assert_eq!(told.iter().any(|text| is_told_of_loss(text)), is_lost, "{mischief:?}: {told:#?}");
        // What the first run did is there in each case, from the disk or from the checkpoint; the second one did its part once.
        let log = place.on_disk(&case, "log.txt");
        assert!(log.as_ref().is_some_and(|log| log.starts_with("ran\n") && log.len() <= 8), "{mischief:?}: {told:#?}");
        assert!(place.on_disk(&case, "a note.txt") == Some(super::script::note()), "{mischief:?}: {told:#?}");
    };
    for mischief in
        [Mischief::Stop, Mischief::Archive, Mischief::Zombie, Mischief::Delete, Mischief::BreakForGood, Mischief::Break]
    {
        one(mischief).await;
    }
    place.end().await;
}
