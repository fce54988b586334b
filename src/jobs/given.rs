//! Files that people attach to a message: fetched by the service, from where the surface keeps them and nowhere else, and put into the
//! sandbox before the run begins. Pictures are also shown to the model.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::Services;
use super::pictures::{self, LARGEST_PICTURE, PICTURES};
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::Sandboxes;
use crate::discord::{self, Discord, DiscordError};
use crate::github::{self, RepoRef};
use crate::intake::{GivenFile, Place, Trigger};
use crate::model::{Message, Part, Picture};
use crate::reply::{clean, inline};

/// Files of a run, and bytes of each and of all of them.
const FILES: usize = 10;
const LARGEST: u64 = 8 << 20;
const ALL: u64 = 40 << 20;
/// Bytes of all pictures of a run.
const ALL_PICTURES: usize = 10 << 20;
/// Fetching all of it, and putting it into the sandbox.
const TIME: Duration = Duration::from_secs(60);
/// Where files are put: in the workspace, where there is nothing that could land; else beside it.
const IN_WORKSPACE: &str = "attachments";
const BESIDE: &str = "/tmp/attachments";
/// Characters of a name.
const LONGEST_NAME: usize = 80;

/// The opening with what was attached to the request. What cannot be had is told, and never keeps a run from going on.
pub(super) async fn received(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes, mut opening: Message) -> Message {
    if taken.request.with.files.is_empty() {
        return opening;
    }
    let directory = if RepoRef::about(&taken.request.place).is_some() { BESIDE } else { IN_WORKSPACE };
    let mut receiving = Receiving {
        services,
        taken,
        sandboxes,
        directory,
        names: Vec::new(),
        bytes: 0,
        shown: 0,
        parts: Vec::new(),
        told: Vec::new(),
    };
    if tokio::time::timeout(TIME, receiving.receive(&taken.request.with.files)).await.is_err() {
        receiving.told.push("The rest did not arrive in time.".to_owned());
    }
    let Receiving { mut parts, told, .. } = receiving;
    let told = format!("Files that came with the request, as data:\n{}", told.join("\n"));
    parts.insert(0, Part::Text { text: format!("\n\n{told}") });
    opening.parts.extend(parts);
    opening
}

struct Receiving<'a> {
    services: &'a Services,
    taken: &'a Taken,
    sandboxes: &'a ThreadSandboxes,
    directory: &'static str,
    /// Those that are there.
    names: Vec<String>,
    bytes: u64,
    /// Bytes of the pictures that are shown.
    shown: usize,
    parts: Vec<Part>,
    told: Vec<String>,
}

