//! Discord: the bot's token, which server, and who may use it there.

use url::Url;

use super::finding::Wrong;
use super::reader::{self, Reader};
use super::value;
use crate::secret::{SecretString, secret};

const TOKEN: &str = "DISCORD_TOKEN";
const API: &str = "DISCORD_API_URL";
const GUILDS: &str = "DISCORD_ALLOW_GUILDS";
const ROLES: &str = "DISCORD_ALLOW_ROLES";
const CHANNELS: &str = "DISCORD_ALLOW_CHANNELS";
const BUDGET: &str = "DISCORD_GUILD_DAILY_BUDGET_USD";
const DEFAULT_API: &str = "https://discord.com";

pub(super) const REMEDY: &str = "set DISCORD_TOKEN to the bot's token";

/// Discord.
#[derive(Clone, Debug)]
pub struct DiscordSettings {
    /// `DISCORD_TOKEN`: the bot's token, without `Bot `.
    pub token: SecretString,
    /// `DISCORD_API_URL`: what takes the place of `https://discord.com`; without `/api` and without trailing slash.
    pub api_url: Url,
    /// `DISCORD_ALLOW_GUILDS`; none for every guild the bot is in, an empty list for no guild.
    pub allow_guilds: Option<Vec<i64>>,
    /// `DISCORD_ALLOW_ROLES`: who has one of these may; none for everybody, an empty list for nobody.
    pub allow_roles: Option<Vec<i64>>,
    /// `DISCORD_ALLOW_CHANNELS`, with the threads in them; none for every channel, an empty list for no channel.
    pub allow_channels: Option<Vec<i64>>,
    /// `DISCORD_GUILD_DAILY_BUDGET_USD`: what one guild may cost in a day; none for no line of its own.
    pub guild_daily_budget_usd: Option<f64>,
}

/// Discord's settings; nothing when it is off or when something is wrong, which is noted.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<DiscordSettings> {
    let wanted = reader.has(TOKEN);
    let token = reader.parse(TOKEN, token);
    let api_url = api_url(reader);
    let [allow_guilds, allow_roles, allow_channels] = [GUILDS, ROLES, CHANNELS].map(|name| allowed(reader, name, wanted));
    let guild_daily_budget_usd = reader.parse(BUDGET, value::dollars);
    if !wanted {
        for name in [API, GUILDS, ROLES, CHANNELS, BUDGET].into_iter().filter(|name| reader.has(name)).collect::<Vec<_>>() {
            reader.warn(name, "has no effect without DISCORD_TOKEN", REMEDY);
        }
    }
    Some(DiscordSettings { token: token?, api_url: api_url?, allow_guilds, allow_roles, allow_channels, guild_daily_budget_usd })
}

/// The text is not repeated. `Bot ` is how the token is sent, and often copied with it.
fn token(text: &str) -> Result<SecretString, Wrong> {
    let bare = text.strip_prefix("Bot ").unwrap_or(text).trim();
    if !bare.is_empty() && bare.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(secret(bare));
    }
    Err(Wrong::new("is not a bot's token", "copy it from the Bot page of the application at discord.com/developers"))
}

fn api_url(reader: &mut Reader<'_>) -> Option<Url> {
    if !reader.has(API) {
        return value::base_url(DEFAULT_API).ok();
    }
    let mut url = reader.base_url(API, Some(TOKEN))?;
    if url.scheme() == "http" && !reader::is_loopback(&url) {
        let what = "is a plain http:// address on another machine, and the bot's token would travel there unencrypted";
        reader.problem(API, what, "set an https:// address, or one on this machine such as http://127.0.0.1:4020");
        return None;
    }
    // People copy the address with the part that we add ourselves.
    let path = url.path().trim_end_matches("/v10").trim_end_matches("/api").to_owned();
    url.set_path(&path);
    Some(url)
}

/// Present but empty is an empty list, and an empty list means none of them.
fn allowed(reader: &mut Reader<'_>, name: &str, wanted: bool) -> Option<Vec<i64>> {
    if wanted && reader.is_blank(name) {
        reader.warn(name, "is empty, so nobody may use the bot", "set it to a list of ids, or unset it");
        return Some(Vec::new());
    }
    reader.parse(name, ids)
}

fn ids(text: &str) -> Result<Vec<i64>, Wrong> {
    let remedy = "set numbers separated by commas; with the developer mode switched on, `Copy ID` stands in Discord's menus";
    let id = |item: &str| match item.parse::<i64>() {
        Ok(id) if id > 0 => Ok(id),
        Ok(_) | Err(_) => Err(Wrong::new("holds something that is not an id of Discord's", remedy)),
    };
    value::list(text).into_iter().map(id).collect()
}
