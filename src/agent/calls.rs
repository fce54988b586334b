//! The calls of one answer: which go together, and how each is made.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Powers;
use super::live_output::LiveOutput;
use super::run::Kit;
use super::sandboxes::ThreadSandboxes;
use super::tools::{Access, Attachment, Hands, ToolContext, ToolLimits, ToolOutput, Toolbox};
use crate::model::ToolCall;
use crate::reply::{LiveStep, LiveView, Redactor, StepState};

/// Makes the calls of one answer.
pub(super) struct Caller<'a> {
    pub kit: &'a Kit,
    pub sandboxes: &'a ThreadSandboxes,
    pub powers: Powers,
    pub hands: Hands,
    pub stop: CancellationToken,
    pub limits: ToolLimits,
    pub key: String,
    pub printed: &'a LiveOutput,
    pub view: watch::Sender<LiveView>,
}

impl Caller<'_> {
    /// Makes one.
    pub(super) async fn call(&self, call: &ToolCall) -> ToolOutput {
        let label = self.kit.toolbox.label(call);
        self.view.send_modify(|view| view.steps.push(LiveStep { label, state: StepState::Running }));
        let cancel = self.stop.child_token();
        let context = ToolContext {
            powers: self.powers,
            hands: &self.hands,
            sandboxes: self.sandboxes,
            cancel: &cancel,
            clock: self.kit.clock.as_ref(),
            limits: self.limits,
            key: &format!("{}-{}", self.key, call.id),
            listener: Some(&self.printed.listener(&call.id, self.view.clone())),
        };
        let mut output = self.kit.toolbox.call(&context, call).await;
        // Nothing of ours belongs into a sandbox; should it get there, it goes no further.
        self.kit.redactor.known_in(&mut output.content);
        redact(&self.kit.redactor, &mut output.attachments).await;
        output
    }
}

/// Secrets leave in no text, attached ones included.
async fn redact(redactor: &Arc<Redactor>, attachments: &mut [Attachment]) {
    for attachment in attachments {
        let (redactor, content) = (redactor.clone(), attachment.content.clone());
        let redacting = move || match redactor.redact(std::str::from_utf8(&content).ok()?) {
            Cow::Borrowed(_) => None,
            Cow::Owned(redacted) => Some(redacted),
        };
        // Large texts take their time.
        if let Ok(Some(redacted)) = tokio::task::spawn_blocking(redacting).await {
            attachment.content = redacted.into();
        }
    }
}

/// No call outlasts its run.
pub(super) fn within(remaining: Duration) -> ToolLimits {
    let limits = ToolLimits::default();
    ToolLimits {
        default_timeout: limits.default_timeout.min(remaining),
        max_timeout: limits.max_timeout.min(remaining),
        ..limits
    }
}

/// Neighbouring reads go together, every write alone.
pub(super) fn groups(toolbox: &Toolbox, calls: Vec<ToolCall>) -> Vec<Vec<ToolCall>> {
    let mut groups: Vec<(Access, Vec<ToolCall>)> = Vec::new();
    for call in calls {
        let access = toolbox.access(&call);
        match groups.last_mut() {
            Some((Access::Reads, group)) if access == Access::Reads => group.push(call),
            _ => groups.push((access, vec![call])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
