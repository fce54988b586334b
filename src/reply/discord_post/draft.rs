//! From pieces to what is sent: files are fetched and redacted, buttons get their ids, and what a channel does not allow is learned from
//! its refusals.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serenity::builder::{CreateActionRow, CreateButton, CreateEmbed};
use serenity::model::application::ButtonStyle as Style;
use serenity::model::id::{ChannelId, GuildId};
use uuid::Uuid;

use super::DiscordPosts;
use super::talk::Where;
use crate::attachment;
use crate::discord::button::Button;
use crate::discord::{Discord, DiscordError, Draft, ForumTag, Guild, MOST_CONTENT, NewFile, code};
use crate::id::InboxId;
use crate::intake::Place;
use crate::reply::discord::{ButtonStyle, Buttons, Here, Piece, PieceButton, PieceEmbed, PieceFile, Source};
use crate::reply::post::{CommentPost, PostError};
use crate::reply::said::Said;
use crate::reply::{Card, Sharing};

/// How long what was learned about a channel or guild holds: permissions change.
const HOLDS: TimeDelta = TimeDelta::minutes(10);
const MOST_KNOWN: usize = 4_096;
/// Bytes of all files of a message together: a request has to be through within its time.
const LARGEST_MESSAGE: u64 = 24 << 20;
/// Bytes of files with which a call that is too late is so because of them.
const SLOW_TO_SEND: u64 = 1 << 20;
/// After so many of those files are linked instead.
const MOST_LATE: u32 = 2;
/// Stands where a message would be empty, because its file is gone.
const FILE_GONE: &str = "*A file that belonged here is not kept any more.*";

/// Something, and since when it is known.
type Known<T> = (T, DateTime<Utc>);

/// What is known about where we talk.
#[derive(Debug, Default)]
pub(super) struct Grounds {
    tiers: Mutex<HashMap<GuildId, (u8, DateTime<Utc>)>>,
    late: Mutex<HashMap<ChannelId, (u32, DateTime<Utc>)>>,
    lacks: Mutex<HashMap<ChannelId, (Lacks, DateTime<Utc>)>>,
    tags: Mutex<HashMap<ChannelId, Known<Vec<ForumTag>>>>,
}

/// What we were refused in a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Lacks {
    files: bool,
    embeds: bool,
}

impl Grounds {
    /// What may be shown there.
    pub async fn here(
        &self,
        discord: &Discord,
        post: &CommentPost<'_>,
        said: &Said<'_>,
        talk: &Where,
        now: DateTime<Utc>,
    ) -> Here {
        let lacks = self.lacks(talk.channel, now);
        Here {
            file_limit: Guild::largest_file(self.tier(discord, talk.guild, now).await).min(LARGEST_MESSAGE),
            may_attach: !lacks.files,
            may_embed: !lacks.embeds,
            sharing: Sharing::of(post.place),
            buttons: buttons(post, said),
        }
    }

    /// How far a guild is boosted. What cannot be found out is taken to be not at all.
    async fn tier(&self, discord: &Discord, guild: Option<GuildId>, now: DateTime<Utc>) -> u8 {
        let Some(id) = guild else { return 0 };
        let known = lock(&self.tiers).get(&id).copied();
        if let Some((tier, at)) = known
            && now - at < HOLDS
        {
            return tier;
        }
        let tier = match discord.guild(id).await {
            Ok(guild) => guild.premium_tier,
            Err(error) => {
                tracing::info!(discord.guild = id.get(), %error, "the size of files is not known");
                known.map_or(0, |(tier, _)| tier)
            }
        };
        let mut tiers = lock(&self.tiers);
        if tiers.len() >= MOST_KNOWN {
            tiers.clear();
        }
        tiers.insert(id, (tier, now));
        tier
    }

    /// The tags of a forum that we may set; none where that is not known.
    pub fn tags(&self, forum: ChannelId, now: DateTime<Utc>) -> Option<Vec<ForumTag>> {
        lock(&self.tags).get(&forum).filter(|(_, at)| now - *at < HOLDS).map(|(tags, _)| tags.clone())
    }

