//! What a run can do where its conversation is.

use std::sync::Arc;

use super::landing::GithubLander;
use super::reader::GithubReader;
use super::{Services, memory, review};
use crate::agent::sandboxes::ThreadSandboxes;
use crate::agent::store::Taken;
use crate::agent::tools::{Hands, Lander, Reader, Reviewer};
use crate::agent::{Powers, Task};
use crate::memory::Options;

/// The hands of a run; `options` is what its repository decides about memory.
pub(super) fn of(services: &Services, taken: &Taken, sandboxes: &ThreadSandboxes, options: &Options) -> Hands {
    let lander = lands(&taken.task).then(|| GithubLander::of(services, taken, sandboxes)).flatten();
    let reviewer = reviews(taken)
        .then(|| review::reviewer(services, taken, sandboxes))
        .flatten()
        .map(|reviewer| reviewer as Arc<dyn Reviewer>);
    let reader = GithubReader::of(services, taken).map(|reader| Arc::new(reader) as Arc<dyn Reader>);
    Hands {
        reader,
        lander: lander.map(|lander| Arc::new(lander) as Arc<dyn Lander>),
        reviewer,
        recaller: memory::recaller(services, taken, options),
        notebook: memory::notebook(services, taken, options),
    }
}

fn lands(task: &Task) -> bool {
    match task {
        Task::Ask { .. } | Task::Land { .. } | Task::CarryOut { .. } | Task::Undo | Task::LandApproved { .. } => true,
        Task::Code { .. } | Task::Review { .. } | Task::Plan { .. } => false,
    }
}

/// What somebody without permission asked for, and somebody else approved, is answered and no more. A review that the repository wants
/// is one, also of a fork.
fn reviews(taken: &Taken) -> bool {
    matches!(taken.task, Task::Review { .. }) || taken.powers == Powers::Everything
}
