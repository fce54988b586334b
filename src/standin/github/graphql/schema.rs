//! The part of GitHub's schema that is here, and checking a document against it before anything is done.

use super::Trouble;
use super::parse::{Document, Field, Selection};

/// Type, then fields: `name`, `name:Type` when it has fields of its own, `name(argument required!)`.
const SCHEMA: &str = "
Query repository(owner! name! followRenames):Repository node(id!):Node nodes(ids!):Node viewer:User rateLimit:RateLimit
RateLimit limit cost remaining resetAt used nodeCount
Mutation resolveReviewThread(input!):ResolveReviewThreadPayload unresolveReviewThread(input!):UnresolveReviewThreadPayload minimizeComment(input!):MinimizeCommentPayload unminimizeComment(input!):UnminimizeCommentPayload addReaction(input!):AddReactionPayload removeReaction(input!):RemoveReactionPayload
ResolveReviewThreadPayload clientMutationId thread:PullRequestReviewThread
UnresolveReviewThreadPayload clientMutationId thread:PullRequestReviewThread
MinimizeCommentPayload clientMutationId minimizedComment:Minimizable
UnminimizeCommentPayload clientMutationId unminimizedComment:Minimizable
AddReactionPayload clientMutationId reaction:Reaction subject:Reactable
RemoveReactionPayload clientMutationId reaction:Reaction subject:Reactable
Reaction id databaseId content createdAt user:User
Node id
Minimizable isMinimized minimizedReason viewerCanMinimize
Reactable id databaseId
Actor login url avatarUrl resourcePath
RepositoryOwner id login url avatarUrl
User id databaseId login url avatarUrl name resourcePath
Bot id databaseId login url avatarUrl resourcePath
Organization id databaseId login url avatarUrl name resourcePath
Repository id databaseId name nameWithOwner url isPrivate visibility createdAt owner:RepositoryOwner pullRequest(number!):PullRequest issue(number!):Issue
Issue id databaseId fullDatabaseId number title body url state closed createdAt updatedAt author:Actor authorAssociation repository:Repository comments(@):IssueCommentConnection
PullRequest id databaseId fullDatabaseId number title body url state closed createdAt updatedAt author:Actor authorAssociation repository:Repository headRefOid comments(@):IssueCommentConnection reviewThreads(@):PullRequestReviewThreadConnection reviews(@ states author):PullRequestReviewConnection
PullRequestReviewThread id isResolved isOutdated isCollapsed path line originalLine startLine originalStartLine diffSide startDiffSide subjectType resolvedBy:User viewerCanResolve viewerCanUnresolve viewerCanReply pullRequest:PullRequest repository:Repository comments(@ skip):PullRequestReviewCommentConnection
PullRequestReviewComment id databaseId fullDatabaseId body author:Actor authorAssociation path line originalLine startLine originalStartLine position originalPosition diffHunk subjectType outdated isMinimized minimizedReason viewerCanMinimize viewerDidAuthor state createdAt updatedAt publishedAt url commit:Commit originalCommit:Commit replyTo:PullRequestReviewComment pullRequestReview:PullRequestReview pullRequest:PullRequest repository:Repository
PullRequestReview id databaseId fullDatabaseId body author:Actor authorAssociation state createdAt submittedAt publishedAt url isMinimized minimizedReason viewerCanMinimize viewerDidAuthor commit:Commit pullRequest:PullRequest repository:Repository comments(@):PullRequestReviewCommentConnection
IssueComment id databaseId fullDatabaseId body author:Actor authorAssociation createdAt updatedAt publishedAt url isMinimized minimizedReason viewerCanMinimize viewerDidAuthor issue:Issue pullRequest:PullRequest repository:Repository
Commit oid abbreviatedOid
PageInfo hasNextPage hasPreviousPage startCursor endCursor
IssueCommentConnection totalCount pageInfo:PageInfo nodes:IssueComment edges:IssueCommentEdge
IssueCommentEdge cursor node:IssueComment
PullRequestReviewThreadConnection totalCount pageInfo:PageInfo nodes:PullRequestReviewThread edges:PullRequestReviewThreadEdge
PullRequestReviewThreadEdge cursor node:PullRequestReviewThread
PullRequestReviewCommentConnection totalCount pageInfo:PageInfo nodes:PullRequestReviewComment edges:PullRequestReviewCommentEdge
PullRequestReviewCommentEdge cursor node:PullRequestReviewComment
PullRequestReviewConnection totalCount pageInfo:PageInfo nodes:PullRequestReview edges:PullRequestReviewEdge
PullRequestReviewEdge cursor node:PullRequestReview";

const PAGING: [&str; 4] = ["first", "last", "after", "before"];

/// Interfaces and unions with what belongs to them.
const KINDS: [(&str, &[&str]); 5] = [
    (
        "Node",
        &[
            "User",
            "Bot",
            "Organization",
            "Repository",
            "Issue",
            "PullRequest",
            "PullRequestReviewThread",
            "PullRequestReviewComment",
            "PullRequestReview",
            "IssueComment",
            "Reaction",
        ],
    ),
    ("Actor", &["User", "Bot", "Organization"]),
    ("RepositoryOwner", &["User", "Organization"]),
    ("Minimizable", &["PullRequestReviewComment", "PullRequestReview", "IssueComment"]),
    ("Reactable", &["PullRequestReviewComment", "PullRequestReview", "IssueComment", "Issue", "PullRequest"]),
];

