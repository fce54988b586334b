//! What can be asked about: each thing's type, its fields, and who may see it.

use serde_json::{Map, Value, json};

use super::super::auth::{Actor, Level};
use super::super::review::{Anchor, Review, ReviewComment, ReviewState};
use super::super::shape::{node, time};
use super::super::world::{Comment, Issue, Key, UserKind, Visibility, World};
use super::Trouble;
use super::connection::Connection;
use crate::settings::Permission;

/// Something that has fields.
#[derive(Clone)]
pub(super) enum Object {
    Query,
    Mutation,
    RateLimit,
    Repository(i64),
    /// An issue or pull request.
    Issue(Key),
    /// The thread that began with this comment.
    Thread(i64),
    Remark(i64),
    Review(i64),
    Comment(i64),
    Account(String),
    Commit(String),
    Reaction(Value),
    Connection(Box<Connection>),
    Edge(Box<Connection>, usize),
    PageInfo(Box<Connection>),
    /// What a mutation answers: its type and the one thing in it.
    Payload {
        kind: &'static str,
        field: &'static str,
        holds: Box<Object>,
        id: Value,
    },
}

/// What a field is.
pub(super) enum Found {
    Plain(Value),
    One(Object),
    Many(Vec<Object>),
}

type Arguments = Map<String, Value>;

fn plain(value: impl Into<Value>) -> Found {
    Found::Plain(value.into())
}

fn maybe(object: Option<Object>) -> Found {
    object.map_or(Found::Plain(Value::Null), Found::One)
}

pub(super) fn unresolved(id: &str) -> Trouble {
    Trouble::new("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"))
}

/// The kind and number in a global id.
pub(super) fn number(id: &str) -> Option<(&str, i64)> {
    let (kind, digits) = id.split_once("_kwDO")?;
    Some((kind, i64::from_str_radix(digits, 16).ok()?))
}

impl World {
    /// Goes on when the actor may read or write this repository's pull requests or issues.
    pub(super) fn allows(&self, actor: &Actor, repository: i64, needs: &[(&str, Level)]) -> Result<(), Trouble> {
        let missing = || Trouble::new("NOT_FOUND", "Could not resolve to a Repository");
        let repository = self.repositories.get(&repository).ok_or_else(missing)?;
        // Who does not see the repository does not hear that it exists.
        actor.may(self, repository, &[("metadata", Level::Read)]).map_err(|_| missing())?;
        let forbidden = |_| Trouble::new("FORBIDDEN", "Resource not accessible by integration");
        needs.iter().try_for_each(|need| actor.may(self, repository, &[*need]).map_err(forbidden))
    }

    /// The thing with a global id, when the actor may see it.
    pub(super) fn node(&self, actor: &Actor, id: &str) -> Result<Object, Trouble> {
        let (kind, at) = number(id).ok_or_else(|| unresolved(id))?;
        let object = match kind {
            "R" => self.repositories.contains_key(&at).then_some(Object::Repository(at)),
            "I" | "PR" => self.issues.iter().find(|(_, issue)| issue.id == at).map(|(key, _)| Object::Issue(*key)),
            "PRRT" => self.review.comments.get(&at).filter(|one| one.reply_to.is_none()).map(|_| Object::Thread(at)),
            "PRRC" => self.review.comments.contains_key(&at).then_some(Object::Remark(at)),
            "PRR" => self.review.all.contains_key(&at).then_some(Object::Review(at)),
            "IC" => self.comments.contains_key(&at).then_some(Object::Comment(at)),
            "U" => self.users.values().find(|user| user.id == at).map(|user| Object::Account(user.login.clone())),
            _ => None,
        };
        let object = object.ok_or_else(|| unresolved(id))?;
        if let Some((repository, needs)) = object.place(self) {
            self.allows(actor, repository, &[(needs, Level::Read)])?;
        }
        Ok(object)
    }

