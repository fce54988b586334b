#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn problems(text: &str) -> String {
    let problems = RepositoryFile::parse(text.as_bytes()).problems;
    problems.iter().map(|problem| format!("{}: {}", problem.line, problem.reason)).collect::<Vec<_>>().join("\n")
}

const WHOLE: &str = r#"
[agent]
model = "anthropic/claude-sonnet-4-5, openai/gpt-4.1"
instructions = """
Answer in French.
"""
max_steps = 20

[triggers]
mention = false
label = "robot"
on_pull_request = "review"
on_check_failure = "fix"

[allow]
users = ["@Ada", "maya", "ada"]
teams = ["reviewers"]
permission = "maintain"

[sandbox]
snapshot = 'node'
setup = "npm ci"
test = "npm test"
format = "npx prettier -w ."
network = "allow:registry.npmjs.org"

[pull_request]
mode = "ready"
branch_prefix = "bot/"

[limits]
run_budget_usd = 1
daily_budget_usd = 7.5
user_daily_budget_usd = 2.0
run_timeout = "10m"
user_runs_per_hour = 0x0A

[memory]
recall = false
scope = "thread"
top_k = 6
before = 0
after = 2
threshold = 0.5
working_memory = "read-only"
template = '# Rules'
titles = false
"#;

#[test]
fn every_entry_is_read() {
    let file = RepositoryFile::parse(WHOLE.as_bytes());
    assert_eq!(file.problems, []);
    let expected = RepositoryFile {
        agent: AgentSection {
            model: vec!["anthropic/claude-sonnet-4-5".parse().unwrap(), "openai/gpt-4.1".parse().unwrap()],
            instructions: Some("Answer in French.".into()),
            max_steps: Some(20),
        },
        triggers: TriggersSection {
            mention: false,
            label: Some("robot".into()),
            reviews_pull_requests: true,
            fixes_checks: true,
        },
        allow: AllowSection {
            users: vec!["Ada".into(), "maya".into()],
            teams: vec!["reviewers".into()],
            permission: Some(Permission::Maintain),
        },
        sandbox: SandboxSection {
            snapshot: Some("node".into()),
            setup: Some("npm ci".into()),
            test: Some("npm test".into()),
            format: Some("npx prettier -w .".into()),
            network: Some(Network::Allow(vec!["registry.npmjs.org".into()])),
        },
        pull_request: PullRequestSection { mode: PullRequestMode::Ready, branch_prefix: "bot/".into() },
        limits: LimitsSection {
            run_budget_usd: Some(1.0),
            daily_budget_usd: Some(7.5),
            user_daily_budget_usd: Some(2.0),
            run_timeout: Some(Duration::from_secs(600)),
            user_runs_per_hour: Some(10),
        },
        memory: memory::Options {
            recall: false,
            scope: memory::Reach::Thread,
            top_k: 6,
            before: 0,
            after: 2,
            threshold: Some(0.5),
            working: memory::Working::ReadOnly,
            template: Some("# Rules".into()),
            titles: false,
        },
        problems: Vec::new(),
        lines: file.lines.clone(),
    };
    assert_eq!(file, expected);
    assert_eq!(file.note("memory.titles", "x".into()).line, WHOLE.lines().count());
    assert_eq!(RepositoryFile::parse(b""), RepositoryFile::default());
    assert_eq!(RepositoryFile::parse("\u{feff}[agent]\nmax_steps = 3\n".as_bytes()).agent.max_steps, Some(3));
}

