//! The loop: ask the model, carry out what it asks for, save, until the run ends by name.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::calls::{Caller, groups, within};
use super::code;
use super::event::RunEvent;
use super::live_output::LiveOutput;
use super::sandboxes::ThreadSandboxes;
use super::snapshot::{Next, Question, Snapshot, unfinished};
use super::spending::Spending;
use super::store::{self, Ending, Save, Signals, Spent, Taken};
use super::tools::{Access, Attachment, Hands, Sandboxes, ToolLimits, ToolOutput, Toolbox};
use super::{CodeBlock, Powers, Task};
use super::{limits, prompt};
use crate::attachment::{self, NewAttachment};
use crate::clock::Clock;
use crate::id::{LeaseEpoch, MessageId, RunId};
use crate::memory::history;
use crate::model::{Answer, Delta, Message, Model, ModelError, Part, Request, ToolCall, ToolResult, price};
use crate::reply::{LimitKind, LiveState, LiveView, Outcome, Redactor, StepState};
use crate::settings::Limits;
use crate::storable;

/// Longest answer we ask a model for, in tokens.
const MAX_OUTPUT_TOKENS: u32 = 16_000;

/// Calls of one answer that are carried out.
const MOST_CALLS: usize = 64;

/// How often what programs print is recorded while they run.
const BETWEEN_PRINTED: Duration = Duration::from_secs(2);

/// Bytes of one run that are recorded that way; the results of the calls are complete without them.
const MOST_PRINTED: usize = 256 << 10;

const CUT_OFF: &str = "\n\n*The answer ends here because it reached the model's output limit. Ask me to go on.*";

const TOO_MANY: &str =
    "Not carried out: so many calls cannot be made at once. Make the ones you still need with your next answer.";

const INTERRUPTED: &str = "This call was interrupted: the service was restarted while it ran, so its outcome is unknown. \
     Look at the present state before you repeat it.";

/// What a run works with; the same for all runs of a process.
#[derive(Clone)]
pub struct Kit {
    /// The database.
    pub pool: PgPool,
    /// Who answers.
    pub model: Arc<dyn Model>,
    /// What the model may call.
    pub toolbox: Arc<Toolbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The ceilings.
    pub limits: Limits,
    /// What was spent today.
    pub spending: Spending,
    /// Goes over what is attached.
    pub redactor: Arc<Redactor>,
}

/// One run in the hands of a worker.
pub struct Run<'a> {
    kit: &'a Kit,
    id: RunId,
    epoch: LeaseEpoch,
    requester: String,
    repository: String,
    started: DateTime<Utc>,
    system: String,
    history: Vec<Message>,
    sandboxes: &'a ThreadSandboxes,
    powers: Powers,
    hands: Hands,
    snapshot: Snapshot,
    /// Events that are not saved yet.
    unsaved: Vec<RunEvent>,
    /// The files that some of them tell of.
    attachments: Vec<NewAttachment>,
    signals: Signals,
    resumed: bool,
    /// How it ends when the model has nothing left to do.
    good_end: Outcome,
    /// What the workspace holds is to land whenever the model is done.
    lands: bool,
    /// It has landed since the model answered last.
    landed: bool,
    /// Cancelled when somebody asks the run to stop.
    stop: CancellationToken,
    view: watch::Sender<LiveView>,
}

/// Why a run was left without an end; whoever takes it next goes on from the last save.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Another worker has the run now.
    #[error("the lease was lost")]
    LeaseLost,
    /// The process is to end.
    #[error("the service is ending")]
    Shutdown,
    /// The database did not take a save.
    #[error("cannot save the run: {0}")]
    Database(#[from] sqlx::Error),
}

