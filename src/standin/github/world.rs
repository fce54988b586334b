//! What exists on this GitHub.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;

use super::auth::Grant;
use super::checks::Checks;
use super::deliver::Delivery;
use super::deliveries::{Attempt, Lose};
use super::fault::{Fault, Hourly, Limit};
use super::git::Git;
use super::pulls::Pull;
use super::review::Reviews;
use super::{Expects, Options};
use crate::clock::Clock;
use crate::settings::Permission;

pub(super) const APP_ID: i64 = 414_243;
/// Who commits in GitHub's own name.
pub(super) const WEB_FLOW: &str = "web-flow";
const WEB_FLOW_ID: i64 = 19_864_447;
const MOST_TREE_ENTRIES: usize = 100_000;
/// What the App listens to, beside its installations, which every App hears of.
const EVENTS: [&str; 14] = [
    "check_run",
    "check_suite",
    "create",
    "delete",
    "fork",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "push",
    "repository",
    "workflow_run",
];
const MOST_REQUESTS: usize = 2_000;
const MOST_DELIVERIES: usize = 12_000;

/// Repository and number of an issue.
pub(super) type Key = (i64, i64);
/// What can be reacted to: an issue's text, or a comment on it.
pub(super) type Target = (Key, Option<i64>);

/// Everything there is.
pub struct World {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) origin: String,
    pub(super) api: String,
    pub(super) slug: String,
    pub(super) as_app: bool,
    pub(super) granted: BTreeMap<String, String>,
    pub(super) events: Vec<String>,
    our_login: String,
    last_id: i64,
    pub(super) users: BTreeMap<String, User>,
    pub(super) members: BTreeSet<(String, String)>,
    /// Organisation, team and login, in lower case.
    pub(super) teams: BTreeSet<(String, String, String)>,
    pub(super) repositories: BTreeMap<i64, Repository>,
    pub(super) installations: BTreeMap<i64, Installation>,
    pub(super) issues: BTreeMap<Key, Issue>,
    pub(super) pulls: BTreeMap<Key, Pull>,
    /// By repository and lower-case name: number and spelling.
    pub(super) labels: BTreeMap<(i64, String), (i64, String)>,
    pub(super) comments: BTreeMap<i64, Comment>,
    pub(super) conversations: BTreeMap<Key, Vec<i64>>,
    pub(super) reactions: BTreeMap<Target, Vec<Reaction>>,
    pub(super) review: Reviews,
    pub(super) checks: Checks,
    /// Why comments on issues were folded away.
    pub(super) minimized: BTreeMap<i64, String>,
    pub(super) tokens: BTreeMap<String, Grant>,
    pub(super) hook: Option<String>,
    pub(super) deliveries: VecDeque<Delivery>,
    pub(super) attempts: VecDeque<Attempt>,
    pub(super) lose: Option<Lose>,
    pub(super) in_flight: usize,
    pub(super) faults: VecDeque<Fault>,
    pub(super) limit: Limit,
    pub(super) content_per_minute: Option<usize>,
    /// Requests an hour, with what is left of them and when that ends.
    pub(super) hourly: Option<Hourly>,
    pub(super) tree_limit: usize,
    pub(super) content: VecDeque<DateTime<Utc>>,
    pub(super) requests: VecDeque<RequestRecord>,
    /// Tokens in addresses of archives, with the repository and commit each is for.
    pub(super) archive_tokens: BTreeMap<String, (i64, String)>,
    /// What people put into comments.
    pub(super) uploads: super::uploads::Uploads,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub login: String,
    /// What it is.
    pub kind: UserKind,
}

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// A person, or a machine account that looks like one.
    User,
    /// An App's account.
    Bot,
    /// Owns repositories, never speaks.
    Organization,
}

/// Who can see a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Collaborators.
    Private,
}

pub(super) struct Repository {
    pub id: i64,
    pub full_name: String,
    pub old_names: Vec<String>,
    pub visibility: Visibility,
    pub collaborators: BTreeMap<String, Permission>,
    pub created_at: DateTime<Utc>,
    pub pushed_at: DateTime<Utc>,
    pub open_issues: usize,
    pub archived: bool,
    /// What it was forked from, and what that was in the beginning.
    pub parent: Option<(i64, i64)>,
    pub git: Git,
}

impl Repository {
    pub fn owner(&self) -> &str {
        self.full_name.split('/').next().unwrap_or_default()
    }

