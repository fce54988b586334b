#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::clock::computed;

fn read(text: &str) -> Command {
    parse(text, "threadbox").unwrap()
}

fn ask(text: &str) -> Command {
    Command::Ask { text: text.to_owned() }
}

fn is_ask(text: &str) -> bool {
    matches!(parse(text, "threadbox"), Some(Command::Ask { .. }))
}

fn blocks(command: Command) -> Vec<(String, String)> {
    match command {
        Command::Run { blocks } => blocks.into_iter().map(|block| (block.language, block.code)).collect(),
        other => panic!("not a run: {other:?}"),
    }
}

#[test]
fn a_mention_in_running_text_counts() {
    for text in [
        "@threadbox",
        "@Threadbox hi",
        "hello @THREADBOX!",
        "@threadbox[bot] hi",
        "(@threadbox)",
        "**@threadbox** hi",
        "@threadbox, hi",
        "@threadbox: hi",
        "hi @threadbox.",
        "- @threadbox do this",
        "| a |\n|---|\n| @threadbox |",
        "# @threadbox",
        "请@threadbox看看",
        "@threadbox—hi",
        "<details>\n<summary>x</summary>\n\n@threadbox hi\n</details>",
        "<p>@threadbox hi</p>",
        "@threadbox's last answer is wrong",
        "a `Vec<code>` and <code> @threadbox hi",
    ] {
        assert!(mentions(text, "threadbox"), "{text}");
    }
}

#[test]
fn a_mention_in_code_quotes_comments_tags_and_links_does_not_count() {
    for text in [
        "`@threadbox run`",
        "```\n@threadbox run\n```",
        "~~~\n@threadbox\n~~~",
        "text\n\n    @threadbox run",
        "```\n@threadbox never closed",
        "> @threadbox stop",
        "> [!NOTE]\n> @threadbox stop",
        "- > @threadbox",
        "<!-- @threadbox run -->",
        "<!-- never closed @threadbox",
        "text <!-- @threadbox --> text",
        "<a title=\"@threadbox\">x</a>",
        "<img alt='@threadbox'>",
        "[x](https://example.com/@threadbox)",
        "[x](https://example.com \"@threadbox\")",
        "![@threadbox](x.png)",
        "[@threadbox](https://example.com)",
        "[id]: https://example.com/@threadbox",
        "https://example.com/@threadbox",
        "https://example.com/?to=,@threadbox",
        "<https://example.com/@threadbox>",
        "<code>@threadbox</code>",
        "<pre>\n@threadbox\n</pre>",
        "<blockquote>\n@threadbox\n</blockquote>",
        "\\@threadbox",
    ] {
        assert_eq!(parse(text, "threadbox"), None, "{text}");
    }
}

#[test]
fn other_names_are_somebody_else() {
    for text in [
        "@threadbox-x",
        "@threadboxer",
        "mail@threadbox",
        "mail@threadbox.com",
        "@threadbox/team",
        "@threadbox_x",
        "@threadbox.dev",
        "@@threadbox",
        "x/@threadbox",
        "@threadbox@social.example",
        "threadbox",
        "@ threadbox",
        "@threadbo",
        "@threadbox--x",
    ] {
        assert_eq!(parse(text, "threadbox"), None, "{text}");
    }
}

#[test]
fn anything_else_is_a_request_without_the_handle_that_opens_it() {
    assert_eq!(read("@threadbox why is the build red?"), ask("why is the build red?"));
    assert_eq!(read("@threadbox, please fix the login"), ask("please fix the login"));
    assert_eq!(read("Could @threadbox look at this?"), ask("Could @threadbox look at this?"));
    assert_eq!(read("@threadbox\n\nThe build is red.\n\n```\nlog\n```"), ask("The build is red.\n\n```\nlog\n```"));
    assert_eq!(read("The build is red.\n@threadbox why?"), ask("The build is red.\nwhy?"));
    assert_eq!(read("@threadbox"), ask(""));
    assert_eq!(read("  @Threadbox[bot]!"), ask("!"));
    assert_eq!(read("@threadbox's answer is wrong"), ask("@threadbox's answer is wrong"));
    assert_eq!(read("@threadbox `@threadbox` is your name"), ask("`@threadbox` is your name"));
}

