//! Daytona, looked at step by step: the server, the key, the snapshot, and a sandbox that is made, used and deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::Finding;
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::sandbox::daytona::api::{KeyInfo, ServerInfo, SnapshotInfo};
use crate::sandbox::daytona::{ApiError, Client, Credential, DaytonaConfig, DaytonaProvider, ErrorKind, Origin};
use crate::sandbox::{Command, Exec, Language, Provider, Sandbox, SandboxError, SandboxSpec};
use crate::settings::Settings;

const MEANS: &str = "Requests are answered, but no code can be run.";
/// What a key must be allowed.
const PERMISSIONS: [&str; 2] = ["write:sandboxes", "delete:sandboxes"];
/// A key that ends sooner is worth a word.
const SOON: TimeDelta = TimeDelta::days(14);
/// Minutes after which Daytona deletes what we made, if we cannot.
const LIFE: u32 = 60;
/// How long one program may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PROGRAMS: [(Language, &str); 4] = [
    (Language::Python, "print(6 * 7)"),
    (Language::Javascript, "console.log(6 * 7)"),
    (Language::Typescript, "const answer: number = 6 * 7; console.log(answer)"),
    (Language::Shell, "echo 42"),
];

/// Looks at everything; stops where what follows could not succeed.
pub(super) async fn look(settings: &Settings) -> Vec<Finding> {
    let clock = Arc::new(SystemClock);
    let made = app::daytona_config(settings).and_then(|config| {
        let config = DaytonaConfig { ttl_minutes: Some(LIFE), ..config };
        let provider = DaytonaProvider::new(config.clone(), app::Parts::real()?.helper, clock.clone())?;
        Ok((config, provider))
    });
    let (config, provider) = match made {
        Ok(made) => made,
        Err(error) => {
            return vec![Finding::wrong("Daytona", format!("{error:#}"), MEANS, "Set DAYTONA_API_KEY, or SANDBOX=local.")];
        }
    };
    let mut findings = Vec::new();
    let passed = prerequisites(&config, provider.control().client(), clock.now(), &mut findings).await;
    if passed {
        findings.extend(use_one(&provider).await);
    }
    findings
}

/// True when a sandbox may be tried.
async fn prerequisites(config: &DaytonaConfig, client: &Client, now: DateTime<Utc>, findings: &mut Vec<Finding>) -> bool {
    let info = client.server_info().await;
    let reached = !matches!(&info, Err(error) if !is_only_unknown(error));
    findings.push(server(config, &info));
    if !reached {
        return false;
    }
    let (finding, accepted) = key(config, client, now).await;
    findings.push(finding);
    if !accepted {
        return false;
    }
    let default = info.ok().and_then(|info| info.default_snapshot);
    let (name, chosen) = match &config.origin {
        Origin::Snapshot(name) => (name.clone(), true),
        Origin::Default => match default {
            Some(name) => (name, false),
            None => return true,
        },
        Origin::Image { reference, .. } => {
            findings.push(Finding::fine("Daytona image", format!("{reference}, built at first use")));
            return true;
        }
    };
    let (finding, usable) = snapshot(config, &client.snapshot_info(&name).await, &name, chosen);
    findings.push(finding);
    usable
}

/// An older or partial server that does not have this call may do all the rest.
fn is_only_unknown(error: &ApiError) -> bool {
    matches!(error.kind, ErrorKind::RouteMissing | ErrorKind::NotFound | ErrorKind::Unreadable | ErrorKind::Unsupported)
}

fn wrong(check: &str, error: &ApiError) -> Finding {
    let found = format!("{}: {}", error.kind.cause(), error.message);
    Finding::wrong(check, found, MEANS, error.kind.remedy())
}

