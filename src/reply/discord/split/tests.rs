//! Whatever the text, messages fit, hold together and lose nothing.
#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::reply::discord::MAX_CONTENT;
use crate::reply::discord::markdown::{self, Whose};

const FAMILY: &str = "👩‍👩‍👧‍👦";

/// Writes blocks of Markdown whose words are numbered.
#[derive(Default)]
struct Book {
    text: String,
    next: usize,
    links: usize,
    codes: usize,
    families: usize,
}

impl Book {
    fn words(&mut self, count: usize) -> String {
        let from = self.next;
        self.next += count;
        (from..self.next).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
    }

    fn lines(&mut self, count: usize) -> String {
        (0..count).map(|_| self.words(3)).collect::<Vec<_>>().join("\n")
    }

    fn add(&mut self, kind: usize, size: usize) {
        let block = match kind {
            0 => self.words(size),
            1 => format!("```rust\n{}\n```", self.lines(size)),
            2 => {
                let (before, inside, after) = (self.lines(size / 8 + 1), self.lines(size / 2 + 1), self.lines(size / 8 + 1));
                format!("`````markdown\n{before}\n````text\n```python\n{inside}\n```\n````\n{after}\n`````")
            }
            3 => format!("> {}\n>\n> ```sh\n> {}\n> ```", self.words(size / 2 + 1), self.words(3)),
            4 => (0..size / 8 + 1).map(|_| format!("- {}\n", self.words(4))).collect(),
            5 => {
                self.links += size / 6 + 1;
                (0..size / 6 + 1).map(|_| format!("[{}](https://e.example/x) ", self.words(2))).collect()
            }
            6 => {
                self.codes += size / 6 + 1;
                (0..size / 6 + 1).map(|_| format!("`c {}` ", self.words(3))).collect()
            }
            7 => format!("**{}**", self.words(size)),
            8 => {
                self.families += size;
                format!("a{}", FAMILY.repeat(size))
            }
            9 => format!("```\n{}\n```", self.words(size)),
            _ => format!("## {}\n\n{}", self.words(1), self.words(size / 2 + 1)),
        };
        self.text.push_str(&block);
        self.text.push_str("\n\n");
    }
}

fn found(pattern: &Regex, messages: &[String]) -> Vec<String> {
    messages.iter().flat_map(|message| pattern.find_iter(message)).map(|found| found.as_str().to_owned()).collect()
}

fn check(book: &Book, messages: &[String]) {
    static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bw\d+\b").unwrap());
    static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[w\d+ w\d+\]\(<https://e\.example/x>\)").unwrap());
    static CODE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`c w\d+ w\d+ w\d+`").unwrap());
    let expected: Vec<String> = (0..book.next).map(|n| format!("w{n}")).collect();
    assert_eq!(found(&WORD, messages), expected, "words are whole and in order");
    assert_eq!(found(&LINK, messages).len(), book.links);
    assert_eq!(found(&CODE, messages).len(), book.codes);
    assert_eq!(messages.iter().map(|message| message.matches(FAMILY).count()).sum::<usize>(), book.families);
    let last = messages.len().saturating_sub(1);
    for (at, message) in messages.iter().enumerate() {
        assert!(!message.trim().is_empty() && units(message) <= MAX_CONTENT, "{} units", units(message));
        let fences = message.lines().filter(|line| line.trim_start_matches("> ").starts_with(FENCE)).count();
        assert!(fences.is_multiple_of(2), "a fence is open in {message}");
        assert!(message.matches("**").count().is_multiple_of(2), "a mark is open in {message}");
        let ending = message.lines().last().unwrap_or_default();
        assert!(at == last || !ending.starts_with("## "), "a heading stands alone in {message}");
    }
}

fn messages(text: &str) -> Vec<String> {
    split(&markdown::read(text, Whose::Theirs, false).units, MAX_CONTENT)
}

#[test]
fn a_hundred_thousand_characters_with_fences_in_fences() {
    let mut book = Book::default();
    for at in 0.. {
        book.add(at % 11, 20 + (at * 37) % 180);
        if book.text.len() > 100_000 {
            break;
        }
    }
    let messages = messages(&book.text);
    check(&book, &messages);
    let full: usize = messages.iter().map(|message| units(message)).sum();
    assert!(messages.len() < full / 1_500 + 2, "{} messages for {full} units", messages.len());
}

#[test]
fn code_that_goes_on_is_code_in_its_language_in_every_message() {
    let mut book = Book::default();
    book.add(2, 600);
    let messages = messages(&book.text);
    check(&book, &messages);
    assert!(messages.len() > 2);
    assert!(messages.iter().all(|message| message.starts_with("```markdown\n") && message.ends_with("\n```")));
}

#[test]
fn what_is_longer_than_a_message_is_taken_apart_between_characters() {
    let all = messages(&"é".repeat(5_000));
    assert!(all.len() >= 3 && all.concat() == "é".repeat(5_000));
    let code = messages(&format!("```\n{}\n```", FAMILY.repeat(600)));
    assert_eq!(code.iter().map(|message| message.matches(FAMILY).count()).sum::<usize>(), 600);
    // One character that is longer than a message.
    let stacked = format!("a{}", "\u{301}".repeat(5_000));
    assert!(messages(&stacked).iter().all(|message| units(message) <= MAX_CONTENT));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_text_is_split_whole(blocks in proptest::collection::vec((0_usize..11, 1_usize..700), 1..25)) {
        let mut book = Book::default();
        blocks.iter().for_each(|(kind, size)| book.add(*kind, *size));
        check(&book, &messages(&book.text));
    }

    #[test]
    fn any_garbage_fits(text in "(```|`|\\*\\*|__|~~|\\||> |- |# |\n|\\[|\\]\\(|<b>|</b>|<details>|\\PC| ){0,500}", limit in 400_usize..2_000) {
        for message in split(&markdown::read(&text, Whose::Theirs, false).units, limit) {
            prop_assert!(units(&message) <= limit && !message.trim().is_empty());
            let fences = message.lines().filter(|line| line.trim_start_matches("> ").starts_with(FENCE)).count();
            prop_assert!(fences.is_multiple_of(2), "{}", message);
        }
    }
}