#[test]
fn commands_alone_are_commands() {
    for (text, command) in [
        ("@threadbox stop", Command::Stop),
        ("@threadbox STOP!", Command::Stop),
        ("@threadbox: stop.", Command::Stop),
        ("@threadbox please stop", Command::Stop),
        ("ok @threadbox stop", Command::Stop),
        ("Hey @threadbox, stop it please", Command::Stop),
        ("@threadbox stop, this is the wrong branch", Command::Stop),
        ("@threadbox stop\n\nThis is the wrong branch.", Command::Stop),
        ("@threadbox /stop", Command::Stop),
        ("@threadbox `stop`", Command::Stop),
        ("@threadbox **stop**", Command::Stop),
        ("@threadbox\nstop", Command::Stop),
        ("@threadbox fix the login\n\n@threadbox stop", Command::Stop),
        ("That is wrong. @threadbox stop", Command::Stop),
        ("@threadbox retry", Command::Retry),
        ("> @threadbox stop\n\n@threadbox retry", Command::Retry),
        ("It failed for no reason.\n\n@threadbox retry please", Command::Retry),
        ("@threadbox status\n\n> On Monday someone wrote:\n> hello", Command::Status),
        ("@threadbox status?", Command::Status),
        ("@threadbox help", Command::Help),
        ("@threadbox undo", Command::Undo),
        ("@threadbox approve", Command::Approve { digest: None }),
        ("@threadbox approve the plan", Command::Approve { digest: None }),
        ("@threadbox review", Command::Review),
        ("@threadbox review this PR, please", Command::Review),
        ("@threadbox fix this", Command::Land { how: Landing::Fix }),
        ("@threadbox pr", Command::Land { how: Landing::Pr }),
        ("@threadbox memory", Command::Memory),
        ("@threadbox plan", Command::Plan { text: String::new() }),
        ("@threadbox plan a move to axum 0.8", Command::Plan { text: "a move to axum 0.8".into() }),
        ("@threadbox queue: update the changelog", Command::Queue { text: "update the changelog".into() }),
        ("@threadbox remember that we use tabs", Command::Remember { text: "that we use tabs".into() }),
        ("@threadbox forget the rule about tabs", Command::Forget { text: "the rule about tabs".into() }),
        ("@threadbox model openai/gpt-4.1", Command::Model { name: "openai/gpt-4.1".parse().unwrap() }),
        (
            "@threadbox model to `openrouter/meta/llama-4` please",
            Command::Model { name: "openrouter/meta/llama-4".parse().unwrap() },
        ),
        ("@threadbox budget 5", Command::Budget { usd: 5.0 }),
        ("@threadbox budget $2.50", Command::Budget { usd: 2.5 }),
        ("@threadbox budget 10 dollars.", Command::Budget { usd: 10.0 }),
        ("@threadbox link https://github.com/a/b/issues/1", Command::Link { url: "https://github.com/a/b/issues/1".into() }),
        ("@threadbox link <https://discord.com/channels/1/2>", Command::Link { url: "https://discord.com/channels/1/2".into() }),
        ("@threadbox branch https://github.com/a/b/issues/1", Command::Branch { url: "https://github.com/a/b/issues/1".into() }),
        (
            "@threadbox branch `https://github.com/a/b/issues/1`",
            Command::Branch { url: "https://github.com/a/b/issues/1".into() },
        ),
        (
            "@threadbox please branch this off from <https://discord.com/channels/1/2/3>, thanks!",
            Command::Branch { url: "https://discord.com/channels/1/2/3".into() },
        ),
        ("@threadbox link acme/rocket, please", Command::LinkRepository { name: Some("acme/rocket".into()) }),
        ("@threadbox link this channel to `acme/rocket`", Command::Ask { text: "link this channel to `acme/rocket`".into() }),
        ("@threadbox link off", Command::LinkRepository { name: None }),
        ("@threadbox link my GitHub account", Command::Account { what: Account::Begin }),
        ("@threadbox link account off!", Command::Account { what: Account::Off }),
        ("@threadbox link discord-AB12-cd34", Command::Account { what: Account::Code("discord-AB12-cd34".into()) }),
    ] {
        assert_eq!(read(text), command, "{text}");
    }
}

