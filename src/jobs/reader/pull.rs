//! Pull requests: what they bring as of the request, and what was said about them until then.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::{COMMENT, GithubReader, OPENING, explain, login, named, time};
use crate::agent::tools::{HandError, Target};
use crate::github::{ChangedFile, LineComment, MOST_FILES, PER_PAGE, PullHead, PullInFull, Reads, RepoRef};
use crate::intake::Trigger;
use crate::reply::{clean, inline};

/// Files on a page of ours.
const FILES: usize = 2 * PER_PAGE;
/// Files that are told at the beginning.
const OUTLINED: usize = 40;
/// Bytes of one file's diff.
const DIFF: usize = 48_000;
/// Commits, reviews and threads that are told, the newest.
const COMMITS: usize = 50;
const REVIEWS: usize = 30;
const THREADS: usize = 40;
/// Bytes of all threads.
const THREADS_TEXT: usize = 40_000;
/// Bytes of the hunk a thread stands under: its end is what the thread is about.
const HUNK: usize = 800;

impl GithubReader {
    pub(super) async fn read_pull(&self, target: &Target) -> Result<Value, HandError> {
        let at = self.pull_at(target).await?;
        let mut told = self.facts(&at);
        let files = self.files_of(&at, target.page).await;
        match files {
            Ok(files) => told["files"] = listed(&files, target.page, at.pull.changed_files, at.head.moved_to.is_some()),
            Err(error) => told["files"] = json!({"error": error.to_string()}),
        }
        if target.page == 1 {
            told["commits"] = self.commits(&at).await.unwrap_or_else(|error| json!({"error": error.to_string()}));
            told["reviews"] = self.reviews(&at).await.unwrap_or_else(|error| json!({"error": error.to_string()}));
            told["threads"] = self.threads(&at).await.unwrap_or_else(|error| json!({"error": error.to_string()}));
        }
        Ok(told)
    }

    /// Base, head and the first changed files, quoted.
    pub(super) async fn outlined(&self) -> Result<String, HandError> {
        let at = self.pull_at(&Target { page: 1, ..Target::default() }).await?;
        let files = self.files_of(&at, 1).await?;
        let pull = &at.pull;
        let fork = if pull.head.repository == pull.base.repository { "" } else { " of a fork" };
        let mut lines = vec![
            format!("base: {} at {}", clean::line(&pull.base.branch, 255), pull.base.sha),
            format!("head: {}{fork} at {}", clean::line(&pull.head.branch, 255), at.head.sha),
            format!("{} changed:", inline::counted(pull.changed_files, "file")),
        ];
        let one = |file: &ChangedFile| {
            format!("- {} ({}, +{} -{})", clean::line(&file.path, 300), file.status, file.additions, file.deletions)
        };
        lines.extend(files.iter().take(OUTLINED).map(one));
        if pull.changed_files > OUTLINED as u64 {
            lines.push("(the others: readPullRequest)".to_owned());
        }
        Ok(clean::quote("pull request", "", &lines.join("\n")))
    }

    pub(super) async fn read_diff(&self, target: &Target, path: &str) -> Result<Value, HandError> {
        let at = self.pull_at(target).await?;
        let path = path.trim().trim_start_matches("./").trim_start_matches('/');
        for page in 1..=MOST_FILES / FILES {
            let files = self.files_of(&at, page).await?;
            let count = files.len();
            if let Some(file) = files.into_iter().find(|file| file.path == path || file.previous.as_deref() == Some(path)) {
                return Ok(diff_of(&at, &file));
            }
            if count < FILES || at.head.moved_to.is_some() {
                break;
            }
        }
        let what = clean::line(path, 300);
        Err(HandError::Refused(format!("`{what}` is not among the changed files; readPullRequest without `path` lists them.")))
    }

    async fn pull_at(&self, target: &Target) -> Result<At, HandError> {
        let repo = self.reach(target).await?;
        let number = self.number(target)?;
        let (is_own, what) = (self.is_own(&repo, number), named(&repo, number));
        if is_own && !self.is_pull_request {
            return Err(HandError::Refused("This conversation is an issue. Give the `number` of a pull request.".to_owned()));
        }
        let reads = Reads { repo: &repo, with: self.rights(&repo) };
        let pull = self.github.pull_in_full(reads, number).await.map_err(|error| explain(&error, &what))?;
        if pull.created_at > self.horizon() && !is_own {
            return Err(HandError::Refused(format!("{what} was opened after the request was written.")));
        }
        let head = self.head_at(reads, number, &pull).await?;
        let rights = reads.with.clone();
        Ok(At { repo, rights, number, is_own, pull, head })
    }