impl<'a> Run<'a> {
    /// Continues where the snapshot stands. `history` and `system` stay the same for the whole run, so that providers can cache
    /// them; `view` shows the progress; `stop` is cancelled from outside when a person says so.
    #[expect(clippy::too_many_arguments, reason = "called once, by the job that gathers all of this")]
    pub fn resume(
        kit: &'a Kit,
        taken: &Taken,
        snapshot: Snapshot,
        system: String,
        history: Vec<Message>,
        sandboxes: &'a ThreadSandboxes,
        hands: Hands,
        view: watch::Sender<LiveView>,
        stop: CancellationToken,
    ) -> Self {
        let run = Self {
            kit,
            id: taken.id,
            epoch: taken.epoch,
            requester: taken.requester.clone(),
            repository: taken.repository.clone(),
            // What earlier workers used up counts; the time nobody worked on it does not.
            started: kit.clock.now() - TimeDelta::milliseconds(snapshot.worked_ms),
            system,
            history,
            sandboxes,
            powers: taken.powers,
            hands,
            resumed: taken.snapshot.is_some(),
            snapshot,
            unsaved: vec![RunEvent::Started { attempt: taken.attempt }],
            attachments: Vec::new(),
            signals: Signals { arrivals: taken.arrivals, stop_requested_by: taken.stop_requested_by.clone() },
            good_end: match &taken.task {
                Task::Plan { .. } => Outcome::NeedsApproval,
                Task::Ask { .. }
                | Task::Code { .. }
                | Task::Review { .. }
                | Task::Land { .. }
                | Task::CarryOut { .. }
                | Task::LandApproved { .. }
                | Task::Undo => Outcome::Answered,
            },
            lands: false,
            landed: false,
            stop,
            view,
        };
        run.view.send_modify(|view| view.state = LiveState::Working);
        run
    }

    /// Drives the run to its end and stores it.
    pub async fn drive(mut self, task: &Task) -> Result<Outcome, Halt> {
        match task {
            Task::Ask { .. } | Task::Review { .. } | Task::Plan { .. } | Task::CarryOut { .. } => self.converse().await,
            Task::Land { .. } => {
                self.lands = true;
                self.converse().await
            }
            Task::Code { blocks } => self.run_blocks(blocks).await,
            Task::Undo | Task::LandApproved { .. } => self.perform(task).await,
        }
    }

    /// Ends a run that its workers do not survive.
    pub async fn give_up(mut self, attempts: i32) -> Result<Outcome, Halt> {
        let reason = format!(
            "The service stopped {attempts} times while it worked on this, so it is given up. Ask for less at once, or ask the \
             operator to look for the report below in the log."
        );
        self.end_with(Outcome::Failed { reason, report: self.id.to_string() }).await
    }

    /// Ends a run before it began, because what was approved is not what is there any more.
    pub async fn withdraw(mut self, why: String) -> Result<Outcome, Halt> {
        self.end_with(Outcome::Withdrawn { why }).await
    }

    async fn converse(&mut self) -> Result<Outcome, Halt> {
        loop {
            if let Some(outcome) = self.must_end().await? {
                return self.end_with(outcome).await;
            }
            self.join_arrivals().await?;
            if let Some(outcome) = self.asks_a_person().await? {
                return Ok(outcome);
            }
            let ended = match self.snapshot.next() {
                Next::Ask => self.ask().await?,
                Next::Act(calls) => self.act(calls).await?,
                Next::Done => self.answered().await?,
            };
            if let Some(outcome) = ended {
                return Ok(outcome);
            }
        }
    }

    /// Runs the blocks as they are, one after the other. A block that a restart interrupted is not run again.
    async fn run_blocks(&mut self, blocks: &[CodeBlock]) -> Result<Outcome, Halt> {
        while let Some(block) = blocks.get(self.snapshot.blocks_done) {
            if let Some(outcome) = self.must_end().await? {
                return self.end_with(outcome).await;
            }
            let call = code::call(block, self.snapshot.blocks_done);
            let resumed = std::mem::take(&mut self.resumed);
            self.snapshot.acted = true;
            if resumed && !self.goes_on(&call).await {
                self.tell(code::interrupted(block));
            } else {
                self.save(None).await?;
                let mut output = self.carry_out(std::slice::from_ref(&call)).await?.remove(0);
                let attachments = std::mem::take(&mut output.attachments);
                self.tell(code::ran(block, output));
                self.attach(attachments);
            }
            self.snapshot.blocks_done += 1;
            self.save(None).await?;
        }
        // The last block may have been cut short by it.
        let outcome = match &self.signals.stop_requested_by {
            Some(by) => Outcome::Stopped { by: by.clone() },
            None => Outcome::Answered,
        };
        self.end_with(outcome).await
    }

