//! What people are told about working memory: what is kept, what was added, what was forgotten.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Sharing;
use super::going::{self, Extent, Going};
use crate::reply::inline;

/// Lines that are shown at once, and bytes of them.
const MOST_LINES: usize = 60;
const MOST_BYTES: usize = 24_000;
/// Characters of a line; longer ones are not kept.
const LONGEST_LINE: usize = 500;
/// Passages are counted up to here.
const MOST_COUNTED: u64 = 10_000;

/// A short comment about what is kept in mind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum MemoryCard {
    /// `remember`: it is kept now.
    Kept {
        /// Our name, without `@`.
        handle: String,
        /// What was added; empty when that was said before and is gone again.
        lines: Vec<ShownLine>,
        /// True for all conversations of the repository, false for this one.
        everywhere: bool,
    },
    /// `remember`: it was kept already.
    Had {
        /// Our name, without `@`.
        handle: String,
        /// The lines that say so.
        lines: Vec<ShownLine>,
    },
    /// `remember`: it does not fit.
    Unfit {
        /// Why, and what would; a sentence of ours that quotes.
        why: String,
    },
    /// The repository wants none.
    Off,
    /// `forget`: these lines are gone. Their words are not said again.
    Forgotten {
        /// Which; empty when that was done before.
        lines: Vec<ShownLine>,
    },
    /// `forget`: several lines may be meant.
    Which {
        /// Our name, without `@`.
        handle: String,
        /// Those.
        lines: Vec<ShownLine>,
    },
    /// `forget`: nothing of that is kept.
    NotThere {
        /// Our name, without `@`.
        handle: String,
        /// The numbers that are not there; empty when words were sought.
        numbers: Vec<String>,
    },
    /// `forget this thread`, `forget everything I said`: it goes.
    Going(Box<Going>),
    /// The same, and there is nothing of it.
    NothingToGo {
        /// What.
        what: Extent,
    },
    /// `forget this thread`: others said things in it, and whoever asks may not take those away.
    NotTheirs {
        /// Our name, without `@`.
        handle: String,
        /// Who may, as a sentence goes on after "That takes ".
        needed: String,
    },
    /// `memory`: what is kept.
    List(Box<Listing>),
}

/// Everything that is kept, and what else there is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// Our name, without `@`.
    pub handle: String,
    /// For all conversations of the repository.
    pub everywhere: Vec<ShownLine>,
    /// Of this conversation.
    pub here: Vec<ShownLine>,
    /// True when the repository keeps its conversations apart.
    pub apart: bool,
    /// True when runs are shown nothing of it.
    pub off: bool,
    /// Messages of this conversation that are remembered.
    pub messages: u64,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// What its older part was condensed to.
    pub observations: u64,
    /// Passages of all conversations of the repository that can be found again.
    pub passages: u64,
}

/// A line of working memory as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownLine {
    /// Its number as they type it: `3`, or `t3` for one of this conversation alone.
    pub label: String,
    /// Its heading.
    pub section: String,
    /// Its words.
    pub text: String,
    /// Whose message it comes from.
    pub who: String,
    /// True when the agent noted it.
    pub noted: bool,
    /// When that message was written.
    pub at: DateTime<Utc>,
    /// Where it is.
    pub url: String,
    /// What became of the files it names, in our words.
    pub mark: Option<String>,
}

impl ShownLine {
    fn receipt(&self) -> String {
        let (who, day) = (inline::plain(&self.who, 60), self.at.format("%-d %b %Y"));
        let text = if self.noted { format!("noted for {who}, {day}") } else { format!("{who}, {day}") };
        match self.url.as_str() {
            "" => text,
            url if url.len() > 1_000 => text,
            url => format!("[{text}]({})", inline::target(url)),
        }
    }

    fn item(&self) -> String {
        let mark = self.mark.as_deref().map(|mark| format!(" *{}*", inline::plain(mark, 600))).unwrap_or_default();
        format!("- **{}** {} — {}{mark}", inline::plain(&self.label, 20), inline::plain(&self.text, LONGEST_LINE), self.receipt())
    }
}