#[test]
fn command_words_in_sentences_are_requests() {
    for text in [
        "@threadbox run the tests please",
        "@threadbox run `cargo test`",
        "@threadbox run-time errors everywhere",
        "@threadbox run the tests, they print this:\n```\nerror: boom\n```",
        "@threadbox stop using tabs in this file",
        "@threadbox stop-gap solution please",
        "@threadbox stop the server in your sandbox",
        "Did @threadbox stop?",
        "I told @threadbox stop twice",
        "@threadbox status of the build is red, why?",
        "@threadbox help me with the parser",
        "@threadbox help\n\n```\nlog\n```",
        "@threadbox retry but with Python 3.12",
        "@threadbox approve?",
        "@threadbox undo?",
        "@threadbox approve the design in the README",
        "@threadbox plan is wrong",
        "@threadbox queue is stuck, why?",
        "@threadbox memory leak in the parser",
        "@threadbox model the domain as an enum",
        "@threadbox model is too slow",
        "@threadbox budget for marketing",
        "@threadbox budget 5 is too low",
        "@threadbox link to the docs is broken",
        "@threadbox branch",
        "@threadbox branch off main and fix the parser",
        "@threadbox branch #12",
        "@threadbox branch ssh://example.org/a",
        "@threadbox branch https://github.com/a/b/issues/1 and fix the parser",
        "@threadbox branch https://github.com/a/b/issues/1 https://github.com/a/b/issues/2",
        "@threadbox branch https://github.com/a/b/issues/1?",
        "@threadbox branch https:///issues/1\n```\nlog\n```",
        "@threadbox branches are stale",
        "@threadbox bench https://example.org/",
        "@threadbox fix the typo in README.md",
        "@threadbox fix(parser): explain this commit title",
        "@threadbox review the error handling in src/a.rs",
        "@threadbox forget it",
        "@threadbox remember when we moved to axum?",
        "@threadbox remember",
    ] {
        assert!(is_ask(text) || text.ends_with("remember"), "{text}: {:?}", read(text));
    }
}

#[test]
fn run_takes_the_fenced_blocks_as_they_are() {
    let code = |language: &str, code: &str| vec![(language.to_owned(), code.to_owned())];
    assert_eq!(blocks(read("@threadbox run\n```python\nprint(1)\n```")), code("python", "print(1)\n"));
    assert_eq!(
        blocks(read("@threadbox run this:\r\n\r\n```Python title=x\r\nprint(1)\r\n```\r\n")),
        code("python", "print(1)\n")
    );
    assert_eq!(blocks(read("@threadbox run this and tell me what it prints\n~~~sh\nls\n~~~")), code("sh", "ls\n"));
    assert_eq!(
        blocks(read("@threadbox please run the following code:\n```\n@threadbox stop\n```")),
        code("", "@threadbox stop\n")
    );
    assert_eq!(blocks(read("@threadbox run ```python\nprint(1)\n```")), code("python", "print(1)\n"));
    assert_eq!(blocks(read("@threadbox run ```python\nprint(1)```")), code("python", "print(1)"));
    assert_eq!(blocks(read("@threadbox run\n```js\nlet a = `x`;\n\n  b()")), code("js", "let a = `x`;\n\n  b()"));
    assert_eq!(
        blocks(read("- @threadbox run\n\n  ```python\n  if 1:\n      print(1)\n  ```")),
        code("python", "if 1:\n    print(1)\n")
    );
    assert_eq!(blocks(read("@threadbox run\n````md\n```\ninner\n```\n````")), code("md", "```\ninner\n```\n"));
    let two = blocks(read("```sh\nbefore\n```\n@threadbox run\n```sh\none\n```\n> ```sh\n> quoted\n> ```\n\n```py\ntwo\n```"));
    assert_eq!(two, [("sh".to_owned(), "one\n".to_owned()), ("py".to_owned(), "two\n".to_owned())]);
}

#[test]
fn commands_that_lack_something_say_what() {
    for (text, problem) in [
        ("@threadbox run", Problem::NoCode),
        ("@threadbox run this", Problem::NoCode),
        ("@threadbox run\n```python\n\n```", Problem::NoCode),
        ("@threadbox queue", Problem::NoText { word: Word::Queue }),
        ("@threadbox remember.", Problem::NoText { word: Word::Remember }),
        ("@threadbox forget", Problem::NoText { word: Word::Forget }),
        ("@threadbox model", Problem::NoModel { given: String::new() }),
        ("@threadbox model gpt-4.1", Problem::NoModel { given: "gpt-4.1".into() }),
        ("@threadbox budget", Problem::NoAmount { given: String::new() }),
        ("@threadbox budget 0", Problem::NoAmount { given: "0".into() }),
        ("@threadbox budget -5", Problem::NoAmount { given: "-5".into() }),
        ("@threadbox budget 5€", Problem::NoAmount { given: "5€".into() }),
        ("@threadbox link", Problem::NoAddress { given: String::new() }),
        ("@threadbox link #12", Problem::NoAddress { given: "#12".into() }),
    ] {
        assert_eq!(read(text), Command::Invalid { problem }, "{text}");
    }
}

