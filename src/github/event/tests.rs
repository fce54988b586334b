#![allow(clippy::unwrap_used, clippy::panic)]
use serde_json::{Value, json};

use super::*;
use crate::intake::{Asks, Change, Changed, Closing, RepositoryChange, Request, ReviewThread, Trigger};

fn comment(action: &str, text: &str) -> Value {
    json!({
        "action": action,
        "issue": {"id": 9, "number": 7, "title": "It breaks", "body": "Here is how.", "updated_at": "2026-11-01T10:00:00Z", "surprise": [1]},
        "comment": {"id": 42, "body": text, "html_url": "https://example.org/c/42", "created_at": "2026-11-01T10:00:00Z",
            "updated_at": "2026-11-01T10:00:05Z", "user": {"id": 1, "login": "maya", "type": "User"}},
        "repository": {"id": 5, "full_name": "octo/hello"},
        "installation": {"id": 3},
        "sender": {"id": 1, "login": "maya", "type": "User"},
    })
}

fn opened(action: &str, text: &str) -> Value {
    json!({
        "action": action,
        "issue": {"id": 9, "number": 7, "title": "It breaks", "body": text, "html_url": "https://example.org/i/7",
            "created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-01T10:00:00Z"},
        "repository": {"id": 5, "full_name": "octo/hello"},
        "sender": {"id": 1, "login": "maya", "type": "User"},
    })
}

fn inbound(event: &str, payload: &Value) -> Inbound {
    parse(event, "guid-1", payload.to_string().as_bytes(), "threadbox").unwrap()
}

fn requested(event: &str, payload: &Value) -> Request {
    match inbound(event, payload).event {
        Event::Request(request) => *request,
        other => panic!("not a request: {other:?}"),
    }
}

fn changed(event: &str, payload: &Value) -> Changed {
    match inbound(event, payload).event {
        Event::Changed(changed) => changed,
        other => panic!("not a change: {other:?}"),
    }
}

fn pull(action: &str, text: &str) -> Value {
    json!({
        "action": action, "number": 8,
        "pull_request": {"id": 77, "number": 8, "title": "@threadbox in a title", "body": text, "html_url": "https://example.org/p/8",
            "draft": false, "state": "open", "head": {"sha": "abc", "repo": {"id": 5}}, "user": {"id": 1, "login": "maya"},
            "created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-01T10:00:09Z"},
        "repository": {"id": 5, "full_name": "octo/hello"},
        "sender": {"id": 1, "login": "maya", "type": "User"},
    })
}

fn review(action: &str, text: &str) -> Value {
    let mut payload = pull(action, "Body.");
    payload["review"] = json!({"id": 60, "body": text, "html_url": "https://example.org/r/60", "commit_id": "old",
        "submitted_at": "2026-11-01T11:00:00Z", "user": {"id": 1, "login": "maya"}});
    payload
}

fn review_comment(action: &str, text: &str) -> Value {
    let mut payload = pull(action, "Body.");
    payload["comment"] = json!({"id": 61, "in_reply_to_id": 59, "body": text, "path": "src/a.rs", "line": 4, "start_line": 2,
        "side": "LEFT", "diff_hunk": "@@ -1 +1 @@", "created_at": "2026-11-01T11:00:00Z", "updated_at": "2026-11-01T11:00:00Z",
        "user": {"id": 1, "login": "maya"}});
    payload
}

fn check(conclusion: &str) -> Value {
    json!({
        "action": "completed",
        "check_run": {"id": 5, "name": "test", "head_sha": "abc", "conclusion": conclusion, "completed_at": "2026-11-01T11:00:00Z",
            "app": {"id": 15368, "slug": "github-actions", "name": "GitHub Actions"},
            "pull_requests": [{"id": 77, "number": 8, "head": {"sha": "abc", "repo": {"id": 5}}}]},
        "repository": {"id": 5, "full_name": "octo/hello"},
        "sender": {"id": 1, "login": "maya", "type": "User"},
    })
}

fn object(event: &str, payload: &Value) -> String {
    inbound(event, payload).delivery.object.unwrap().object
}

fn reason(event: &str, payload: &Value) -> &'static str {
    match inbound(event, payload).event {
        Event::Nothing(reason) => reason,
        other => panic!("not nothing: {other:?}"),
    }
}

