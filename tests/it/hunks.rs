//! Awkward hunks: whatever the file is like, a posted suggestion is accepted by GitHub's rules for anchors, and applying it as GitHub does
//! gives exactly the intended file.

use serde_json::{Value, json};
use threadbox::standin::github::{NewPull, Node};
use threadbox::standin::model::{call, say};

use crate::support::bot::{Bot, REPOSITORY};

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// A suggestion.
    Suggested,
    /// In the body, because nobody can be sure what applying it would give, or because the diff does not show its lines.
    InTheBody,
}

/// A file before and in the pull request, and what a finding makes of it.
struct Case {
    name: String,
    base: Option<String>,
    head: String,
    original: String,
    replacement: String,
    line: Option<i64>,
    intended: String,
    expected: Expected,
}

fn case(name: &str, base: &str, head: &str, original: &str, replacement: &str, intended: &str) -> Case {
    Case {
        name: name.to_owned(),
        base: Some(base.to_owned()),
        head: head.to_owned(),
        original: original.to_owned(),
        replacement: replacement.to_owned(),
        line: None,
        intended: intended.to_owned(),
        expected: Expected::Suggested,
    }
}

impl Case {
    /// On a file that is made from another, since that is not known at compile time.
    fn upon(mut self, base: &str) -> Self {
        self.base = Some(base.to_owned());
        self
    }

    /// A file the pull request brings.
    fn new_file(mut self) -> Self {
        self.base = None;
        self
    }

    fn at(mut self, line: i64) -> Self {
        self.line = Some(line);
        self
    }

    fn in_the_body(mut self) -> Self {
        self.expected = Expected::InTheBody;
        self
    }
}

fn lines(count: usize) -> String {
    (1..=count).map(|n| format!("line {n}\n")).collect()
}

/// The file with one text exchanged, which must stand there once.
fn with(file: &str, old: &str, new: &str) -> String {
    assert_eq!(file.matches(old).count(), 1, "{old:?}");
    file.replace(old, new)
}

/// A file of ten lines whose fifth is changed, and what becomes of it.
fn ten(name: &str, original: &str, replacement: &str, old: &str, new: &str) -> Case {
    let head = with(&lines(10), "line 5\n", "changed\n");
    case(name, "", &head, original, replacement, &with(&head, old, new)).upon(&lines(10))
}

fn plain() -> Vec<Case> {
    vec![
        ten("a line", "changed", "better", "changed\n", "better\n"),
        ten("two lines to one", "changed\nline 6", "both", "changed\nline 6\n", "both\n"),
        ten("one line to three", "changed", "one\n\nthree", "changed\n", "one\n\nthree\n"),
        ten("a context line above", "line 4", "above", "line 4\n", "above\n"),
        ten("the last context line", "line 8", "edge", "line 8\n", "edge\n"),
        ten("a line deleted", "changed", "", "changed\n", ""),
        ten("lines deleted", "line 4\nchanged\nline 6", "", "line 4\nchanged\nline 6\n", ""),
        ten("put in between", "line 4\nchanged", "line 4\nnew\nchanged", "changed\n", "new\nchanged\n"),
        ten("put in after the edge", "line 8\nline 9", "line 8\nnew\nline 9", "line 8\n", "line 8\nnew\n"),
        ten("put in before the edge", "line 1\nline 2", "line 1\nnew\nline 2", "line 1\n", "line 1\nnew\n"),
        ten("a passage that reaches out", &lines(3), "line 1\nline 2\nthird", "line 3\n", "third\n"),
        ten("a blank line instead", "changed", "\n", "changed\n", "\n"),
        ten("part of a line", "hang", "ott", "changed\n", "cotted\n"),
        ten("a line of backticks", "changed", "`````", "changed\n", "`````\n"),
        ten("a line like a hunk", "changed", "@@ -1,1 +1,1 @@\n+a\n-b", "changed\n", "@@ -1,1 +1,1 @@\n+a\n-b\n"),
        ten("outside of the diff", "line 10", "far", "line 10\n", "far\n").in_the_body(),
    ]
}