    fn permission_of(&self, actor: &Actor, repository: i64) -> Permission {
        let Some(repository) = self.repositories.get(&repository) else { return Permission::None };
        match actor {
            Actor::User(login) => self.permission(repository, login),
            Actor::Installation(grant) if grant.holds("pull_requests", Level::Write) => Permission::Write,
            Actor::Installation(_) | Actor::App | Actor::Nobody => Permission::Read,
        }
    }

    fn me(&self, actor: &Actor) -> String {
        actor.login(self).unwrap_or_default()
    }
}

impl Object {
    /// Its type's name.
    pub fn kind(&self, world: &World) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::RateLimit => "RateLimit",
            Self::Repository(_) => "Repository",
            Self::Issue(key) if world.issues.get(key).is_some_and(|issue| issue.is_pull_request) => "PullRequest",
            Self::Issue(_) => "Issue",
            Self::Thread(_) => "PullRequestReviewThread",
            Self::Remark(_) => "PullRequestReviewComment",
            Self::Review(_) => "PullRequestReview",
            Self::Comment(_) => "IssueComment",
            Self::Account(login) => match world.user(login).map(|user| user.kind) {
                Some(UserKind::Bot) => "Bot",
                Some(UserKind::Organization) => "Organization",
                Some(UserKind::User) | None => "User",
            },
            Self::Commit(_) => "Commit",
            Self::Reaction(_) => "Reaction",
            Self::Connection(connection) => connection.kind,
            Self::Edge(connection, _) => match connection.kind {
                "PullRequestReviewThreadConnection" => "PullRequestReviewThreadEdge",
                "PullRequestReviewCommentConnection" => "PullRequestReviewCommentEdge",
                "PullRequestReviewConnection" => "PullRequestReviewEdge",
                _ => "IssueCommentEdge",
            },
            Self::PageInfo(_) => "PageInfo",
            Self::Payload { kind, .. } => kind,
        }
    }

    /// The repository it is in, and the permission it takes to see it.
    fn place(&self, world: &World) -> Option<(i64, &'static str)> {
        let of = |key: Key| {
            let is_pull = world.issues.get(&key).is_some_and(|issue| issue.is_pull_request);
            (key.0, if is_pull { "pull_requests" } else { "issues" })
        };
        match self {
            Self::Repository(id) => Some((*id, "metadata")),
            Self::Issue(key) => Some(of(*key)),
            Self::Thread(id) | Self::Remark(id) => world.review.comments.get(id).map(|one| of(one.pull)),
            Self::Review(id) => world.review.all.get(id).map(|one| of(one.pull)),
            Self::Comment(id) => world.comments.get(id).map(|one| of(one.issue)),
            _ => None,
        }
    }

    /// One of its fields. The schema was checked before.
    pub fn field(&self, world: &World, actor: &Actor, name: &str, arguments: &Arguments) -> Result<Found, Trouble> {
        match self {
            Self::Query => query(world, actor, name, arguments),
            // The resolver performs these itself.
            Self::Mutation => Ok(plain(Value::Null)),
            Self::RateLimit => Ok(plain(match name {
                "limit" => json!(5000),
                "cost" | "used" | "nodeCount" => json!(1),
                "remaining" => json!(4999),
                _ => time(world.now() + chrono::TimeDelta::hours(1)).into(),
            })),
            Self::Repository(id) => repository(world, actor, *id, name, arguments),
            Self::Issue(key) => issue(world, *key, name, arguments),
            Self::Thread(root) => thread(world, actor, *root, name, arguments),
            Self::Remark(id) => {
                Ok(world.review.comments.get(id).map_or(plain(Value::Null), |one| remark(world, actor, one, name)))
            }
            Self::Review(id) => match world.review.all.get(id) {
                Some(one) => review(world, actor, one, name, arguments),
                None => Ok(plain(Value::Null)),
            },
            Self::Comment(id) => Ok(world.comments.get(id).map_or(plain(Value::Null), |one| comment(world, actor, one, name))),
            Self::Account(login) => Ok(account(world, login, name)),
            Self::Commit(sha) => Ok(plain(if name == "oid" { sha.as_str() } else { &sha[..sha.len().min(7)] })),
            Self::Reaction(json) => Ok(match name {
                "user" => maybe(json["user"]["login"].as_str().map(|login| Self::Account(login.to_owned()))),
                "id" => plain(json["node_id"].clone()),
                "databaseId" => plain(json["id"].clone()),
                "createdAt" => plain(json["created_at"].clone()),
                _ => plain(reaction_name(json["content"].as_str().unwrap_or_default())),
            }),
            Self::Connection(page) => Ok(match name {
                "totalCount" => plain(page.total),
                "pageInfo" => Found::One(Self::PageInfo(page.clone())),
                "nodes" => Found::Many(page.items.clone()),
                _ => Found::Many((0..page.items.len()).map(|at| Self::Edge(page.clone(), at)).collect()),
            }),
            Self::Edge(page, at) => Ok(match name {
                "cursor" => plain(page.cursor(*at)),
                _ => maybe(page.items.get(*at).cloned()),
            }),
            Self::PageInfo(page) => Ok(plain(match name {
                "hasNextPage" => page.has_next().into(),
                "hasPreviousPage" => page.has_previous().into(),
                "startCursor" if !page.items.is_empty() => page.cursor(0).into(),
                "endCursor" if !page.items.is_empty() => page.cursor(page.items.len() - 1).into(),
                _ => Value::Null,
            })),
            Self::Payload { field, holds, id, .. } => Ok(match name {
                "clientMutationId" => plain(id.clone()),
                "subject" | "thread" | "minimizedComment" | "unminimizedComment" if name == *field => {
                    Found::One((**holds).clone())
                }
                "reaction" => match &**holds {
                    Self::Payload { holds, .. } => Found::One((**holds).clone()),
                    _ => plain(Value::Null),
                },
                "subject" => match &**holds {
                    Self::Payload { id, .. } => maybe(id.as_str().and_then(|id| world.node(actor, id).ok())),
                    _ => plain(Value::Null),
                },
                _ => plain(Value::Null),
            }),
        }
    }
}

