//! The servers we are in: what we may in their channels, and whether the lists of who may ask name what there is.

use std::collections::BTreeMap;

use serenity::model::Permissions;
use serenity::model::id::UserId;

use super::{Finding, MEANS, invite, listed, refused};
use crate::discord::{self, Application, Channel, ChannelKind, Discord, DiscordError, Guild, GuildMember, OurGuild};
use crate::reply::clean;
use crate::settings::DiscordSettings;

/// Servers that are looked into; of more only the number is said.
const MOST_SERVERS: usize = 25;
/// Ids of a list that are looked up.
const MOST_IDS: usize = 50;

/// What is needed, by the name people see in Discord, with what comes of its absence.
const NEEDED: [(Permissions, &str, &str); 7] = [
    (Permissions::SEND_MESSAGES, "Send Messages", "nothing is said outside threads"),
    (Permissions::CREATE_PUBLIC_THREADS, "Create Public Threads", "answers stand in the channel"),
    (Permissions::SEND_MESSAGES_IN_THREADS, "Send Messages in Threads", "answers stand in the channel"),
    (Permissions::READ_MESSAGE_HISTORY, "Read Message History", "what was said before, or missed, is not known"),
    (Permissions::ATTACH_FILES, "Attach Files", "files are linked or left out"),
    (Permissions::EMBED_LINKS, "Embed Links", "pull requests are plain text"),
    (Permissions::ADD_REACTIONS, "Add Reactions", "no reaction says how a request stands"),
];

/// Everything we ask to be given when we are invited.
fn all_needed() -> Permissions {
    NEEDED.iter().fold(Permissions::VIEW_CHANNEL, |sum, (one, _, _)| sum | *one)
}

/// A name that somebody else chose, fit for a terminal.
pub(super) fn name(text: &str) -> String {
    let line = clean::visible(text).split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(60).collect()
}

/// A server with what is known of it.
struct Known {
    guild: Guild,
    us: GuildMember,
    channels: Vec<Channel>,
}

/// Looks at the servers we are in.
pub(super) async fn look(client: &Discord, settings: &DiscordSettings, application: &Application) -> Vec<Finding> {
    let ours = match client.guilds().await {
        Ok(ours) => ours,
        Err(error) => return vec![refused("Discord servers", &error)],
    };
    let may_ask = |guild: &&OurGuild| settings.allow_guilds.as_ref().is_none_or(|list| list.contains(&discord::number(guild.id)));
    let wanted: Vec<&OurGuild> = ours.iter().filter(may_ask).collect();
    let mut findings = vec![membership(&ours, wanted.len(), application)];
    let mut known = Vec::new();
    let us = client.known_bot().await.map(|bot| bot.id);
    for guild in wanted.iter().take(MOST_SERVERS) {
        match &us {
            Ok(us) => match one(client, guild, *us).await {
                Ok(server) => {
                    findings.push(permissions(&server, *us, settings, application));
                    known.push(server);
                }
                Err(error) => findings.push(refused(&format!("Discord server {}", name(&guild.name)), &error)),
            },
            Err(error) => return vec![refused("Discord servers", error)],
        }
    }
    let all_known = known.len() == wanted.len();
    findings.extend(guilds(&ours, settings));
    findings.extend(channels(client, &known, settings).await);
    findings.extend(all_known.then(|| roles(&known, settings)).flatten());
    findings
}

async fn one(client: &Discord, guild: &OurGuild, us: UserId) -> Result<Known, DiscordError> {
    let (server, member, channels) =
        tokio::try_join!(client.guild(guild.id), client.member(guild.id, us), client.guild_channels(guild.id))?;
    Ok(Known { guild: server, us: member, channels })
}

fn membership(ours: &[OurGuild], wanted: usize, application: &Application) -> Finding {
    const CHECK: &str = "Discord servers";
    let add = invite(application, all_needed());
    if ours.is_empty() {
        return Finding::wrong(CHECK, "the bot is in no server", MEANS, format!("Add it to one: {add}"));
    }
    let names: Vec<String> = ours.iter().map(|guild| name(&guild.name)).collect();
    let more = match ours.len() - wanted {
        0 => String::new(),
        others => format!("; in {others} of them nobody may ask, by DISCORD_ALLOW_GUILDS"),
    };
    let beyond = match wanted.saturating_sub(MOST_SERVERS) {
        0 => String::new(),
        beyond => format!("; {beyond} of them are not looked into here"),
    };
    let number = if ours.len() == 1 { "1 server".to_owned() } else { format!("{} servers", ours.len()) };
    let found = format!("in {number}: {}{more}{beyond}", listed(&names));
    if wanted == 0 {
        return Finding::wrong(CHECK, found, MEANS, "Correct DISCORD_ALLOW_GUILDS, or add the bot to a server it names.");
    }
    Finding::fine(CHECK, found)
}

/// What we lack in a channel, where the place of a thread has other needs than a forum.
fn lacking(channel: &Channel, may: Permissions) -> Permissions {
    let needed = match channel.kind {
        // Posts are opened by people; we write in them.
        ChannelKind::Forum => all_needed() - Permissions::SEND_MESSAGES - Permissions::CREATE_PUBLIC_THREADS,
        ChannelKind::Text | ChannelKind::Direct | ChannelKind::PublicThread | ChannelKind::PrivateThread | ChannelKind::Other => {
            all_needed()
        }
    };
    needed - may
}

