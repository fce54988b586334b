//! What becomes of GitHub's Markdown on Discord.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::reply::discord::MAX_CONTENT;
use crate::reply::discord::split::split;

fn shown(text: &str, whose: Whose) -> String {
    split(&read(text, whose, true).units, MAX_CONTENT).join("\n=====\n").replace('\u{200b}', "·")
}

#[test]
fn what_github_has_and_discord_has_not() {
    let text = r#"# Title

#### Small title

Text with **bold _both_**, ~~gone~~, `code`, <kbd>Ctrl</kbd> and a footnote[^1].
A line break stays.

- [x] done
- [ ] open
  1. inner **one**
  2. inner two

    ```rust
    fn main() {}
    ```

| name | size |
| :--- | ---: |
| a | 1 |
| long name | 20 |

| what | where |
| --- | --- |
| [docs](https://docs.rs/serde) | the whole of the documentation of the crate, with every module of it |

> [!WARNING]
> Careful.

<details><summary>More</summary>

Folded words.

</details>

<!-- hidden --><p align="center">centred <a href="https://a.example/x">link</a></p>

![plot](https://a.example/plot.png) and https://b.example/y.

---

<sub>small</sub>

[^1]: The note.
"#;
    insta::assert_snapshot!(shown(text, Whose::Theirs), @r"
    # Title
    **Small title**
    Text with **bold *both***, ~~gone~~, `code`, `Ctrl` and a footnote\[1].
    A line break stays.

    - ✅ done
    - ⬜ open
      1. inner **one**
      2. inner two
    ```rust
    fn main() {}
    ```
    ```
    name       size
    ─────────  ────
    a             1
    long name    20
    ```
    - **what:** [docs](<https://docs.rs/serde>) · **where:** the whole of the documentation of the crate, with every module of it
    > **Warning**
    > Careful.

    **More**
    Folded words.

    centred [link](<https://a.example/x>)

    [plot](<https://a.example/plot.png>) and <https://b.example/y>.
    ───
    small

    \[1] The note.
    ");
}

#[test]
fn nothing_is_forged() {
    let text = "-# not ours\n\n<sub>not ours</sub>\n\n@everyone <@1> <@&2> </run:1> **@here**\n\n\
        [github.com](https://evil.example/x) [`github.com`](https://evil.example/) [docs](https://a.example/y) <https://c.example/z>\n\n\
        https://discord.gg/abc [join](https://discord.gg/abc) [x](javascript:alert(1)) ||spoiler||\n\n\
        \\> quote &gt; &lt;@5&gt; &#64;everyone\n\n[a](https://e.example/?d=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)\n\n\
        <h1>big</h1><a href='https://evil.example'>https://github.com/login</a>";
    insta::assert_snapshot!(shown(text, Whose::Theirs), @r"
    \-# not ours

    not ours

    @·everyone <·@1> <·@&2> <·/run:1> **@·here**

    `github.com` (`https://evil.example/x`) `github.com` (`https://evil.example/`) [docs](<https://a.example/y>) <https://c.example/z>

    `https://discord.gg/abc` join (`https://discord.gg/abc`) x (`javascript:alert(1)`) \|\|spoiler\|\|

    \> quote > <·@5> @·everyone

    a (`https://e.example/?d=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`)

    **big**
    `https://github.com/login` (`https://evil.example/`)
    ");
}

#[test]
fn our_small_lines_are_small_and_our_links_are_links() {
    let token = "a".repeat(90);
    let text = format!("Words.\n\n<sub>[run](https://bot.example/runs/{token})</sub>");
    assert_eq!(shown(&text, Whose::Ours), format!("Words.\n\n-# [run](<https://bot.example/runs/{token}>)"));
    assert_eq!(shown(&text, Whose::TheirsThenOurs), format!("Words.\n\n-# [run](<https://bot.example/runs/{token}>)"));
    assert_eq!(shown(&text, Whose::Theirs), format!("Words.\n\nrun (`https://bot.example/runs/{token}`)"));
}

#[test]
fn long_folded_sections_are_files() {
    let inside = "a line of the log\n".repeat(100);
    let text = format!("Before.\n\n<details><summary>Full log</summary>\n\n{inside}\n</details>\n\nAfter.");
    let document = read(&text, Whose::Theirs, true);
    let folded = &document.folded[0];
    assert_eq!((folded.name.as_str(), folded.text.trim()), ("full-log-1.md", inside.trim()));
    assert_eq!(split(&document.units, MAX_CONTENT), ["Before.\n\n**Full log** (in full-log-1.md)\n\nAfter."]);
    assert!(read(&text, Whose::Theirs, false).folded.is_empty());
}

/// The lines outside of code.
fn prose(message: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for line in message.lines() {
        if line.trim_start_matches("> ").starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push(line);
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_is_pinged_and_no_small_line_is_forged(
        text in "(@everyone|@here|<@1>|<@!1>|<@&2>|&lt;@1&gt;|&#64;|everyone|-# |# |> |- |1\\. |<sub>|</sub>|<b>|</b>|<br>|<!--|-->|<details>|</summary>|\\*\\*|_|~~|\\||\\\\|\\[x\\]\\(https://a.example\\)|https://a.example/|\n|\n\n| |\\PC){0,60}"
            .prop_filter("code pings nobody", |text: &String| !text.contains('`') && !text.contains("    ")),
    ) {
        for message in split(&read(&text, Whose::Theirs, false).units, MAX_CONTENT) {
            for line in prose(&message) {
                // In code spans nothing pings.
                let outside: String = line.split('`').step_by(2).collect();
                let lower = outside.to_lowercase();
                for ping in ["@everyone", "@here", "<@1>", "<@!1>", "<@&2>"] {
                    prop_assert!(!lower.contains(ping), "{ping} in {line}");
                }
                prop_assert!(!line.trim_start_matches(['>', ' ']).starts_with("-# "), "{line}");
            }
        }
    }
}