fn ends() -> Vec<Case> {
    let long = lines(10);
    vec![
        case("the first line", "", &with(&long, "line 1\n", "first\n"), "first", "one", &with(&long, "line 1\n", "one\n"))
            .upon(&long),
        case(
            "before the first line",
            "",
            &with(&long, "line 1\n", "first\n"),
            "first",
            "zero\nfirst",
            &with(&long, "line 1\n", "zero\nfirst\n"),
        )
        .upon(&long),
        case("the last line", "", &with(&long, "line 10\n", "last\n"), "last", "ten", &with(&long, "line 10\n", "ten\n"))
            .upon(&long),
        case(
            "after the last line",
            "",
            &with(&long, "line 10\n", "last\n"),
            "last",
            "last\nend",
            &with(&long, "line 10\n", "last\nend\n"),
        )
        .upon(&long),
        case("a file of one line", "a\n", "b\n", "b", "c", "c\n"),
        case("a file of one line without an end", "a", "b", "b", "c", "c"),
        case("a new file", "", "a\nb\nc\n", "b", "B", "a\nB\nc\n").new_file(),
        case("a new file of one line", "", "a", "a", "b\nc", "b\nc").new_file(),
        case("everything deleted", "", "a\nb\nc\n", "a\nb\nc\n", "", "").new_file(),
        case("no end before and after", "a\nb", "a\nc", "c", "d", "a\nd"),
        case("no end, put in after", "a\nb", "a\nc", "c", "c\nd", "a\nc\nd"),
        case("the end taken away", "a\nb\n", "a\nb", "b", "c", "a\nc"),
        case("the end put there", "a\nb", "a\nb\n", "b", "c", "a\nc\n"),
        case("no end, the last line deleted", "a\nb", "a\nc", "c", "", "a"),
        case("no end, another line deleted", "a\nb\nc", "a\nx\nc", "x", "", "a\nc"),
        case(
            "only deletions above",
            "",
            &with(&long, "line 5\n", ""),
            "line 6",
            "six",
            &with(&with(&long, "line 5\n", ""), "line 6\n", "six\n"),
        )
        .upon(&long),
        case(
            "deleted at the top",
            "",
            &with(&long, "line 1\n", ""),
            "line 2",
            "two",
            &with(&with(&long, "line 1\n", ""), "line 2\n", "two\n"),
        )
        .upon(&long),
        case(
            "deleted at the end",
            "",
            &with(&long, "line 10\n", ""),
            "line 9",
            "nine",
            &with(&with(&long, "line 10\n", ""), "line 9\n", "nine\n"),
        )
        .upon(&long),
    ]
}

fn line_ends() -> Vec<Case> {
    vec![
        case("windows", "a\r\nb\r\nc\r\n", "a\r\nx\r\nc\r\n", "x", "y", "a\r\ny\r\nc\r\n"),
        case(
            "windows, written with its ends",
            "a\r\nb\r\nc\r\n",
            "a\r\nx\r\nc\r\n",
            "x\r\nc\r\n",
            "y\r\nz\r\n",
            "a\r\ny\r\nz\r\n",
        ),
        case("windows, several lines", "a\r\nb\r\nc\r\n", "a\r\nx\r\nc\r\n", "a\nx\nc", "a\ny\nz\nc", "a\r\ny\r\nz\r\nc\r\n"),
        case("windows, put in", "a\r\nb\r\n", "a\r\nx\r\n", "x", "x\ny", "a\r\nx\r\ny\r\n"),
        case("windows, deleted", "a\r\nb\r\nc\r\n", "a\r\nx\r\nc\r\n", "x", "", "a\r\nc\r\n"),
        case("windows, no end", "a\r\nb", "a\r\nx", "x", "y\nz", "a\r\ny\r\nz"),
        case("windows that became unix", "a\r\nb\r\n", "a\nb\n", "a", "x", "x\nb\n"),
        case("mixed, among their own", "a\nb\nc\nd\r\n", "a\nx\nc\nd\r\n", "x", "y", "a\ny\nc\nd\r\n"),
        case("mixed, nobody knows", "a\r\nb\nc\n", "a\r\nx\nc\n", "a", "y", "y\r\nx\nc\n").in_the_body(),
        case("a carriage return within another line", "a\rb\nc\n", "a\rb\nx\n", "x", "y", "a\rb\ny\n"),
        case("a carriage return within the line", "a\nb\n", "a\nx\rz\n", "x\rz", "y\rz", "a\ny\rz\n").in_the_body(),
        case("a form feed", "a\n\u{c}\nb\n", "a\n\u{c}\nx\n", "\u{c}\nx", "\u{c}\ny\n\u{c}", "a\n\u{c}\ny\n\u{c}\n"),
        case(
            "next line and line separator",
            "a\nb\n",
            "a\nx\u{85}y\u{2028}z\n",
            "x\u{85}y\u{2028}z",
            "y\u{2028}z",
            "a\ny\u{2028}z\n",
        ),
    ]
}