#[test]
fn a_new_comment_that_mentions_us_is_a_request() {
    let inbound = inbound("issue_comment", &comment("created", "@threadbox run this"));
    assert_eq!(inbound.delivery.kind, "issue_comment.created");
    let object = inbound.delivery.object.unwrap();
    assert_eq!(
        (object.object.as_str(), object.edited_at.to_rfc3339()),
        ("issue_comment:42", "2026-11-01T10:00:05+00:00".to_owned())
    );
    let Event::Request(request) = inbound.event else { panic!("not a request") };
    let place = Place::Github {
        repository: "octo/hello".into(),
        repository_id: 5,
        number: 7,
        installation: Some(3),
        is_pull_request: false,
    };
    let expected = Request {
        place,
        trigger: Trigger::Comment(42),
        author: Author { id: 1, login: "maya".into(), is_bot: false },
        text: "@threadbox run this".into(),
        title: "It breaks".into(),
        body: Some("Here is how.".into()),
        url: "https://example.org/c/42".into(),
        written_at: "2026-11-01T10:00:05Z".parse().unwrap(),
        asks: Asks::Words,
        head: None,
        review_thread: None,
        from_fork: false,
        opened_by: None,
        with: crate::intake::With::default(),
    };
    assert_eq!(*request, expected);
}

#[test]
fn a_comment_for_others_is_nothing() {
    assert_eq!(reason("issue_comment", &comment("created", "thanks @threadbox-x")), "nobody addressed us");
}

#[test]
fn our_marker_never_triggers() {
    let text = "@threadbox <!-- threadbox:post=1 -->";
    assert_eq!(reason("issue_comment", &comment("created", text)), "our own text never asks for anything");
}

#[test]
fn an_edit_counts_only_when_it_adds_the_mention() {
    let mut payload = comment("edited", "@threadbox now");
    payload["changes"] = json!({"body": {"from": "now"}});
    assert_eq!(requested("issue_comment", &payload).text, "@threadbox now");
    payload["changes"] = json!({"body": {"from": "@threadbox later"}});
    assert_eq!(changed("issue_comment", &payload).change, Change::Edited, "the words of a request are others now");
    payload["changes"] = json!({});
    assert_eq!(reason("issue_comment", &payload), "the edit did not change the text");
}

#[test]
fn who_edits_a_mention_in_asks_on_their_own_account() {
    let mut payload = comment("edited", "@threadbox now");
    payload["changes"] = json!({"body": {"from": "now"}});
    payload["sender"] = json!({"id": 66, "login": "mallory", "type": "User"});
    assert_eq!(requested("issue_comment", &payload).author.login, "mallory");
}

#[test]
fn issues_ask_when_opened_or_edited() {
    let inbound = inbound("issues", &opened("opened", "@threadbox help"));
    assert_eq!(inbound.delivery.object.unwrap().object, "issue:9");
    let request = requested("issues", &opened("opened", "@threadbox help"));
    assert_eq!((request.trigger, request.body), (Trigger::Body, None));
    let mut edited = opened("edited", "@threadbox help");
    edited["changes"] = json!({"body": {"from": null}});
    assert_eq!(requested("issues", &edited).text, "@threadbox help");
    edited["changes"] = json!({});
    assert_eq!(reason("issues", &edited), "the edit did not change the text");
}

#[test]
fn a_transferred_issue_does_not_ask_again() {
    let mut payload = opened("opened", "@threadbox help");
    payload["changes"] = json!({"old_issue": {"id": 1}});
    assert_eq!(reason("issues", &payload), "a transferred issue was answered where it was opened");
}

#[test]
fn closing_ends_the_conversation() {
    let inbound = inbound("issues", &opened("closed", "whatever"));
    let Event::Closed(closed) = inbound.event else { panic!("not closed") };
    assert!(matches!(closed.place, Place::Github { number: 7, installation: None, is_pull_request: false, .. }));
    assert_eq!((closed.closing, closed.by.as_str(), inbound.delivery.object), (Closing::Closed, "maya", None));
}

#[test]
fn what_is_deleted_or_moved_away_ends_with_its_reason() {
    let closing = |payload: &Value| match inbound("issues", payload).event {
        Event::Closed(closed) => closed.closing,
        other => panic!("{other:?}"),
    };
    assert_eq!(closing(&opened("deleted", "x")), Closing::Deleted);
    let mut moved = opened("transferred", "x");
    moved["changes"] = json!({"new_issue": {"number": 3, "id": 99}, "new_repository": {"id": 6, "full_name": "octo/other"}});
    assert_eq!(closing(&moved), Closing::Transferred { to: Some("octo/other#3".into()) });
}

