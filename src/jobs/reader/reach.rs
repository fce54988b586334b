//! What a run may read: its own repository, and others only where nobody learns what they may not know.
//!
//! A public repository is for everybody. A private one is read when all of this holds: it belongs to the same owner; the person who
//! asks may read it, by GitHub's word; they named it in the request themselves, so that no text from elsewhere can send us there; and the
//! conversation is in a private repository, so that what is read is not answered into public. (People who can read the conversation but
//! not the other repository see the answer, as when that person had quoted it.)

use super::GithubReader;
use crate::agent::tools::{HandError, Target};
use crate::github::{GithubError, RepoRef};
use crate::jobs::bridge;
use crate::settings::Permission;

/// Why a permission is not known.
enum Trouble {
    Github(GithubError),
    Database(sqlx::Error),
}

impl From<GithubError> for Trouble {
    fn from(error: GithubError) -> Self {
        Self::Github(error)
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl GithubReader {
    /// The repository of a target, when it may be read.
    pub(super) async fn reach(&self, target: &Target) -> Result<RepoRef, HandError> {
        let Some(name) = target.repository.as_deref().map(str::trim).filter(|name| !name.is_empty()) else {
            return Ok(self.repo.clone());
        };
        if name.eq_ignore_ascii_case(&self.repo.full_name) {
            return Ok(self.repo.clone());
        }
        if !is_name(name) {
            return Err(HandError::Refused("`repository` must be of the form owner/name.".to_owned()));
        }
        if target.number.is_none() {
            return Err(HandError::Refused("Give the `number` to read in another repository.".to_owned()));
        }
        let seen = self.github.look_up(&self.repo, name).await.map_err(|error| unseen(&error, name))?;
        if seen.is_private {
            self.may_read_private(&seen.repo).await?;
        }
        Ok(seen.repo)
    }

    /// With whose rights it is read: a public repository of somebody else is read with our own.
    pub(super) fn rights<'a>(&'a self, repo: &'a RepoRef) -> &'a RepoRef {
        if repo.owner().eq_ignore_ascii_case(self.repo.owner()) && repo.id != self.repo.id && self.repo.installation.is_none() {
            return repo;
        }
        if repo.installation.is_some() { repo } else { &self.repo }
    }

    /// Refusals are worded alike, so that they do not tell which repositories exist.
    async fn may_read_private(&self, repo: &RepoRef) -> Result<(), HandError> {
        let refused = || HandError::Refused(refusal(&repo.full_name));
        let is_named = self.request.text.to_lowercase().contains(&repo.full_name.to_lowercase());
        if !is_named || !repo.owner().eq_ignore_ascii_case(self.repo.owner()) {
            return Err(refused());
        }
        let explained = |error: GithubError| super::explain(&error, &repo.full_name);
        if !self.github.is_private(&self.repo).await.map_err(explained)? {
            return Err(refused());
        }
        // Who approved a request lends it no right to read.
        for who in &self.people {
            let may: Result<Permission, Trouble> = bridge::permission(&self.pool, &self.github, repo, who).await;
            match may {
                Ok(may) if may >= Permission::Read => {}
                Ok(_) => return Err(refused()),
                Err(Trouble::Github(error)) => return Err(explained(error)),
                Err(Trouble::Database(error)) => return Err(HandError::Unavailable(error.to_string())),
            }
        }
        Ok(())
    }
}

fn unseen(error: &GithubError, name: &str) -> HandError {
    match error {
        GithubError::NotFound | GithubError::Gone(_) | GithubError::Forbidden { .. } => HandError::Refused(refusal(name)),
        GithubError::RateLimited { .. } | GithubError::Unavailable { .. } | GithubError::Invalid(_) => {
            super::explain(error, name)
        }
    }
}

fn refusal(name: &str) -> String {
    format!(
        "{name} cannot be read from here. Public repositories can; a private one only of the same owner, from a private conversation, \
         when the person who asks may read it and names it in the request."
    )
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.len() <= 100 && part.chars().all(plain) && !matches!(part, "." | "..")
    };
    name.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_owner_and_name() {
        assert!(is_name("acme/rocket") && is_name("a-b/c.d_e"));
        for wrong in ["acme", "acme/", "/x", "a/b/c", "a/..", "a b/c", "a/b?x=1", "a/b%2f", "a/b#1"] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
