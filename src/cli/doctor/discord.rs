//! Discord, looked at step by step: the token, the intents, the gateway, the slash commands, and each server with what we may there.

mod servers;

use std::sync::Arc;
use std::time::Duration;

use serenity::model::Permissions;

use super::Finding;
use crate::clock::SystemClock;
use crate::discord::command::{self, Compared};
use crate::discord::{Application, Bot, Discord, DiscordError, Gateway, Pace};
use crate::settings::Settings;

const MEANS: &str = "Nobody on Discord is heard or answered.";
const PORTAL: &str = "https://discord.com/developers/applications";
/// So few sessions are soon used up when something ends connections.
const FEW_SESSIONS: u32 = 50;
/// Names that are listed; of more only the number is said.
const MOST_NAMES: usize = 8;

/// Looks at everything; stops where what follows could not succeed. `trouble` is what the service wrote down when it could not connect.
pub(super) async fn look(settings: &Settings, trouble: Option<&str>) -> Vec<Finding> {
    let Some(own) = &settings.discord else {
        return vec![Finding::off("Discord", "off", "Set DISCORD_TOKEN to the bot's token.")];
    };
    let client = match Discord::new(own, Arc::new(SystemClock), Pace::DISCORD) {
        Ok(client) => client,
        Err(error) => return vec![Finding::wrong("Discord", error, MEANS, "Check the TLS setup.")],
    };
    let bot = match client.bot().await {
        Ok(bot) => bot,
        Err(error) => return vec![refused("Discord token", &error)],
    };
    let mut findings = vec![token(&bot, settings)];
    let (application, gateway) = tokio::join!(client.application(), client.gateway());
    let content = application.as_ref().is_ok_and(Application::has_message_content);
    findings.push(application.as_ref().map_or_else(|error| refused("Discord intents", error), intents));
    findings.push(match &gateway {
        Ok(gateway) => sessions(gateway),
        Err(error) => refused("Discord gateway", error),
    });
    findings.extend(trouble.map(|trouble| connection(trouble, content)));
    if let Ok(application) = &application {
        findings.push(match command::compare(&client, application.id).await {
            Ok(compared) => commands(&compared),
            Err(error) => refused("Discord slash commands", &error),
        });
        findings.extend(servers::look(&client, own, application).await);
    }
    findings
}

/// The bot's page of the portal, or that of all applications where ours is not known.
fn bot_page(application: Option<&Application>) -> String {
    application.map_or_else(|| PORTAL.to_owned(), |application| format!("{PORTAL}/{}/bot", application.id))
}

/// Where somebody who manages a server adds the bot to it, or gives it what it lacks.
fn invite(application: &Application, permissions: Permissions) -> String {
    let (id, bits) = (application.id, permissions.bits());
    format!("https://discord.com/oauth2/authorize?client_id={id}&scope=bot+applications.commands&permissions={bits}")
}

/// A call that did not succeed.
fn refused(check: &str, error: &DiscordError) -> Finding {
    match error {
        DiscordError::Unauthorized => {
            let found = "Discord refuses the bot token (401; the gateway closes with 4004)";
            let remedy = format!(
                "Copy it anew: open the application at {}, Bot → Reset Token, and set DISCORD_TOKEN to it. Then start the service again.",
                bot_page(None)
            );
            Finding::wrong(check, found, MEANS, remedy)
        }
        DiscordError::Unavailable { .. } | DiscordError::NotFound { .. } | DiscordError::Invalid { .. } => {
            let remedy = "Check DISCORD_API_URL and the network; without DISCORD_API_URL it is https://discord.com.";
            Finding::wrong(check, error, MEANS, remedy)
        }
        DiscordError::RateLimited { .. } => Finding::off(check, error.to_string(), "Look again when that is over."),
        DiscordError::Forbidden { .. } => {
            Finding::wrong(check, error, MEANS, format!("Look at the bot's settings at {}.", bot_page(None)))
        }
    }
}

