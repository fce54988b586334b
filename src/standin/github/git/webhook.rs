//! The webhooks of pushes, and which repositories send any.

use serde_json::{Value, json};

use super::super::world::{Repository, World};
use super::store::Files;
use super::update::Update;

const NOTHING: &str = "0000000000000000000000000000000000000000";
/// GitHub names so many commits in a push.
const MOST_COMMITS: usize = 2_048;

impl World {
    /// Whether events of a repository reach the service: where the App is installed, or where somebody set up the hook, which a
    /// fork does not inherit.
    fn is_heard(&self, repository: &Repository) -> bool {
        if self.as_app { self.installation_of(repository.owner()).is_some() } else { repository.parent.is_none() }
    }

    /// Makes a webhook of a repository; none when its events reach nobody.
    pub(in super::super) fn event(
        &mut self,
        name: &str,
        action: Option<&str>,
        repository: i64,
        sender: &str,
        with: Value,
    ) -> Option<u64> {
        let repository = self.repositories.get(&repository).filter(|repository| self.is_heard(repository))?;
        let mut payload = self.envelope(action.unwrap_or_default(), repository, sender);
        let fields = payload.as_object_mut()?;
        if action.is_none() {
            fields.remove("action");
        }
        if let Value::Object(with) = with {
            fields.extend(with);
        }
        Some(self.deliver(name, &payload))
    }

    /// `create` or `delete`.
    pub(in super::super) fn ref_event(&mut self, name: &str, update: &Update<'_>) -> Option<u64> {
        let (kind, short) = match update.reference.strip_prefix("refs/heads/") {
            Some(branch) => ("branch", branch),
            None => ("tag", update.reference.strip_prefix("refs/tags/")?),
        };
        let mut with = json!({"ref": short, "ref_type": kind, "pusher_type": "user"});
        if name == "create" {
            with["master_branch"] = self.repositories.get(&update.repository)?.git.default_branch.as_str().into();
            with["description"] = Value::Null;
        }
        self.event(name, None, update.repository, update.sender, with)
    }

    pub(in super::super) fn push_event(&mut self, update: &Update<'_>, before: Option<&str>) -> Option<u64> {
        if !update.reference.starts_with("refs/heads/") && !update.reference.starts_with("refs/tags/") {
            return None;
        }
        let repository = self.repositories.get(&update.repository)?;
        let store = &repository.git.store;
        // A new branch brings what no other branch has.
        let known = repository.git.branches().filter(|(name, _)| !update.reference.ends_with(&format!("heads/{name}")));
        let base = before.map(str::to_owned).or_else(|| {
            update.after.and_then(|after| {
                known.filter_map(|(_, sha)| store.merge_base(sha, after)).max_by_key(|sha| store.history(sha).len())
            })
        });
        let new = update.after.map(|after| store.between(base.as_deref(), after)).unwrap_or_default();
        let files_before = |parents: &[String]| parents.first().map_or_else(Files::new, |parent| store.files_of(parent));
        let told = |commit| self.pushed_json(repository, commit, &files_before(&commit.parents));
        let head = update.after.and_then(|after| store.commit(after));
        let forced = matches!((before, update.after), (Some(before), Some(after)) if !store.is_before(before, after));
        let page = self.repository_page(repository);
        let (from, to) = (before.unwrap_or(NOTHING), update.after.unwrap_or(NOTHING));
        let compare = match (before, update.after) {
            (Some(_), Some(_)) => format!("{page}/compare/{}...{}", &from[..12], &to[..12]),
            (_, _) => format!("{page}/compare/{}", update.reference.trim_start_matches("refs/heads/")),
        };
        let pusher = self.person(update.sender, self.now());
        let with = json!({
            "ref": update.reference, "before": from, "after": to, "created": before.is_none(), "deleted": update.after.is_none(),
            "forced": forced, "base_ref": null, "compare": compare, "pusher": {"name": pusher.name, "email": pusher.email},
            "commits": new.iter().take(MOST_COMMITS).map(told).collect::<Vec<_>>(),
            "head_commit": head.as_ref().map(told),
        });
        self.event("push", None, update.repository, update.sender, with)
    }
}