/// GitHub's names of reactions in GraphQL, with those of REST.
const REACTION_NAMES: [(&str, &str); 8] = [
    ("THUMBS_UP", "+1"),
    ("THUMBS_DOWN", "-1"),
    ("LAUGH", "laugh"),
    ("CONFUSED", "confused"),
    ("HEART", "heart"),
    ("HOORAY", "hooray"),
    ("ROCKET", "rocket"),
    ("EYES", "eyes"),
];

fn reaction_name(content: &str) -> &'static str {
    REACTION_NAMES.iter().find(|(_, rest)| *rest == content).map_or("", |(name, _)| name)
}

/// The word REST has for a reaction of GraphQL.
pub(super) fn reaction_content(name: &str) -> Option<&'static str> {
    REACTION_NAMES.iter().find(|(known, _)| *known == name).map(|(_, rest)| *rest)
}

fn query(world: &World, actor: &Actor, name: &str, arguments: &Arguments) -> Result<Found, Trouble> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    match name {
        "repository" => {
            let full_name = format!("{}/{}", text("owner"), text("name"));
            let missing = || Trouble::new("NOT_FOUND", format!("Could not resolve to a Repository with the name '{full_name}'."));
            let found = world.repository(&full_name).or_else(|| world.moved(&full_name)).ok_or_else(missing)?;
            world.allows(actor, found.id, &[]).map_err(|_| missing())?;
            Ok(Found::One(Object::Repository(found.id)))
        }
        "node" => Ok(Found::One(world.node(actor, text("id"))?)),
        "nodes" => {
            let ids = arguments.get("ids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            Ok(Found::Many(ids.map(|id| world.node(actor, id)).collect::<Result<_, _>>()?))
        }
        "viewer" => Ok(Found::One(Object::Account(world.me(actor)))),
        _ => Ok(Found::One(Object::RateLimit)),
    }
}