fn token(bot: &Bot, settings: &Settings) -> Finding {
    let name = servers::name(&bot.name);
    let handle = &settings.name;
    let found = format!("acts as {name} ({})", bot.id);
    if bot.name.eq_ignore_ascii_case(handle) {
        return Finding::fine("Discord token", found);
    }
    // A mention chosen from the list works by its number, whatever the name.
    Finding::fine("Discord token", format!("{found}; people choose @{name} from the list, and `@{handle}` as text works, too"))
}

/// Without the content of messages the gateway does not let us in.
fn intents(application: &Application) -> Finding {
    const CHECK: &str = "Discord intents";
    if application.has_message_content() {
        return Finding::fine(CHECK, "the Message Content Intent is on");
    }
    let remedy = format!("Switch it on: {}, Privileged Gateway Intents → Message Content Intent.", bot_page(Some(application)));
    let found = "the Message Content Intent is off, so the gateway closes with 4014";
    Finding::wrong(CHECK, found, MEANS, remedy)
}

fn sessions(gateway: &Gateway) -> Finding {
    const CHECK: &str = "Discord gateway";
    let (left, host) = (gateway.sessions_left(), gateway.url.host_str().unwrap_or("an unknown host"));
    let fresh = span(gateway.resets_in());
    let found = format!("{host}, {} recommended; {left} session starts left, afresh in {fresh}", shards(gateway.shards));
    match left {
        0 => {
            let remedy = format!(
                "Wait {fresh}. Look in the log for what ends the connections, and whether another service uses this token."
            );
            Finding::wrong(CHECK, found, MEANS, remedy)
        }
        1..FEW_SESSIONS => {
            let remedy = "Look in the log for what ends the connections, and whether another service uses this token.";
            Finding::off(CHECK, found, remedy)
        }
        _ => Finding::fine(CHECK, found),
    }
}

fn shards(shards: u32) -> String {
    if shards == 1 { "1 connection".to_owned() } else { format!("{shards} connections") }
}

fn span(span: Duration) -> String {
    let minutes = span.as_secs().div_ceil(60);
    if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes.div_ceil(60)) }
}

/// What the service wrote down when the gateway did not let it in, and whether that is still so.
fn connection(trouble: &str, content: bool) -> Finding {
    const CHECK: &str = "Discord connection";
    let found = format!("the service could not connect when it last tried: {trouble}");
    if trouble.contains("(4014)") && content {
        return Finding::off(CHECK, found, "The intent is on now: the service connects within a minute.");
    }
    if trouble.contains("(4004)") {
        return Finding::off(CHECK, found, "The token is accepted now: start the service again if it was started with another.");
    }
    if trouble.contains("(4014)") {
        return Finding::wrong(CHECK, found, MEANS, "See the intents above; the service tries again every minute.");
    }
    if trouble.contains("(4013)") {
        return Finding::wrong(CHECK, found, MEANS, "Update Threadbox, and start it again.");
    }
    Finding::off(CHECK, found, "It is tried again by itself; the log says more when it lasts.")
}

fn commands(compared: &Compared) -> Finding {
    const CHECK: &str = "Discord slash commands";
    let number = command::definition::ALL.len();
    if compared.is_current() {
        return Finding::fine(CHECK, format!("{number} registered, all current"));
    }
    let named = |names: &[&str]| listed(&names.iter().map(|name| format!("/{name}")).collect::<Vec<_>>());
    let foreign: Vec<&str> = compared.foreign.iter().map(String::as_str).collect();
    let parts = [
        Some(&compared.missing).filter(|missing| !missing.is_empty()).map(|missing| match missing.len() == number {
            true => "none is registered".to_owned(),
            false => format!("not registered: {}", named(missing)),
        }),
        Some(&compared.changed)
            .filter(|changed| !changed.is_empty())
            .map(|changed| format!("of another version: {}", named(changed))),
        Some(&foreign).filter(|foreign| !foreign.is_empty()).map(|foreign| format!("of something else: {}", named(foreign))),
    ];
    let remedy = "They are registered when the service connects. If it is connected, the log says why it could not; is this token in use \
                  by another program, too?";
    Finding::off(CHECK, parts.into_iter().flatten().collect::<Vec<_>>().join("; "), remedy)
}