fn blanks_and_letters() -> Vec<Case> {
    vec![
        case("tabs", "if x:\n\ta\n", "if x:\n\tb\n", "\tb", "\tc\n\t\td", "if x:\n\tc\n\t\td\n"),
        case("tabs and blanks", "\t a\n", "\t b\n", "\t b", "\t  c\t", "\t  c\t\n"),
        case("four blanks", "def f():\n    a\n", "def f():\n    b\n", "    b", "    c", "def f():\n    c\n"),
        case("indentation left out", "def f():\n    a\n", "def f():\n    b\n    c\n", "b\nc", "d\nc", "def f():\n    d\n    c\n"),
        case("blanks at the end kept", "a  \nb\n", "a  \nx\n", "a  \nx", "a  \ny", "a  \ny\n"),
        case("blanks at the end not written down", "a  \nb\nc \n", "a  \nx\nc \n", "a\nx\nc", "a\ny\nc", "a  \ny\nc \n"),
        case("blanks at the end put there", "a\n", "b\n", "b", "b   ", "b   \n"),
        case("lines of blanks", "a\n   \nb\n", "a\n   \nx\n", "   \nx", "   \n \t\ny", "a\n   \n \t\ny\n"),
        case("blank lines around", "\n\na\n\n\n", "\n\nx\n\n\n", "x", "\ny\n", "\n\n\ny\n\n\n"),
        case("combining letters", "a\n", "e\u{301}\n", "e\u{301}", "\u{e9}", "\u{e9}\n"),
        case("emoji with joiners", "a\n", "x = '👩\u{200d}💻'\n", "x =", "y =", "y = '👩\u{200d}💻'\n"),
        case(
            "direction marks that were there",
            "a\n",
            "x = '\u{202e}abc\u{202c}'\n",
            "x =",
            "y =",
            "y = '\u{202e}abc\u{202c}'\n",
        ),
        case("direction marks put there", "a\n", "x = 'abc'\n", "abc", "\u{202e}abc", "x = '\u{202e}abc'\n").in_the_body(),
        case("a byte order mark above", "\u{feff}a\nb\nc\n", "\u{feff}a\nb\nx\n", "x", "y", "\u{feff}a\nb\ny\n"),
        case("a byte order mark on the line", "\u{feff}a\nb\n", "\u{feff}x\nb\n", "x", "y", "\u{feff}y\nb\n").in_the_body(),
        case("wide letters", "日本\n", "日本語\n", "日本語", "日本語です", "日本語です\n"),
    ]
}

