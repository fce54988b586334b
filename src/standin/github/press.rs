//! The people's side of reactions. GitHub sends no webhook for them.

use anyhow::Context;

use super::conversation::REACTIONS;
use super::{Comment, GithubStandin, World};

impl World {
    /// A comment of a conversation by its number.
    pub fn comment(&self, id: i64) -> Option<&Comment> {
        self.comments.get(&id)
    }
}

impl GithubStandin {
    /// A person reacts to a comment, with GitHub's word for the reaction, such as `+1`.
    ///
    /// # Errors
    /// When there is no such comment, person or reaction.
    pub fn react(&self, comment: i64, user: &str, content: &str) -> anyhow::Result<()> {
        anyhow::ensure!(REACTIONS.contains(&content), "no such reaction");
        self.shared.with(|world| {
            let user = world.user(user).context("no such person")?.login.clone();
            let issue = world.comments.get(&comment).context("no such comment")?.issue;
            world.react(&user, issue, Some(comment), content);
            anyhow::Ok(())
        })?;
        self.shared.notify();
        Ok(())
    }

    /// A person takes a reaction back.
    pub fn take_back(&self, comment: i64, user: &str, content: &str) {
        self.shared.with(|world| {
            for (_, given) in world.reactions.iter_mut().filter(|((_, on), _)| *on == Some(comment)) {
                given.retain(|reaction| !(reaction.user.eq_ignore_ascii_case(user) && reaction.content == content));
            }
        });
        self.shared.notify();
    }
}