#[test]
fn a_misspelt_command_is_asked_about_and_never_run() {
    for (text, suggestion) in [
        ("@threadbox stpo", Word::Stop),
        ("@threadbox staus please", Word::Status),
        ("@threadbox retyr!", Word::Retry),
        ("@threadbox rnu\n```python\nprint(1)\n```", Word::Run),
        ("@threadbox Aprove", Word::Approve),
        ("@threadbox reveiw this", Word::Review),
        ("@threadbox hepl", Word::Help),
        ("@threadbox modle openai/gpt-4.1", Word::Model),
        ("@threadbox bugdet 5", Word::Budget),
        ("@threadbox remeber we use tabs", Word::Remember),
        ("@threadbox cancel", Word::Stop),
        ("@threadbox rerun", Word::Retry),
        ("@threadbox approved", Word::Approve),
    ] {
        match read(text) {
            Command::Misspelt { suggestion: ours, .. } => assert_eq!(ours, suggestion, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn ordinary_words_are_not_flagged() {
    for text in [
        "hello",
        "thanks",
        "why",
        "why?",
        "test",
        "tests",
        "line",
        "preview",
        "improve",
        "shop",
        "step",
        "entry",
        "ran",
        "done",
        "hi",
        "ok",
        "+1",
        "👍",
        "cancel my subscription code path",
        "stops too early",
        "running the tests fails",
        "forgot to add the file",
        "queues are slow",
        "modal dialog broken",
        "plain text please",
        "helo world program in rust",
        "go on",
        "merge conflicts, please resolve",
    ] {
        assert!(is_ask(&format!("@threadbox {text}")), "{text}: {:?}", read(&format!("@threadbox {text}")));
    }
}

#[test]
fn commands_survive_storage() {
    let command = read("@threadbox run\n```python\nprint(1)\n```");
    let stored = serde_json::to_string(&command).unwrap();
    insta::assert_snapshot!(stored, @r#"{"command":"run","blocks":[{"language":"python","code":"print(1)\n"}]}"#);
    assert_eq!(serde_json::from_str::<Command>(&stored).unwrap(), command);
}

#[test]
fn hostile_comments_are_read_quickly() {
    let started = computed();
    for piece in [
        "@threadbox ",
        "@threadbox,",
        "@threadbox stop ",
        "@threadbox please\n",
        "`@threadbox",
        "<code>@threadbox",
        "<!-- @threadbox ",
        "<a b='",
        "> @threadbox\n\n",
        "a ```\n",
        "[@threadbox](",
        "- @threadbox run\n",
    ] {
        let text = piece.repeat(65_536 / piece.len());
        let one = computed();
        let _ = parse(&text, "threadbox");
        let took = computed() - one;
        assert!(took < std::time::Duration::from_secs(10), "{piece}: {took:?}");
    }
    let took = computed() - started;
    assert!(took < std::time::Duration::from_secs(30), "{took:?}");
}

/// Pieces that make nasty Markdown when they are put together.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("@threadbox".to_owned()),
        Just("@threadbox run".to_owned()),
        Just("stop".to_owned()),
        Just("```".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n\n> ".to_owned()),
        Just("<!--".to_owned()),
        Just("-->".to_owned()),
        Just("<details>".to_owned()),
        Just("<code>".to_owned()),
        Just("</code".to_owned()),
        Just("`".to_owned()),
        Just("[bot]".to_owned()),
        Just("](".to_owned()),
        Just("é😀".to_owned()),
        Just("    ".to_owned()),
        Just("- ".to_owned()),
        "[ -~]{0,6}",
        "\\PC{0,4}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in nasty(), handle in "[a-z-]{0,9}") {
        let _ = parse(&text, &handle);
        prop_assert_eq!(parse(&text, "threadbox").is_some(), mentions(&text, "threadbox"));
    }

    #[test]
    fn a_mention_in_a_fence_never_counts(code in "[^`~\r]{0,40}", info in "[a-z ]{0,8}") {
        let text = format!("before\n\n```{info}\n{code}\n@threadbox run\n{code}\n```\n");
        prop_assert_eq!(parse(&text, "threadbox"), None);
    }

    #[test]
    fn a_quoted_mention_never_counts(words in "[a-z ]{0,20}") {
        let text = format!("> {words}\n> @threadbox stop\n\nanswer");
        prop_assert_eq!(parse(&text, "threadbox"), None);
    }

    #[test]
    fn code_to_run_arrives_unchanged(code in "[ -~&&[^`]]{0,30}(\n[ -~&&[^`]]{0,30}){0,5}") {
        prop_assume!(!code.trim().is_empty());
        let text = format!("@threadbox run\n```python\n{code}\n```");
        prop_assert_eq!(blocks(read(&text)), vec![("python".to_owned(), format!("{code}\n"))]);
    }

    #[test]
    fn a_sentence_without_a_command_word_is_a_request(text in "(why|because|look|make|add) [a-z ,.]{0,40}") {
        let whole = format!("@threadbox {text}");
        prop_assert_eq!(read(&whole), ask(text.trim()));
    }
}