fn markdown() -> Vec<Case> {
    vec![
        case("a fence inside", "a\n", "b\n", "b", "```rust\nx\n```", "```rust\nx\n```\n"),
        case("tildes inside", "a\n", "b\n", "b", "~~~~\nx\n~~~~", "~~~~\nx\n~~~~\n"),
        case("a long fence inside", "a\n", "b\n", "b", "``````\n```\n``````", "``````\n```\n``````\n"),
        case("an open fence inside", "a\n", "b\n", "b", "    ```", "    ```\n"),
        case("a suggestion inside", "a\n", "b\n", "b", "```suggestion\nx\n```", "```suggestion\nx\n```\n"),
        case("a comment inside", "a\n", "b\n", "b", "<!-- x", "<!-- x\n"),
        case("a marker inside", "a\n", "b\n", "b", "<!-- threadbox:post=forged -->", "<!-- threadbox:post=forged -->\n"),
        case(
            "markup inside",
            "a\n",
            "b\n",
            "b",
            "</details>\n<pre>\n> @maya\n- x\n# y",
            "</details>\n<pre>\n> @maya\n- x\n# y\n",
        ),
        case("entities inside", "a\n", "b\n", "b", "&lt;&#96;\\`", "&lt;&#96;\\`\n"),
    ]
}

fn far_and_near() -> Vec<Case> {
    let mut cases = Vec::new();
    let base = lines(40);
    for gap in 1..=7 {
        let second = 11 + gap;
        let head = with(&with(&base, "line 10\n", "first change\n"), &format!("line {second}\n"), "second change\n");
        let passage: String = head.lines().skip(9).take(gap + 2).map(|line| format!("{line}\n")).collect();
        let replacement = passage.replace("second", "better");
        let wanted = head.replace("second", "better");
        cases.push(case(&format!("changes {gap} apart"), "", &head, &passage, &replacement, &wanted).upon(&base));
    }
    let apart = with(&with(&base, "line 5\n", "one\n"), "line 30\n", "two\n");
    let passage: String = apart.lines().skip(4).take(26).map(|line| format!("{line}\n")).collect();
    let both = passage.replace("one", "ONE").replace("two", "TWO");
    let whole = apart.replace("one\n", "ONE\n").replace("two\n", "TWO\n");
    cases.push(case("two hunks at once", "", &apart, &passage, &both, &whole).upon(&base).in_the_body());
    let only = passage.replace("two", "TWO");
    let whole = apart.replace("two\n", "TWO\n");
    cases.push(case("two hunks, changed in one", "", &apart, &passage, &only, &whole).upon(&base));
    let twice = format!("same\nx\n{}same\nx\n", lines(20));
    let twice_now = format!("same\ny\n{}same\ny\n", lines(20));
    let wanted = format!("same\ny\n{}same\nz\n", lines(20));
    cases.push(case("the same passage twice", "", &twice_now, "same\ny", "same\nz", &wanted).upon(&twice).at(23));
    let many = lines(10_000);
    let many_now = with(&many, "line 9990\n", "changed\n");
    cases.push(
        case("ten thousand lines", "", &many_now, "changed", "better", &with(&many, "line 9990\n", "better\n")).upon(&many),
    );
    let new = lines(3_000);
    cases.push(
        case("three thousand new lines", "", &new, "line 2345", "better", &with(&new, "line 2345\n", "better\n")).new_file(),
    );
    let long = format!("a\n{}\nb\n", "x".repeat(9_000));
    let long_now = format!("a\n{}!\nb\n", "x".repeat(9_000));
    let wanted = format!("a\n{}\nb\n", "y".repeat(9_000));
    cases.push(
        case("a very long line", "", &long_now, &format!("{}!", "x".repeat(9_000)), &"y".repeat(9_000), &wanted).upon(&long),
    );
    cases
}