fn repository(world: &World, actor: &Actor, id: i64, name: &str, arguments: &Arguments) -> Result<Found, Trouble> {
    let Some(repository) = world.repositories.get(&id) else { return Ok(plain(Value::Null)) };
    let private = repository.visibility == Visibility::Private;
    Ok(match name {
        "id" => plain(node("R", id)),
        "databaseId" => plain(id),
        "name" => plain(repository.name()),
        "nameWithOwner" => plain(repository.full_name.as_str()),
        "url" => plain(format!("{}/{}", world.origin, repository.full_name)),
        "isPrivate" => plain(private),
        "visibility" => plain(if private { "PRIVATE" } else { "PUBLIC" }),
        "createdAt" => plain(time(repository.created_at)),
        "owner" => Found::One(Object::Account(repository.owner().to_owned())),
        wanted => {
            let number = arguments.get("number").and_then(Value::as_i64).unwrap_or_default();
            let is_pull = wanted == "pullRequest";
            world.allows(actor, id, &[(if is_pull { "pull_requests" } else { "issues" }, Level::Read)])?;
            let found = world.issues.get(&(id, number)).filter(|issue| issue.is_pull_request == is_pull);
            let what = if is_pull { "a PullRequest" } else { "an Issue" };
            let missing = || Trouble::new("NOT_FOUND", format!("Could not resolve to {what} with the number of {number}."));
            found.ok_or_else(missing)?;
            Found::One(Object::Issue((id, number)))
        }
    })
}

fn issue(world: &World, key: Key, name: &str, arguments: &Arguments) -> Result<Found, Trouble> {
    let Some(issue) = world.issues.get(&key) else { return Ok(plain(Value::Null)) };
    let page = |kind, all: Vec<Object>| Ok(Found::One(Object::Connection(Box::new(Connection::new(kind, all, arguments)?))));
    match name {
        "comments" => page("IssueCommentConnection", world.said(key).map(|comment| Object::Comment(comment.id)).collect()),
        "reviewThreads" => {
            let roots = world.remarks(key).filter(|comment| comment.reply_to.is_none());
            page("PullRequestReviewThreadConnection", roots.map(|root| Object::Thread(root.id)).collect())
        }
        "reviews" => page("PullRequestReviewConnection", reviews(world, key, arguments)),
        other => Ok(issue_plain(world, key, issue, other)),
    }
}

fn reviews(world: &World, key: Key, arguments: &Arguments) -> Vec<Object> {
    let states: Option<Vec<&str>> =
        arguments.get("states").and_then(Value::as_array).map(|all| all.iter().filter_map(Value::as_str).collect());
    let author = arguments.get("author").and_then(Value::as_str);
    let wanted = |review: &&Review| {
        review.state != ReviewState::Pending
            && states.as_ref().is_none_or(|states| states.contains(&review.state.as_str()))
            && author.is_none_or(|author| author.eq_ignore_ascii_case(&review.author))
    };
    world.reviews_of(key).filter(wanted).map(|review| Object::Review(review.id)).collect()
}

fn issue_plain(world: &World, key: Key, issue: &Issue, name: &str) -> Found {
    let json = world.issue_json(issue);
    match name {
        "id" => plain(node(if issue.is_pull_request { "PR" } else { "I" }, issue.id)),
        "databaseId" => plain(issue.id),
        "fullDatabaseId" => plain(issue.id.to_string()),
        "number" => plain(issue.number),
        "title" => plain(issue.title.as_str()),
        "body" => plain(issue.body.as_str()),
        "url" => plain(json["html_url"].clone()),
        "state" => plain(if issue.open { "OPEN" } else { "CLOSED" }),
        "closed" => plain(!issue.open),
        "createdAt" => plain(time(issue.created_at)),
        "updatedAt" => plain(time(issue.updated_at)),
        "author" => Found::One(Object::Account(issue.author.clone())),
        "authorAssociation" => plain(json["author_association"].clone()),
        "headRefOid" => plain(world.head_of(key)),
        _ => Found::One(Object::Repository(key.0)),
    }
}