#[test]
fn bots_are_marked_by_type_and_by_name() {
    for account in [json!({"id": 2, "login": "ci", "type": "Bot"}), json!({"id": 2, "login": "ci[bot]"})] {
        let mut payload = comment("created", "@threadbox hi");
        payload["sender"] = account;
        assert!(requested("issue_comment", &payload).author.is_bot);
    }
}

#[test]
fn a_deleted_account_is_tolerated() {
    let mut payload = comment("created", "@threadbox hi");
    payload["sender"] = Value::Null;
    payload["comment"]["user"] = Value::Null;
    assert_eq!(reason("issue_comment", &payload), "the author's account is gone");
}

#[test]
fn a_comment_on_a_pull_request_says_so() {
    let mut payload = comment("created", "@threadbox hi");
    payload["issue"]["pull_request"] = json!({"url": "x"});
    assert!(matches!(requested("issue_comment", &payload).place, Place::Github { is_pull_request: true, .. }));
}

#[test]
fn a_pull_request_asks_with_its_text_and_never_with_its_title() {
    let request = requested("pull_request", &pull("opened", "@threadbox look"));
    assert_eq!((request.trigger, request.head.as_deref(), request.from_fork), (Trigger::Body, Some("abc"), false));
    assert_eq!(object("pull_request", &pull("opened", "@threadbox look")), "pull:77");
    assert_eq!(requested("pull_request", &pull("opened", "No mention.")).asks, Asks::Pushed);
    let mut edited = pull("edited", "@threadbox look");
    edited["changes"] = json!({"title": {"from": "x"}});
    assert!(matches!(inbound("pull_request", &edited).event, Event::Renamed(_)), "another title is no request");
    edited["changes"] = json!({"body": {"from": "x"}});
    assert_eq!(requested("pull_request", &edited).asks, Asks::Words);
}

#[test]
fn a_commit_is_pushed_once_however_often_it_is_told() {
    let keys = ["opened", "synchronize", "reopened", "ready_for_review"].map(|action| {
        let inbound = inbound("pull_request", &pull(action, "Text."));
        assert!(matches!(&inbound.event, Event::Request(request) if request.asks == Asks::Pushed && request.text.is_empty()));
        inbound.delivery.object.unwrap()
    });
    assert!(keys.iter().all(|key| *key == keys[0] && key.object == "pull:77@abc"), "{keys:?}");
    let mut draft = pull("synchronize", "Text.");
    draft["pull_request"]["draft"] = json!(true);
    assert_eq!(reason("pull_request", &draft), "a draft is not looked at before it is ready");
}

#[test]
fn commits_of_others_are_marked_also_when_their_repository_is_gone() {
    let mut payload = pull("synchronize", "Text.");
    for repo in [json!({"id": 6}), Value::Null] {
        payload["pull_request"]["head"]["repo"] = repo;
        assert!(requested("pull_request", &payload).from_fork);
    }
}

#[test]
fn labels_and_requests_for_review_name_what_the_gate_decides_on() {
    let mut labelled = pull("labeled", "Text.");
    labelled["label"] = json!({"name": "threadbox"});
    assert_eq!(requested("pull_request", &labelled).asks, Asks::Label { name: "threadbox".into() });
    let mut labelled = opened("labeled", "@threadbox in the text is not what was added");
    labelled["label"] = json!({"name": "bug"});
    let request = requested("issues", &labelled);
    assert_eq!((request.asks, request.text.as_str(), request.trigger), (Asks::Label { name: "bug".into() }, "", Trigger::Event));
    let mut asked = pull("review_requested", "Text.");
    assert_eq!(reason("pull_request", &asked), "a team was asked for a review");
    asked["requested_reviewer"] = json!({"login": "threadbox", "id": 3});
    assert_eq!(requested("pull_request", &asked).asks, Asks::ReviewRequest { reviewer: "threadbox".into() });
}

