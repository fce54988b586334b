//! Making reviews and comments, all or nothing: used by the HTTP side and by the people's side.

use serde::Deserialize;

use super::super::world::{Key, Version, World};
use super::anchor::{Anchor, Misplaced, place};
use super::{Review, ReviewComment, ReviewState};

pub(super) const LONGEST_TEXT: usize = 65_536;

/// A comment as somebody wants it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Wanted {
    pub path: String,
    pub body: String,
    pub position: Option<u32>,
    pub line: Option<u32>,
    pub side: Option<String>,
    pub start_line: Option<u32>,
    pub start_side: Option<String>,
    pub subject_type: Option<String>,
}

/// A comment whose place was found.
pub(super) struct Placed {
    path: String,
    body: String,
    anchor: Option<Anchor>,
    diff_hunk: String,
}

/// Why a comment cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Path,
    Place(Misplaced),
    Blank,
    TooLong,
}

impl Unfit {
    /// As a review of several comments says it, which does not tell which of them is meant.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Path => "Path could not be resolved",
            Self::Place(Misplaced::Nowhere | Misplaced::Line) => "Line could not be resolved",
            Self::Place(Misplaced::Side) => "Side is invalid",
            Self::Place(Misplaced::StartLine) => {
                "Pull request review thread start line must be part of the same hunk as the line."
            }
            Self::Place(Misplaced::Order) => "Pull request review thread start line must precede the end line.",
            Self::Blank => "Body can't be blank",
            Self::TooLong => "Body is too long (maximum is 65536 characters)",
        }
    }

    /// The field and the words of the refusal of a single comment.
    pub fn field(self) -> (&'static str, &'static str) {
        match self {
            Self::Path => ("pull_request_review_thread.path", "pull_request_review_thread.path is invalid"),
            Self::Place(Misplaced::Nowhere | Misplaced::Line) => {
                ("pull_request_review_thread.line", "pull_request_review_thread.line must be part of the diff")
            }
            Self::Place(Misplaced::Side) => {
                ("pull_request_review_thread.side", "pull_request_review_thread.side is not included in the list")
            }
            Self::Place(Misplaced::StartLine) => (
                "pull_request_review_thread.start_line",
                "pull_request_review_thread.start_line must be part of the same hunk as the line.",
            ),
            Self::Place(Misplaced::Order) => {
                ("pull_request_review_thread.start_line", "pull_request_review_thread.start_line must precede the end line.")
            }
            Self::Blank => ("body", "body can't be blank"),
            Self::TooLong => ("body", "body is too long (maximum is 65536 characters)"),
        }
    }
}

/// A review that was checked and can be kept.
pub(super) struct Checked {
    pub key: Key,
    pub author: String,
    pub state: ReviewState,
    pub body: String,
    pub commit: String,
    pub comments: Vec<Placed>,
}

impl World {
    /// Finds the place of a comment in the diff of a commit.
    pub(super) fn fit(&self, key: Key, commit: &str, wanted: &Wanted) -> Result<Placed, Unfit> {
        if wanted.body.trim().is_empty() {
            return Err(Unfit::Blank);
        }
        if wanted.body.chars().count() > LONGEST_TEXT {
            return Err(Unfit::TooLong);
        }
        let patch = self.patch_at(key, commit, &wanted.path).ok_or(Unfit::Path)?;
        let (path, body) = (wanted.path.clone(), wanted.body.clone());
        if wanted.subject_type.as_deref() == Some("file") {
            return Ok(Placed { path, body, anchor: None, diff_hunk: String::new() });
        }
        let patch = patch.ok_or(Unfit::Place(Misplaced::Line))?;
        let (anchor, diff_hunk) = place(&patch, wanted).map_err(Unfit::Place)?;
        Ok(Placed { path, body, anchor: Some(anchor), diff_hunk })
    }

