//! `retry`: the last request again.

use super::approve;
use super::dispatch::{start_as, tell};
use super::store::{self, Claimed, LastRun, NewRun, Standing, Verdict};
use crate::agent::Task;
use crate::approval;
use crate::intake::command::{self, Command, Landing};
use crate::intake::{Asks, Request};
use crate::jobs::Services;
use crate::reply::{Card, PostError};

/// The last request again, as it stood then, on behalf of who asks now.
pub(super) async fn retry(services: &Services, claimed: &Claimed, standing: &Standing) -> Result<Verdict, PostError> {
    let Some(last) = store::last_run(&services.pool, claimed.thread, claimed.id).await? else {
        return tell(services, claimed, &Card::NothingToRetry).await;
    };
    repeat(services, claimed, standing, last).await
}

/// What a run was asked for again, on behalf of who asks now.
pub(super) async fn repeat(
    services: &Services,
    claimed: &Claimed,
    standing: &Standing,
    last: LastRun,
) -> Result<Verdict, PostError> {
    if matches!(last.task, Task::LandApproved { .. }) && last.approval.is_none() {
        let why = "What was approved then has to be shown anew: ask for it with `pr`.".to_owned();
        return tell(services, claimed, &Card::NotApproved { why }).await;
    }
    if let Some(id) = last.approval
        && let Some(known) = approval::store::get(&services.pool, id).await?
        && !approve::may_decide(services, claimed, &known).await?
    {
        let why = "That takes the permission it took when it was approved.".to_owned();
        return tell(services, claimed, &Card::NotApproved { why }).await;
    }
    let Some(task) = again(&last, &services.settings.name) else {
        return tell(services, claimed, &Card::NothingToRetry).await;
    };
    let now = &claimed.request;
    // Whose words an approval covers does not change with who repeats them.
    let author = if last.approval.is_some() { last.request.author.clone() } else { now.author.clone() };
    let request = Request {
        trigger: now.trigger,
        author,
        place: now.place.clone(),
        url: now.url.clone(),
        review_thread: now.review_thread.clone(),
        ..last.request
    };
    let new = NewRun { newest: standing.newest, request: &request, task: &task, powers: last.powers, approval: last.approval };
    start_as(services, claimed, standing, new).await
}

/// What is run again: what the words ask for now, because they may have been edited since. None when that is something else. What was
/// approved, or asked for without words, is as it was.
fn again(last: &LastRun, handle: &str) -> Option<Task> {
    let in_words = match &last.task {
        Task::Ask { .. } | Task::Code { .. } | Task::Plan { .. } | Task::Review { .. } | Task::Land { .. } => true,
        Task::CarryOut { .. } | Task::LandApproved { .. } | Task::Undo => false,
    };
    if !in_words || last.request.asks != Asks::Words {
        return Some(last.task.clone());
    }
    let said = asked_in_words(&last.request.text, handle)?;
    if last.approval.is_some() {
        return Some(last.task.clone());
    }
    (std::mem::discriminant(&said) == std::mem::discriminant(&last.task)).then_some(said)
}

/// The run that words ask for; none when they ask for something else.
fn asked_in_words(text: &str, handle: &str) -> Option<Task> {
    match command::parse(text, handle)? {
        Command::Ask { text } | Command::Queue { text } => Some(Task::Ask { text }),
        Command::Run { blocks } => Some(Task::Code { blocks }),
        Command::Plan { text } => Some(Task::Plan { text }),
        Command::Review => Some(Task::Review { text: text.to_owned() }),
        Command::Land { how: Landing::Fix | Landing::Pr } => Some(Task::Land { text: text.to_owned() }),
        Command::Undo
        | Command::Retry
        | Command::Stop
        | Command::Approve { .. }
        | Command::Status
        | Command::Help
        | Command::Remember { .. }
        | Command::Forget { .. }
        | Command::Memory
        | Command::Model { .. }
        | Command::Budget { .. }
        | Command::Link { .. }
        | Command::Branch { .. }
        | Command::LinkRepository { .. }
        | Command::Account { .. }
        | Command::Misspelt { .. }
        | Command::Invalid { .. } => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::agent::{CodeBlock, Powers};
    use crate::id::ApprovalId;

    /// A run of code whose request says that.
    fn ran(text: &str) -> LastRun {
        let request = serde_json::json!({
            "place": { "surface": "github", "repository": "acme/rocket", "repository_id": 1, "number": 1, "installation": null, "is_pull_request": false },
            "trigger": { "kind": "comment", "id": 1 }, "author": { "id": 1, "login": "maya", "is_bot": false }, "text": text,
            "title": "", "body": null, "url": "", "written_at": "2026-01-01T00:00:00Z"
        });
        let request = serde_json::from_value(request).unwrap();
        LastRun { request, task: Task::Code { blocks: Vec::new() }, powers: Powers::Everything, approval: None }
    }

    #[test]
    fn what_was_edited_runs_as_it_is_now_or_not_at_all() {
        let code = "@threadbox run\n```sh\necho new\n```";
        let block = CodeBlock { language: "sh".into(), code: "echo new\n".into() };
        assert_eq!(again(&ran(code), "threadbox"), Some(Task::Code { blocks: vec![block] }));
        assert_eq!(again(&ran("@threadbox never mind"), "threadbox"), None, "another kind of request");
        assert_eq!(again(&ran("never mind"), "threadbox"), None);
        assert_eq!(again(&ran(""), "threadbox"), None);
    }

    #[test]
    fn what_was_approved_runs_as_it_was_while_its_words_are_there() {
        let approved = |text| LastRun { approval: Some(ApprovalId::new()), ..ran(text) };
        assert_eq!(again(&approved("@threadbox review this"), "threadbox"), Some(Task::Code { blocks: Vec::new() }));
        assert_eq!(again(&approved(""), "threadbox"), None);
    }

    #[test]
    fn what_nobody_typed_runs_as_it_was() {
        let mut label = ran("");
        label.request.asks = Asks::Pushed;
        assert!(again(&label, "threadbox").is_some());
    }
}