#[test]
fn a_review_and_its_comments_are_requests_of_their_own() {
    let request = requested("pull_request_review", &review("submitted", "@threadbox agree?"));
    assert_eq!((request.trigger, request.text.as_str()), (Trigger::Review(60), "@threadbox agree?"));
    assert_eq!(object("pull_request_review", &review("submitted", "@threadbox agree?")), "review:60");
    let request = requested("pull_request_review_comment", &review_comment("created", "@threadbox why?"));
    let thread = ReviewThread {
        root: 59,
        path: "src/a.rs".into(),
        line: Some(4),
        start_line: Some(2),
        is_old: true,
        diff_hunk: "@@ -1 +1 @@".into(),
    };
    assert_eq!((request.trigger, request.review_thread), (Trigger::ReviewComment(61), Some(thread)));
    assert_eq!(object("pull_request_review_comment", &review_comment("created", "@threadbox why?")), "review_comment:61");
}

#[test]
fn every_edit_of_a_review_is_another_version() {
    let edit = |text: &str| {
        let mut payload = review("edited", text);
        payload["changes"] = json!({"body": {"from": "nothing"}});
        inbound("pull_request_review", &payload).delivery.object.unwrap()
    };
    assert_ne!(edit("@threadbox one"), edit("@threadbox two"));
    assert_eq!(edit("@threadbox one"), edit("@threadbox one"));
    let mut edited = review("edited", "@threadbox two");
    edited["changes"] = json!({"body": {"from": "@threadbox one"}});
    assert_eq!(changed("pull_request_review", &edited).object, "review:60");
}

#[test]
fn deletions_are_told_whatever_the_text_says_by_then() {
    for (event, payload, expected) in [
        ("issue_comment", comment("deleted", "@threadbox run"), "issue_comment:42"),
        ("issue_comment", comment("deleted", "never mind"), "issue_comment:42"),
        ("pull_request_review_comment", review_comment("deleted", "@threadbox why?"), "review_comment:61"),
    ] {
        let changed = changed(event, &payload);
        assert_eq!((changed.object.as_str(), changed.change, changed.by.as_str()), (expected, Change::Deleted, "maya"));
        assert!(changed.text.is_empty());
    }
}

#[test]
fn failed_checks_of_one_commit_are_one_request() {
    let request = requested("check_run", &check("failure"));
    let failed = Asks::CheckFailed { check_run: Some(5), name: "test".into(), app: Some(15368) };
    assert_eq!((request.asks, request.head.as_deref()), (failed, Some("abc")));
    let mut suite = check("failure");
    suite["check_suite"] = suite["check_run"].take();
    let failed = Asks::CheckFailed { check_run: None, name: "GitHub Actions".into(), app: Some(15368) };
    assert_eq!(requested("check_suite", &suite).asks, failed);
    let key = |event, payload: &Value| inbound(event, payload).delivery.object.unwrap();
    assert_eq!(key("check_run", &check("timed_out")), key("check_suite", &suite));
    assert_eq!(reason("check_run", &check("success")), "the check did not fail");
    let mut old = check("failure");
    old["check_run"]["pull_requests"][0]["head"]["sha"] = json!("newer");
    assert_eq!(reason("check_run", &old), "the pull request has a newer commit");
    old["check_run"]["pull_requests"] = json!([]);
    assert_eq!(reason("check_run", &old), "the check is about no pull request");
}

#[test]
fn the_app_of_a_check_is_not_the_bot_whose_work_was_checked() {
    let mut payload = check("failure");
    payload["sender"] = json!({"id": 4, "login": "github-actions[bot]", "type": "Bot"});
    assert!(!requested("check_run", &payload).author.is_bot);
    payload["sender"] = json!({"id": 4, "login": "dependabot[bot]", "type": "Bot"});
    assert!(requested("check_run", &payload).author.is_bot);
}

#[test]
fn repositories_move_and_go() {
    let event = |action: &str| {
        let payload = json!({"action": action, "repository": {"id": 5, "full_name": "octo/new"}, "installation": {"id": 3},
            "sender": {"login": "maya"}});
        match inbound("repository", &payload).event {
            Event::Repository(change) => change,
            other => panic!("{other:?}"),
        }
    };
    let moved = RepositoryChange::Moved { id: 5, full_name: "octo/new".into(), installation: Some(3) };
    assert_eq!((event("renamed"), event("transferred")), (moved.clone(), moved));
    assert_eq!(event("deleted"), RepositoryChange::Deleted { id: 5, by: "maya".into() });
}