impl Receiving<'_> {
    async fn receive(&mut self, files: &[GivenFile]) {
        for (number, file) in files.iter().enumerate() {
            if number >= FILES {
                let more = inline::counted((files.len() - FILES) as u64, "file");
                return self.told.push(format!("- {more} more: not taken, because there are more than {FILES}."));
            }
            let name = clean::line(&file.name, 120);
            match self.take(file).await {
                Ok(told) => self.told.push(told),
                Err(why) => self.told.push(format!("- {name}: not taken, because {why}.")),
            }
        }
    }

    /// What is told of a file that is there now; else why it is not.
    async fn take(&mut self, file: &GivenFile) -> Result<String, String> {
        if file.size > LARGEST {
            return Err(format!("it is larger than {} MiB", LARGEST >> 20));
        }
        let content = self.fetch(file).await?;
        if is_program(&content) {
            return Err("programs are not taken".to_owned());
        }
        if self.bytes + content.len() as u64 > ALL {
            return Err(format!("all files together would be larger than {} MiB", ALL >> 20));
        }
        let name = unlike(&self.names, &safe_name(&file.name));
        let path = format!("{}/{name}", self.directory);
        let written = match self.sandboxes.own().await {
            Ok(sandbox) => sandbox.write(&path, &content).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!(run.id = %self.taken.id, %error, "an attached file does not get into the sandbox");
            return Err("it could not be put into the sandbox".to_owned());
        }
        self.bytes += content.len() as u64;
        self.names.push(name);
        let shown = self.show(&path, &content).await;
        Ok(format!("- `{path}` in your sandbox ({} bytes){shown}", content.len()))
    }

    async fn fetch(&self, file: &GivenFile) -> Result<Bytes, String> {
        let discord = self.services.discord.as_ref().ok_or("Discord is not connected in this process")?;
        let most = usize::try_from(LARGEST).unwrap_or(usize::MAX);
        let address = Url::parse(&file.url).map_err(|_| "its address cannot be read")?;
        let fetched = match discord.download(&address, most).await {
            // Addresses are good for a day; whoever reads the message again gets fresh ones.
            Err(DiscordError::NotFound { .. }) => match self.fresh(discord, file, &address).await {
                Some(address) => discord.download(&address, most).await,
                None => Err(DiscordError::NotFound { code: 0 }),
            },
            fetched => fetched,
        };
        fetched.map_err(|error| {
            tracing::info!(run.id = %self.taken.id, %error, "an attached file cannot be fetched");
            match error {
                DiscordError::Invalid { why, .. } => clean::line(&why, 200),
                error if error.is_transient() => "Discord did not answer".to_owned(),
                _ => "Discord does not give it out (any more)".to_owned(),
            }
        })
    }

    /// The address that the file of an old address has now.
    async fn fresh(&self, discord: &Discord, file: &GivenFile, old: &Url) -> Option<Url> {
        // What asks now may be a press, or other words.
        let (channel, message) = match (file.from, &self.taken.request.place, self.taken.request.trigger) {
            (Some(from), _, _) => from,
            (None, Place::Discord { channel, .. }, Trigger::Comment(message)) => (*channel, message),
            (None, _, _) => return None,
        };
        let found = discord.message(discord::id(channel), discord::id(message)).await.ok()?;
        let mut known = found.attachments.iter().filter_map(|file| Url::parse(&file.url).ok());
        known.find(|new| new.path() == old.path())
    }

    /// Shows a picture to the model; what is told of that.
    async fn show(&mut self, path: &str, content: &Bytes) -> String {
        let Some(media_type) = github::picture_type(content) else { return String::new() };
        let number = self.parts.iter().filter(|part| matches!(part, Part::Picture(_))).count() + 1;
        if number > PICTURES || content.len() > LARGEST_PICTURE || self.shown + content.len() > ALL_PICTURES {
            return ", a picture that is not shown to you: it is too large, or there are too many".to_owned();
        }
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        if let Err(error) = pictures::keep(self.services, self.taken, number, media_type, content).await {
            tracing::warn!(run.id = %self.taken.id, %error, "a picture cannot be kept");
            return String::new();
        }
        self.shown += content.len();
        self.parts.push(Part::Text { text: format!("\n\nImage {number}, `{path}`, is data as well.") });
        self.parts.push(Part::Picture(Picture { number, media_type: media_type.to_owned(), content: None }));
        format!(", shown to you as image {number}")
    }
}

/// Programs for machines: nobody means to have them read, and what is to be run here comes as code.
fn is_program(content: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 6] =
        [b"MZ", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"];
    BEGINNINGS.iter().any(|beginning| content.starts_with(beginning))
}

/// The last part of a name, of plain characters alone: it can lead nowhere, hide nothing, and is no option of a command.
fn safe_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = last.chars().map(plain).collect();
    let name = name.trim_start_matches(['.', '-']);
    let cut = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() <= 10 => {
            let room = LONGEST_NAME - extension.chars().count() - 1;
            format!("{}.{extension}", stem.chars().take(room).collect::<String>())
        }
        Some(_) | None => name.chars().take(LONGEST_NAME).collect(),
    };
    if cut.trim_matches(['.', '_']).is_empty() { "file".to_owned() } else { cut }
}

/// The name, with a number when there is one of it.
fn unlike(known: &[String], name: &str) -> String {
    let (stem, extension) =
        name.rsplit_once('.').map_or((name, String::new()), |(stem, extension)| (stem, format!(".{extension}")));
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{stem}-{number}{extension}")));
    names.find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_leads_nowhere() {
        for (given, safe) in [
            ("data.csv", "data.csv"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("..", "file"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("a b\u{202e}gpj.exe", "a_b_gpj.exe"),
            ("", "file"),
            ("naïve-日本.txt", "naïve-日本.txt"),
        ] {
            assert_eq!(safe_name(given), safe, "{given:?}");
        }
        assert!(safe_name(&format!("{}.tar", "x".repeat(300))).ends_with(".tar"));
        assert_eq!(unlike(&["A.txt".into(), "a-2.txt".into()], "a.txt"), "a-3.txt");
    }

    #[test]
    fn programs_are_known_by_how_they_begin() {
        assert!(is_program(b"\x7fELF\x02") && is_program(b"MZ\x90"));
        assert!(!is_program(b"#!/bin/sh") && !is_program(b"a,b\n") && !is_program(b""));
    }

    proptest! {
        #[test]
        fn a_name_is_always_one_plain_part(given in ".{0,200}") {
            let name = safe_name(&given);
            prop_assert!(!name.is_empty() && name.chars().count() <= LONGEST_NAME, "{name}");
            prop_assert!(!name.contains(['/', '\\', '\0', ' ']) && !name.starts_with(['.', '-']), "{name}");
        }
    }
}
