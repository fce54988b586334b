//! What a run can do where its conversation is.

use std::sync::Arc;

use super::Services;
use super::landing::GithubLander;
use crate::agent::Task;
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::{Hands, Lander};

/// The hands of a run.
pub(super) fn of(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes) -> Hands {
    let lands = match &taken.task {
        Task::Ask { .. } | Task::Land { .. } | Task::CarryOut { .. } | Task::Undo | Task::LandApproved { .. } => true,
        Task::Code { .. } | Task::Review { .. } | Task::Plan { .. } => false,
    };
    let lander = lands.then(|| GithubLander::of(services, taken, sandboxes)).flatten();
    Hands { lander: lander.map(|lander| Arc::new(lander) as Arc<dyn Lander>), ..Hands::default() }
}