fn thread(world: &World, actor: &Actor, root: i64, name: &str, arguments: &Arguments) -> Result<Found, Trouble> {
    let Some(first) = world.review.comments.get(&root) else { return Ok(plain(Value::Null)) };
    if name == "comments" {
        let of_it = world.remarks(first.pull).filter(|comment| comment.root() == root);
        let all = of_it.map(|comment| Object::Remark(comment.id)).collect();
        let page = Connection::new("PullRequestReviewCommentConnection", all, arguments)?;
        return Ok(Found::One(Object::Connection(Box::new(page))));
    }
    let resolved = world.review.resolved.get(&root);
    let pushes = !matches!(actor, Actor::Installation(grant) if !grant.holds("contents", Level::Write));
    let may = pushes && world.permission_of(actor, first.pull.0) >= Permission::Write;
    Ok(match name {
        "id" => plain(node("PRRT", root)),
        "isResolved" | "isCollapsed" => plain(resolved.is_some()),
        "isOutdated" => plain(world.current(first).is_none()),
        "resolvedBy" => maybe(resolved.cloned().map(Object::Account)),
        "viewerCanResolve" => plain(may && resolved.is_none()),
        "viewerCanUnresolve" => plain(may && resolved.is_some()),
        "viewerCanReply" => plain(true),
        "diffSide" => plain(first.anchor.map_or("RIGHT", |anchor| anchor.side.as_str())),
        "startDiffSide" => plain(first.anchor.and_then(|anchor| anchor.start).map(|(side, _)| side.as_str())),
        other => place(world, first, other),
    })
}

/// The fields threads and comments share.
fn place(world: &World, comment: &ReviewComment, name: &str) -> Found {
    let now = || world.current(comment).and_then(|current| current.anchor);
    let first = |anchor: Option<Anchor>| anchor.and_then(|anchor| anchor.start).map(|(_, line)| line);
    match name {
        "path" => plain(comment.path.as_str()),
        "line" => plain(now().map(|anchor| anchor.line)),
        "startLine" => plain(first(now())),
        "originalLine" => plain(comment.anchor.map(|anchor| anchor.line)),
        "originalStartLine" => plain(first(comment.anchor)),
        "subjectType" => plain(if comment.anchor.is_some() { "LINE" } else { "FILE" }),
        "repository" => Found::One(Object::Repository(comment.pull.0)),
        "pullRequest" => Found::One(Object::Issue(comment.pull)),
        _ => plain(Value::Null),
    }
}

fn remark(world: &World, actor: &Actor, comment: &ReviewComment, name: &str) -> Found {
    let json = || world.remark_json(comment);
    match name {
        "id" => plain(node("PRRC", comment.id)),
        "databaseId" => plain(comment.id),
        "fullDatabaseId" => plain(comment.id.to_string()),
        "body" => plain(comment.body()),
        "author" => Found::One(Object::Account(comment.author.clone())),
        "authorAssociation" => plain(json()["author_association"].clone()),
        "position" => plain(json()["position"].clone()),
        "originalPosition" => plain(comment.anchor.map(|anchor| anchor.position)),
        "diffHunk" => plain(comment.diff_hunk.as_str()),
        "outdated" => plain(world.current(comment).is_none()),
        "isMinimized" => plain(comment.minimized.is_some()),
        "minimizedReason" => plain(comment.minimized.clone()),
        "viewerCanMinimize" => plain(world.permission_of(actor, comment.pull.0) >= Permission::Write),
        "viewerDidAuthor" => plain(world.me(actor) == comment.author),
        "state" => plain(if world.is_pending(comment) { "PENDING" } else { "SUBMITTED" }),
        "createdAt" | "publishedAt" => plain(time(comment.created_at)),
        "updatedAt" => plain(time(comment.updated_at)),
        "url" => plain(json()["html_url"].clone()),
        "commit" => maybe(json()["commit_id"].as_str().map(|sha| Object::Commit(sha.to_owned()))),
        "originalCommit" => Found::One(Object::Commit(comment.original_commit.clone())),
        "replyTo" => maybe(comment.reply_to.map(Object::Remark)),
        "pullRequestReview" => Found::One(Object::Review(comment.review)),
        other => place(world, comment, other),
    }
}