/// A few of them, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::State;

    fn shown(findings: &[Finding]) -> String {
        let line = |finding: &Finding| {
            format!("{:?} {}: {} | {}", finding.state, finding.check, finding.found, finding.remedy.as_deref().unwrap_or("-"))
        };
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn gateway(left: u32) -> Gateway {
        serde_json::from_value(json!({"url": "wss://gateway.discord.gg", "shards": 1,
            "session_start_limit": {"total": 1000, "remaining": left, "reset_after": 14_400_000, "max_concurrency": 1}}))
        .unwrap()
    }

    #[test]
    fn sessions_that_run_out_are_said_before_they_do() {
        insta::assert_snapshot!(shown(&[sessions(&gateway(990)), sessions(&gateway(12)), sessions(&gateway(0))]), @"
        Fine Discord gateway: gateway.discord.gg, 1 connection recommended; 990 session starts left, afresh in 4 h | -
        Off Discord gateway: gateway.discord.gg, 1 connection recommended; 12 session starts left, afresh in 4 h | Look in the log for what ends the connections, and whether another service uses this token.
        Wrong Discord gateway: gateway.discord.gg, 1 connection recommended; 0 session starts left, afresh in 4 h | Wait 4 h. Look in the log for what ends the connections, and whether another service uses this token.
        ");
    }

    #[test]
    fn what_kept_the_service_out_is_said_until_it_is_mended() {
        let all = [
            connection("The Message Content Intent is off (4014).", false),
            connection("The Message Content Intent is off (4014).", true),
            connection("Discord does not know one of the intents we ask for (4013).", true),
            connection("Discord refuses the bot token (4004).", true),
            connection("There is no connection to Discord: the gateway closed. It is tried again.", true),
        ];
        let states = all.each_ref().map(|finding| finding.state);
        assert_eq!(states, [State::Wrong, State::Off, State::Wrong, State::Off, State::Off]);
        insta::assert_snapshot!(shown(&all), @"
        Wrong Discord connection: the service could not connect when it last tried: The Message Content Intent is off (4014). | See the intents above; the service tries again every minute.
        Off Discord connection: the service could not connect when it last tried: The Message Content Intent is off (4014). | The intent is on now: the service connects within a minute.
        Wrong Discord connection: the service could not connect when it last tried: Discord does not know one of the intents we ask for (4013). | Update Threadbox, and start it again.
        Off Discord connection: the service could not connect when it last tried: Discord refuses the bot token (4004). | The token is accepted now: start the service again if it was started with another.
        Off Discord connection: the service could not connect when it last tried: There is no connection to Discord: the gateway closed. It is tried again. | It is tried again by itself; the log says more when it lasts.
        ");
    }

    #[test]
    fn commands_that_are_not_current_are_named() {
        let none = Compared { missing: command::definition::ALL.iter().map(|one| one.name).collect(), ..Compared::default() };
        let some = Compared { missing: vec!["ask"], changed: vec!["run"], foreign: vec!["dance".into()] };
        insta::assert_snapshot!(shown(&[commands(&Compared::default()), commands(&none), commands(&some)]), @"
        Fine Discord slash commands: 20 registered, all current | -
        Off Discord slash commands: none is registered | They are registered when the service connects. If it is connected, the log says why it could not; is this token in use by another program, too?
        Off Discord slash commands: not registered: /ask; of another version: /run; of something else: /dance | They are registered when the service connects. If it is connected, the log says why it could not; is this token in use by another program, too?
        ");
    }
}