    /// The repository its objects are shared with.
    pub fn root(&self) -> i64 {
        self.parent.map_or(self.id, |(_, root)| root)
    }

    pub fn name(&self) -> &str {
        self.full_name.split('/').nth(1).unwrap_or_default()
    }
}

pub(super) struct Installation {
    pub id: i64,
    pub account: String,
    pub suspended: bool,
}

/// Names an issue or pull request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IssueRef {
    /// `owner/name`.
    pub repository: String,
    /// Its number there.
    pub number: i64,
}

/// An issue or pull request.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Its number on all of GitHub.
    pub id: i64,
    /// Its number in the repository.
    pub number: i64,
    pub(super) repository: i64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// False once it is closed.
    pub open: bool,
    /// True for a pull request.
    pub is_pull_request: bool,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A comment with everything it ever said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: i64,
    pub(super) issue: Key,
    /// Who wrote it.
    pub author: String,
    /// True when the service wrote it.
    pub is_ours: bool,
    /// What it said, first to last; never empty.
    pub versions: Vec<Version>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
}

impl Comment {
    /// What it says now.
    pub fn body(&self) -> &str {
        self.versions.last().map_or("", |version| &version.body)
    }
}

/// What a comment said for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The text.
    pub body: String,
    /// From when.
    pub at: DateTime<Utc>,
    /// Who wrote it.
    pub by: String,
}

/// A reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Its number.
    pub id: i64,
    /// Who reacted.
    pub user: String,
    /// GitHub's word, such as `eyes`.
    pub content: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A request that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRecord {
    /// The method.
    pub method: String,
    /// Path and query, without the base path.
    pub path: String,
    /// Who made it: `app`, `installation 12`, `user maya` or `nobody`.
    pub by: String,
    /// Its JSON body.
    pub body: Option<Value>,
    /// The answer; none while there is none.
    pub status: Option<u16>,
    /// When it arrived.
    pub at: DateTime<Utc>,
}

impl World {
    pub(super) fn new(options: &Options, origin: &str) -> Self {
        let our_login = match options.expects {
            Expects::App => format!("{}[bot]", options.slug),
            Expects::Token => options.slug.clone(),
        };
        let kind = if options.expects == Expects::App { UserKind::Bot } else { UserKind::User };
        let mut world = Self {
            clock: options.clock.clone(),
            origin: origin.to_owned(),
            api: format!("{origin}{}", options.base_path),
            slug: options.slug.clone(),
            as_app: options.expects == Expects::App,
            granted: options.permissions.clone(),
            events: EVENTS.map(str::to_owned).into(),
            our_login: our_login.clone(),
            last_id: 1_000_000,
            users: BTreeMap::new(),
            members: BTreeSet::new(),
            teams: BTreeSet::new(),
            repositories: BTreeMap::new(),
            installations: BTreeMap::new(),
            issues: BTreeMap::new(),
            pulls: BTreeMap::new(),
            labels: BTreeMap::new(),
            comments: BTreeMap::new(),
            conversations: BTreeMap::new(),
            reactions: BTreeMap::new(),
            review: Reviews::default(),
            checks: Checks::default(),
            minimized: BTreeMap::new(),
            tokens: BTreeMap::new(),
            hook: None,
            deliveries: VecDeque::new(),
            attempts: VecDeque::new(),
            lose: None,
            in_flight: 0,
            faults: VecDeque::new(),
            limit: Limit::Off,
            content_per_minute: None,
            hourly: None,
            tree_limit: MOST_TREE_ENTRIES,
            content: VecDeque::new(),
            requests: VecDeque::new(),
            archive_tokens: BTreeMap::new(),
            uploads: BTreeMap::new(),
        };
        let web_flow = User { id: WEB_FLOW_ID, login: WEB_FLOW.to_owned(), kind: UserKind::User };
        world.users.insert(WEB_FLOW.to_owned(), web_flow);
        world.add_user(&our_login, kind);
        world
    }