fn server(config: &DaytonaConfig, info: &Result<ServerInfo, ApiError>) -> Finding {
    const CHECK: &str = "Daytona server";
    let url = &config.api_url;
    match info {
        Ok(info) if info.maintenance => {
            let found = format!("{url} is under maintenance");
            Finding::wrong(CHECK, found, MEANS, "Wait until it is over.")
        }
        Ok(info) => Finding::fine(CHECK, format!("{url}, version {}", info.version.as_deref().unwrap_or("unknown"))),
        Err(error) if is_only_unknown(error) => {
            let found = format!("{url} does not say its version ({})", error.message);
            Finding::off(CHECK, found, "If what follows fails too, check that DAYTONA_API_URL is the base of a Daytona API.")
        }
        Err(error) => wrong(CHECK, error),
    }
}

/// The key with what it may do, or that the token is accepted; and whether to go on.
async fn key(config: &DaytonaConfig, client: &Client, now: DateTime<Utc>) -> (Finding, bool) {
    const CHECK: &str = "Daytona key";
    match &config.credential {
        Credential::Jwt { organization, .. } => match client.list_sandboxes("{}", None).await {
            Ok(_) => (Finding::fine(CHECK, format!("the token is accepted for organisation {organization}")), true),
            Err(error) => (wrong("Daytona token", &error), false),
        },
        Credential::Key(_) => match client.key_info().await {
            Ok(info) => permissions(&info, now),
            Err(error) if is_only_unknown(&error) => {
                let remedy = "Whether it may do what is needed shows below.";
                (Finding::off(CHECK, format!("the server says nothing about it ({})", error.message), remedy), true)
            }
            Err(error) => (wrong(CHECK, &error), false),
        },
    }
}

fn permissions(info: &KeyInfo, now: DateTime<Utc>) -> (Finding, bool) {
    const CHECK: &str = "Daytona key";
    let name = info.name.as_deref().unwrap_or("without a name");
    let missing: Vec<_> = PERMISSIONS.into_iter().filter(|needed| !info.permissions.iter().any(|has| has == needed)).collect();
    if !missing.is_empty() {
        let found = format!("the key {name} lacks {}", missing.join(" and "));
        let remedy = format!("Make a key with {} and set DAYTONA_API_KEY to it.", PERMISSIONS.join(" and "));
        return (Finding::wrong(CHECK, found, MEANS, remedy), false);
    }
    match info.expires_at {
        Some(end) if end - now < SOON => {
            let found = format!("{name} may do what is needed, but ends on {}", end.format("%Y-%m-%d"));
            (Finding::off(CHECK, found, "Make a new key in time and set DAYTONA_API_KEY to it."), true)
        }
        Some(_) | None => (Finding::fine(CHECK, format!("{name} may make and delete sandboxes")), true),
    }
}

/// The snapshot, and whether to go on. One that nobody chose may be hidden from us and work all the same.
fn snapshot(config: &DaytonaConfig, info: &Result<SnapshotInfo, ApiError>, name: &str, chosen: bool) -> (Finding, bool) {
    const CHECK: &str = "Daytona snapshot";
    let remedy = ErrorKind::SnapshotMissing.remedy();
    let info = match info {
        Ok(info) => info,
        Err(error) if chosen && matches!(error.kind, ErrorKind::NotFound | ErrorKind::SnapshotMissing) => {
            let found = format!("there is no snapshot {name} ({})", error.message);
            return (Finding::wrong(CHECK, found, MEANS, remedy), false);
        }
        Err(error) => {
            let found = format!("{name} cannot be looked at ({})", error.message);
            return (Finding::off(CHECK, found, "Whether it can be used shows below."), true);
        }
    };
    match info.state.as_deref() {
        None | Some("active") => {}
        Some(state) => {
            let why = info.error_reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            return (Finding::wrong(CHECK, format!("{name} is {state}{why}"), MEANS, remedy), false);
        }
    }
    if let Some(target) = &config.target
        && !info.region_ids.is_empty()
        && !info.region_ids.contains(target)
    {
        let found = format!("{name} is in {}, not in {target}", info.region_ids.join(", "));
        let remedy = "Set DAYTONA_TARGET to one of these regions, or DAYTONA_SNAPSHOT to a snapshot of that region.";
        // A region may be named in another way than its id.
        return (Finding::off(CHECK, found, remedy), true);
    }
    (Finding::fine(CHECK, format!("{name} is active")), true)
}