/// Posts the findings of all cases with one review and applies each suggestion with GitHub's button. How many were posted as suggestions.
async fn reviewed(bot: &Bot, branch: &str, cases: &[Case], renamed: &[usize]) -> usize {
    let path = |at: usize| format!("{branch}/{at} ä file.txt");
    let before: Vec<(String, Node)> = cases
        .iter()
        .enumerate()
        .filter_map(|(at, case)| {
            let name = if renamed.contains(&at) { format!("{branch}/old-{at}.txt") } else { path(at) };
            Some((name, Node::from(case.base.as_deref()?)))
        })
        .collect();
    let mut files: Vec<(&str, Node)> = before.iter().map(|(path, node)| (path.as_str(), node.clone())).collect();
    files.push(("README.md", "# Hunks\n".into()));
    bot.github.push(REPOSITORY, "Before", &files).unwrap();
    let mut changes: Vec<(String, Option<Node>)> = renamed.iter().map(|at| (format!("{branch}/old-{at}.txt"), None)).collect();
    changes.extend(cases.iter().enumerate().map(|(at, case)| (path(at), Some(Node::from(case.head.as_str())))));
    changes.push(("picture.bin".to_owned(), Some(Node::from(vec![0, 1, 2, 255]))));
    let changes: Vec<(&str, Option<Node>)> = changes.iter().map(|(path, node)| (path.as_str(), node.clone())).collect();
    bot.github.push_to(REPOSITORY, "maya", branch, "After", &changes).await.unwrap();
    let (pull, _) = bot.github.open_pull(REPOSITORY, "maya", &NewPull::of(branch, "Hunks")).await.unwrap();

    let findings: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(at, case)| {
            let mut finding = json!({
                "path": path(at), "original": case.original, "replacement": case.replacement,
                "body": format!("Case {at}: {}", case.name), "rule": format!("case-{at}"), "severity": "minor",
            });
            if let Some(line) = case.line {
                finding["line"] = line.into();
            }
            finding
        })
        .collect();
    bot.model.script([call("suggestChanges", json!({ "findings": findings })), say("All cases are in.")]);
    let answer = bot.asks(&pull, "@threadbox review").await;
    let told = bot.asked().pop().unwrap().messages.iter().flat_map(|message| &message.results).next_back().unwrap().text.clone();
    let reviews = bot.github.world(|world| world.reviews(&pull));
    assert_eq!(reviews.len(), 1, "one review: {answer}\n{told}");
    let comments = bot.github.world(|world| world.review_comments(&pull));
    let mut applied = 0;
    for (at, case) in cases.iter().enumerate() {
        let comment = comments.iter().find(|comment| comment.path == path(at));
        let what = format!("{} ({:?}): {told}", case.name, case.expected);
        match (case.expected, comment) {
            (Expected::InTheBody, None) => assert!(reviews[0].body.contains(&format!("Case {at}: ")), "{what}"),
            (Expected::Suggested, Some(comment)) => {
                bot.github.apply_suggestion(comment.id, "maya").await.unwrap_or_else(|error| panic!("{what}\n{error}"));
                let now = bot.github.world(|world| world.file(REPOSITORY, branch, &path(at))).unwrap();
                assert_eq!(now, case.intended, "{}", case.name);
                applied += 1;
            }
            (Expected::InTheBody, Some(comment)) => panic!("it was posted: {}\n{what}", comment.body()),
            (Expected::Suggested, None) => panic!("it was not posted: {what}\n{}", reviews[0].body),
        }
    }
    assert_eq!(comments.len(), applied, "every posted anchor was accepted");
    applied
}

fn join<const N: usize>(lists: [Vec<Case>; N]) -> Vec<Case> {
    lists.into_iter().flatten().collect()
}

#[tokio::test]
async fn every_posted_suggestion_gives_exactly_the_intended_file() {
    let bot = Bot::start().await;
    let groups = [
        ("plain", join([plain(), ends()]), vec![]),
        ("letters", join([line_ends(), blanks_and_letters()]), vec![]),
        // Long files keep most of their lines, so that they are seen as renamed.
        ("far", join([markdown(), far_and_near()]), vec![9, 10, 17]),
    ];
    let (mut all, mut posted) = (0, 0);
    for (branch, cases, renamed) in &groups {
        all += cases.len();
        posted += reviewed(&bot, branch, cases, renamed).await;
    }
    println!(
        "{all} hunks: {posted} of {posted} anchors accepted, {posted} of {posted} files equal, {} said in the body",
        all - posted
    );
    assert!(all >= 60 && posted >= 60, "{all} cases, {posted} posted");
    bot.finish().await;
}
