//! What becomes of an answer where its message is gone, its thread is locked, or a process ended in the middle.

use chrono::TimeDelta;
use threadbox::intake::Place;
use threadbox::reply::{CommentPost, LiveView, PostError, Said};
use threadbox::standin::discord::{Fault, Permissions};

use super::posts::{Begun, Stage, answer, long, number, poster, working};

/// What is asked later on, in the thread that was opened.
fn in_thread(stage: &Stage, begun: &Begun) -> Place {
    Place::Discord {
        guild: Some(number(stage.guild)),
        channel: number(begun.opening),
        parent: Some(number(stage.channel)),
        opening: None,
        person: None,
        repository: None,
        apart: None,
    }
}

async fn live(stage: &Stage, begun: &Begun, key: &str) {
    stage.say(begun, key, &Said::Live(&LiveView::default())).await.unwrap();
}

#[tokio::test]
async fn an_answer_whose_thread_was_locked_while_it_was_made_stands_in_the_channel() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    live(&stage, &begun, "run-1").await;
    stage.discord.lock(begun.opening, stage.ada, true).unwrap();
    stage.discord.archive(begun.opening, stage.ada, true).unwrap();
    for text in ["Done.", "Done, really."] {
        stage.answer(&begun, "run-1", text).await.unwrap();
    }
    let texts = stage.texts(stage.channel);
    assert!(texts.len() == 2 && texts[0].contains("thread is locked") && texts[1].contains("Done, really."), "{texts:?}");
    assert_eq!(stage.ours(stage.channel)[1].reference, Some((stage.channel, begun.opening)));
    // What showed how it went would offer to stop what is over.
    assert!(stage.ours(begun.opening).is_empty(), "{:?}", stage.texts(begun.opening));
    // So does what was asked in the thread itself; that it is locked is said once.
    let place = in_thread(&stage, &begun);
    let post = CommentPost { place: &place, ..begun.post("run-2") };
    stage.poster.comment(&post, &Said::Answer { view: &answer("That, too."), allowed: &[] }).await.unwrap();
    let texts = stage.texts(stage.channel);
    assert!(texts.len() == 3 && texts[2].contains("That, too."), "{texts:?}");
    // Unlocked, the talk goes on in it.
    stage.discord.archive(begun.opening, stage.ada, false).unwrap();
    stage.discord.lock(begun.opening, stage.ada, false).unwrap();
    stage.answer(&begun, "run-3", "Back again.").await.unwrap();
    assert!(stage.texts(begun.opening)[0].contains("Back again."));
    assert_eq!(stage.texts(stage.channel).len(), 3);
    stage.finish().await;
}

#[tokio::test]
async fn an_answer_is_not_torn_between_thread_and_channel() {
    let stage = Stage::new().await;
    let begun = stage.begin("tell me all").await;
    live(&stage, &begun, "run-1").await;
    stage.deny(Permissions::SEND_MESSAGES_IN_THREADS);
    stage.answer(&begun, "run-1", &long(100)).await.unwrap();
    assert!(stage.ours(begun.opening).is_empty(), "{:?}", stage.texts(begun.opening));
    let whole: String = stage.texts(stage.channel).concat();
    let places: Vec<usize> = (0..100).map(|n| whole.find(&format!("Line {n} says")).unwrap()).collect();
    assert!(places.is_sorted());
    assert_eq!(whole.matches("Line 7 says").count(), 1);
    stage.finish().await;
}

#[tokio::test]
async fn a_lost_message_is_found_in_a_busy_channel() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    live(&stage, &begun, "run-0").await;
    stage.discord.inject(Fault::answer_lost("POST", "/messages"));
    stage.answer(&begun, "run-1", "Here it is.").await.unwrap_err();
    stage.clock.advance(TimeDelta::hours(2));
    for n in 0..1_200 {
        stage.discord.say(begun.opening, stage.maya, format!("talk {n}").as_str()).unwrap();
    }
    stage.answer(&begun, "run-1", "Here it is.").await.unwrap();
    let texts = stage.texts(begun.opening);
    assert_eq!(texts.iter().filter(|text| text.contains("Here it is.")).count(), 1, "{texts:?}");
    stage.finish().await;
}

