//! Threads over GraphQL.

use serde_json::{Value, json};
use threadbox::standin::github::{NewComment, ReviewState};

use super::{GRANTED, Stage};

const THREADS: &str = "query Threads($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 2, after: $after) {
        nodes { ...Thread }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }
  }
}
fragment Thread on PullRequestReviewThread {
  id isResolved isOutdated path line
  comments(first: 10) { nodes { id databaseId body author { __typename login } replyTo { databaseId } } }
}";

impl Stage {
    async fn threads(&self, after: Option<&str>) -> Value {
        let variables = json!({"owner": "octo-org", "name": "hello-world", "number": 1, "after": after});
        let answer = self.graphql(THREADS, variables).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        answer["data"]["repository"]["pullRequest"]["reviewThreads"].clone()
    }

    async fn three_threads(&self) -> Vec<i64> {
        let comments = [1, 2, 3].map(|line| NewComment::on("new.txt", line, "hm"));
        self.github.review(&self.pull, "ada", ReviewState::Commented, "x", &comments).await.unwrap().comments
    }
}

#[tokio::test]
async fn threads_are_paged_resolved_and_opened_again() {
    let stage = Stage::new().await;
    let comments = stage.three_threads().await;
    stage.github.reply(comments[0], "maya", "so what").await.unwrap();
    let first = stage.threads(None).await;
    assert_eq!((&first["totalCount"], &first["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
    let said = &first["nodes"][0]["comments"]["nodes"];
    assert_eq!((&said[1]["body"], &said[1]["author"]["login"]), (&json!("so what"), &json!("maya")));
    assert_eq!(said[1]["replyTo"]["databaseId"], comments[0]);
    assert_eq!((&first["nodes"][1]["path"], &first["nodes"][1]["line"]), (&json!("new.txt"), &json!(2)));
    let second = stage.threads(first["pageInfo"]["endCursor"].as_str()).await;
    assert_eq!((second["nodes"].as_array().unwrap().len(), &second["pageInfo"]["hasNextPage"]), (1, &json!(false)));

    let id = &first["nodes"][0]["id"];
    let resolve =
        "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { isResolved resolvedBy { login } } } }";
    let answer = stage.graphql(resolve, json!({"id": id})).await;
    assert_eq!(
        answer["data"]["resolveReviewThread"]["thread"],
        json!({"isResolved": true, "resolvedBy": {"login": "threadbox"}})
    );
    assert!(stage.github.world(|world| world.is_resolved(comments[0]) && !world.is_resolved(comments[1])));
    let open = "mutation($id: ID!) { unresolveReviewThread(input: {threadId: $id}) { thread { isResolved } } }";
    stage.graphql(open, json!({"id": id})).await;
    assert!(!stage.github.world(|world| world.is_resolved(comments[0])));
    let events = stage.events();
    assert_eq!(events[events.len() - 2..], ["pull_request_review_thread.resolved", "pull_request_review_thread.unresolved"]);
}

#[tokio::test]
async fn comments_and_reviews_are_folded_and_reacted_to() {
    let stage = Stage::new().await;
    let comments = stage.three_threads().await;
    let subject = &stage.threads(None).await["nodes"][0]["comments"]["nodes"][0]["id"];
    let fold = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) { minimizedComment { isMinimized minimizedReason } } }";
    let answer = stage.graphql(fold, json!({"id": subject})).await;
    assert_eq!(
        answer["data"]["minimizeComment"]["minimizedComment"],
        json!({"isMinimized": true, "minimizedReason": "outdated"}),
        "{answer}"
    );
    assert_eq!(stage.github.world(|world| world.review_comments(&stage.pull)[0].minimized.clone()), Some("outdated".into()));
    let review = stage.get("/pulls/1/reviews").await[0]["node_id"].clone();
    let react =
        "mutation($id: ID!) { addReaction(input: {subjectId: $id, content: EYES}) { reaction { content } subject { id } } }";
    let answer = stage.graphql(react, json!({"id": review})).await;
    assert_eq!(answer["data"]["addReaction"], json!({"reaction": {"content": "EYES"}, "subject": {"id": review}}), "{answer}");
    let at = stage.github.world(|world| world.reviews(&stage.pull)[0].id);
    assert_eq!(stage.github.world(|world| world.reactions(&stage.pull, Some(at)).len()), 1);
    assert_eq!(comments.len(), 3);
}

#[tokio::test]
async fn what_the_schema_lacks_is_an_error_with_status_200() {
    let stage = Stage::new().await;
    let repository = |inside: &str| format!("{{ repository(owner: \"octo-org\", name: \"hello-world\") {{ {inside} }} }}");
    for (query, message) in [
        (repository("stars"), "Field 'stars' doesn't exist on type 'Repository'"),
        (repository("pullRequest(number: 1)"), "Field must have selections"),
        (repository("name { x }"), "Selections can't be made on scalars"),
        (repository("pullRequest { id }"), "missing required arguments: number"),
        (repository("pullRequest(number: 1, wat: 2) { id }"), "doesn't accept argument 'wat'"),
        (repository("pullRequest(number: 1) { reviewThreads { totalCount } }"), "You must provide a `first` or `last` value"),
        (repository("pullRequest(number: 1) { reviewThreads(first: 101) { totalCount } }"), "exceeds the `first` limit"),
        (repository("pullRequest(number: 7) { id }"), "Could not resolve to a PullRequest with the number of 7."),
        (repository("...Nowhere"), "Fragment Nowhere was used, but not defined"),
        ("{ repository(owner: \"x\", name: \"y\") { id } }".into(), "Could not resolve to a Repository"),
        ("{ node(id: \"PRRT_kwDO000000000001\") { id } }".into(), "Could not resolve to a node"),
        ("query($n: Int!) { viewer { login } }".into(), "Variable $n"),
        ("{ nonsense".into(), "Expected"),
    ] {
        let answer = stage.graphql(&query, json!({})).await;
        let said = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{query}: {answer}");
    }
    assert_eq!(stage.ask("nonsense", "POST", "/graphql", json!({"query": "{ viewer { login } }"})).await.0, 401);
}

#[tokio::test]
async fn resolving_takes_the_right_to_write_contents() {
    let granted: Vec<(&str, &str)> =
        GRANTED.into_iter().map(|(name, level)| (name, if name == "contents" { "read" } else { level })).collect();
    // On Enterprise Server it stands beside the REST API.
    let stage = Stage::with(&granted, "/api/v3").await;
    let comments = stage.three_threads().await;
    let url = stage.github.url().replace("/api/v3", "/api/graphql");
    let body = json!({"query": THREADS, "variables": {"owner": "octo-org", "name": "hello-world", "number": 1}});
    let (status, answer) = stage.ask(&stage.token, "POST", &url, body).await;
    assert_eq!(status, 200);
    let id = &answer["data"]["repository"]["pullRequest"]["reviewThreads"]["nodes"][0]["id"];
    let query = "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { id } } }";
    let (status, answer) = stage.ask(&stage.token, "POST", &url, json!({"query": query, "variables": {"id": id}})).await;
    assert_eq!(
        (status, &answer["errors"][0]["type"], &answer["data"]["resolveReviewThread"]),
        (200, &json!("FORBIDDEN"), &Value::Null)
    );
    assert!(!stage.github.world(|world| world.is_resolved(comments[0])));
    assert_eq!(stage.ask(&stage.token, "POST", "/graphql", json!({"query": "{ viewer { login } }"})).await.0, 404);
}