    /// Notes them for a while; where we were refused they are none.
    pub fn know_tags(&self, forum: ChannelId, tags: Vec<ForumTag>, now: DateTime<Utc>) {
        let mut known = lock(&self.tags);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(forum, (tags, now));
    }

    fn lacks(&self, channel: ChannelId, now: DateTime<Utc>) -> Lacks {
        let known = lock(&self.lacks).get(&channel).copied();
        known.filter(|(_, at)| now - *at < HOLDS).map_or_else(Lacks::default, |(lacks, _)| lacks)
    }

    /// Learns from the refusal of something what a channel does not allow, by what was believed to be allowed when it was said. True when
    /// the same can be said there with less.
    pub async fn learn(
        &self,
        discord: &Discord,
        talk: &Where,
        (here, pieces): (&Here, &[Piece]),
        error: &DiscordError,
        now: DateTime<Utc>,
    ) -> bool {
        let forbidden = matches!(error, DiscordError::Forbidden { code: code::MISSING_PERMISSIONS, .. });
        let too_large = error.code() == Some(code::TOO_LARGE);
        let (files, embeds) = (pieces.iter().any(|piece| !piece.files.is_empty()), have_frames(pieces));
        let too_slow = error.is_late() && self.are_too_slow(talk.channel, pieces, now);
        let known = self.lacks(talk.channel, now);
        let lacks = match talk.guild {
            Some(guild) if forbidden && (files || embeds) => match lacking(discord, guild, talk.channel).await {
                Ok(lacks) => lacks,
                Err(error) => {
                    tracing::info!(discord.channel = talk.channel.get(), %error, "what we may is not known");
                    Lacks { files, embeds }
                }
            },
            _ if too_large || too_slow => Lacks { files: true, ..known },
            _ => return false,
        };
        self.note(talk.channel, lacks, now);
        (files && lacks.files && here.may_attach) || (embeds && lacks.embeds && here.may_embed)
    }

    /// Whether files have come too late too often. A line that is too slow for them is so for some minutes at least.
    fn are_too_slow(&self, channel: ChannelId, pieces: &[Piece], now: DateTime<Utc>) -> bool {
        if pieces.iter().flat_map(|piece| &piece.files).map(size).sum::<u64>() < SLOW_TO_SEND {
            return false;
        }
        let mut late = lock(&self.late);
        late.retain(|_, (_, at)| now - *at < HOLDS);
        if late.len() >= MOST_KNOWN {
            late.clear();
        }
        let times = late.get(&channel).map_or(1, |(times, _)| times + 1);
        late.insert(channel, (times, now));
        times >= MOST_LATE
    }

    fn note(&self, channel: ChannelId, lacks: Lacks, now: DateTime<Utc>) {
        let mut known = lock(&self.lacks);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(channel, (lacks, now));
    }
}

/// Whether anything of it is framed.
pub(super) fn have_frames(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| !piece.embeds.is_empty())
}

/// What we may not do in a channel; in a thread, what we may not do in the channel it is in.
async fn lacking(discord: &Discord, guild: GuildId, channel: ChannelId) -> Result<Lacks, DiscordError> {
    let us = discord.known_bot().await?.id;
    let mut place = discord.channel(channel).await?;
    if let Some(parent) = place.parent.filter(|_| place.kind.is_thread()) {
        place = discord.channel(parent).await?;
    }
    let member = discord.member(guild, us).await?;
    let may = discord.guild(guild).await?.permissions_in(&place, us, &member);
    Ok(Lacks { files: !may.attach_files(), embeds: !may.embed_links() })
}

/// The same, with no more files in one message than can be sent at once.
pub(super) fn spread(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut spread = Vec::new();
    for mut piece in pieces {
        let mut further = Vec::new();
        let mut sum = 0;
        for file in std::mem::take(&mut piece.files) {
            sum += size(&file);
            if sum > LARGEST_MESSAGE && !(piece.files.is_empty() && further.is_empty()) {
                sum = size(&file);
                further.push(Piece::default());
            }
            further.last_mut().unwrap_or(&mut piece).files.push(file);
        }
        spread.push(piece);
        spread.append(&mut further);
    }
    spread
}