/// A field of a type.
struct Known {
    /// The type of what it leads to; none for a plain value.
    leads_to: Option<&'static str>,
    arguments: Vec<(&'static str, bool)>,
    is_connection: bool,
}

fn fields(kind: &str) -> Option<&'static str> {
    SCHEMA.lines().find_map(|line| line.split_once(' ').filter(|(name, _)| *name == kind)).map(|(_, fields)| fields)
}

fn known(kind: &str, field: &str) -> Option<Known> {
    if field == "__typename" {
        return Some(Known { leads_to: None, arguments: Vec::new(), is_connection: false });
    }
    let mut rest = fields(kind)?;
    loop {
        let end = rest.find([' ', '(', ':']).unwrap_or(rest.len());
        let (name, mut tail) = rest.split_at(end);
        let mut arguments = Vec::new();
        let mut is_connection = false;
        if let Some(inside) = tail.strip_prefix('(') {
            let (written, after) = inside.split_once(')')?;
            for argument in written.split(' ') {
                match argument.strip_suffix('!') {
                    Some(required) => arguments.push((required, true)),
                    None if argument == "@" => {
                        is_connection = true;
                        arguments.extend(PAGING.map(|name| (name, false)));
                    }
                    None => arguments.push((argument, false)),
                }
            }
            tail = after;
        }
        let (leads_to, after) = match tail.strip_prefix(':') {
            Some(typed) => {
                let end = typed.find(' ').unwrap_or(typed.len());
                (Some(&typed[..end]), &typed[end..])
            }
            None => (None, tail),
        };
        if name == field {
            return Some(Known { leads_to, arguments, is_connection });
        }
        rest = after.strip_prefix(' ')?;
    }
}

/// True when a thing of this type is meant by a fragment on `wanted`.
pub(super) fn belongs(kind: &str, wanted: &str) -> bool {
    kind == wanted || KINDS.iter().any(|(name, members)| *name == wanted && members.contains(&kind))
}

/// Says what about a selection does not fit the schema.
pub(super) fn check(document: &Document, kind: &str, selections: &[Selection], depth: usize) -> Result<(), Trouble> {
    // Fragments may name each other in circles.
    if depth > 60 {
        return Err(Trouble::invalid("infiniteLoop", "Fragment contains an infinite loop"));
    }
    for selection in selections {
        match selection {
            Selection::Field(field) => check_field(document, kind, field, depth)?,
            Selection::Inline { on, fields, .. } => {
                let on = on.as_deref().unwrap_or(kind);
                exists(on)?;
                check(document, on, fields, depth + 1)?;
            }
            Selection::Spread { name, .. } => {
                let missing = || Trouble::invalid("useAndDefineFragment", format!("Fragment {name} was used, but not defined"));
                let fragment = document.fragments.get(name).ok_or_else(missing)?;
                exists(&fragment.on)?;
                check(document, &fragment.on, &fragment.fields, depth + 1)?;
            }
        }
    }
    Ok(())
}

fn exists(kind: &str) -> Result<(), Trouble> {
    let missing = || Trouble::invalid("undefinedType", format!("No such type {kind}, so it can't be a fragment condition"));
    fields(kind).map(|_| ()).ok_or_else(missing)
}

fn check_field(document: &Document, kind: &str, field: &Field, depth: usize) -> Result<(), Trouble> {
    let name = &field.name;
    let undefined = || Trouble::invalid("undefinedField", format!("Field '{name}' doesn't exist on type '{kind}'"));
    let known = known(kind, name).ok_or_else(undefined)?;
    for (argument, _) in &field.arguments {
        if !known.arguments.iter().any(|(known, _)| known == argument) {
            let message = format!("Field '{name}' doesn't accept argument '{argument}'");
            return Err(Trouble::invalid("argumentNotAccepted", message));
        }
    }
    for (argument, required) in &known.arguments {
        if *required && !field.arguments.iter().any(|(given, _)| given == argument) {
            let message = format!("Field '{name}' is missing required arguments: {argument}");
            return Err(Trouble::invalid("missingRequiredArguments", message));
        }
    }
    if known.is_connection && !field.arguments.iter().any(|(given, _)| given == "first" || given == "last") {
        let message = format!("You must provide a `first` or `last` value to properly paginate the `{name}` connection.");
        return Err(Trouble::new("MISSING_PAGINATION_BOUNDARIES", message));
    }
    match (known.leads_to, field.fields.is_empty()) {
        (Some(kind), false) => check(document, kind, &field.fields, depth + 1),
        (None, true) => Ok(()),
        (Some(kind), true) => {
            let message = format!("Field must have selections (field '{name}' returns {kind} but has no selections.)");
            Err(Trouble::invalid("selectionMismatch", message))
        }
        (None, false) => {
            let message = format!("Selections can't be made on scalars (field '{name}' returns a scalar but has selections)");
            Err(Trouble::invalid("selectionMismatch", message))
        }
    }
}
