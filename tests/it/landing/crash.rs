//! The worker is killed at every save that has to do with landing: one branch, one pull request, one answer.

use serde_json::json;
use sqlx::{Connection, PgConnection};
use threadbox::standin::github::{Expects, Options};
use threadbox::standin::model::{RecordedRequest, Turn, call, say};

use super::{branches, files, one_pull, text};
use crate::support::bot::{Bot, LIMIT, REPOSITORY, service_environment};
use crate::support::service::Service;

const TRIGGERS: &str = "
    create sequence test_save;
    create table test_stop (at bigint);
    create function test_save() returns trigger language plpgsql as $$
    begin
        if coalesce(current_setting('test.seen', true), '') <> pg_current_xact_id()::text then
            perform set_config('test.seen', pg_current_xact_id()::text, true);
            if (select nextval('test_save') = at from test_stop) then
                perform pg_advisory_xact_lock(4712);
            end if;
        end if;
        return null;
    end $$;
    create trigger save before insert or update on landings for each statement execute function test_save();
    create trigger save before update on sandboxes for each statement execute function test_save();
    create trigger save before insert on run_events for each statement execute function test_save();
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TheSave {
    IsUndone,
    IsDone,
}

fn follow(request: &RecordedRequest) -> Option<Turn> {
    let last = request.messages.iter().flat_map(|message| &message.results).next_back();
    Some(match last {
        _ if request.tools.is_empty() => say("A title"),
        None => call("writeFile", json!({ "path": "one", "content": "one\n" })),
        Some(result) if result.text.contains("its outcome is unknown") => {
            call("writeFile", json!({ "path": "one", "content": "one\n" }))
        }
        Some(result) if result.text.contains("pullRequest") => say("All done."),
        Some(_) => call("openPullRequest", json!({ "title": "One", "body": "Why." })),
    })
}

/// False when there are fewer saves.
async fn killed_at(at: i64, fate: TheSave) -> bool {
    let bot = Bot::prepare(&[], Options { expects: Expects::Token, ..Options::default() }).await;
    bot.github.push(REPOSITORY, "First", &files()).unwrap();
    bot.model.rule(follow);
    sqlx::raw_sql(TRIGGERS).execute(&bot.database.pool).await.unwrap();
    let data = crate::support::database::passable_dir("threadbox-crash-");
    let environment = service_environment(&bot.github, &bot.model, &bot.database.url(), data.path());
    let issue = bot.issue("It fails").await;
    let service = Service::start(&environment).await;
    bot.github.deliver_to(format!("{}/webhooks/github", service.url));
    let mut holder = PgConnection::connect(&bot.database.url()).await.unwrap();
    sqlx::query("select pg_advisory_lock(4712)").execute(&mut holder).await.unwrap();
    sqlx::query("insert into test_stop values ($1)").bind(at).execute(&mut holder).await.unwrap();
    let comment = bot.says(&issue, "maya", "@threadbox pr").await;
    let held = held(&bot, &issue, comment).await;
    let service = match held {
        Some(pid) => {
            service.kill().await;
            if fate == TheSave::IsUndone {
                sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&mut holder).await.unwrap();
            }
            sqlx::query("delete from test_stop").execute(&mut holder).await.unwrap();
            holder.close().await.unwrap();
            bot.sql(
                "update threads set lease_until = now() - interval '1 second' where lease_until is not null;
                 update inbox set claimed_until = now() - interval '1 second' where claimed_until is not null;
                 update jobs._private_workers set last_heartbeat_at = last_heartbeat_at - interval '1 minute'",
            )
            .await;
            let service = Service::start(&environment).await;
            bot.github.deliver_to(format!("{}/webhooks/github", service.url));
            service
        }
        None => {
            holder.close().await.unwrap();
            service
        }
    };
    assert_eq!(bot.ended(&issue, comment).await, "rocket", "at save {at}, which {fate:?}");
    bot.idle().await;
    let pull = one_pull(&bot);
    assert_eq!((pull.commits.len(), branches(&bot).len()), (1, 2), "at save {at}, which {fate:?}");
    assert_eq!(text(&bot, &pull.head_branch, "one").unwrap(), "one\n");
    assert_eq!(bot.count("select count(*) from landings where state = 'landed'").await, 1, "at save {at}, which {fate:?}");
    let ours = bot.our_comments(&issue);
    assert_eq!(ours.len(), 1, "at save {at}, which {fate:?}: {ours:#?}");
    let answer = ours[0].body();
    assert!(
        answer.contains("All done.") && answer.matches("Opened draft").count() == 1,
        "at save {at}, which {fate:?}: {answer}"
    );
    service.terminate().await;
    bot.finish().await;
    held.is_some()
}

/// The backend that the chosen save waits in; none when the run ended without reaching it.
async fn held(bot: &Bot, issue: &threadbox::standin::github::IssueRef, comment: i64) -> Option<i32> {
    let waiting = "select pid from pg_locks where locktype = 'advisory' and objid = 4712 and not granted
                   and database = (select oid from pg_database where datname = current_database())";
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let pid: Option<i32> = sqlx::query_scalar(waiting).fetch_optional(&bot.database.pool).await.unwrap();
        if pid.is_some() {
            return pid;
        }
        let reacted =
            bot.github.world(|world| world.reactions(issue, Some(comment)).iter().any(|reaction| reaction.content == "rocket"));
        if reacted && bot.count("select count(*) from runs where state = 'posted'").await == 1 {
            return None;
        }
        assert!(tokio::time::Instant::now() < deadline, "neither held nor ended");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn killed_at_every_save(fate: TheSave) {
    let mut points = 0;
    while killed_at(points + 1, fate).await {
        points += 1;
    }
    println!("killed at {points} saves of landing, each of which {fate:?}: one branch, one pull request");
    assert!(points >= 8, "only {points} saves: the trigger does not see them");
}

#[tokio::test]
async fn a_worker_killed_before_any_save_of_landing_doubles_nothing() {
    killed_at_every_save(TheSave::IsUndone).await;
}

#[tokio::test]
async fn a_worker_killed_right_after_any_save_of_landing_doubles_nothing() {
    killed_at_every_save(TheSave::IsDone).await;
}