    /// Keeps a review with its comments.
    pub(super) fn add_review(&mut self, checked: Checked) -> i64 {
        let Checked { key, author, state, body, commit, comments } = checked;
        let (id, now, is_ours) = (self.id(), self.now(), author == self.our_login());
        let submitted_at = (state != ReviewState::Pending).then_some(now);
        let (commit_id, by) = (commit.clone(), author.clone());
        let review = Review { id, pull: key, author: by, is_ours, body, state, commit: commit_id, minimized: None, submitted_at };
        self.review.all.insert(id, review);
        for Placed { path, body, anchor, diff_hunk } in comments {
            let comment = ReviewComment {
                id: self.id(),
                pull: key,
                review: id,
                author: author.clone(),
                is_ours,
                versions: vec![Version { body, at: now, by: author.clone() }],
                path,
                anchor,
                original_commit: commit.clone(),
                diff_hunk,
                reply_to: None,
                minimized: None,
                created_at: now,
                updated_at: now,
            };
            self.review.comments.insert(comment.id, comment);
        }
        if state != ReviewState::Pending {
            self.review_was_given(key, &author);
        }
        id
    }

    /// Keeps a single comment, in a review of its own; returns the review.
    pub(super) fn add_single(&mut self, key: Key, author: String, commit: String, placed: Placed) -> i64 {
        let state = ReviewState::Commented;
        self.add_review(Checked { key, author, state, body: String::new(), commit, comments: vec![placed] })
    }

    /// Answers in a thread. The answer belongs to a review of its own, as on GitHub.
    pub(super) fn add_reply(&mut self, to: i64, author: &str, body: &str) -> Option<i64> {
        let root = self.review.comments.get(&to)?.root();
        let root = self.review.comments.get(&root)?.clone();
        let review = self.add_review(Checked {
            key: root.pull,
            author: author.to_owned(),
            state: ReviewState::Commented,
            body: String::new(),
            commit: self.head_of(root.pull)?,
            comments: Vec::new(),
        });
        let (id, now) = (self.id(), self.now());
        let reply = ReviewComment {
            id,
            review,
            author: author.to_owned(),
            is_ours: author == self.our_login(),
            versions: vec![Version { body: body.to_owned(), at: now, by: author.to_owned() }],
            reply_to: Some(root.id),
            minimized: None,
            created_at: now,
            updated_at: now,
            ..root
        };
        self.review.comments.insert(id, reply);
        Some(id)
    }

    pub(super) fn edit_remark(&mut self, id: i64, by: &str, body: &str) -> Option<String> {
        let now = self.now();
        let comment = self.review.comments.get_mut(&id)?;
        let before = comment.body().to_owned();
        comment.versions.push(Version { body: body.to_owned(), at: now, by: by.to_owned() });
        comment.updated_at = now;
        Some(before)
    }

    /// Removes a comment. When a thread loses its first comment, the next one begins it.
    pub(super) fn forget_remark(&mut self, id: i64) {
        let Some(gone) = self.review.comments.remove(&id) else { return };
        self.reactions.remove(&(gone.pull, Some(id)));
        if gone.reply_to.is_some() {
            return;
        }
        let answers: Vec<i64> = self.review.comments.values().filter(|c| c.reply_to == Some(id)).map(|c| c.id).collect();
        let resolved = self.review.resolved.remove(&id);
        let Some((first, _)) = answers.split_first() else { return };
        for answer in &answers {
            if let Some(comment) = self.review.comments.get_mut(answer) {
                comment.reply_to = (answer != first).then_some(*first);
            }
        }
        if let Some(by) = resolved {
            self.review.resolved.insert(*first, by);
        }
    }

    pub(super) fn review_was_given(&mut self, key: Key, author: &str) {
        if let Some(pull) = self.pulls.get_mut(&key) {
            pull.requested_reviewers.retain(|asked| !asked.eq_ignore_ascii_case(author));
        }
        self.touch(key);
    }
}