#[test]
fn a_label_is_turned_off_by_false_and_by_nothing() {
    for text in ["label = false", "label = ''", "label = ' '"] {
        assert_eq!(RepositoryFile::parse(format!("[triggers]\n{text}").as_bytes()).triggers.label, None, "{text}");
    }
    assert_eq!(problems("[triggers]\nlabel = true"), "2: `label` must be the name of a label, or false for none");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    insta::assert_snapshot!(problems("sandbox = 1\nmax_steps = 3\n[sandbx]\n[zzz]\n"), @r"
    1: `sandbox` must be a section, `[sandbox]`
    2: `max_steps` belongs under `[agent]`
    3: unknown section `sandbx`; did you mean `sandbox`?
    4: unknown section `zzz`; there are agent, triggers, allow, sandbox, pull_request, limits, memory
    ");
    insta::assert_snapshot!(
        problems("[sandbox]\nsetup = 3\nsetpu = 'x'\ntset = 1\nnetwork = 'allow:a b'\nusers = []\n"), @r"
    2: `setup` must be a text in quotes, not a number
    3: unknown entry of `[sandbox]` `setpu`; did you mean `setup`?
    4: unknown entry of `[sandbox]` `tset`; did you mean `test`?
    5: `network` `a b` is not a host name; set none, full, or allow: with hosts, for example allow:example.com,packages.example.com
    6: `users` belongs under `[allow]`
    ");
    insta::assert_snapshot!(
        problems("[agent]\nmodel = 'gpt-4.1'\nmax_steps = 0\n[triggers]\nmention = 'no'\non_pull_request = 'reveiw'\n[allow]\nusers = 'ada'\nteams = ['acme/x']\npermission = 'owner'\n[pull_request]\nmode = 'drafts'\nbranch_prefix = 'a..b'\n[limits]\nrun_budget_usd = -1\nrun_timeout = '5'\nuser_runs_per_hour = 1.5\n"), @r#"
    2: `model` has `gpt-4.1`, which is not of the form provider/model, for example openai/gpt-4.1
    3: `max_steps` must be a whole number from 1 to 1000
    5: `mention` must be true or false without quotes, not a text
    6: `on_pull_request` cannot be `reveiw`; did you mean `review`?
    8: `users` must be a list, such as ["ada"]
    9: `teams` has `acme/x`; name teams of the owning organisation without its name, such as `reviewers`
    10: `permission` cannot be `owner`; it is one of read, triage, write, maintain, admin
    12: `mode` cannot be `drafts`; did you mean `draft`?
    13: `branch_prefix` cannot begin the name of a branch: `..` and `@{` are not allowed
    15: `run_budget_usd` must be an amount of US dollars above 0, for example 2 or 0.5
    16: `run_timeout` `5` is not a time with its unit; set a time such as 90s, 30m or 1h30m, from 1s to 24h
    17: `user_runs_per_hour` must be a whole number from 1 to 100000, not a number
    "#);
    assert!(problems("[sandbox]\nsetup = 'x'\n[sandbox").starts_with("3: "));
    assert_eq!(problems("[allow]\nusers = ['*']"), "2: `users` has `*`; name people one by one");
}

#[test]
fn memory_has_the_defaults_people_expect_and_says_what_is_wrong_with_others() {
    let defaults = RepositoryFile::default().memory;
    assert_eq!((defaults.recall, defaults.scope, defaults.titles), (true, memory::Reach::Owner, true));
    assert_eq!((defaults.top_k, defaults.before, defaults.after, defaults.threshold), (4, 1, 1, None));
    assert_eq!((defaults.working, defaults.template), (memory::Working::On, None));
    insta::assert_snapshot!(
        problems("[memory]\nrecall = 'no'\nscope = 'resource'\ntop_k = 0\nbefore = -1\nafter = 99\nthreshold = 2\nworking_memory = 'readonly'\ntemplate = 'no heading'\ntitles = 1\ntopk = 3\n"), @r"
    2: `recall` must be true or false without quotes, not a text
    3: `scope` cannot be `resource`; it is one of thread, owner
    4: `top_k` must be a whole number from 1 to 20
    5: `before` must be a whole number from 0 to 10
    6: `after` must be a whole number from 0 to 10
    7: `threshold` must be a number from 0 to 1, for example 0.6
    8: `working_memory` cannot be `readonly`; did you mean `read-only`?
    9: `template` has no heading, such as `## Decisions`
    10: `titles` must be true or false without quotes, not a number
    11: unknown entry of `[memory]` `topk`; did you mean `top_k`?
    ");
    let wrong = RepositoryFile::parse(b"[memory]\ntop_k = 0\nscope = 'thread'\n").memory;
    assert_eq!((wrong.top_k, wrong.scope), (4, memory::Reach::Thread), "what is right beside a mistake counts");
}

#[test]
fn what_is_right_beside_a_mistake_counts() {
    let file = RepositoryFile::parse(b"[limits]\nrun_budget_usd = 'cheap'\ndaily_budget_usd = 3\n[nonsense]\n");
    assert_eq!((file.limits.run_budget_usd, file.limits.daily_budget_usd, file.problems.len()), (None, Some(3.0), 2));
}

#[test]
fn prefixes_that_git_refuses_are_refused() {
    let prefix = |text: &str| RepositoryFile::parse(format!("[pull_request]\nbranch_prefix = {text:?}").as_bytes());
    for text in [
        "",
        "/a",
        "-a",
        "a//b",
        "a..b",
        "a b",
        "a~",
        "a^",
        "a:",
        "a?",
        "a*",
        "a[",
        "a@{b",
        ".a",
        "a/.b",
        "a.lock/b",
        "a./b",
        "refs/heads/x",
    ] {
        assert_eq!(prefix(text).problems.len(), 1, "{text}");
        assert_eq!(prefix(text).pull_request, PullRequestSection::default(), "{text}");
    }
    for text in ["threadbox/", "bot-", "a/b/c", "ü/", "x"] {
        assert_eq!(prefix(text).pull_request.branch_prefix, text);
    }
}

/// As `git check-ref-format refs/heads/<name>` has it.
fn is_branch(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    name.split('/').all(part)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c))
}

fn entries() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "agent",
        "triggers",
        "allow",
        "sandbox",
        "pull_request",
        "limits",
        "model",
        "instructions",
        "max_steps",
        "mention",
        "label",
        "on_pull_request",
        "on_check_failure",
        "users",
        "teams",
        "permission",
        "snapshot",
        "setup",
        "test",
        "format",
        "network",
        "mode",
        "branch_prefix",
        "run_budget_usd",
        "daily_budget_usd",
        "run_timeout",
        "user_runs_per_hour",
        "memory",
        "recall",
        "scope",
        "top_k",
        "threshold",
        "working_memory",
        "template",
        "titles",
        "nonsense",
    ]);
    let values = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|yes| yes.to_string()),
        "\\PC{0,20}".prop_map(|text| format!("{text:?}")),
        "[a-z]{0,6}(/[a-z]{0,6})?".prop_map(|text| format!("[{text:?}]")),
        Just("[1, 'a', []]".to_owned()),
        Just("{ a = 1 }".to_owned()),
    ];
    let line = prop_oneof![
        (names.clone(), values).prop_map(|(name, value)| format!("{name} = {value}")),
        names.prop_map(|name| format!("[{name}]")),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_file_breaks_the_reader(text in "\\PC{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        RepositoryFile::parse(&bytes);
        let file = RepositoryFile::parse(format!("[sandbox]\nsetup = {text}").as_bytes());
        prop_assert!(file.problems.iter().all(|problem| problem.line >= 1));
    }

    #[test]
    fn whatever_stands_in_it_what_is_read_holds_its_bounds(text in entries()) {
        let file = RepositoryFile::parse(text.as_bytes());
        let lines = text.lines().count().max(1);
        for problem in &file.problems {
            prop_assert!(problem.line >= 1 && problem.line <= lines, "{problem} of {lines}");
            prop_assert!(!problem.reason.is_empty() && !problem.reason.contains('\n'), "{:?}", problem.reason);
        }
        let limits = [file.limits.run_budget_usd, file.limits.daily_budget_usd, file.limits.user_daily_budget_usd];
        prop_assert!(limits.into_iter().flatten().all(|usd| usd.is_finite() && usd > 0.0));
        prop_assert!(file.agent.max_steps.is_none_or(|steps| (1..=1000).contains(&steps)));
        let memory = &file.memory;
        prop_assert!((1..=20).contains(&memory.top_k) && memory.before <= 10 && memory.after <= 10);
        prop_assert!(memory.threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold)));
        prop_assert!(file.triggers.label.as_deref().is_none_or(|label| !label.is_empty()));
        prop_assert!(file.allow.users.iter().all(|user| !user.contains('*') && !user.is_empty()));
    }

    #[test]
    fn a_prefix_that_is_accepted_begins_branches(prefix in "[a-z./@{ ~-]{1,12}", rest in "[a-z0-9][a-z0-9-]{0,20}") {
        let file = RepositoryFile::parse(format!("[pull_request]\nbranch_prefix = '{prefix}'").as_bytes());
        if file.problems.is_empty() {
            let name = format!("{}{rest}", file.pull_request.branch_prefix);
            prop_assert!(is_branch(&name), "{name}");
        }
    }
}