/// The comment without its marker.
pub(super) fn text(card: &MemoryCard, sharing: Sharing) -> String {
    match card {
        MemoryCard::Kept { handle, lines, everywhere } => kept(handle, lines, everywhere.then_some(sharing)),
        MemoryCard::Had { handle, lines } => {
            let handle = inline::plain(handle, 60);
            format!("I keep that in mind already:\n\n{}\n\n`@{handle} memory` shows everything.", listed(lines))
        }
        MemoryCard::Unfit { why } => format!("I did not keep that in mind. {}", inline::sentence(why, 600)),
        MemoryCard::Off => format!(
            "{} says that I keep nothing in mind here (`[memory] working_memory = \"off\"`). Nothing was kept.",
            sharing.file()
        ),
        MemoryCard::Forgotten { lines } => forgotten(lines),
        MemoryCard::Which { handle, lines } => {
            let (handle, first) = (inline::plain(handle, 60), lines.first().map_or("3", |line| line.label.as_str()));
            format!(
                "Several lines may be meant, so I forgot none. Say which by its number, such as `@{handle} forget {}`:\n\n{}",
                inline::plain(first, 20),
                listed(lines)
            )
        }
        MemoryCard::NotThere { handle, numbers } => {
            let handle = inline::plain(handle, 60);
            let what = match numbers.as_slice() {
                [] => "None of the lines I keep in mind has these words, so I forgot nothing.".to_owned(),
                numbers => {
                    let numbers: Vec<String> = numbers.iter().map(|number| inline::plain(number, 20)).collect();
                    format!("I keep no line {} in mind, so I forgot nothing.", numbers.join(", "))
                }
            };
            format!("{what} `@{handle} memory` shows what there is.")
        }
        MemoryCard::Going(going) => going::text(going),
        MemoryCard::NothingToGo { what } => going::nothing(*what),
        MemoryCard::NotTheirs { handle, needed } => format!(
            "Others spoke here as well, so I forgot nothing. To forget the whole conversation takes {}. What you said yourself is yours: \
             `@{} forget everything I said here`.",
            inline::sentence(needed, 300),
            inline::plain(handle, 60)
        ),
        MemoryCard::List(listing) => list(listing, sharing),
    }
}

fn kept(handle: &str, lines: &[ShownLine], everywhere: Option<Sharing>) -> String {
    let handle = inline::plain(handle, 60);
    let Some(first) = lines.first() else { return "I kept that in mind, and it was forgotten since.".to_owned() };
    let whose = everywhere.map_or("this conversation", Sharing::all);
    let numbers: Vec<String> = lines.iter().map(|line| inline::plain(&line.label, 20)).collect();
    format!(
        "I keep that in mind for {whose}, under {}:\n\n{}\n\n`@{handle} forget {}` takes it back.",
        inline::plain(&first.section, 60),
        listed(lines),
        numbers.join(", ")
    )
}

fn forgotten(lines: &[ShownLine]) -> String {
    if lines.is_empty() {
        return "That is forgotten.".to_owned();
    }
    let each: Vec<String> =
        lines.iter().map(|line| format!("- **{}** — {}", inline::plain(&line.label, 20), line.receipt())).collect();
    format!(
        "That is forgotten; I do not repeat it here:\n\n{}\n\nThe message it came from still stands where it was written.",
        each.join("\n")
    )
}

fn list(listing: &Listing, sharing: Sharing) -> String {
    let handle = inline::plain(&listing.handle, 60);
    let mut parts = Vec::new();
    if listing.off {
        parts.push(format!("{} says that runs are shown nothing of this (`[memory] working_memory = \"off\"`).", sharing.file()));
    }
    if listing.everywhere.is_empty() && listing.here.is_empty() {
        parts.push(format!("I keep nothing in mind here. `@{handle} remember …` changes that."));
    }
    let mut room = Room::default();
    for (whose, lines) in [(sharing.all(), &listing.everywhere), ("this conversation", &listing.here)] {
        if !lines.is_empty() {
            parts.push(format!("**Kept for {whose}**"));
            parts.push(room.sections(lines));
        }
    }
    if listing.apart {
        parts.push(apart(sharing));
    }
    parts.push(beside(listing, sharing));
    parts.push(format!("<sub>`@{handle} forget 3` drops line 3, `@{handle} remember …` adds one</sub>"));
    parts.join("\n\n")
}

