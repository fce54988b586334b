//! How sandboxes are made, found and removed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use threadbox::agent::tools::Sandboxes;
use threadbox::id::ThreadId;
use threadbox::sandbox::{LANGUAGE_LABEL, Language, SandboxError, SandboxId, SandboxSpec};

use super::place::{Thread, shell};

pub async fn a_name_finds_the_same_sandbox(thread: &Thread) {
    let spec = |name: &str| SandboxSpec { name: Some(name.to_owned()), ..SandboxSpec::default() };
    let one = thread.create(spec("again")).await.unwrap();
    one.write("mine", b"1").await.unwrap();
    let two = thread.create(spec("again")).await.unwrap();
    assert_eq!((one.id(), one.workspace()), (two.id(), two.workspace()));
    assert_eq!(two.read("mine", 0, 9).await.unwrap().0, "1");
    let found = thread.place.provider.find(one.id()).await.unwrap();
    assert_eq!((found.id(), found.read("mine", 0, 9).await.unwrap().1), (one.id(), 1));
    assert!(one.id() != thread.own.id() && matches!(thread.own.info("mine").await, Err(SandboxError::NotFound(_))));
    // The sandbox of another thread cannot be had by its name.
    let theirs = SandboxSpec { thread: Some(ThreadId::new()), name: Some(thread.name.clone()), ..SandboxSpec::default() };
    if let Ok(other) = thread.place.provider.create(theirs).await {
        thread.place.provider.remove(other.id()).await.unwrap();
        panic!("a sandbox was given to another thread");
    }
}

pub async fn what_was_removed_is_not_found(thread: &Thread) {
    let spec = SandboxSpec { name: Some("brief".to_owned()), ..SandboxSpec::default() };
    let made = thread.create(spec).await.unwrap();
    made.write("x", b"1").await.unwrap();
    let provider = &thread.place.provider;
    provider.wake(made.id()).await.unwrap();
    made.keep_alive().await.unwrap();
    provider.remove(made.id()).await.unwrap();
    provider.remove(made.id()).await.unwrap();
    assert!(matches!(provider.find(made.id()).await.map(drop), Err(SandboxError::NotFound(_))));
    assert!(matches!(provider.wake(made.id()).await, Err(SandboxError::NotFound(_))));
    for id in ["never-made", "../etc", "a/b", ""] {
        let found = provider.find(&SandboxId(id.to_owned())).await.map(drop);
        assert!(matches!(found, Err(SandboxError::NotFound(_))), "{id}: {found:?}");
    }
    assert!(made.exec(shell("echo ran"), &thread.cancel).await.is_err());
    assert!(made.write("x", b"2").await.is_err());
}

pub async fn labels_find_sandboxes(thread: &Thread) {
    let label = |value: &str| BTreeMap::from([("contract".to_owned(), value.to_owned())]);
    let mark = thread.name.clone();
    let spec = SandboxSpec { name: Some("labelled".to_owned()), labels: label(&mark), ..SandboxSpec::default() };
    let made = thread.create(spec).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = thread.place.provider.labelled(&label(&mark), 10).await.unwrap();
        if let [one] = &listed[..] {
            assert_eq!((&one.id, one.labels.get("contract")), (made.id(), Some(&mark)));
            break;
        }
        assert!(listed.is_empty() && Instant::now() < deadline, "{listed:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(thread.place.provider.labelled(&label("nobody-has-this"), 10).await.unwrap().len(), 0);
}

pub async fn a_sandbox_has_its_language_and_variables(thread: &Thread) {
    assert_eq!(thread.own.language(), Language::Python);
    for (language, name) in
        [(Language::Javascript, "javascript"), (Language::Typescript, "typescript"), (Language::Python, "python")]
    {
        let spec = SandboxSpec {
            name: Some(name.to_owned()),
            labels: BTreeMap::from([(LANGUAGE_LABEL.to_owned(), name.to_owned())]),
            env: BTreeMap::from([("FROM_SPEC".to_owned(), format!("{name} 'ä' $x"))]),
            ..SandboxSpec::default()
        };
        let made = thread.create(spec).await.unwrap();
        assert_eq!(made.language(), language);
        let found = thread.place.provider.find(made.id()).await.unwrap();
        assert_eq!(found.language(), language);
        let told = thread.good("runCommand", json!({ "sandboxId": made.id(), "command": "printf '%s' \"$FROM_SPEC\"" })).await;
        assert_eq!(told["stdout"], format!("{name} 'ä' $x"));
        let output = thread.run("runCode", json!({ "sandboxId": made.id(), "code": "console.log(1)" })).await;
        assert_eq!(output.execution.unwrap().language, name);
        if language == Language::Python {
            let told = thread.good("runCode", json!({ "sandboxId": made.id(), "code": "print(6 * 7)" })).await;
            assert_eq!(told["stdout"], "42\n");
        }
    }
}