    /// Stop first, then the limits.
    async fn must_end(&mut self) -> Result<Option<Outcome>, Halt> {
        if self.stop.is_cancelled() && self.signals.stop_requested_by.is_none() {
            self.save(None).await?;
        }
        if let Some(by) = &self.signals.stop_requested_by {
            return Ok(Some(Outcome::Stopped { by: by.clone() }));
        }
        // The calls of an answer belong to its step and are carried out; no new answer is asked for.
        if self.snapshot.next() != Next::Ask {
            return Ok(None);
        }
        let reached = limits::reached(&self.kit.limits, &self.snapshot, self.started, self.kit.clock.now());
        let reached = match reached {
            None => self.look_at_the_day().await?,
            reached => reached,
        };
        Ok(reached.map(|limit| limits::outcome(limit, &self.snapshot, self.last_done())))
    }

    /// The end of a run that asked a person. None when it asked nobody, or somebody wrote meanwhile, which may be the answer.
    async fn asks_a_person(&mut self) -> Result<Option<Outcome>, Halt> {
        let Some(question) = self.snapshot.question.clone().filter(|_| self.snapshot.next() == Next::Ask) else {
            return Ok(None);
        };
        let is_answered = self.snapshot.conversation.last().is_some_and(|spoken| spoken.heard.is_some());
        let outcome = Outcome::NeedsAnswer { question: question.text, options: question.options };
        if !is_answered && let Some(outcome) = self.finish(&outcome, Some(self.signals.arrivals), None).await? {
            return Ok(Some(outcome));
        }
        self.snapshot.question = None;
        self.join_arrivals().await?;
        Ok(None)
    }

    async fn look_at_the_day(&self) -> Result<Option<LimitKind>, Halt> {
        let (kit, now) = (self.kit, self.kit.clock.now());
        let spent = kit.spending.today(&kit.pool, &kit.limits, &self.requester, &self.repository, now).await?;
        Ok(limits::daily(&kit.limits, &spent, &self.snapshot))
    }

    /// What was done last, in the words of the checklist.
    fn last_done(&self) -> Option<String> {
        let said = self.snapshot.conversation.iter().rev();
        let call = said.flat_map(|spoken| spoken.message.tool_calls().last()).next()?;
        Some(self.kit.toolbox.label(call))
    }

    /// Messages that arrived join before the next model call.
    async fn join_arrivals(&mut self) -> Result<(), Halt> {
        let seen = self.snapshot.heard();
        let expected = usize::try_from(self.signals.arrivals).unwrap_or_default();
        // The request itself is always the first of `seen`. An answer's open calls come before anything else may be said.
        if seen.len() > expected || matches!(self.snapshot.next(), Next::Act(_)) {
            return Ok(());
        }
        self.hear_arrivals(&seen).await
    }

    async fn hear_arrivals(&mut self, seen: &[MessageId]) -> Result<(), Halt> {
        for arrival in store::arrivals(&self.kit.pool, self.id, seen).await? {
            self.snapshot.hear(arrival.id, prompt::follow_up(&arrival.request.author, &arrival.request.text));
            self.tell(RunEvent::Joined { author: arrival.request.author.login });
        }
        Ok(())
    }

