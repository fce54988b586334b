//! Two commits compared over HTTP, from where they parted.

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::super::api::Paging;
use super::super::refuse::Refuse;
use super::super::world::{Repository, World};
use super::changes::changes;
use super::object::Commit;
use super::read::Asked;

const MOST_FILES: usize = 300;
const MOST_COMMITS: usize = 250;

impl World {
    /// A side of a comparison or the head of a pull request: a branch or commit, of a fork when an owner precedes it.
    pub(in super::super) fn side<'a>(&'a self, repository: &'a Repository, side: &str) -> Option<(&'a Repository, String)> {
        let Some((owner, reference)) = side.split_once(':') else { return Some((repository, side.to_owned())) };
        let (name, reference) = reference.split_once(':').map_or((None, reference), |(name, reference)| (Some(name), reference));
        let owned = |other: &&Repository| {
            other.owner().eq_ignore_ascii_case(owner) && name.is_none_or(|name| other.name().eq_ignore_ascii_case(name))
        };
        let network = repository.root();
        let mut relatives = self.repositories.values().filter(|other| other.root() == network).filter(owned);
        let found = if owned(&repository) { Some(repository) } else { relatives.next() };
        found.map(|found| (found, reference.to_owned()))
    }

    fn compared(&self, repository: &Repository, side: &str) -> Option<Commit> {
        let (repository, reference) = self.side(repository, side)?;
        repository.git.resolve(&reference)
    }
}

pub(in super::super) async fn compare(
    (State(shared), Extension(actor)): Asked,
    Path((owner, repo, both)): Path<(String, String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Value>, Refuse> {
    let world = shared.lock();
    let repository = world.readable(&actor, &owner, &repo)?;
    let (base, head) = both.split_once("...").ok_or_else(Refuse::not_found)?;
    let base = world.compared(repository, base).ok_or_else(Refuse::not_found)?;
    let head = world.compared(repository, head).ok_or_else(Refuse::not_found)?;
    let store = &repository.git.store;
    let common = store.merge_base(&base.sha, &head.sha).and_then(|sha| store.commit(&sha)).ok_or_else(Refuse::not_found)?;
    let (ahead, behind) = (store.between(Some(&base.sha), &head.sha), store.between(Some(&head.sha), &base.sha).len());
    let files = changes(store, &store.files(&common.tree), &store.files(&head.tree));
    let (api, page) = (world.repository_url(repository), world.repository_page(repository));
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        (_, _) => "diverged",
    };
    let shown = if paging.is_given() { paging.cut(ahead.iter().collect()) } else { ahead.iter().take(MOST_COMMITS).collect() };
    let commits = shown.into_iter().map(|commit| world.commit_json(repository, commit)).collect::<Vec<_>>();
    let files = files.iter().take(MOST_FILES).map(|change| world.change_json(repository, &head.sha, change)).collect::<Vec<_>>();
    Ok(Json(json!({
        "url": format!("{api}/compare/{both}"), "html_url": format!("{page}/compare/{both}"),
        "permalink_url": format!("{page}/compare/{}...{}", &base.sha[..7], &head.sha[..7]),
        "diff_url": format!("{page}/compare/{both}.diff"), "patch_url": format!("{page}/compare/{both}.patch"),
        "base_commit": world.commit_json(repository, &base), "merge_base_commit": world.commit_json(repository, &common),
        "status": status, "ahead_by": ahead.len(), "behind_by": behind, "total_commits": ahead.len(), "commits": commits,
        "files": files,
    })))
}