/// What we may in the channels of a server where people may ask.
fn permissions(server: &Known, us: UserId, settings: &DiscordSettings, application: &Application) -> Finding {
    let check = format!("Discord server {}", name(&server.guild.name));
    let talks = |channel: &&Channel| matches!(channel.kind, ChannelKind::Text | ChannelKind::Forum);
    let listed_here =
        |channel: &Channel| settings.allow_channels.as_ref().is_none_or(|list| list.contains(&discord::number(channel.id)));
    let places: Vec<&Channel> = server.channels.iter().filter(talks).filter(|channel| listed_here(channel)).collect();
    let mut lacks: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let (mut seen, mut usable, mut hidden) = (0_usize, 0_usize, Vec::new());
    for channel in &places {
        let may = server.guild.permissions_in(channel, us, &server.us);
        if !may.view_channel() {
            hidden.push(format!("#{}", name(&channel.name)));
            continue;
        }
        seen += 1;
        let lacking = lacking(channel, may);
        usable += usize::from(may.send_messages() || may.send_messages_in_threads());
        for (at, _) in NEEDED.iter().enumerate().filter(|(_, (permission, ..))| lacking.contains(*permission)) {
            lacks.entry(at).or_default().push(format!("#{}", name(&channel.name)));
        }
    }
    let remedy = format!(
        "Give the bot's role what is missing, in the server's settings or the channel's, or add the bot anew: {}",
        invite(application, all_needed())
    );
    let number = if seen == 1 { "1 channel".to_owned() } else { format!("{seen} channels") };
    if usable == 0 {
        let found = match places.len() {
            0 => "there is no channel in which people may ask".to_owned(),
            _ if seen == 0 => format!("no channel is visible to the bot: {}", listed(&hidden)),
            _ => format!("nothing can be said in {number}"),
        };
        return Finding::wrong(check, found, "Nobody there is answered.", remedy);
    }
    let unseen = match hidden.len() {
        0 => String::new(),
        _ if settings.allow_channels.is_some() => format!(" (hidden from it: {})", listed(&hidden)),
        hidden => format!(" ({hidden} more hidden from it)"),
    };
    if lacks.is_empty() && (hidden.is_empty() || settings.allow_channels.is_none()) {
        return Finding::fine(check, format!("may do all it needs in {number}{unseen}"));
    }
    let said: Vec<String> = lacks.iter().map(|(at, channels)| missing(*at, channels, seen)).collect();
    let said = if said.is_empty() { "nothing is missing where it is seen".to_owned() } else { said.join("; ") };
    Finding::off(check, format!("{number}{unseen}: {said}"), remedy)
}

fn missing(at: usize, channels: &[String], seen: usize) -> String {
    let Some((_, label, means)) = NEEDED.get(at) else { return String::new() };
    let place = if channels.len() == seen && seen > 1 { "everywhere".to_owned() } else { format!("in {}", listed(channels)) };
    format!("{label} is missing {place} ({means})")
}

/// Servers on the list that we are not in.
fn guilds(ours: &[OurGuild], settings: &DiscordSettings) -> Option<Finding> {
    let list = settings.allow_guilds.as_ref()?;
    let unknown: Vec<i64> = list.iter().copied().filter(|id| ours.iter().all(|guild| discord::number(guild.id) != *id)).collect();
    let remedy = "Add the bot to them, or take them from the list. An id is copied from the server's menu in developer mode.";
    unknown_ids("DISCORD_ALLOW_GUILDS", "servers the bot is not in", &unknown, remedy)
}

/// Channels on the list that we do not see anywhere.
async fn channels(client: &Discord, known: &[Known], settings: &DiscordSettings) -> Option<Finding> {
    let list = settings.allow_channels.as_ref()?;
    let mut unknown = Vec::new();
    for id in list.iter().copied().take(MOST_IDS) {
        let listed = known.iter().flat_map(|server| &server.channels).any(|channel| discord::number(channel.id) == id);
        // A thread is in no list of channels.
        if !listed
            && matches!(
                client.channel(discord::id(id)).await,
                Err(DiscordError::NotFound { .. } | DiscordError::Forbidden { .. })
            )
        {
            unknown.push(id);
        }
    }
    let remedy = "Correct the list, or let the bot see them. An id is copied from the channel's menu in developer mode.";
    unknown_ids("DISCORD_ALLOW_CHANNELS", "channels the bot does not see", &unknown, remedy)
}

/// Roles on the list that no server has.
fn roles(known: &[Known], settings: &DiscordSettings) -> Option<Finding> {
    let list = settings.allow_roles.as_ref()?;
    let exists = |id: &i64| known.iter().flat_map(|server| &server.guild.roles).any(|role| discord::number(role.id) == *id);
    let unknown: Vec<i64> = list.iter().copied().filter(|id| !exists(id)).collect();
    let remedy = "Correct the list. An id is copied in the server's settings, Roles, in developer mode.";
    unknown_ids("DISCORD_ALLOW_ROLES", "roles that no server of the bot has", &unknown, remedy)
}

fn unknown_ids(setting: &str, what: &str, ids: &[i64], remedy: &str) -> Option<Finding> {
    let shown: Vec<String> = ids.iter().map(i64::to_string).collect();
    (!ids.is_empty()).then(|| Finding::off(setting, format!("names {what}: {}", listed(&shown)), remedy))
}
