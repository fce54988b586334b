//! What a run does by itself, without asking a model: landing what is left when the model is done, undoing, and landing what was approved.

use super::event::RunEvent;
use super::run::{Halt, Run};
use super::tools::{HandError, Proposal, ToolOutput};
use super::{Powers, Task};
use crate::model::{Message, Role};
use crate::reply::{Landed, LiveStep, Outcome, StepState};

impl Run<'_> {
    /// Lands what the workspace holds and nothing landed yet. That it did not work is said in the answer.
    pub(super) async fn land_what_is_left(&mut self) -> Result<(), Halt> {
        let (Some(lander), Powers::Everything) = (self.hands().lander.clone(), self.powers()) else {
            self.note("Nothing landed: this request may not change the repository.");
            return Ok(());
        };
        self.show("Landing the work");
        let proposal = Proposal { body: self.last_words(), ..Proposal::default() };
        let landed = lander.land(proposal).await;
        match landed {
            Ok(output) => drop(self.take_output("openPullRequest", output)),
            Err(HandError::Refused(why)) => self.note(&format!("Nothing landed: {why}")),
            // It may have got as far as the branch.
            Err(HandError::Unavailable(why)) => self.note(&format!("Landing is not done yet: {why}")),
        }
        self.keep().await
    }

    /// Undoes, or lands what was approved.
    pub(super) async fn perform(&mut self, task: &Task) -> Result<Outcome, Halt> {
        let (Some(lander), Powers::Everything) = (self.hands().lander.clone(), self.powers()) else {
            return self.say_and_end("This cannot be done in this conversation.".to_owned(), Outcome::Answered).await;
        };
        let (label, done) = match task {
            Task::LandApproved { digest } => {
                self.show("Landing what was approved");
                ("openPullRequest", lander.land_approved(digest).await)
            }
            Task::Undo
            | Task::Ask { .. }
            | Task::Code { .. }
            | Task::Review { .. }
            | Task::Land { .. }
            | Task::Plan { .. }
            | Task::CarryOut { .. } => {
                self.show("Taking the last changes back");
                ("undo", lander.undo().await)
            }
        };
        match done {
            Ok(output) => {
                let said = self.take_output(label, output);
                self.say_and_end(said, Outcome::Answered).await
            }
            Err(HandError::Refused(why)) => self.say_and_end(why, Outcome::Answered).await,
            Err(HandError::Unavailable(reason)) => {
                let report = self.id().to_string();
                self.say_and_end(String::new(), Outcome::Failed { reason, report }).await
            }
        }
    }

    async fn say_and_end(&mut self, said: String, outcome: Outcome) -> Result<Outcome, Halt> {
        if !said.is_empty() {
            self.say(Message::text(Role::Assistant, said));
        }
        self.end_with(outcome).await
    }

    /// Records what was done, and returns what is said about it.
    fn take_output(&mut self, tool: &str, output: ToolOutput) -> String {
        self.tell(RunEvent::Acted { tool: tool.to_owned(), summary: output.summary, ok: !output.is_error, execution: None });
        self.attach(output.attachments);
        output.events.into_iter().for_each(|event| self.tell(event));
        output.content["said"].as_str().unwrap_or_default().to_owned()
    }

    fn note(&mut self, note: &str) {
        let landed = Landed { notes: vec![note.to_owned()], ..Landed::default() };
        self.tell(RunEvent::Landed { landed });
    }

    fn show(&mut self, label: &str) {
        let label = label.to_owned();
        self.view().send_modify(|view| view.steps.push(LiveStep { label, state: StepState::Running }));
    }
}