    pub(super) fn id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Now, in whole seconds as GitHub tells time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(0)
    }

    /// The login the service acts as.
    pub fn our_login(&self) -> String {
        self.our_login.clone()
    }

    pub(super) fn add_user(&mut self, login: &str, kind: UserKind) -> i64 {
        if let Some(user) = self.user(login) {
            return user.id;
        }
        let id = self.id();
        self.users.insert(login.to_lowercase(), User { id, login: login.to_owned(), kind });
        id
    }

    /// An account by its login, compared without case.
    pub fn user(&self, login: &str) -> Option<&User> {
        self.users.get(&login.to_lowercase())
    }

    pub(super) fn repository(&self, full_name: &str) -> Option<&Repository> {
        self.repositories.values().find(|repository| repository.full_name.eq_ignore_ascii_case(full_name))
    }

    /// The one that had this name, unless another has it by now.
    pub(super) fn moved(&self, full_name: &str) -> Option<&Repository> {
        if self.repository(full_name).is_some() {
            return None;
        }
        self.repositories.values().find(|repository| repository.old_names.iter().any(|old| old.eq_ignore_ascii_case(full_name)))
    }

    pub(super) fn installation_of(&self, account: &str) -> Option<&Installation> {
        self.installations.values().find(|installation| installation.account.eq_ignore_ascii_case(account))
    }

    pub(super) fn key(&self, issue: &IssueRef) -> Option<Key> {
        let key = (self.repository(&issue.repository)?.id, issue.number);
        self.issues.contains_key(&key).then_some(key)
    }

    /// An issue.
    pub fn issue(&self, issue: &IssueRef) -> Option<&Issue> {
        self.issues.get(&self.key(issue)?)
    }

    /// The comments of an issue, oldest first.
    pub fn comments(&self, issue: &IssueRef) -> Vec<Comment> {
        self.key(issue).into_iter().flat_map(|key| self.said(key)).cloned().collect()
    }

    /// The comments of an issue, oldest first.
    pub(super) fn said(&self, key: Key) -> impl Iterator<Item = &Comment> {
        self.conversations.get(&key).into_iter().flatten().filter_map(|id| self.comments.get(id))
    }

    pub(super) fn forget_comment(&mut self, id: i64) {
        if let Some(comment) = self.comments.remove(&id) {
            self.conversations.entry(comment.issue).or_default().retain(|kept| *kept != id);
            self.reactions.remove(&(comment.issue, Some(id)));
        }
    }

    /// The comments the service wrote on an issue, oldest first.
    pub fn our_comments(&self, issue: &IssueRef) -> Vec<Comment> {
        self.comments(issue).into_iter().filter(|comment| comment.is_ours).collect()
    }

    /// The reactions on a comment, or on the issue's own text when `comment` is none, oldest first.
    pub fn reactions(&self, issue: &IssueRef, comment: Option<i64>) -> Vec<Reaction> {
        let key = self.key(issue);
        key.and_then(|key| self.reactions.get(&(key, comment))).cloned().unwrap_or_default()
    }

    /// The requests that arrived, oldest first; the last 2,000.
    pub fn requests(&self) -> impl Iterator<Item = &RequestRecord> {
        self.requests.iter()
    }

    /// The webhooks that were made, oldest first; the last 12,000.
    pub fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter()
    }

    pub(super) fn record(&mut self, record: RequestRecord) {
        if self.requests.len() == MOST_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(record);
    }

    pub(super) fn keep(&mut self, delivery: Delivery) {
        if self.deliveries.len() == MOST_DELIVERIES {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }

    pub(super) fn prune(&mut self) {
        self.comments.clear();
        self.conversations.clear();
        self.reactions.clear();
        self.review.clear();
        self.checks = Checks::default();
        self.minimized.clear();
        self.deliveries.clear();
        self.attempts.clear();
        self.requests.clear();
    }

    /// What a failed wait shows.
    pub(super) fn describe(&self) -> String {
        let mut text = String::from("Comments:");
        for comment in self.comments.values() {
            text.push_str(&format!("\n- #{} by {}: {}", comment.issue.1, comment.author, comment.body()));
        }
        text.push_str("\nLast requests:");
        for request in self.requests.iter().rev().take(10) {
            text.push_str(&format!("\n- {} {} by {} → {:?}", request.method, request.path, request.by, request.status));
        }
        text
    }

    pub(super) fn permission(&self, repository: &Repository, login: &str) -> Permission {
        let public = match repository.visibility {
            Visibility::Public => Permission::Read,
            Visibility::Private => Permission::None,
        };
        let owner = repository.owner().eq_ignore_ascii_case(login).then_some(Permission::Admin);
        owner.or(repository.collaborators.get(&login.to_lowercase()).copied()).unwrap_or(public).max(public)
    }
}