fn apart(sharing: Sharing) -> String {
    match sharing {
        Sharing::Repository => "The conversations of this repository are kept apart (`[memory] scope = \"thread\"`).".to_owned(),
        Sharing::Server | Sharing::Channel | Sharing::Person => {
            format!("{} keeps conversations apart (`[memory] scope = \"thread\"`).", sharing.file())
        }
    }
}

fn beside(listing: &Listing, sharing: Sharing) -> String {
    let since = listing.since.map(|at| format!(" since {}", at.format("%-d %b %Y"))).unwrap_or_default();
    let mut text = match listing.messages {
        0 => "Of this conversation I remember no messages yet.".to_owned(),
        messages => format!("Of this conversation I remember {}{since}.", inline::counted(messages, "message")),
    };
    if listing.observations > 0 {
        text.push_str(&format!(" Its older part is condensed to {}.", inline::counted(listing.observations, "observation")));
    }
    if listing.passages > 0 {
        let more = if listing.passages >= MOST_COUNTED { "at least " } else { "" };
        let passages = inline::counted(listing.passages, "passage");
        text.push_str(&format!(" In {} I can look through {more}{passages}.", sharing.all()));
    }
    text
}

fn listed(lines: &[ShownLine]) -> String {
    let mut room = Room::default();
    let text = room.items(lines);
    if room.left_out == 0 { text } else { format!("{text}\n- and {} more", room.left_out) }
}

/// What still fits.
#[derive(Default)]
struct Room {
    lines: usize,
    bytes: usize,
    left_out: usize,
}

impl Room {
    fn items(&mut self, lines: &[ShownLine]) -> String {
        let mut items = Vec::new();
        for line in lines {
            let item = line.item();
            if self.lines == MOST_LINES || self.bytes + item.len() > MOST_BYTES {
                self.left_out += 1;
                continue;
            }
            self.lines += 1;
            self.bytes += item.len();
            items.push(item);
        }
        items.join("\n")
    }