    /// The head as it stood: as the notification named it, else by the dates of the commits.
    async fn head_at(&self, reads: Reads<'_>, number: i64, pull: &PullInFull) -> Result<PullHead, HandError> {
        let from_fork = pull.head.repository != pull.base.repository;
        let named = self.request.head.clone().filter(|_| self.is_own(reads.repo, number));
        if let Some(sha) = named {
            let moved_to = (sha != pull.head.sha).then(|| pull.head.sha.clone());
            return Ok(PullHead { sha, moved_to, from_fork });
        }
        let commits = self.github.pull_commits(reads, number).await.map_err(|error| explain(&error, "its commits"))?;
        let stood = commits.iter().rev().find(|commit| commit.at.is_none_or(|at| at <= self.horizon()));
        Ok(match stood {
            Some(commit) if commit.sha != pull.head.sha => {
                PullHead { sha: commit.sha.clone(), moved_to: Some(pull.head.sha.clone()), from_fork }
            }
            Some(_) | None => PullHead { sha: pull.head.sha.clone(), moved_to: None, from_fork },
        })
    }

    fn facts(&self, at: &At) -> Value {
        let pull = &at.pull;
        let newer = pull.updated_at > self.horizon();
        let (title, body) = if at.is_own {
            let body = match self.request.trigger {
                Trigger::Body => Some(self.request.text.as_str()),
                Trigger::Comment(_) | Trigger::Review(_) | Trigger::ReviewComment(_) | Trigger::Event => {
                    self.request.body.as_deref()
                }
            };
            (self.request.title.as_str(), body.or_else(|| (!newer).then_some(pull.body.as_str())))
        } else {
            (pull.title.as_str(), Some(pull.body.as_str()))
        };
        let mut told = json!({
            "repository": at.repo.full_name, "number": at.number, "state": if pull.is_merged { "merged" } else { pull.state.as_str() },
            "draft": pull.is_draft, "author": login(pull.author.as_ref()), "trust": self.trust(pull.author.as_ref(), false),
            "createdAt": time(pull.created_at), "title": clean::line(title, 1_000), "text": clean::data(body.unwrap_or_default(), OPENING),
            "base": { "branch": clean::line(&pull.base.branch, 255), "commit": pull.base.sha },
            "head": { "branch": clean::line(&pull.head.branch, 255), "commit": at.head.sha, "repository": pull.head.repository,
                "fromFork": pull.head.repository != pull.base.repository },
            "changed": { "files": pull.changed_files, "additions": pull.additions, "deletions": pull.deletions, "commits": pull.commits },
        });
        if let Some(newer) = &at.head.moved_to {
            let text = format!(
                "Commits newer than the request are left out; its head is now {newer}. The figures under `changed` count them."
            );
            told["note"] = json!(text);
        }
        told
    }

    async fn files_of(&self, at: &At, page: usize) -> Result<Vec<ChangedFile>, HandError> {
        let (reads, what) = (at.reads(), "the changed files");
        if at.head.moved_to.is_some() {
            let files = self.github.compared_files(reads, &at.pull.base.sha, &at.head.sha).await;
            let files = files.map_err(|error| explain(&error, what))?;
            return Ok(files.into_iter().skip((page - 1).saturating_mul(FILES)).take(FILES).collect());
        }
        if page > MOST_FILES / FILES {
            return Ok(Vec::new());
        }
        let first = (page - 1) * 2 + 1;
        let mut files = self.github.changed_files(reads, at.number, first).await.map_err(|error| explain(&error, what))?;
        if files.len() == PER_PAGE {
            files.extend(self.github.changed_files(reads, at.number, first + 1).await.map_err(|error| explain(&error, what))?);
        }
        Ok(files)
    }

    async fn commits(&self, at: &At) -> Result<Value, HandError> {
        let commits = self.github.pull_commits(at.reads(), at.number).await.map_err(|error| explain(&error, "its commits"))?;
        let until = commits.iter().position(|commit| commit.sha == at.head.sha).map_or(commits.len(), |last| last + 1);
        let (stood, skipped) = (&commits[..until], until.saturating_sub(COMMITS));
        let shown: Vec<Value> = stood[skipped..]
            .iter()
            .map(|commit| {
                json!({ "commit": commit.sha, "author": clean::line(&commit.author, 100), "message": clean::plain_data(&commit.message, 1_000) })
            })
            .collect();
        Ok(with_count(shown, skipped, "earlier commit"))
    }

    async fn reviews(&self, at: &At) -> Result<Value, HandError> {
        let reviews = self.github.pull_reviews(at.reads(), at.number).await.map_err(|error| explain(&error, "its reviews"))?;
        let stood: Vec<_> = reviews.iter().filter(|review| review.at.is_some_and(|at| at < self.horizon())).collect();
        let skipped = stood.len().saturating_sub(REVIEWS);
        let shown = stood[skipped..].iter().map(|review| {
            json!({
                "author": login(review.author.as_ref()), "trust": self.trust(review.author.as_ref(), false), "verdict": review.state,
                "commit": review.commit, "at": review.at.map(time), "text": clean::data(&review.body, COMMENT),
            })
        });
        Ok(with_count(shown.collect(), skipped, "earlier review"))
    }

