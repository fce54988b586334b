//! What people show and attach: fetched by the service when a run begins. Pictures are shown to the model, files are put beside the
//! workspace, where they can be worked with and nothing of them is landed by accident.

mod store;

use std::time::Duration;

use url::Url;

pub(super) use self::store::forget;
use super::Services;
use crate::agent::Snapshot;
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::Sandboxes;
use crate::github::{self, CommentId, Github, GithubError, Linked, RepoRef, Signed};
use crate::intake::Trigger;
use crate::model::{Message, Part, Picture};
use crate::reply::{clean, cut};

/// Pictures of a run, and bytes of each and of all of them.
pub(super) const PICTURES: usize = 5;
pub(super) const LARGEST_PICTURE: usize = 3 << 20;
const ALL_PICTURES: usize = 10 << 20;
/// Files of a run, and bytes of each.
const FILES: usize = 5;
const LARGEST_FILE: usize = 8 << 20;
/// Addresses that are told although nothing came of them.
const MOST_TOLD: usize = 10;
/// Fetching all of it, and putting the files into the sandbox.
const TIME: Duration = Duration::from_secs(40);
/// Where files are put.
const DIRECTORY: &str = "/tmp/attachments";

/// A text of the conversation that may show something.
pub(super) struct Text<'a> {
    /// Whose and what it is, such as `the request of alice`.
    pub(super) whose: String,
    /// The text.
    pub(super) text: &'a str,
    /// Where its rendering can be had: of the issue itself, or of a comment.
    pub(super) rendered: Rendered,
}

/// Where the rendering of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rendered {
    Issue,
    Comment(CommentId),
    Nowhere,
}

/// The texts of a request itself, the most important first.
pub(super) fn texts(taken: &Taken) -> Vec<Text<'_>> {
    let request = &taken.request;
    let author = &request.author.login;
    let rendered = match request.trigger {
        Trigger::Body => Rendered::Issue,
        Trigger::Comment(id) => Rendered::Comment(CommentId(id)),
        Trigger::Review(_) | Trigger::ReviewComment(_) | Trigger::Event => Rendered::Nowhere,
    };
    let mut texts = vec![Text { whose: format!("the request of {author}"), text: &request.text, rendered }];
    if let Some(body) = &request.body {
        texts.push(Text { whose: "the description".to_owned(), text: body, rendered: Rendered::Issue });
    }
    texts
}

/// The opening with what these texts show and attach. What cannot be had is told, and never keeps a run from going on.
pub(super) async fn shown(
    services: &Services,
    taken: &Taken,
    sandboxes: &ThreadSandboxes,
    texts: &[Text<'_>],
    mut opening: Message,
) -> Message {
    let Some(github) = &services.github else { return opening };
    let Some((repo, number)) = RepoRef::of(&taken.request.place) else { return opening };
    let mut gathering = Gathering {
        services,
        taken,
        sandboxes,
        github,
        repo,
        number,
        told: Vec::new(),
        parts: Vec::new(),
        files: Vec::new(),
        bytes: 0,
    };
    if tokio::time::timeout(TIME, gathering.gather(texts)).await.is_err() {
        gathering.told.push("The rest did not arrive in time.".to_owned());
    }
    let Gathering { mut parts, told, .. } = gathering;
    if !told.is_empty() {
        parts.push(Part::Text { text: format!("\n\n{}", told.join("\n")) });
    }
    opening.parts.extend(parts);
    opening
}

/// A snapshot with the pictures it speaks of, which are not stored in it.
pub(super) async fn at_hand(services: &Services, taken: &Taken, mut snapshot: Snapshot) -> Snapshot {
    let mut wanted: Vec<&mut Picture> = Vec::new();
    for part in snapshot.conversation.iter_mut().flat_map(|spoken| &mut spoken.message.parts) {
        if let Part::Picture(picture) = part {
            wanted.push(picture);
        }
    }
    if wanted.is_empty() {
        return snapshot;
    }
    match store::of(&services.pool, taken.id).await {
        Ok(known) => {
            for picture in wanted {
                picture.content = known.iter().find(|(number, _)| *number == picture.number).map(|(_, content)| content.clone());
            }
        }
        Err(error) => tracing::warn!(run.id = %taken.id, %error, "the pictures of the request are not shown"),
    }
    snapshot
}

/// Keeps a picture of a run, by its number there. May be repeated.
pub(super) async fn keep(
    services: &Services,
    taken: &Taken,
    number: i32,
    media_type: &str,
    content: &[u8],
) -> Result<(), sqlx::Error> {
    store::keep(&services.pool, taken.id, number, media_type, content, services.clock.now()).await
}

struct Gathering<'a> {
    services: &'a Services,
    taken: &'a Taken,
    sandboxes: &'a ThreadSandboxes,
    github: &'a Github,
    repo: RepoRef,
    number: i64,
    parts: Vec<Part>,
    told: Vec<String>,
    files: Vec<String>,
    bytes: usize,
}