    fn sections(&mut self, lines: &[ShownLine]) -> String {
        let before = self.left_out;
        let mut parts = Vec::new();
        for section in lines.chunk_by(|one, next| one.section == next.section) {
            let items = self.items(section);
            if !items.is_empty() {
                let name = section.first().map(|line| inline::plain(&line.section, 60)).unwrap_or_default();
                parts.push(format!("{name}\n\n{items}"));
            }
        }
        match self.left_out - before {
            0 => {}
            1 => parts.push("One more line is not shown.".to_owned()),
            more => parts.push(format!("{more} more lines are not shown.")),
        }
        parts.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(label: &str, section: &str, text: &str) -> ShownLine {
        ShownLine {
            label: label.into(),
            section: section.into(),
            text: text.into(),
            who: "maya".into(),
            noted: label.starts_with('t'),
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            url: "https://github.com/acme/rocket/issues/1#issuecomment-9".into(),
            mark: (section == "Code").then(|| "(the file changed since 1a2b3c4; check before relying on it)".to_owned()),
        }
    }

    fn listing() -> Listing {
        Listing {
            handle: "threadbox".into(),
            everywhere: vec![
                line("1", "Decisions", "We use tabs, says @ada <b>"),
                line("4", "Decisions", "[x](https://evil.example)\n# no"),
                line("5", "Code", "`src/foo.rs` is generated"),
            ],
            here: vec![line("t2", "Goal", "Ship it")],
            apart: false,
            off: false,
            messages: 1_204,
            since: Some("2026-10-01T10:00:00Z".parse().unwrap()),
            observations: 12,
            passages: 10_000,
        }
    }

    #[test]
    fn what_is_said_about_memory() {
        let handle = || "threadbox".to_owned();
        let lines = || vec![line("3", "Remembered", "we use tabs")];
        let cards = [
            MemoryCard::Kept { handle: handle(), lines: lines(), everywhere: true },
            MemoryCard::Kept { handle: handle(), lines: Vec::new(), everywhere: false },
            MemoryCard::Had { handle: handle(), lines: lines() },
            MemoryCard::Unfit { why: "A line has 700 characters: «@ada <b>».".into() },
            MemoryCard::Off,
            MemoryCard::Forgotten { lines: lines() },
            MemoryCard::Forgotten { lines: Vec::new() },
            MemoryCard::Which { handle: handle(), lines: vec![line("3", "A", "tabs"), line("t4", "A", "tabs here")] },
            MemoryCard::NotThere { handle: handle(), numbers: vec!["9".into(), "t1".into()] },
            MemoryCard::NotThere { handle: handle(), numbers: Vec::new() },
            MemoryCard::NotTheirs { handle: handle(), needed: "write permission on this repository".into() },
            MemoryCard::List(Box::new(listing())),
            MemoryCard::List(Box::new(Listing {
                everywhere: Vec::new(),
                here: Vec::new(),
                apart: true,
                off: true,
                messages: 0,
                since: None,
                observations: 0,
                passages: 0,
                ..listing()
            })),
        ];
        let all: Vec<String> = cards.iter().map(|card| text(card, Sharing::Repository)).collect();
        insta::assert_snapshot!(all.join("\n---\n").replace('\u{200b}', "·"), @r#"
        I keep that in mind for all conversations of this repository, under Remembered:

        - **3** we use tabs — [maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)

        `@threadbox forget 3` takes it back.
        ---
        I kept that in mind, and it was forgotten since.
        ---
        I keep that in mind already:

        - **3** we use tabs — [maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)

        `@threadbox memory` shows everything.
        ---
        I did not keep that in mind. A line has 700 characters: «@·ada &lt;b>».
        ---
        This repository's file says that I keep nothing in mind here (`[memory] working_memory = "off"`). Nothing was kept.
        ---
        That is forgotten; I do not repeat it here:

        - **3** — [maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)

        The message it came from still stands where it was written.
        ---
        That is forgotten.
        ---
        Several lines may be meant, so I forgot none. Say which by its number, such as `@threadbox forget 3`:

        - **3** tabs — [maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)
        - **t4** tabs here — [noted for maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)
        ---
        I keep no line 9, t1 in mind, so I forgot nothing. `@threadbox memory` shows what there is.
        ---
        None of the lines I keep in mind has these words, so I forgot nothing. `@threadbox memory` shows what there is.
        ---
        Others spoke here as well, so I forgot nothing. To forget the whole conversation takes write permission on this repository. What you said yourself is yours: `@threadbox forget everything I said here`.
        ---
        **Kept for all conversations of this repository**

        Decisions

        - **1** We use tabs, says @·ada &lt;b&gt; — [maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)
        - **4** \[x\](https://evil.example) \# no — [maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)

        Code

        - **5** \`src/foo.rs\` is generated — [maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9) *(the file changed since 1a2b3c4; check before relying on it)*

        **Kept for this conversation**

        Goal

        - **t2** Ship it — [noted for maya, 21 Nov 2026](https://github.com/acme/rocket/issues/1#issuecomment-9)

        Of this conversation I remember 1,204 messages since 1 Oct 2026. Its older part is condensed to 12 observations. In all conversations of this repository I can look through at least 10,000 passages.

        <sub>`@threadbox forget 3` drops line 3, `@threadbox remember …` adds one</sub>
        ---
        This repository's file says that runs are shown nothing of this (`[memory] working_memory = "off"`).

        I keep nothing in mind here. `@threadbox remember …` changes that.

        The conversations of this repository are kept apart (`[memory] scope = "thread"`).

        Of this conversation I remember no messages yet.

        <sub>`@threadbox forget 3` drops line 3, `@threadbox remember …` adds one</sub>
        "#);
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let many: Vec<ShownLine> = (0..80).map(|at| line(&at.to_string(), "Decisions", &format!("_{at}_"))).collect();
        let listed = MemoryCard::List(Box::new(Listing { everywhere: many.clone(), ..listing() }));
        let shown = text(&listed, Sharing::Repository);
        assert!(shown.contains("20 more lines are not shown.") && shown.contains("One more line is not shown."), "{shown}");
        let long: Vec<ShownLine> = (0..80).map(|at| line(&at.to_string(), "Decisions", &"*".repeat(500))).collect();
        let shown = text(&MemoryCard::Which { handle: "threadbox".into(), lines: long }, Sharing::Server);
        assert!(shown.len() < 30_000 && shown.contains("more"), "{}", shown.len());
    }
}