    async fn threads(&self, at: &At) -> Result<Value, HandError> {
        let comments = self.github.line_comments(at.reads(), at.number).await.map_err(|error| explain(&error, "its threads"))?;
        // Without the right to ask, the state is not told; everything else is.
        let resolved = self.github.resolved_threads(at.reads(), at.number).await.unwrap_or_default();
        let (threads, later) =
            grouped(comments, |comment| comment.created_at < self.horizon() && comment.updated_at < self.horizon());
        let skipped = threads.len().saturating_sub(THREADS);
        let (mut room, mut shown) = (THREADS_TEXT, Vec::new());
        for thread in threads.into_values().skip(skipped) {
            shown.push(self.thread(&thread, &resolved, &mut room));
        }
        let mut told = with_count(shown, skipped, "earlier thread");
        if later > 0 {
            told["leftOut"] = json!(format!("{} written or edited after the request", inline::counted(later as u64, "comment")));
        }
        Ok(told)
    }

    fn thread(&self, thread: &[LineComment], resolved: &HashMap<i64, bool>, room: &mut usize) -> Value {
        let root = &thread[0];
        let mut comments = Vec::new();
        for comment in thread {
            let text = clean::data(&comment.body, COMMENT.min(*room));
            *room = room.saturating_sub(text.len());
            comments.push(json!({
                "author": login(comment.author.as_ref()), "trust": self.trust(comment.author.as_ref(), false),
                "at": time(comment.updated_at), "text": if *room == 0 { "(left out: too much text)".into() } else { text },
            }));
        }
        let end = root.hunk.ceil_char_boundary(root.hunk.len().saturating_sub(HUNK));
        json!({
            "path": clean::line(&root.path, 500), "line": root.line.or(root.original_line), "outdated": root.line.is_none(),
            "resolved": resolved.get(&root.reply_to.unwrap_or(root.id)), "hunk": clean::plain_data(&root.hunk[end..], HUNK),
            "comments": comments,
        })
    }
}

/// A pull request as of the request.
struct At {
    repo: RepoRef,
    rights: RepoRef,
    number: i64,
    is_own: bool,
    pull: PullInFull,
    head: PullHead,
}

impl At {
    fn reads(&self) -> Reads<'_> {
        Reads { repo: &self.repo, with: &self.rights }
    }
}

/// The comments that count by thread, in the order of the threads, and how many do not count.
fn grouped(comments: Vec<LineComment>, counts: impl Fn(&LineComment) -> bool) -> (BTreeMap<i64, Vec<LineComment>>, usize) {
    let mut threads: BTreeMap<i64, Vec<LineComment>> = BTreeMap::new();
    let mut later = 0;
    for comment in comments {
        if counts(&comment) {
            threads.entry(comment.reply_to.unwrap_or(comment.id)).or_default().push(comment);
        } else {
            later += 1;
        }
    }
    (threads, later)
}

fn with_count(shown: Vec<Value>, skipped: usize, what: &str) -> Value {
    let mut told = json!({ "shown": shown });
    if skipped > 0 {
        told["omitted"] = json!(inline::counted(skipped as u64, what));
    }
    told
}

fn listed(files: &[ChangedFile], page: usize, all: u64, moved: bool) -> Value {
    let file = |file: &ChangedFile| {
        let mut told = json!({
            "path": clean::line(&file.path, 500), "status": file.status, "additions": file.additions, "deletions": file.deletions,
        });
        if let Some(previous) = &file.previous {
            told["previousPath"] = json!(clean::line(previous, 500));
        }
        told
    };
    let mut told = json!({ "shown": files.iter().map(file).collect::<Vec<_>>(), "page": page });
    let seen = (page as u64 - 1) * FILES as u64 + files.len() as u64;
    if !moved && seen < all.min(MOST_FILES as u64) && files.len() == FILES {
        told["next"] = json!(format!("page {}; {} left", page + 1, inline::counted(all - seen, "file")));
    }
    if !moved && all > MOST_FILES as u64 {
        told["omitted"] =
            json!(format!("GitHub lists {MOST_FILES} of the {all} files; use the diff tool in the workspace for the others."));
    }
    told
}

fn diff_of(at: &At, file: &ChangedFile) -> Value {
    let mut told = json!({
        "repository": at.repo.full_name, "number": at.number, "path": clean::line(&file.path, 500), "status": file.status,
        "additions": file.additions, "deletions": file.deletions, "base": at.pull.base.sha, "head": at.head.sha,
    });
    match &file.patch {
        Some(patch) => told["diff"] = json!(clean::plain_data(patch, DIFF)),
        None => {
            let why = "GitHub gives no diff of it: it is binary, very large, or only renamed. Look at the file in the workspace.";
            told["note"] = json!(why);
        }
    }
    told
}