fn size(file: &PieceFile) -> u64 {
    match &file.source {
        Source::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        Source::Attachment { size, .. } => *size,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ids of the buttons that mean something under this.
fn buttons(post: &CommentPost<'_>, said: &Said<'_>) -> Buttons {
    let of_run = |button: fn(crate::id::RunId) -> Button| post.run.map(|run| button(run).custom_id());
    let has_repository = matches!(post.place, Place::Discord { repository: Some(_), .. });
    match said {
        Said::Live(_) => Buttons { stop: of_run(Button::Stop), ..Buttons::default() },
        Said::Answer { .. } => Buttons {
            retry: of_run(Button::Retry),
            cont: of_run(Button::Continue),
            open_pr: of_run(Button::OpenPullRequest).filter(|_| has_repository),
            ..Buttons::default()
        },
        Said::Approval { note, .. } => Buttons {
            approve: Some(Button::Approve(note.id).custom_id()),
            decline: Some(Button::Decline(note.id).custom_id()),
            ..Buttons::default()
        },
        Said::Card(Card::GivenUp { report } | Card::Hindered { report, .. }) => {
            Buttons { retry: again(report), ..Buttons::default() }
        }
        Said::Card(_) => Buttons::default(),
    }
}

/// A request that was given up is named by what it is called in our log.
fn again(report: &str) -> Option<String> {
    Some(Button::Again(InboxId(Uuid::try_parse(report).ok()?)).custom_id())
}

impl DiscordPosts {
    /// A message as it is sent. Nothing of it holds a secret we know.
    pub(super) async fn draft(&self, piece: &Piece) -> Result<Draft, PostError> {
        let mut files = Vec::new();
        for file in &piece.files {
            files.extend(self.file(file).await?);
        }
        let mut content: String = self.redactor.redact(&piece.content).chars().take(MOST_CONTENT).collect();
        if content.trim().is_empty() && files.is_empty() && piece.embeds.is_empty() {
            content = FILE_GONE.to_owned();
        }
        let embeds: Vec<CreateEmbed> = piece.embeds.iter().map(|embed| self.embed(embed)).collect();
        let rows = if piece.buttons.is_empty() {
            Vec::new()
        } else {
            vec![CreateActionRow::Buttons(piece.buttons.iter().map(button).collect())]
        };
        // Previews of links would push the answer out of sight; the flag would hide our own frames, too.
        let without_previews = embeds.is_empty();
        Ok(Draft { content, embeds, rows, files, without_previews, ..Draft::default() })
    }

    fn embed(&self, embed: &PieceEmbed) -> CreateEmbed {
        let text = |text: &str| self.redactor.redact(text).into_owned();
        let made = CreateEmbed::new().title(text(&embed.title)).description(text(&embed.description)).colour(embed.colour);
        match &embed.url {
            Some(url) => made.url(text(url)),
            None => made,
        }
    }

    /// A file, unless it is not kept any more, or holds a secret that cannot be taken out.
    async fn file(&self, file: &PieceFile) -> Result<Option<NewFile>, PostError> {
        let (bytes, media_type) = match &file.source {
            Source::Bytes(bytes) => (bytes.clone(), None),
            Source::Attachment { url, .. } => match self.attachment(url).await? {
                Some(stored) => (stored.content, Some(stored.media_type)),
                None => return Ok(None),
            },
        };
        let bytes = match std::str::from_utf8(&bytes) {
            Ok(text) => Bytes::from(self.redactor.redact(text).into_owned()),
            Err(_) if self.redactor.is_told_by(&bytes) => {
                tracing::warn!(file = file.name, "a file that holds a secret is not posted");
                return Ok(None);
            }
            Err(_) => Bytes::from(bytes),
        };
        Ok(Some(NewFile { name: file.name.clone(), bytes, media_type, description: None }))
    }

    /// The attachment of a run, by the address people would fetch it from.
    async fn attachment(&self, address: &str) -> Result<Option<attachment::store::Stored>, sqlx::Error> {
        let Ok(address) = url::Url::parse(address) else { return Ok(None) };
        let segments: Vec<&str> = address.path_segments().map(Iterator::collect).unwrap_or_default();
        let [.., "attachments", token, name] = segments.as_slice() else { return Ok(None) };
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        attachment::store::find(&self.pool, token, &name).await
    }
}

fn button(button: &PieceButton) -> CreateButton {
    let style = match button.style {
        ButtonStyle::Primary => Style::Primary,
        ButtonStyle::Secondary => Style::Secondary,
        ButtonStyle::Success => Style::Success,
        ButtonStyle::Danger => Style::Danger,
    };
    CreateButton::new(&button.id).label(&button.label).style(style).disabled(button.disabled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};

    fn file(size: u64) -> PieceFile {
        PieceFile { name: size.to_string(), source: Source::Attachment { url: String::new(), size } }
    }

    #[test]
    fn files_that_are_too_much_for_one_message_go_on_in_the_next() {
        let most = LARGEST_MESSAGE;
        let first = Piece { content: "x".into(), files: [most, 1, most - 1, 1].map(file).into(), ..Piece::default() };
        let second = Piece { content: "y".into(), ..Piece::default() };
        let names = |piece: &Piece| piece.files.iter().map(size).collect::<Vec<_>>();
        let spread = spread(vec![first, second]);
        assert_eq!(spread.iter().map(names).collect::<Vec<_>>(), [vec![most], vec![1, most - 1], vec![1], vec![]]);
        assert_eq!(spread.iter().map(|piece| piece.content.as_str()).collect::<Vec<_>>(), ["x", "", "", "y"]);
    }

    fn where_to() -> (Discord, Where) {
        let settings = crate::settings::DiscordSettings {
            token: crate::secret::secret("t"),
            api_url: url::Url::parse("http://127.0.0.1:9").expect("it is constant"),
            allow_guilds: None,
            allow_roles: None,
            allow_channels: None,
            guild_daily_budget_usd: None,
        };
        let clock = std::sync::Arc::new(crate::clock::SystemClock);
        let discord = Discord::new(&settings, clock, crate::discord::Pace::UNLIMITED).expect("it is a client");
        let place =
            Place::Discord { guild: None, channel: 1, parent: None, opening: None, person: None, repository: None, apart: None };
        (discord, Where::in_channel(ChannelId::new(1), &place))
    }

    #[tokio::test]
    async fn two_that_learn_the_same_at_once_both_say_it_with_less() {
        let (discord, talk) = where_to();
        let (grounds, now) = (Grounds::default(), SystemClock.now());
        let pieces = [Piece { files: vec![file(7)], ..Piece::default() }];
        let too_large = DiscordError::Invalid { code: code::TOO_LARGE, why: String::new() };
        let (with, without) = (Here::default(), Here { may_attach: false, ..Here::default() });
        for _ in 0..2 {
            assert!(grounds.learn(&discord, &talk, (&with, &pieces), &too_large, now).await);
        }
        // Said with less already, it is refused for something else.
        assert!(!grounds.learn(&discord, &talk, (&without, &pieces), &too_large, now).await);
    }

    #[tokio::test]
    async fn files_that_are_late_twice_are_linked_and_small_ones_are_not_to_blame() {
        let (discord, talk) = where_to();
        let (grounds, now, here) = (Grounds::default(), SystemClock.now(), Here::default());
        let late = DiscordError::late(true);
        let (small, large) = ([SLOW_TO_SEND - 1], [SLOW_TO_SEND / 2; 2]);
        let mut learnt = Vec::new();
        for sizes in [&small[..], &small[..], &large[..], &large[..]] {
            let pieces = [Piece { files: sizes.iter().copied().map(file).collect(), ..Piece::default() }];
            learnt.push(grounds.learn(&discord, &talk, (&here, &pieces), &late, now).await);
        }
        assert_eq!(learnt, [false, false, false, true]);
        assert!(grounds.lacks(talk.channel, now).files);
    }
}
