//! Who on Discord is who on GitHub: proven by a code that GitHub says who wrote.

use threadbox::standin::github::UserKind;

use super::{both, code_in, code_of, comments, joined, told, told_code};

const JOINED: &str = "select count(*) from people";

#[tokio::test]
async fn a_code_is_told_to_one_person_works_once_and_is_forgotten() {
    let bot = both(&[]).await;
    let thread = bot.says("maya", "@threadbox link account");
    let said = bot.until_ours(thread, "what was done", |message| !message.content.is_empty()).await;
    assert!(said.content.contains("direct message") && code_in(&said).is_none(), "{}", said.content);
    let (conversation, _) = bot.says_alone("maya", "status");
    let code = told_code(&bot, conversation, thread).await;
    assert!(code.starts_with("discord-") && code.len() == "discord-0000-0000".len(), "{code}");
    let issue = bot.issue("Hello").await;
    let said = comments(&bot, &issue, "maya", &format!("@threadbox link {code}")).await;
    assert!(said.contains("**maya** on Discord is **maya** on GitHub now"), "{said}");
    // Nobody else can use it.
    let said = comments(&bot, &issue, "ada", &format!("@threadbox link {code}")).await;
    assert!(said.contains("That code does nothing"), "{said}");
    assert_eq!(bot.count("select count(*) from people where github_login = 'maya'").await, 1);
    assert_eq!(bot.count(JOINED).await, 1);
    // It stands nowhere: neither in what was said, nor in what was asked for, nor in what we posted.
    let code = code.to_uppercase();
    let everywhere = "select coalesce(string_agg(t, ' '), '') from (select parts::text as t from messages union all select request::text from inbox
                      union all select key from posts) as x";
    let stored: String = sqlx::query_scalar(everywhere).fetch_one(&bot.database.pool).await.unwrap();
    assert!(!stored.to_uppercase().contains(&code), "{stored}");
    assert!(bot.ours_in(thread).iter().all(|message| !message.content.to_uppercase().contains(&code)));
    assert!(bot.asked().is_empty(), "no model was asked");
    bot.finish().await;
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let bot = both(&[]).await;
    let code = code_of(&bot, "maya").await;
    let issue = bot.issue("Guess").await;
    for n in 0..5 {
        let said = comments(&bot, &issue, "eve", &format!("@threadbox link discord-AAA{n}-BBBB")).await;
        assert!(said.contains("That code does nothing"), "{said}");
    }
    // Even the right one is not looked at any more.
    let said = comments(&bot, &issue, "eve", &format!("@threadbox link {code}")).await;
    assert!(said.contains("Too many wrong codes"), "{said}");
    assert_eq!(bot.count(JOINED).await, 0);
    // Whose it is can still use it.
    let said = comments(&bot, &issue, "maya", &format!("@threadbox link {}", code.to_lowercase())).await;
    assert!(said.contains("is **maya** on GitHub now"), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn a_code_ends_with_its_time_and_with_the_next_one() {
    let bot = both(&[]).await;
    let issue = bot.issue("Late").await;
    let first = code_of(&bot, "maya").await;
    bot.sql("update account_codes set expires_at = now() - interval '1 second'").await;
    let said = comments(&bot, &issue, "maya", &format!("@threadbox link {first}")).await;
    assert!(said.contains("That code does nothing"), "{said}");
    let (second, third) = (code_of(&bot, "maya").await, code_of(&bot, "maya").await);
    let said = comments(&bot, &issue, "maya", &format!("@threadbox link {}", second)).await;
    assert!(said.contains("That code does nothing"), "{said}");
    let said = comments(&bot, &issue, "maya", &format!("@threadbox link {}", third)).await;
    assert!(said.contains("is **maya** on GitHub now"), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn a_code_in_words_that_somebody_else_edited_names_nobody() {
    let bot = both(&[]).await;
    // Bob on Discord would be ada, who is admin: maya may edit what ada wrote.
    let code = code_of(&bot, "bob").await;
    let issue = bot.issue("Edited").await;
    let comment = bot.github.comment(&issue, "ada", "A plain comment.").await.unwrap();
    bot.github.edit_comment(comment.id, "maya", &format!("@threadbox link {code}")).await.unwrap();
    let said = bot.our_comment_number(&issue, 1).await.body().to_owned();
    assert!(said.contains("nobody has edited"), "{said}");
    // Neither does the body of an issue.
    let (other, _) = bot.github.open_issue(super::REPOSITORY, "ada", "Body", &format!("@threadbox link {code}")).await.unwrap();
    let said = bot.our_comment_number(&other, 1).await.body().to_owned();
    assert!(said.contains("nobody has edited"), "{said}");
    assert_eq!(bot.count(JOINED).await, 0);
    bot.finish().await;
}

#[tokio::test]
async fn whoever_has_no_permission_here_is_somebody_all_the_same() {
    let bot = both(&[]).await;
    bot.github.add_user("zoe", UserKind::User);
    let code = code_of(&bot, "bob").await;
    let issue = bot.issue("Open to all").await;
    let said = comments(&bot, &issue, "zoe", &format!("@threadbox link {code}")).await;
    assert!(said.contains("**bob** on Discord is **zoe** on GitHub now"), "{said}");
    bot.finish().await;
}

#[tokio::test]
async fn it_is_taken_back_from_either_side() {
    let bot = both(&[]).await;
    joined(&bot, "maya", "maya").await;
    let said = told(&bot, bot.channel, "maya", "@threadbox link account off").await;
    assert!(said.contains("no longer linked"), "{said}");
    assert_eq!(bot.count(JOINED).await, 0);
    joined(&bot, "maya", "maya").await;
    let issue = bot.issue("Off").await;
    let said = comments(&bot, &issue, "maya", "@threadbox link account off").await;
    assert!(said.contains("no longer linked"), "{said}");
    assert_eq!(bot.count(JOINED).await, 0);
    bot.finish().await;
}