    /// One model answer. Without tool calls it is the end, which is saved with it.
    async fn ask(&mut self) -> Result<Option<Outcome>, Halt> {
        let request = Request {
            system: self.system.clone(),
            messages: self.messages(),
            tools: self.kit.toolbox.specs(self.powers, &self.hands),
            max_output_tokens: Some(MAX_OUTPUT_TOKENS),
        };
        let remaining = limits::remaining(&self.kit.limits, self.started, self.kit.clock.now());
        let view = &self.view;
        let deltas = |delta: Delta| match delta {
            Delta::Text(text) => view.send_modify(|view| view.words.get_or_insert_default().push_str(&text)),
            Delta::Restart { .. } => view.send_modify(|view| view.words = None),
        };
        let answer = tokio::select! {
            answer = self.kit.model.answer(&request, &deltas) => answer,
            () = self.stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(remaining) => {
                let limit = LimitKind::Time { seconds: self.kit.limits.run_timeout.as_secs() };
                return self.end_with(Outcome::Limit { limit, reckoning: None }).await.map(Some);
            }
        };
        match answer {
            Ok(answer) => self.take(answer).await,
            Err(error) => self.end_with(failed(self.id, &error)).await.map(Some),
        }
    }

    async fn take(&mut self, answer: Answer) -> Result<Option<Outcome>, Halt> {
        let spent = self.account(&answer);
        self.view.send_modify(|view| view.words = None);
        let mut answer = answer;
        if answer.truncated && answer.message.tool_calls().next().is_none() {
            answer.message.parts.push(Part::Text { text: CUT_OFF.to_owned() });
        }
        let text = answer.message.plain_text();
        self.tell(RunEvent::Answered { step: self.snapshot.steps, model: answer.model.to_string(), text });
        self.snapshot.say(answer.message);
        // What it asks for now, nobody has begun before; and what it does, nobody has landed.
        self.resumed = false;
        self.landed = false;
        if self.snapshot.next() == Next::Done && !self.lands {
            return self.finish(&self.good_end.clone(), Some(self.signals.arrivals), Some(&spent)).await;
        }
        self.save(Some(&spent)).await?;
        Ok(None)
    }

    fn account(&mut self, answer: &Answer) -> Spent {
        let (cost_usd, saved_usd) = (price::cost(&answer.model, &answer.usage), price::saved(&answer.model, &answer.usage));
        self.snapshot.steps += 1;
        self.snapshot.model = Some(answer.model.clone());
        self.snapshot.spend(cost_usd);
        Spent { step: self.snapshot.steps, model: answer.model.to_string(), usage: answer.usage, cost_usd, saved_usd }
    }

    /// Carries out the calls of an answer: reads together, writes alone, in order, saved after each group.
    async fn act(&mut self, calls: Vec<ToolCall>) -> Result<Option<Outcome>, Halt> {
        let resumed = std::mem::take(&mut self.resumed);
        let mut calls = calls;
        let refused = calls.split_off(calls.len().min(MOST_CALLS));
        // What was interrupted may have done something, too.
        self.snapshot.acted = true;
        for group in groups(&self.kit.toolbox, calls) {
            let unknown = resumed && self.kit.toolbox.access(&group[0]) == Access::Writes && !self.kit.toolbox.repeats(&group[0]);
            if unknown && !self.goes_on(&group[0]).await {
                // The call may have run before the restart; doing it again could do it twice.
                self.snapshot.add_results(group.iter().map(|call| unfinished(call, INTERRUPTED)));
            } else {
                let outputs = self.carry_out(&group).await?;
                for (call, output) in group.iter().zip(outputs) {
                    self.record(call, output);
                }
            }
            self.save(None).await?;
            if self.stop.is_cancelled() || self.signals.stop_requested_by.is_some() {
                return Ok(None);
            }
        }
        if !refused.is_empty() {
            self.snapshot.add_results(refused.iter().map(|call| unfinished(call, TOO_MANY)));
            self.save(None).await?;
        }
        Ok(None)
    }

    /// True when the call is a command that went on while nobody watched, so that calling it again waits for its end.
    async fn goes_on(&self, call: &ToolCall) -> bool {
        self.kit.toolbox.is_one_command(call) && self.sandboxes.own().await.is_ok_and(|sandbox| sandbox.rejoins())
    }