/// Makes a sandbox, uses it and deletes it, whatever happens in between.
async fn use_one(provider: &DaytonaProvider) -> Vec<Finding> {
    let begun = Instant::now();
    let name = format!("doctor-{}", uuid::Uuid::now_v7().simple());
    let labels = [("purpose".to_owned(), "doctor".to_owned())].into();
    let spec = SandboxSpec { name: Some(name.clone()), labels, ..SandboxSpec::default() };
    let mut findings = Vec::new();
    match provider.create(spec).await {
        Ok(sandbox) => {
            findings.push(Finding::fine("sandbox", format!("made in {} ms, workspace {}", millis(begun), sandbox.workspace())));
            for (language, code) in PROGRAMS {
                findings.push(run(&*sandbox, language, code).await);
            }
            findings.push(keep_file(&*sandbox).await);
        }
        Err(error) => findings.push(failed("sandbox", &error)),
    }
    // Also when it could not be opened: it may have been made.
    let begun = Instant::now();
    findings.push(match provider.control().remove(&name).await {
        Ok(()) => Finding::fine("sandbox deleted", format!("in {} ms", millis(begun))),
        Err(error) => {
            let means = "It stays until Daytona deletes it, and others will too.";
            Finding::wrong("sandbox deleted", error, means, "See above, and delete it in Daytona's dashboard.")
        }
    });
    findings
}

fn millis(begun: Instant) -> u128 {
    begun.elapsed().as_millis()
}

/// What is said of an error names its remedy.
fn failed(check: &str, error: &SandboxError) -> Finding {
    Finding::wrong(check, error, MEANS, "Do what the line above says, then try again.")
}

async fn run(sandbox: &dyn Sandbox, language: Language, code: &str) -> Finding {
    let check = format!("sandbox runs {language:?}");
    let command = Command::Code { language, code: code.to_owned(), argv: Vec::new() };
    match sandbox.exec(Exec::new(command, PATIENCE, 4096), &CancellationToken::new()).await {
        Ok(executed) if executed.exit_code == 0 && executed.stdout.text().trim() == "42" => {
            Finding::fine(check, format!("in {} ms", executed.duration.as_millis()))
        }
        Ok(executed) => {
            let found = format!("exit {}: {}", executed.exit_code, executed.stderr.text().trim());
            Finding::off(
                check,
                found,
                "Choose a snapshot that has the interpreter with DAYTONA_SNAPSHOT, if this language is wanted.",
            )
        }
        Err(SandboxError::Invalid(why)) => Finding::off(check, why, "Choose another snapshot, if this language is wanted."),
        Err(error) => failed(&check, &error),
    }
}