impl Gathering<'_> {
    async fn gather(&mut self, texts: &[Text<'_>]) {
        let mut seen: Vec<Url> = Vec::new();
        for text in texts {
            let mut links = github::linked(text.text);
            links.retain(|link| !seen.contains(&link.url));
            seen.extend(links.iter().map(|link| link.url.clone()));
            if links.is_empty() {
                continue;
            }
            let signed = self.signed(text.rendered, &links).await;
            for link in links {
                self.take(&text.whose, &link, &signed).await;
            }
        }
    }

    /// Signed addresses are only asked for where something may need one.
    async fn signed(&self, rendered: Rendered, links: &[Linked]) -> Signed {
        let comment = match rendered {
            Rendered::Nowhere => return Signed::default(),
            Rendered::Issue => None,
            Rendered::Comment(id) => Some(id),
        };
        if !links.iter().any(|link| self.github.is_ours_to_fetch(&link.url)) {
            return Signed::default();
        }
        self.github.signed(&self.repo, self.number, comment).await.unwrap_or_else(|error| {
            tracing::info!(%error, "no signed addresses of pictures");
            Signed::default()
        })
    }

    async fn take(&mut self, whose: &str, link: &Linked, signed: &Signed) {
        if !self.github.is_ours_to_fetch(&link.url) {
            return self.not_shown(whose, link, "it is not on GitHub, and nothing is fetched from elsewhere");
        }
        if self.pictures() >= PICTURES && self.files.len() >= FILES {
            return self.not_shown(whose, link, "there are too many");
        }
        match self.github.upload(&self.repo, &link.url, signed, LARGEST_FILE).await {
            Err(error) => self.not_shown(whose, link, &refused(&error)),
            Ok(content) => match github::picture_type(&content) {
                Some(media_type) => self.show(whose, link, media_type, content).await,
                None if link.is_shown => self.not_shown(whose, link, "it is no PNG, JPEG, GIF or WebP"),
                None => self.put(whose, link, &content).await,
            },
        }
    }

    async fn show(&mut self, whose: &str, link: &Linked, media_type: &str, content: Vec<u8>) {
        if content.len() > LARGEST_PICTURE || self.bytes + content.len() > ALL_PICTURES || self.pictures() >= PICTURES {
            return self.not_shown(whose, link, "it is too large, or there are too many");
        }
        let number = i32::try_from(self.pictures() + 1).unwrap_or(i32::MAX);
        let kept = store::keep(&self.services.pool, self.taken.id, number, media_type, &content, self.services.clock.now()).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "a picture cannot be kept");
            return self.not_shown(whose, link, "it could not be kept");
        }
        self.bytes += content.len();
        let called = match link.label.trim() {
            "" => String::new(),
            label => format!(" {}", clean::quote("alternative text", "", &cut::cut_end(label, 300))),
        };
        self.parts
            .push(Part::Text { text: format!("\n\nImage {number}, from {}, is data as well.{called}", clean::line(whose, 200)) });
        self.parts.push(Part::Picture(Picture { number, media_type: media_type.to_owned(), content: None }));
    }

    async fn put(&mut self, whose: &str, link: &Linked, content: &[u8]) {
        if self.files.len() >= FILES {
            return self.not_shown(whose, link, "there are too many");
        }
        let name = unlike(&self.files, &github::upload_name(&link.url));
        let path = format!("{DIRECTORY}/{name}");
        let written = match self.sandboxes.own().await {
            Ok(sandbox) => sandbox.write(&path, content).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                let told =
                    format!("The file `{path}` in your sandbox ({} bytes) is from {}.", content.len(), clean::line(whose, 200));
                self.told.push(told);
                self.files.push(name);
            }
            Err(error) => {
                tracing::warn!(%error, "an attached file does not get into the sandbox");
                self.not_shown(whose, link, "it could not be put into the sandbox");
            }
        }
    }

    fn pictures(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Picture(_))).count()
    }

    fn not_shown(&mut self, whose: &str, link: &Linked, why: &str) {
        // An ordinary link is known from the text.
        if self.told.len() < MOST_TOLD {
            let what = if link.is_shown { "An image" } else { "A file" };
            self.told.push(format!("{what} in {} was not shown to you: {why}.", clean::line(whose, 200)));
        }
    }
}

/// In words without addresses.
fn refused(error: &GithubError) -> String {
    match error {
        GithubError::NotFound | GithubError::Forbidden { .. } | GithubError::Gone(_) => "GitHub does not give it out".to_owned(),
        GithubError::RateLimited { .. } | GithubError::Unavailable { .. } => "GitHub does not answer".to_owned(),
        GithubError::Invalid(why) => clean::line(why, 200),
    }
}

/// The name, with a number when there is one of it.
fn unlike(known: &[String], name: &str) -> String {
    let (stem, extension) =
        name.rsplit_once('.').map_or((name, String::new()), |(stem, extension)| (stem, format!(".{extension}")));
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{stem}-{number}{extension}")));
    names.find(|name| !known.contains(name)).unwrap_or_else(|| name.to_owned())
}