    /// Makes these calls together; what they print meanwhile is recorded every few seconds.
    async fn carry_out(&mut self, group: &[ToolCall]) -> Result<Vec<ToolOutput>, Halt> {
        let printed = LiveOutput::default();
        let caller = Caller {
            kit: self.kit,
            sandboxes: self.sandboxes,
            powers: self.powers,
            hands: self.hands.clone(),
            stop: self.stop.clone(),
            limits: ToolLimits {
                attachments: self.snapshot.attachable,
                ..within(limits::remaining(&self.kit.limits, self.started, self.kit.clock.now()))
            },
            // Some models number their calls anew with every answer.
            key: format!("{}-{}", self.id, self.snapshot.steps),
            printed: &printed,
            view: self.view.clone(),
        };
        let calls = join_all(group.iter().map(|call| caller.call(call)));
        tokio::pin!(calls);
        loop {
            tokio::select! {
                outputs = &mut calls => return Ok(outputs),
                () = tokio::time::sleep(BETWEEN_PRINTED) => self.record_printed(&printed).await?,
            }
        }
    }

    async fn record_printed(&mut self, printed: &LiveOutput) -> Result<(), Halt> {
        let room = MOST_PRINTED.saturating_sub(self.snapshot.printed);
        let events = printed.take();
        let bytes: usize = events.iter().map(RunEvent::printed).sum();
        if bytes == 0 || bytes > room {
            return Ok(());
        }
        self.snapshot.printed += bytes;
        self.unsaved.extend(events);
        self.save(None).await
    }

    fn record(&mut self, call: &ToolCall, output: ToolOutput) {
        self.tell(RunEvent::Acted {
            tool: call.name.clone(),
            summary: output.summary,
            ok: !output.is_error,
            execution: output.execution,
        });
        self.attach(output.attachments);
        for event in output.events {
            if let RunEvent::Asked { question, options } = &event {
                self.snapshot.question = Some(Question { text: question.clone(), options: options.clone() });
            }
            if let RunEvent::Remembered { cites } = &event {
                self.snapshot.cite(cites.iter().cloned());
            }
            self.tell(event);
        }
        let result =
            ToolResult { id: call.id.clone(), name: call.name.clone(), content: output.content, is_error: output.is_error };
        self.snapshot.add_results([result]);
    }

    /// Files become part of the answer; they are stored by the next save.
    pub(super) fn attach(&mut self, attachments: Vec<Attachment>) {
        for Attachment { name, media_type, content } in attachments {
            let (token, size) = (attachment::new_token(), content.len() as u64);
            let event = self.snapshot.next_event.saturating_add(i32::try_from(self.unsaved.len()).unwrap_or(i32::MAX));
            let text = attachment::shown_text(&media_type, &content);
            self.snapshot.attachable = self.snapshot.attachable.without(size);
            self.tell(RunEvent::Attached {
                name: name.clone(),
                media_type: media_type.clone(),
                size,
                token: token.clone(),
                text,
            });
            self.attachments.push(NewAttachment { token, event, name, media_type, content });
        }
    }

    /// The model is done. A message that came in meanwhile keeps the run going.
    async fn answered(&mut self) -> Result<Option<Outcome>, Halt> {
        // Landing takes its time and saves: what comes in meanwhile was not answered.
        let answered = self.signals.arrivals;
        if self.lands && !std::mem::replace(&mut self.landed, true) {
            self.land_what_is_left().await?;
        }
        self.finish(&self.good_end.clone(), Some(answered), None).await
    }

    /// Ends the run whatever arrived; what was said and done is kept, and what nobody answered any more is part of it, so that
    /// the next run knows.
    pub(super) async fn end_with(&mut self, outcome: Outcome) -> Result<Outcome, Halt> {
        self.snapshot.close_open_calls("Not carried out: the run was ended before it.");
        loop {
            let seen = self.snapshot.heard();
            self.hear_arrivals(&seen).await?;
            let heard = self.snapshot.heard().len().saturating_sub(1);
            let arrivals = self.signals.arrivals.max(i32::try_from(heard).unwrap_or(i32::MAX));
            if let Some(outcome) = self.finish(&outcome, Some(arrivals), None).await? {
                return Ok(outcome);
            }
        }
    }