async fn keep_file(sandbox: &dyn Sandbox) -> Finding {
    const CHECK: &str = "sandbox keeps files";
    const CONTENT: &[u8] = b"\x00\xffthreadbox\r\n";
    let path = "doctor/f\u{fc}r dich.bin";
    let kept = async {
        sandbox.write(path, CONTENT).await?;
        sandbox.read(path, 0, 1024).await
    };
    match kept.await {
        Ok((bytes, _)) if bytes == CONTENT => Finding::fine(CHECK, "byte for byte"),
        Ok((bytes, size)) => {
            let found = format!("{} bytes were written and {size} are there; {} came back", CONTENT.len(), bytes.len());
            Finding::wrong(
                CHECK,
                found,
                "Files of the agent would be wrong.",
                "Report this to the operator of the Daytona server.",
            )
        }
        Err(error) => failed(CHECK, &error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::settings::Sources;

    fn config(pairs: &[(&str, &str)]) -> DaytonaConfig {
        let mut process: std::collections::BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        process.insert("DAYTONA_API_KEY".into(), "k".into());
        let settings = Settings::load(&Sources { process, ..Sources::default() }).unwrap().settings;
        app::daytona_config(&settings).unwrap()
    }

    fn shown(findings: &[Finding]) -> String {
        let line = |finding: &Finding| {
            let remedy = finding.remedy.as_deref().unwrap_or("-");
            format!("{:?} {}: {} | {remedy}", finding.state, finding.check, finding.found)
        };
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_server_is_reached_or_not() {
        let error = |kind, message: &str| Err(ApiError { kind, status: None, code: None, message: message.into() });
        let config = config(&[]);
        let findings = [
            server(&config, &Ok(ServerInfo { version: Some("0.205".into()), ..ServerInfo::default() })),
            server(&config, &Ok(ServerInfo { maintenance: true, ..ServerInfo::default() })),
            server(&config, &error(ErrorKind::RouteMissing, "404 page not found")),
            server(&config, &error(ErrorKind::Unreachable, "no connection: refused")),
        ];
        insta::assert_snapshot!(shown(&findings), @r#"
        Fine Daytona server: https://app.daytona.io/api, version 0.205 | -
        Wrong Daytona server: https://app.daytona.io/api is under maintenance | Wait until it is over.
        Off Daytona server: https://app.daytona.io/api does not say its version (404 page not found) | If what follows fails too, check that DAYTONA_API_URL is the base of a Daytona API.
        Wrong Daytona server: Daytona cannot be reached: no connection: refused | Check the network and DAYTONA_API_URL.
        "#);
    }

    #[test]
    fn a_key_must_be_allowed_to_make_and_to_delete() {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let key = |permissions: &[&str], days: Option<i64>| {
            let permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
            let info =
                KeyInfo { name: Some("bot".into()), permissions, expires_at: days.map(|days| now + TimeDelta::days(days)) };
            super::permissions(&info, now)
        };
        assert!(!key(&["write:sandboxes"], None).1 && key(&PERMISSIONS, Some(3)).1);
        let findings = [key(&["write:sandboxes"], None).0, key(&PERMISSIONS, Some(3)).0, key(&PERMISSIONS, Some(300)).0];
        insta::assert_snapshot!(shown(&findings), @r#"
        Wrong Daytona key: the key bot lacks delete:sandboxes | Make a key with write:sandboxes and delete:sandboxes and set DAYTONA_API_KEY to it.
        Off Daytona key: bot may do what is needed, but ends on 2026-01-04 | Make a new key in time and set DAYTONA_API_KEY to it.
        Fine Daytona key: bot may make and delete sandboxes | -
        "#);
    }

    #[test]
    fn a_snapshot_must_be_active_and_may_be_elsewhere() {
        let config = config(&[("DAYTONA_TARGET", "eu")]);
        let info = |state: &str, regions: &[&str]| {
            let region_ids = regions.iter().map(|region| (*region).to_owned()).collect();
            Ok(SnapshotInfo { name: "dev".into(), state: Some(state.into()), error_reason: Some("no space".into()), region_ids })
        };
        let missing = Err(ApiError { kind: ErrorKind::NotFound, status: Some(404), code: None, message: "not found".into() });
        let all = [
            snapshot(&config, &info("active", &[]), "dev", true),
            snapshot(&config, &info("error", &[]), "dev", true),
            snapshot(&config, &info("active", &["us"]), "dev", true),
            snapshot(&config, &missing, "dev", true),
            snapshot(&config, &missing, "dev", false),
        ];
        assert_eq!(all.each_ref().map(|(_, usable)| *usable), [true, false, true, false, true]);
        assert_eq!(all[0].0.state, State::Fine);
        insta::assert_snapshot!(shown(&all.map(|(finding, _)| finding)), @r#"
        Fine Daytona snapshot: dev is active | -
        Wrong Daytona snapshot: dev is error: no space | Set DAYTONA_SNAPSHOT to an active snapshot of this organisation and region, or unset it for the default.
        Off Daytona snapshot: dev is in us, not in eu | Set DAYTONA_TARGET to one of these regions, or DAYTONA_SNAPSHOT to a snapshot of that region.
        Wrong Daytona snapshot: there is no snapshot dev (not found) | Set DAYTONA_SNAPSHOT to an active snapshot of this organisation and region, or unset it for the default.
        Off Daytona snapshot: dev cannot be looked at (not found) | Whether it can be used shows below.
        "#);
    }
}