#[tokio::test]
async fn what_cannot_be_found_among_too_many_messages_is_said_again() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    live(&stage, &begun, "run-0").await;
    for n in 0..1_200 {
        stage.discord.say(begun.opening, stage.maya, format!("talk {n}").as_str()).unwrap();
    }
    // Nothing came of it.
    stage.discord.inject(Fault::status("POST", "/messages", 500));
    stage.answer(&begun, "run-1", "Here it is.").await.unwrap_err();
    stage.clock.advance(TimeDelta::hours(2));
    stage.answer(&begun, "run-1", "Here it is.").await.unwrap();
    assert!(stage.texts(begun.opening).last().unwrap().contains("Here it is."));
    stage.finish().await;
}

#[tokio::test]
async fn what_replaces_a_deleted_answer_is_written_once_however_late_it_is_taken_up_again() {
    for later in [TimeDelta::seconds(1), TimeDelta::hours(2)] {
        let stage = Stage::new().await;
        let begun = stage.begin("do it").await;
        live(&stage, &begun, "run-1").await;
        stage.discord.delete(stage.ours(begun.opening)[0].id, stage.ada).unwrap();
        stage.discord.inject(Fault::answer_lost("POST", "/messages"));
        stage.answer(&begun, "run-1", "Done.").await.unwrap_err();
        stage.clock.advance(later);
        let restarted = poster(&stage.discord, &stage.database, &stage.clock);
        let said = answer("Done.");
        restarted.comment(&begun.post("run-1"), &Said::Answer { view: &said, allowed: &[] }).await.unwrap();
        stage.answer(&begun, "run-1", "Done twice.").await.unwrap();
        let texts = stage.texts(begun.opening);
        assert!(texts.len() == 1 && texts[0].contains("Done twice."), "{texts:?}");
        let left = sqlx::query_scalar::<_, i64>("select count(*) from posts where key like '%#%'");
        assert_eq!(left.fetch_one(&stage.database.pool).await.unwrap(), 0);
        stage.finish().await;
    }
}

#[tokio::test]
async fn a_worn_out_message_goes_also_when_the_process_ended_before_it_went() {
    let stage = Stage::new().await;
    let begun = stage.begin("do it").await;
    live(&stage, &begun, "run-1").await;
    stage.clock.advance(TimeDelta::hours(2));
    let worn_out = async {
        for n in 0..40 {
            stage.clock.advance(TimeDelta::seconds(10));
            stage.poster.edit(&begun.post("run-1"), &Said::Live(&working(&format!("Step {n}")))).await?;
        }
        Ok::<_, PostError>(())
    };
    worn_out.await.unwrap_err();
    stage.discord.inject(Fault::status("DELETE", "/messages", 500));
    let error = stage.answer(&begun, "run-1", "Done.").await.unwrap_err();
    assert_eq!(stage.ours(begun.opening).len(), 2, "{error}");
    // By now it could be edited again.
    stage.clock.advance(TimeDelta::hours(2));
    stage.answer(&begun, "run-1", "Done.").await.unwrap();
    let texts = stage.texts(begun.opening);
    assert!(texts.len() == 1 && texts[0].contains("Done."), "{texts:?}");
    stage.finish().await;
}

#[tokio::test]
async fn the_rest_of_a_long_answer_goes_also_when_some_of_it_is_gone() {
    let stage = Stage::new().await;
    let begun = stage.begin("tell me all").await;
    stage.answer(&begun, "run-1", &long(300)).await.unwrap();
    assert!(stage.ours(begun.opening).len() > 3);
    // It ended when the second message was gone.
    stage.discord.delete(stage.ours(begun.opening)[1].id, stage.ada).unwrap();
    sqlx::query("delete from posts where key = 'run-1/2'").execute(&stage.database.pool).await.unwrap();
    stage.answer(&begun, "run-1", "In short: yes.").await.unwrap();
    let texts = stage.texts(begun.opening);
    assert!(texts.len() == 1 && texts[0].contains("In short"), "{texts:?}");
    stage.finish().await;
}