#[test]
fn installations_come_and_go() {
    let gone = |action: &str| {
        let payload =
            json!({"action": action, "installation": {"id": 3, "account": {"login": "octo", "id": 8}, "created_at": 1525109898}});
        match inbound("installation", &payload).event {
            Event::Installation(installation) => installation.gone,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(["created", "deleted", "suspend", "unsuspend"].map(gone), [false, true, true, false]);
    let payload = json!({"action": "removed", "installation": {"id": 3}, "repositories_removed": [{"id": 5, "full_name": "octo/a"}, {"id": 6}]});
    let Event::Installation(installation) = inbound("installation_repositories", &payload).event else {
        panic!("no installation")
    };
    assert_eq!((installation.removed, installation.deleted, installation.gone), (vec![5, 6], false, false));
}

#[test]
fn the_rest_is_nothing_with_a_reason() {
    assert_eq!(reason("ping", &json!({"zen": "Speak like a human."})), "ping: the webhook is set up");
    assert_eq!(reason("star", &json!({"action": "created"})), "this event is not handled");
    assert_eq!(reason("issue_comment", &comment("levitated", "@threadbox")), "this action of a comment is not handled");
    assert_eq!(reason("issue_comment", &json!({"action": "created"})), INCOMPLETE);
    assert_eq!(reason("pull_request", &pull("assigned", "x")), "this action of a pull request is not handled");
    assert_eq!(inbound("push", &json!({"action": 5})).delivery.kind, "push");
}

#[test]
fn what_is_no_webhook_is_refused() {
    let refusal = |event, delivery, body: &str| parse(event, delivery, body.as_bytes(), "threadbox").unwrap_err();
    assert_eq!(refusal("", "d", "{}"), PayloadError::NoEvent);
    assert_eq!(refusal("ping", " ", "{}"), PayloadError::NoDelivery);
    for body in ["", "null", "[1]", "payload=%7B%7D", "{\"a\":"] {
        assert_eq!(refusal("ping", "d", body), PayloadError::NotAnObject, "{body}");
    }
    let wrong = r#"{"action":"created","issue":{"number":"seven"}}"#;
    assert_eq!(refusal("issue_comment", "d", wrong), PayloadError::Field("issue.number".into()));
}

proptest::proptest! {
    #[test]
    fn no_body_makes_it_panic(event in "(issues|issue_comment|pull_request|pull_request_review|check_run|repository|installation|ping|x)", body in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = parse(&event, "d", &body, "threadbox");
    }

    #[test]
    fn no_shape_makes_it_panic(action in "(created|edited|opened|closed|deleted|suspend|submitted|completed|synchronize|renamed)", text in ".{0,60}", id in proptest::num::i64::ANY) {
        for event in ["issues", "issue_comment", "installation", "pull_request", "pull_request_review", "pull_request_review_comment", "check_run", "check_suite", "repository"] {
            let payload = json!({"action": action, "comment": {"id": id, "body": text}, "issue": {"number": id, "body": text},
                "repository": {"id": id, "full_name": text}, "installation": {"id": id}, "changes": {"body": {}},
                "pull_request": {"id": id, "number": id, "body": text, "head": {"sha": text}}, "review": {"id": id, "body": text},
                "check_run": {"id": id, "conclusion": "failure", "head_sha": text, "pull_requests": [{"number": id}]}});
            let _ = parse(event, "d", payload.to_string().as_bytes(), "threadbox");
        }
    }
}

#[test]
fn what_certainly_means_nothing_is_known_by_its_name() {
    assert!(handles("issue_comment", Some("created")) && handles("check_run", Some("completed")));
    assert!(!handles("issue_comment", Some("pinned")) && !handles("check_run", Some("created")) && !handles("star", None));
}

#[test]
fn another_title_names_the_conversation_when_a_person_gave_it() {
    let mut edited = opened("edited", "@threadbox help");
    edited["changes"] = json!({"title": {"from": "old"}});
    let inbound_edit = inbound("issues", &edited);
    let Event::Renamed(renamed) = inbound_edit.event else { panic!("not renamed") };
    assert_eq!((renamed.title.as_str(), renamed.by.as_str(), renamed.place.key().as_str()), ("It breaks", "maya", "5#7"));
    assert_eq!(inbound_edit.delivery.object, None);
    edited["sender"] = json!({"id": 2, "login": "ci[bot]", "type": "Bot"});
    assert_eq!(reason("issues", &edited), "the edit did not change the text");
    // Words that ask for something come first.
    edited["sender"] = json!({"id": 1, "login": "maya"});
    edited["changes"] = json!({"title": {"from": "old"}, "body": {"from": "nothing"}});
    assert!(matches!(inbound("issues", &edited).event, Event::Request(_)));
}
