//! Programs in the background of one sandbox: started, looked at, ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::{Exec, Offsets, ProcessReport, SandboxError};
use super::exec::{self, Bounds};
use super::machine::{LocalSandbox, Ready, Wires};
use super::process::{End, Process};
use super::shared_network::Network;
use super::{blocking, processes};

impl LocalSandbox {
    /// Returns when the program has begun. It goes on when the caller does not wait for that.
    pub(super) async fn start_program(&self, name: &str, exec: Exec) -> Result<(), SandboxError> {
        let process = self.shared.processes.reserve(&self.id, name)?;
        let (failed, failure) = oneshot::channel();
        let work = {
            let (sandbox, name, process) = (self.clone(), name.to_owned(), Arc::clone(&process));
            async move { sandbox.live(&name, &exec, &process, failed).await }
        };
        self.shared.processes.run(Arc::clone(&process), work);
        tokio::select! {
            biased;
            Ok(error) = failure => Err(error),
            () = process.ready.cancelled() => Ok(()),
            () = process.over.cancelled() => Err(SandboxError::Unavailable(format!("`{name}` was ended before it began"))),
        }
    }

    /// The whole life of a program.
    async fn live(&self, name: &str, exec: &Exec, process: &Arc<Process>, failed: oneshot::Sender<SandboxError>) {
        let outcome = match self.surroundings(name, exec).await {
            Ok((ready, network)) => {
                let bounds = Bounds { timeout: exec.timeout, cancel: &process.kill, ask: Some(&process.ask), proxy: None };
                let job = ready.job(&self.shared.config.helper, Some(&network));
                let ended = exec::observe(job, bounds, &**process).await;
                self.clean_up(&ready).await;
                ended.map_err(|not_run| ready.explain(not_run))
            }
            Err(error) => Err(error),
        };
        let end = match outcome {
            Ok(ended) => process.ended(ended.exit_code, ended.killed),
            Err(error) if process.ready.is_cancelled() => process.not_started(&error),
            Err(error) => {
                self.shared.processes.release(process);
                self.write_down(name, Written::Never).await;
                // Nobody may be waiting any more.
                let _ = failed.send(error);
                return;
            }
        };
        self.write_down(name, Written::Ended(end)).await;
    }

    async fn surroundings(&self, name: &str, exec: &Exec) -> Result<(Ready, Arc<Network>), SandboxError> {
        let node = self.node_for(&exec.command).await?;
        let ready = self.prepare(exec, node, Wires::Shared).await?;
        let sandbox = self.clone();
        let network = blocking(move || {
            let config = &sandbox.shared.config;
            let make = || Network::make(&config.helper, sandbox.files.outside, sandbox.policy.proxy(&sandbox.id.0));
            sandbox.shared.processes.network_or(&sandbox.id, make)
        });
        let network = match network.await {
            Ok(network) => network,
            Err(error) => {
                self.clean_up(&ready).await;
                return Err(error);
            }
        };
        self.write_down(name, Written::Begins).await;
        Ok((ready, network))
    }

    /// Keeps the file of names true. A program whose name could not be written is unknown after a restart, which is no reason not
    /// to run it.
    async fn write_down(&self, name: &str, what: Written) {
        let (sandbox, owned) = (self.clone(), name.to_owned());
        let written = blocking(move || {
            let (processes, directory) = (&sandbox.shared.processes, &sandbox.files.directory);
            let written = match what {
                Written::Begins => processes.remember(&sandbox.id, directory, &owned, None),
                Written::Never => processes.forget(directory, &owned),
                // What ends with the service is lost, whatever its exit status.
                Written::Ended(_) if processes.is_closed() => Ok(()),
                Written::Ended(end) => processes.remember(&sandbox.id, directory, &owned, Some(end)),
            };
            written.map_err(|error| SandboxError::Unavailable(error.to_string()))
        });
        if let Err(error) = written.await {
            tracing::warn!(sandbox.id = %self.id, process = name, %error, "the state of a process could not be written down");
        }
    }

    /// How a program is.
    pub(super) async fn report(&self, name: &str, from: Offsets, limit: usize) -> Result<ProcessReport, SandboxError> {
        if let Some(process) = self.shared.processes.find(&self.id, name) {
            return Ok(process.report(from, limit));
        }
        let owned = name.to_owned();
        let remembered = self.on_names(move |directory| processes::remembered(directory, &owned, from)).await?;
        remembered.ok_or_else(|| SandboxError::NotFound(format!("process {name}")))
    }

    /// Asks, waits, kills; returns when nothing of it is left.
    pub(super) async fn stop_program(&self, name: &str, grace: Duration) -> Result<(), SandboxError> {
        let Some(process) = self.shared.processes.find(&self.id, name) else {
            return self.report(name, Offsets::default(), 0).await.map(drop);
        };
        process.ask.cancel();
        if tokio::time::timeout(grace, process.over.cancelled()).await.is_err() {
            process.kill.cancel();
            process.over.cancelled().await;
        }
        Ok(())
    }

    /// The names of all that were started, sorted.
    pub(super) async fn programs(&self) -> Result<Vec<String>, SandboxError> {
        self.on_names(processes::names).await
    }

    async fn on_names<T: Send + 'static>(
        &self,
        work: impl FnOnce(&std::path::Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, SandboxError> {
        let (directory, id) = (self.files.directory.clone(), self.id.clone());
        blocking(move || work(&directory).map_err(|error| SandboxError::Unavailable(format!("{id}: {error}")))).await
    }
}

/// What there is to say about a program.
enum Written {
    /// It is about to run.
    Begins,
    /// It never ran.
    Never,
    /// It ran.
    Ended(End),
}
