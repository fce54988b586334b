//! What a new sandbox is asked for as: its name, labels, size, network, and what Daytona does with it when nobody uses it.

use std::collections::BTreeMap;

use super::wire::{BuildInfo, CreateSandbox};
use super::{DaytonaConfig, Origin};
use crate::sandbox::{LANGUAGE_LABEL, Language, SandboxSpec};
use crate::settings::Network;

/// Label by which our sandboxes are told from others of the organisation.
pub const APP_LABEL: (&str, &str) = ("app", "threadbox");
/// Label with the thread a sandbox belongs to.
pub const THREAD_LABEL: &str = "thread";

/// A machine is not stopped sooner, whatever is set: an agent may think for minutes without touching it.
const LEAST_IDLE: u32 = 15;
/// A stopped machine still counts against the organisation's disk, an archived one does not.
const ARCHIVE_AFTER: u32 = 24 * 60;
/// What nobody uses for so long is deleted by Daytona itself, also when this service is gone.
const DELETE_AFTER: i64 = 30 * 24 * 60;
/// The name of a new sandbox: what was asked for, else the thread's, else one of its own.
pub(super) fn name_of(spec: &SandboxSpec) -> String {
    let own = || match spec.thread {
        Some(thread) => format!("thread-{thread}"),
        None => format!("sandbox-{}", uuid::Uuid::now_v7().simple()),
    };
    let wanted = spec.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(own);
    wanted.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).collect()
}

/// Its labels, and ours.
pub(super) fn labels(spec: &SandboxSpec) -> BTreeMap<String, String> {
    let mut labels = spec.labels.clone();
    labels.insert(APP_LABEL.0.to_owned(), APP_LABEL.1.to_owned());
    labels.entry(LANGUAGE_LABEL.to_owned()).or_insert_with(|| Language::default().name().to_owned());
    if let Some(thread) = spec.thread {
        labels.insert(THREAD_LABEL.to_owned(), thread.to_string());
    }
    labels
}

/// What is asked for.
pub(super) fn create_body(config: &DaytonaConfig, name: String, spec: &SandboxSpec) -> CreateSandbox {
    let mut body = CreateSandbox {
        name: Some(name),
        target: config.target.clone(),
        env: spec.env.clone(),
        labels: labels(spec),
        auto_stop_interval: Some(config.idle_minutes.max(LEAST_IDLE)),
        auto_archive_interval: Some(ARCHIVE_AFTER),
        auto_delete_interval: Some(DELETE_AFTER),
        ttl_minutes: config.ttl_minutes,
        ..CreateSandbox::default()
    };
    let asked = spec.snapshot.clone().map(Origin::Snapshot);
    match asked.as_ref().unwrap_or(&config.origin) {
        Origin::Default => {}
        Origin::Snapshot(snapshot) => body.snapshot = Some(snapshot.clone()),
        Origin::Image { reference, cpus, memory_gib, disk_gib } => {
            body.build_info = Some(BuildInfo { dockerfile_content: format!("FROM {reference}\n") });
            (body.cpu, body.memory, body.disk) = (Some(*cpus), Some(*memory_gib), Some(*disk_gib));
        }
    }
    match spec.network.as_ref().unwrap_or(&config.network) {
        Network::None => body.network_block_all = Some(true),
        Network::Allow(hosts) => body.domain_allow_list = Some(hosts.join(",")),
        // What the organisation's plan gives; a sandbox cannot widen it.
        Network::Full => {}
    }
    body
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sandbox::daytona::{Credential, Pace};
    use crate::secret::secret;

    fn config(origin: Origin, network: Network) -> DaytonaConfig {
        DaytonaConfig {
            api_url: "https://daytona.example/api".parse().unwrap(),
            credential: Credential::Key(secret("dtn_key")),
            target: Some("eu".into()),
            origin,
            network,
            idle_minutes: 5,
            ttl_minutes: None,
            pace: Pace::default(),
        }
    }

    fn body(origin: Origin, network: Network, spec: &SandboxSpec) -> String {
        serde_json::to_string(&create_body(&config(origin, network), name_of(spec), spec)).unwrap()
    }

    #[test]
    fn what_is_unset_is_not_sent() {
        let spec = SandboxSpec { name: Some("thread-7".into()), ..SandboxSpec::default() };
        insta::assert_snapshot!(body(Origin::Default, Network::Full, &spec), @r#"{"name":"thread-7","target":"eu","env":{},"labels":{"app":"threadbox","code-toolbox-language":"python"},"autoStopInterval":15,"autoArchiveInterval":1440,"autoDeleteInterval":43200}"#);
    }

    #[test]
    fn an_image_has_a_size_and_a_snapshot_has_one_already() {
        let spec = SandboxSpec {
            name: Some("a b/c".into()),
            labels: [(LANGUAGE_LABEL.to_owned(), "typescript".to_owned())].into(),
            env: [("CI".to_owned(), "1".to_owned())].into(),
            ..SandboxSpec::default()
        };
        let image = Origin::Image { reference: "debian:12.9".into(), cpus: 2, memory_gib: 4, disk_gib: 8 };
        let hosts = Network::Allow(vec!["example.com".into(), "*.example.org".into()]);
        insta::assert_snapshot!(body(image, hosts, &spec), @r#"{"name":"a-b-c","target":"eu","env":{"CI":"1"},"labels":{"app":"threadbox","code-toolbox-language":"typescript"},"buildInfo":{"dockerfileContent":"FROM debian:12.9\n"},"cpu":2,"memory":4,"disk":8,"autoStopInterval":15,"autoArchiveInterval":1440,"autoDeleteInterval":43200,"domainAllowList":"example.com,*.example.org"}"#);
        insta::assert_snapshot!(body(Origin::Snapshot("medium".into()), Network::None, &spec), @r#"{"name":"a-b-c","snapshot":"medium","target":"eu","env":{"CI":"1"},"labels":{"app":"threadbox","code-toolbox-language":"typescript"},"autoStopInterval":15,"autoArchiveInterval":1440,"autoDeleteInterval":43200,"networkBlockAll":true}"#);
    }

    #[test]
    fn a_thread_gives_its_sandbox_name_and_label() {
        let thread = crate::id::ThreadId(uuid::Uuid::from_u128(7));
        let spec = SandboxSpec { thread: Some(thread), ..SandboxSpec::default() };
        assert_eq!(name_of(&spec), format!("thread-{thread}"));
        let body = create_body(&config(Origin::Default, Network::None), name_of(&spec), &spec);
        assert_eq!(body.labels[THREAD_LABEL], thread.to_string());
        assert!(name_of(&SandboxSpec::default()).starts_with("sandbox-"));
    }
}
