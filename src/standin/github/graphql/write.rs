//! Mutations: resolving threads, folding comments away, reacting.

use serde_json::{Map, Value, json};

use super::super::auth::Level;
use super::super::world::{Key, Target};
use super::Trouble;
use super::object::{Found, Object, reaction_content, unresolved};
use super::resolve::Resolver;
use crate::settings::Permission;

/// Why a comment is folded away.
const CLASSIFIERS: [&str; 6] = ["SPAM", "ABUSE", "OFF_TOPIC", "OUTDATED", "DUPLICATE", "RESOLVED"];

impl Resolver<'_> {
    /// Performs a mutation.
    pub fn mutate(&mut self, name: &str, arguments: &Map<String, Value>) -> Result<Found, Trouble> {
        let input = arguments.get("input").cloned().unwrap_or_default();
        let text = |field: &str| {
            let given = input.get(field).and_then(Value::as_str);
            let message = format!("Argument 'input' on Field '{name}' has an invalid value: '{field}' is required");
            given.map(str::to_owned).ok_or_else(|| Trouble::invalid("argumentLiteralsIncompatible", message))
        };
        let id = input.get("clientMutationId").cloned().unwrap_or_default();
        match name {
            "resolveReviewThread" => self.resolve_thread(&text("threadId")?, true, id),
            "unresolveReviewThread" => self.resolve_thread(&text("threadId")?, false, id),
            "minimizeComment" => {
                let classifier = text("classifier")?;
                if !CLASSIFIERS.contains(&classifier.as_str()) {
                    let message = format!("'{classifier}' is not a ReportedContentClassifiers");
                    return Err(Trouble::invalid("argumentLiteralsIncompatible", message));
                }
                // GitHub's reasons read `off-topic`, its classifiers `OFF_TOPIC`.
                self.fold(&text("subjectId")?, Some(classifier.to_lowercase().replace('_', "-")), id)
            }
            "unminimizeComment" => self.fold(&text("subjectId")?, None, id),
            "addReaction" => self.react(&text("subjectId")?, &text("content")?, true, id),
            _ => self.react(&text("subjectId")?, &text("content")?, false, id),
        }
    }

    /// Apps need to write contents for this, too: the buttons belong to those who may push.
    fn resolve_thread(&mut self, thread: &str, resolved: bool, id: Value) -> Result<Found, Trouble> {
        let Object::Thread(root) = self.world.node(self.actor, thread)? else { return Err(unresolved(thread)) };
        let key = self.world.review.comments.get(&root).ok_or_else(|| unresolved(thread))?.pull;
        self.may_write(key, &[("pull_requests", Level::Write), ("contents", Level::Write)])?;
        let by = self.by()?;
        self.deliveries.extend(self.world.resolve(root, &by, resolved));
        let kind = if resolved { "ResolveReviewThreadPayload" } else { "UnresolveReviewThreadPayload" };
        Ok(Found::One(Object::Payload { kind, field: "thread", holds: Box::new(Object::Thread(root)), id }))
    }

    fn may_write(&self, key: Key, needs: &[(&str, Level)]) -> Result<(), Trouble> {
        self.world.allows(self.actor, key.0, needs)?;
        let by = self.by()?;
        let writes = match self.actor {
            super::super::auth::Actor::User(_) => {
                let author = self.world.issues.get(&key).is_some_and(|issue| issue.author == by);
                author || self.world.repositories.get(&key.0).is_some_and(|r| self.world.permission(r, &by) >= Permission::Write)
            }
            _ => true,
        };
        if writes { Ok(()) } else { Err(Trouble::new("FORBIDDEN", format!("{by} does not have the correct permissions"))) }
    }

    fn by(&self) -> Result<String, Trouble> {
        self.actor.login(self.world).map_err(|_| Trouble::new("FORBIDDEN", "Requires authentication"))
    }

    fn fold(&mut self, subject: &str, reason: Option<String>, id: Value) -> Result<Found, Trouble> {
        let object = self.world.node(self.actor, subject)?;
        let (kind, field) = match reason {
            Some(_) => ("MinimizeCommentPayload", "minimizedComment"),
            None => ("UnminimizeCommentPayload", "unminimizedComment"),
        };
        match &object {
            Object::Remark(at) => {
                let key = self.world.review.comments.get(at).ok_or_else(|| unresolved(subject))?.pull;
                self.may_write(key, &[("pull_requests", Level::Write)])?;
                if let Some(comment) = self.world.review.comments.get_mut(at) {
                    comment.minimized = reason;
                }
            }
            Object::Review(at) => {
                let key = self.world.review.all.get(at).ok_or_else(|| unresolved(subject))?.pull;
                self.may_write(key, &[("pull_requests", Level::Write)])?;
                if let Some(review) = self.world.review.all.get_mut(at) {
                    review.minimized = reason;
                }
            }
            Object::Comment(at) => {
                let key = self.world.comments.get(at).ok_or_else(|| unresolved(subject))?.issue;
                let is_pull = self.world.issues.get(&key).is_some_and(|issue| issue.is_pull_request);
                self.may_write(key, &[(if is_pull { "pull_requests" } else { "issues" }, Level::Write)])?;
                match reason {
                    Some(reason) => self.world.minimized.insert(*at, reason),
                    None => self.world.minimized.remove(at),
                };
            }
            _ => return Err(unresolved(subject)),
        }
        Ok(Found::One(Object::Payload { kind, field, holds: Box::new(object), id }))
    }

    /// Reacts, also to reviews, which REST cannot.
    fn react(&mut self, subject: &str, content: &str, add: bool, id: Value) -> Result<Found, Trouble> {
        let bad = || Trouble::invalid("argumentLiteralsIncompatible", format!("'{content}' is not a ReactionContent"));
        let content = reaction_content(content).ok_or_else(bad)?;
        let target: Target = match self.world.node(self.actor, subject)? {
            Object::Issue(key) => (key, None),
            Object::Comment(at) => (self.world.comments.get(&at).ok_or_else(|| unresolved(subject))?.issue, Some(at)),
            Object::Remark(at) => (self.world.review.comments.get(&at).ok_or_else(|| unresolved(subject))?.pull, Some(at)),
            Object::Review(at) => (self.world.review.all.get(&at).ok_or_else(|| unresolved(subject))?.pull, Some(at)),
            _ => return Err(unresolved(subject)),
        };
        let is_pull = self.world.issues.get(&target.0).is_some_and(|issue| issue.is_pull_request);
        let needs = [(if is_pull { "pull_requests" } else { "issues" }, Level::Write)];
        self.world.allows(self.actor, target.0.0, &needs)?;
        let by = self.by()?;
        let json = if add {
            let (reaction, _) = self.world.react(&by, target.0, target.1, content);
            self.world.reaction_json(&reaction)
        } else {
            let on_it = self.world.reactions.entry(target).or_default();
            let mine = on_it.iter().position(|one| one.user == by && one.content == content).map(|at| on_it.remove(at));
            mine.map_or(Value::Null, |reaction| self.world.reaction_json(&reaction))
        };
        let holds = Object::Payload { kind: "", field: "", holds: Box::new(Object::Reaction(json)), id: json!(subject) };
        let kind = if add { "AddReactionPayload" } else { "RemoveReactionPayload" };
        Ok(Found::One(Object::Payload { kind, field: "", holds: Box::new(holds), id }))
    }
}
