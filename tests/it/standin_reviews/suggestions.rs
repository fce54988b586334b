//! Suggestions as GitHub's button applies them.

use threadbox::standin::github::{NewComment, ReviewState};

use super::{REPO, Stage, reworded};

impl Stage {
    async fn suggests(&self, comment: NewComment) -> i64 {
        self.github.review_comment(&self.pull, "ada", comment).await.unwrap().id
    }

    fn file(&self, path: &str) -> String {
        self.github.world(|world| world.file(REPO, "work", path).unwrap())
    }
}

#[tokio::test]
async fn exactly_the_anchored_lines_are_replaced() {
    let stage = Stage::new().await;
    let text = "Better:\n\n````suggestion\n\tline 9\n```\n````\nSee?";
    let comment = stage.suggests(NewComment::over("src/lib.rs", 9, 10, text)).await;
    let sha = stage.github.apply_suggestion(comment, "maya").await.unwrap();
    assert_eq!(stage.file("src/lib.rs"), reworded().replace("line 9\nline ten\n", "\tline 9\n```\n"));
    assert_eq!(stage.github.world(|world| world.branch(REPO, "work")), Some(sha));
    assert!(stage.github.world(|world| world.is_resolved(comment) && world.is_outdated(comment)));
    let events = stage.events();
    assert!(events.iter().any(|event| event == "pull_request.synchronize"), "{events:?}");
    assert_eq!(events.last().unwrap(), "pull_request_review_thread.resolved");
}

#[tokio::test]
async fn lines_keep_the_ends_of_their_file() {
    let stage = Stage::new().await;
    let last = stage.suggests(NewComment::on("win.txt", 3, "```suggestion\nIII\nIV\n```")).await;
    stage.github.apply_suggestion(last, "maya").await.unwrap();
    assert_eq!(stage.file("win.txt"), "one\r\n2\r\nIII\r\nIV");
    let gone = stage.suggests(NewComment::on("new.txt", 2, "```suggestion\n```")).await;
    stage.github.apply_suggestion(gone, "maya").await.unwrap();
    assert_eq!(stage.file("new.txt"), "a\nc\n");
}

#[tokio::test]
async fn several_go_in_one_commit_or_none() {
    let stage = Stage::new().await;
    let on = |path: &str, line, to: &str| NewComment::on(path, line, &format!("```suggestion\n{to}\n```"));
    let comments = [on("new.txt", 1, "A\nA"), on("new.txt", 3, "C"), on("src/lib.rs", 10, "line 10!")];
    let reviewed = stage.github.review(&stage.pull, "ada", ReviewState::Commented, "x", &comments).await.unwrap();
    let again = stage.suggests(on("new.txt", 3, "see")).await;
    let both = [reviewed.comments.clone(), vec![again]].concat();
    let refused = stage.github.apply_suggestions(&both, "maya").await.unwrap_err();
    assert_eq!(refused.to_string(), "Only one suggestion per line can be applied in a batch.");
    let before = stage.github.world(|world| world.log(REPO, "work").len());
    stage.github.apply_suggestions(&reviewed.comments, "maya").await.unwrap();
    assert_eq!(stage.file("new.txt"), "A\nA\nb\nC\n");
    assert_eq!(stage.file("src/lib.rs"), reworded().replace("line ten", "line 10!"));
    assert_eq!(stage.github.world(|world| world.log(REPO, "work").len()), before + 1);
}

#[tokio::test]
async fn what_github_would_not_apply_is_refused() {
    let stage = Stage::new().await;
    let on = |line, text: &str| NewComment::on("src/lib.rs", line, text);
    let apply = async |id, who: &str| stage.github.apply_suggestion(id, who).await.unwrap_err().to_string();
    let none = stage.suggests(on(10, "```rust\nx\n```")).await;
    assert_eq!(apply(none, "maya").await, "the comment suggests nothing");
    let same = stage.suggests(on(10, "```suggestion\nline ten\n```")).await;
    assert_eq!(apply(same, "maya").await, "This suggestion is invalid because no changes were made to the code.");
    let left = stage.suggests(on(30, "```suggestion\nx\n```").left()).await;
    assert_eq!(apply(left, "maya").await, "Suggestions cannot be applied on deleted lines.");
    let fine = stage.suggests(on(10, "```suggestion\nx\n```")).await;
    assert_eq!(apply(fine, "eve").await, "eve may not push to the branch");
    stage.pushes("src/lib.rs", &reworded().replace("line ten", "line X")).await;
    assert_eq!(apply(fine, "maya").await, "Outdated suggestions cannot be applied.");
    let open = stage.suggests(on(10, "```suggestion\nx\n```")).await;
    stage.github.close(&stage.pull, "maya").await.unwrap();
    assert_eq!(apply(open, "maya").await, "Suggestions cannot be applied while the pull request is closed.");
}
