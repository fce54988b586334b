//! Daytona is busy, limited, or loses requests and answers, during a run: it is waited for, and nothing happens twice.

use threadbox::standin::daytona::{Bucket, Fault};

use super::place::Place;
use super::script::{is_told_of_doubt, is_told_of_loss};

/// A run while Daytona fails like this. It must end as if nothing had been.
async fn undisturbed_by(place: &Place, name: &str, faults: Vec<Fault>) {
    let case = place.case(name).await;
    for fault in faults {
        // The call that makes it does not name it.
        place.daytona.inject(fault);
    }
    assert_eq!(place.run(&case).await, "rocket", "{name}: {}\n{:#?}", place.answer(&case), place.told(&case));
    place.is_done_once(&case);
    let told = place.told(&case);
    assert!(!told.iter().any(|text| is_told_of_loss(text) || is_told_of_doubt(text)), "{name}: {told:#?}");
    assert_eq!(place.daytona.world(|world| world.faults_left()), 0, "{name}: a fault was never met");
    assert_eq!(place.ids(&case).count(), 1);
    place.bot.until_count("select count(*) from runs where state <> 'posted'", 0).await;
}

/// Calls of each kind, with how many of the same kind are spared first.
const KINDS: [(&str, &str, usize); 8] = [
    ("GET", "/api/sandbox/thread-", 0),
    ("POST", "/api/sandbox", 0),
    ("GET", "/work-dir", 0),
    ("POST", "/process/execute", 0),
    ("POST", "/process/execute", 3),
    ("POST", "/process/execute", 6),
    ("POST", "/files/bulk-upload", 0),
    ("GET", "/files/download", 0),
];

async fn each(what: &str, fault: impl Fn(&str, &str) -> Fault) {
    let place = Place::start().await;
    for (at, (method, path, skip)) in KINDS.iter().enumerate() {
        undisturbed_by(&place, &format!("{what}-{at}"), vec![fault(method, path).skip(*skip)]).await;
    }
    place.end().await;
}

#[tokio::test]
async fn a_lost_answer_of_any_call_doubles_nothing() {
    each("answer-lost", Fault::answer_lost).await;
}

#[tokio::test]
async fn a_lost_request_of_any_call_is_made_again() {
    each("request-lost", Fault::request_lost).await;
}

#[tokio::test]
async fn bursts_of_empty_answers_are_waited_out() {
    each("bad-gateway", |method, path| Fault::bad_gateway(method, path).times(2)).await;
}

#[tokio::test]
async fn a_storm_of_rate_limits_is_waited_out() {
    let place = Place::start().await;
    let limited = |method: &str, path: &str, bucket, times| Fault::too_many_requests(method, path, bucket, 0).times(times);
    let storm = vec![
        limited("GET", "/api/sandbox/thread-", Bucket::Authenticated, 4),
        limited("POST", "/api/sandbox", Bucket::SandboxCreate, 4),
        Fault::too_many_requests("POST", "/process/execute", Bucket::Authenticated, 1),
        limited("POST", "/process/execute", Bucket::Authenticated, 6),
        limited("POST", "/files/bulk-upload", Bucket::Authenticated, 3),
        limited("GET", "/files/download", Bucket::Authenticated, 3),
    ];
    undisturbed_by(&place, "limits", storm).await;
    place.end().await;
}

#[tokio::test]
async fn a_storm_of_conflicts_is_waited_out() {
    use threadbox::standin::daytona::Mischief;
    let place = Place::start().await;
    undisturbed_by(&place, "conflict-at-birth", vec![Fault::conflict("POST", "/api/sandbox").times(3)]).await;
    // The machine is stopped in the middle, and starting it meets changes in progress.
    let storm = vec![
        Fault::before("POST", "/process/execute", Mischief::Stop).skip(4),
        Fault::conflict("POST", "/start").times(6),
        Fault::conflict("GET", "/api/sandbox/").skip(2).times(2),
    ];
    undisturbed_by(&place, "conflict-at-start", storm).await;
    place.end().await;
}
