//! Where we talk: in the thread of the message a conversation began with, opened by us, or in the channel where that cannot be.

use serenity::model::id::{ChannelId, GuildId, MessageId};

use super::store::{self, Talk};
use super::{DiscordPosts, There};
use crate::discord::{self as surface, DiscordError, Draft, NewThread, Opened, code};
use crate::id::ThreadId;
use crate::intake::Place;
use crate::reply::clean;
use crate::reply::post::{CommentPost, PostError};
use crate::reply::store::{self as posts, PostRow};

/// Said once in a channel in which we cannot open threads.
const NO_THREADS: &str = "I cannot open a thread here, so I answer in the channel. To change that, give my role the permissions \
                          **Create Public Threads** and **Send Messages in Threads** in this channel.";

/// Said once for a thread that was locked while we had something to say in it.
const LOCKED: &str = "That thread is locked, so I answer here. Unlock it to go on in it.";

/// Why nothing can be said in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// We may not write in threads here.
    NotPermitted,
    /// It is locked, or archived and not ours to bring back.
    Locked,
}

impl Hindrance {
    pub fn read(error: &DiscordError) -> Option<Self> {
        match error {
            DiscordError::Forbidden { code: code::MISSING_PERMISSIONS | code::MISSING_ACCESS, .. } => Some(Self::NotPermitted),
            error => [code::THREAD_LOCKED, code::THREAD_ARCHIVED].contains(&error.code()?).then_some(Self::Locked),
        }
    }
}

/// Where a post goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Where {
    pub guild: Option<GuildId>,
    pub channel: ChannelId,
    /// What it replies to, where it stands among what others talk about.
    pub reply_to: Option<MessageId>,
    /// Of a thread that we can do without: where it goes on when nothing can be said in it.
    pub instead: Option<Talk>,
}

impl Where {
    pub fn in_channel(channel: ChannelId, place: &Place) -> Self {
        let guild = match place {
            Place::Discord { guild, .. } => guild.map(surface::id),
            Place::Github { .. } => None,
        };
        Self { guild, channel, reply_to: None, instead: None }
    }

    fn of(talk: Talk, place: &Place) -> Self {
        let is_thread = talk.channel == talk.opening;
        let reply_to = (!is_thread).then(|| surface::id(talk.opening));
        let instead = match place {
            // The message a thread was opened from has its number, and stands in the channel the thread is in.
            Place::Discord { channel, parent, opening, .. } if is_thread => {
                opening.map_or(*parent, |_| Some(*channel)).map(|channel| Talk { channel, ..talk })
            }
            Place::Discord { .. } | Place::Github { .. } => None,
        };
        Self { reply_to, instead, ..Self::in_channel(surface::id(talk.channel), place) }
    }
}

impl DiscordPosts {
    /// Where a post goes; opens the thread if that has to be.
    pub(super) async fn where_to(&self, post: &CommentPost<'_>) -> Result<Where, PostError> {
        let Place::Discord { channel, opening, .. } = post.place else { return Err(PostError::Off) };
        let Some(opening) = *opening else {
            // In a thread that we opened the talk goes on there, whatever became of the first answer.
            let began = store::talk(&self.pool, *channel).await?;
            return Ok(match began {
                Some(_) => Where::of(Talk { opening: *channel, channel: *channel }, post.place),
                None => Where::in_channel(surface::id(*channel), post.place),
            });
        };
        let talk = match store::talk(&self.pool, opening).await? {
            Some(talk) => talk,
            None => self.open(post, *channel, opening).await?,
        };
        Ok(Where::of(talk, post.place))
    }

    async fn open(&self, post: &CommentPost<'_>, channel: i64, opening: i64) -> Result<Talk, PostError> {
        let words = store::first_words(&self.pool, post.thread).await?.unwrap_or_default();
        let name = first_name(&self.redactor.redact(&words));
        let opened = self.discord.start_thread(surface::id(channel), surface::id(opening), NewThread { name: &name }).await;
        let now = self.clock.now();
        match opened {
            Ok(opened) => {
                let name = match opened {
                    Opened::Now { name } => Some(name),
                    Opened::Before => self.name_if_ours(surface::id(opening)).await?,
                };
                let talk = Talk { opening, channel: opening };
                Ok(store::begin_talk(&self.pool, talk, post.thread, name.as_deref(), now).await?)
            }
            Err(error) if error.is_transient() || error == DiscordError::Unauthorized => Err(error.into()),
            Err(error) => {
                tracing::info!(discord.channel = channel, %error, "no thread can be opened here");
                let talk = store::begin_talk(&self.pool, Talk { opening, channel }, post.thread, None, now).await?;
                if matches!(error, DiscordError::Forbidden { .. }) {
                    self.tell(post, channel, format!("no-threads-{channel}"), NO_THREADS).await;
                }
                Ok(talk)
            }
        }
    }