fn review(world: &World, actor: &Actor, review: &Review, name: &str, arguments: &Arguments) -> Result<Found, Trouble> {
    let json = world.review_json(review);
    Ok(match name {
        "id" => plain(node("PRR", review.id)),
        "databaseId" => plain(review.id),
        "fullDatabaseId" => plain(review.id.to_string()),
        "body" => plain(review.body.as_str()),
        "author" => Found::One(Object::Account(review.author.clone())),
        "authorAssociation" => plain(json["author_association"].clone()),
        "state" => plain(review.state.as_str()),
        "createdAt" | "submittedAt" | "publishedAt" => plain(review.submitted_at.map(time)),
        "url" => plain(json["html_url"].clone()),
        "isMinimized" => plain(review.minimized.is_some()),
        "minimizedReason" => plain(review.minimized.clone()),
        "viewerCanMinimize" => plain(world.permission_of(actor, review.pull.0) >= Permission::Write),
        "viewerDidAuthor" => plain(world.me(actor) == review.author),
        "commit" => Found::One(Object::Commit(review.commit.clone())),
        "pullRequest" => Found::One(Object::Issue(review.pull)),
        "repository" => Found::One(Object::Repository(review.pull.0)),
        _ => {
            let of_it = world.review.comments.values().filter(|comment| comment.review == review.id);
            let all = of_it.map(|comment| Object::Remark(comment.id)).collect();
            Found::One(Object::Connection(Box::new(Connection::new("PullRequestReviewCommentConnection", all, arguments)?)))
        }
    })
}

fn comment(world: &World, actor: &Actor, comment: &Comment, name: &str) -> Found {
    let json = world.comment_json(comment);
    let minimized = world.minimized.get(&comment.id);
    let is_pull = world.issues.get(&comment.issue).is_some_and(|issue| issue.is_pull_request);
    match name {
        "id" => plain(node("IC", comment.id)),
        "databaseId" => plain(comment.id),
        "fullDatabaseId" => plain(comment.id.to_string()),
        "body" => plain(comment.body()),
        "author" => Found::One(Object::Account(comment.author.clone())),
        "authorAssociation" => plain(json["author_association"].clone()),
        "createdAt" | "publishedAt" => plain(time(comment.created_at)),
        "updatedAt" => plain(time(comment.updated_at)),
        "url" => plain(json["html_url"].clone()),
        "isMinimized" => plain(minimized.is_some()),
        "minimizedReason" => plain(minimized.cloned()),
        "viewerCanMinimize" => plain(world.permission_of(actor, comment.issue.0) >= Permission::Write),
        "viewerDidAuthor" => plain(world.me(actor) == comment.author),
        "pullRequest" if !is_pull => plain(Value::Null),
        "issue" | "pullRequest" => Found::One(Object::Issue(comment.issue)),
        _ => Found::One(Object::Repository(comment.issue.0)),
    }
}

fn account(world: &World, login: &str, name: &str) -> Found {
    let json = world.user_json(login);
    plain(match name {
        "id" => json["node_id"].clone(),
        "databaseId" => json["id"].clone(),
        // GraphQL names Apps without the suffix REST gives them.
        "login" => login.trim_end_matches("[bot]").into(),
        "url" => json["html_url"].clone(),
        "avatarUrl" => json["avatar_url"].clone(),
        "resourcePath" => format!("/{}", login.trim_end_matches("[bot]")).into(),
        _ => Value::Null,
    })
}