    /// Stores the end, unless a message joined since. None when the run goes on.
    async fn finish(&mut self, outcome: &Outcome, arrivals: Option<i32>, spent: Option<&Spent>) -> Result<Option<Outcome>, Halt> {
        if self.snapshot.acted
            && let Some(diff) = self.sandboxes.changes().await
        {
            self.unsaved.push(RunEvent::Changed { diff });
        }
        let events = std::mem::take(&mut self.unsaved);
        let first_event = self.snapshot.next_event;
        self.snapshot.next_event += i32::try_from(events.len()).unwrap_or_default();
        let save = self.saving(&events, first_event, spent);
        let ending = store::end(&self.kit.pool, save, outcome, arrivals).await?;
        if ending == Ending::Ended {
            return Ok(Some(outcome.clone()));
        }
        // Something joined, or the lease is gone; a plain save tells which, and keeps what the refused end would have.
        self.snapshot.next_event = first_event;
        self.unsaved = events;
        self.unsaved.retain(|event| !matches!(event, RunEvent::Changed { .. }));
        self.save(spent).await?;
        Ok(None)
    }

    /// Saves what is new and learns what arrived.
    async fn save(&mut self, spent: Option<&Spent>) -> Result<(), Halt> {
        for event in self.sandboxes.events() {
            self.tell(event);
        }
        let events = std::mem::take(&mut self.unsaved);
        let first_event = self.snapshot.next_event;
        self.snapshot.next_event += i32::try_from(events.len()).unwrap_or_default();
        self.snapshot.worked_ms = (self.kit.clock.now() - self.started).num_milliseconds().max(0);
        let save = self.saving(&events, first_event, spent);
        self.signals = store::save(&self.kit.pool, save).await?.ok_or(Halt::LeaseLost)?;
        self.attachments.clear();
        Ok(())
    }

    fn saving<'s>(&'s self, events: &'s [RunEvent], first_event: i32, spent: Option<&'s Spent>) -> Save<'s> {
        Save {
            run: self.id,
            epoch: self.epoch,
            snapshot: &self.snapshot,
            events,
            first_event,
            attachments: &self.attachments,
            spent,
            requester: &self.requester,
            repository: &self.repository,
            now: self.kit.clock.now(),
        }
    }

    fn messages(&self) -> Vec<Message> {
        let said = self.snapshot.conversation.iter().map(|spoken| spoken.message.clone()).collect();
        self.history.iter().cloned().chain(history::fitting(said)).collect()
    }

    /// An event enters the record and the live view.
    pub(super) fn tell(&mut self, event: RunEvent) {
        self.view.send_modify(|view| {
            view.printed = None;
            view.steps.retain(|step| step.state != StepState::Running);
            view.steps.extend(event.step());
        });
        self.unsaved.push(event);
    }
}

fn failed(run: RunId, error: &ModelError) -> Outcome {
    tracing::warn!(run.id = %run, %error, "the model did not answer");
    let reason = match error {
        ModelError::Retry { reason, .. } => reason.clone(),
        ModelError::TooLong(_) => {
            "The conversation has become too long for the model. Open a new issue, or choose a model with a larger context."
                .to_owned()
        }
        ModelError::Fail { reason, remedy } => format!("{reason} {remedy}"),
    };
    let mut reason = reason;
    storable::text(&mut reason);
    Outcome::Failed { reason, report: run.to_string() }
}

/// What the rest of this room needs of a run.
impl Run<'_> {
    pub(super) fn id(&self) -> RunId {
        self.id
    }

    pub(super) fn powers(&self) -> Powers {
        self.powers
    }

    pub(super) fn hands(&self) -> &Hands {
        &self.hands
    }

    pub(super) fn view(&self) -> &watch::Sender<LiveView> {
        &self.view
    }

    pub(super) fn last_words(&self) -> String {
        self.snapshot.last_words()
    }

    pub(super) fn say(&mut self, message: Message) {
        self.snapshot.acted = true;
        self.snapshot.say(message);
    }

    pub(super) async fn keep(&mut self) -> Result<(), Halt> {
        self.save(None).await
    }
}