    /// A thread that was there may be ours, opened with an answer that was lost, or somebody else's, who named it.
    async fn name_if_ours(&self, thread: ChannelId) -> Result<Option<String>, DiscordError> {
        let us = self.discord.known_bot().await?.id;
        let thread = self.discord.channel(thread).await?;
        Ok(Some(thread.name).filter(|_| thread.owner == Some(us)))
    }

    /// Goes on in the channel, because nothing can be said in the thread: for good where we may not, else for this post.
    pub(super) async fn fall_back(
        &self,
        post: &CommentPost<'_>,
        from: &Where,
        instead: Talk,
        why: Hindrance,
    ) -> Result<Where, PostError> {
        tracing::info!(discord.channel = from.channel.get(), ?why, "nothing can be said in the thread");
        match why {
            Hindrance::NotPermitted => {
                if let Place::Discord { opening: Some(_), .. } = post.place {
                    store::fall_back(&self.pool, instead.opening, instead.channel).await?;
                }
                self.tell(post, instead.channel, format!("no-threads-{}", instead.channel), NO_THREADS).await;
            }
            Hindrance::Locked => self.tell(post, instead.channel, format!("locked-{}", instead.opening), LOCKED).await,
        }
        Ok(Where::of(instead, post.place))
    }

    /// Says once in a channel why we talk there. The answer does not depend on it.
    async fn tell(&self, post: &CommentPost<'_>, channel: i64, key: String, why: &str) {
        let told = async {
            let row = PostRow { key: &key, thread: post.thread, run: None, kind: "notice", about: None };
            if !posts::begin(&self.pool, row, self.clock.now()).await?.first {
                return Ok(());
            }
            let draft = Draft { nonce: Some(surface::nonce(&key)), silent: true, ..Draft::text(why) };
            let message = self.discord.create_message(surface::id(channel), &draft).await?;
            let there = There { channel, message: surface::number(message.id) };
            store::done(&self.pool, &key, there, self.clock.now()).await?;
            Ok::<_, PostError>(())
        };
        if let Err(error) = told.await {
            tracing::info!(discord.channel = channel, %error, "nobody was told why the talk is not in a thread");
        }
    }

    /// Gives the thread of a conversation its title. Idempotent. A thread that a person opened or renamed keeps its name.
    pub async fn rename(&self, thread: ThreadId, title: &str) -> Result<(), PostError> {
        let title = surface::thread_name(&self.redactor.redact(title));
        let Some(named) = store::add_name(&self.pool, thread, &title).await? else { return Ok(()) };
        let channel = self.discord.channel(surface::id(named.channel)).await?;
        let is_archived = channel.thread.is_some_and(|thread| thread.archived);
        // Bringing a thread back for its name alone would tell people of nothing.
        if channel.name == title || !named.names.contains(&channel.name) || is_archived {
            return Ok(());
        }
        match self.discord.rename(channel.id, &title).await {
            Err(error) if !error.is_transient() => {
                tracing::info!(discord.channel = channel.id.get(), %error, "the thread keeps its first name");
                Ok(())
            }
            renamed => Ok(renamed?),
        }
    }

    /// Whether we gave a thread this name.
    pub async fn is_our_name(&self, channel: i64, name: &str) -> Result<bool, sqlx::Error> {
        store::is_our_name(&self.pool, channel, name).await
    }
}

/// The first words of a request as the name of a thread, until it has a title: one line without mentions, cut between words.
fn first_name(text: &str) -> String {
    const LONGEST: usize = 100;
    const MENTIONS: [&str; 4] = ["<@", "<#", "</", "```"];
    let visible = clean::visible(text);
    let words = visible.split_whitespace().filter(|word| !MENTIONS.iter().any(|mark| word.starts_with(mark)));
    // Whom it is addressed to is known from where it stands.
    let words = words.skip_while(|word| word.starts_with('@'));
    let mut name = String::new();
    for word in words {
        let length = name.chars().count() + usize::from(!name.is_empty()) + word.chars().count();
        if length > LONGEST - 1 {
            if name.is_empty() {
                name = word.chars().take(LONGEST - 1).collect();
            }
            name.push('…');
            break;
        }
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
    }
    if name.is_empty() { "New thread".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_thread_is_first_named_by_the_first_words() {
        let names = ["<@12> @threadbox, fix the\nbuild  please", "<@!12>", "<@12> ```py\nprint(1)\n```", "ask <#4> there"]
            .map(first_name);
        assert_eq!(names, ["fix the build please", "New thread", "print(1)", "ask there"]);
        let long = first_name(&"word ".repeat(60));
        assert!(long.ends_with("word…") && long.chars().count() <= 100, "{long}");
        assert_eq!(first_name(&"x".repeat(300)).chars().count(), 100);
    }

    proptest! {
        #[test]
        fn every_name_fits(text in "\\PC{0,300}") {
            let name = first_name(&text);
            prop_assert!((1..=100).contains(&name.chars().count()) && !name.contains('\n') && name.trim() == name);
        }
    }
}
