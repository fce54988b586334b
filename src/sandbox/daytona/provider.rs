//! Daytona as a provider of sandboxes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::control::Control;
use super::machine::DaytonaSandbox;
use super::{Client, DaytonaConfig, Revive, wire};
use crate::clock::Clock;
use crate::sandbox::{Listed, Provider, Sandbox, SandboxError, SandboxId, SandboxSpec, Surroundings};
use crate::settings::Network;

/// Makes sandboxes at Daytona. One per process: it holds the connections and knows when the credential was refused.
#[derive(Clone, Debug)]
pub struct DaytonaProvider {
    control: Arc<Control>,
    network: Network,
    helper: PathBuf,
}

impl DaytonaProvider {
    /// Makes no request. `helper` is the threadbox binary, which reads programs apart from the service. Fails when the credential cannot be
    /// sent, or TLS cannot be set up.
    pub fn new(config: DaytonaConfig, helper: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, SandboxError> {
        let client = Client::new(&config, clock)?;
        let network = config.network.clone();
        Ok(Self { control: Arc::new(Control::new(client, config)), network, helper })
    }

    /// The control plane, for looking at it.
    pub fn control(&self) -> &Control {
        &self.control
    }

    async fn open(&self, sandbox: wire::Sandbox) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let revive: Arc<dyn Revive> = Arc::<Control>::clone(&self.control);
        match DaytonaSandbox::open(self.control.client().clone(), revive, &sandbox, &self.helper).await {
            Ok(sandbox) => Ok(Arc::new(sandbox)),
            Err(SandboxError::Gone(what)) => Err(SandboxError::NotFound(what)),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Provider for DaytonaProvider {
    fn name(&self) -> &'static str {
        "daytona"
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let sandbox = self.control.make(&spec).await?;
        self.open(sandbox).await
    }

    async fn find(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        if id.0.is_empty() {
            return Err(SandboxError::NotFound("sandbox without an id".to_owned()));
        }
        let sandbox = self.control.started(&id.0).await?;
        self.open(sandbox).await
    }

    async fn remove(&self, id: &SandboxId) -> Result<(), SandboxError> {
        self.control.remove(&id.0).await
    }

    async fn wake(&self, id: &SandboxId) -> Result<(), SandboxError> {
        self.control.ready(&id.0).await.map(drop)
    }

    async fn adopt(&self, id: &SandboxId, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let mut sandbox = self.control.started(&id.0).await?;
        self.control.relabel(&mut sandbox, &spec).await?;
        self.open(sandbox).await
    }

    async fn labelled(&self, labels: &BTreeMap<String, String>, limit: usize) -> Result<Vec<Listed>, SandboxError> {
        let listed = self.control.labelled(labels, limit).await?;
        let known =
            |sandbox: wire::Sandbox| Listed { id: SandboxId(sandbox.id), labels: sandbox.labels, created_at: sandbox.created_at };
        Ok(listed.into_iter().map(known).collect())
    }

    fn surroundings(&self) -> Surroundings {
        let network = match &self.network {
            Network::None => "no network".to_owned(),
            Network::Allow(hosts) => format!("only these hosts: {}", hosts.join(", ")),
            Network::Full => "the internet, as far as the plan at Daytona permits".to_owned(),
        };
        Surroundings { workspace: None, network }
    }
}
