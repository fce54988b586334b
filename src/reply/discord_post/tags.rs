//! The tags of a post in a forum say how its conversation stands: where the forum has tags of such names, and we may set them. Other tags
//! are people's, and stay as they are.

use serenity::model::id::{ChannelId, ForumTagId};

use super::DiscordPosts;
use crate::discord::{self as surface, ChannelKind, DiscordError, ForumTag};
use crate::intake::Place;
use crate::reply::post::PostError;
use crate::reply::standing::Standing;

/// Tags a post may have.
const MOST_TAGS: usize = 5;

impl DiscordPosts {
    /// Sets the tag that says how a conversation stands. Idempotent. Nothing where it is not in a forum, the forum has no such tags, or we
    /// may not set them.
    ///
    /// # Errors
    /// Transient ones alone.
    pub async fn show_standing(&self, place: &Place, standing: Standing) -> Result<(), PostError> {
        let Place::Discord { channel, parent: Some(forum), opening: None, .. } = place else { return Ok(()) };
        match self.tag(surface::id(*channel), surface::id(*forum), standing).await {
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::debug!(discord.channel = channel, %error, "no tag says how it stands");
                self.grounds.know_tags(surface::id(*forum), Vec::new(), self.clock.now());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn tag(&self, post: ChannelId, forum: ChannelId, standing: Standing) -> Result<(), DiscordError> {
        let of_forum = match self.grounds.tags(forum, self.clock.now()) {
            Some(known) => known,
            None => {
                let looked = self.discord.channel(forum).await?;
                // Threads of other channels have no tags.
                let tags = if looked.kind == ChannelKind::Forum { looked.tags } else { Vec::new() };
                self.grounds.know_tags(forum, tags.clone(), self.clock.now());
                tags
            }
        };
        if !of_forum.iter().any(|tag| says(tag).is_some()) {
            return Ok(());
        }
        let Some(state) = self.discord.channel(post).await?.thread else { return Ok(()) };
        match chosen(&of_forum, &state.applied_tags, standing) {
            Some(tags) if !state.archived => self.discord.tag(post, &tags).await,
            Some(_) | None => Ok(()),
        }
    }
}

/// How it stands by this tag; none for those of people.
fn says(tag: &ForumTag) -> Option<Standing> {
    // Many put a picture before the name.
    let letters: String = tag.name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let name = letters.split_whitespace().collect::<Vec<_>>().join(" ");
    Standing::ALL.into_iter().find(|standing| standing.names().contains(&name.as_str()))
}

/// The tags a post is to have; none when it has them.
fn chosen(of_forum: &[ForumTag], applied: &[ForumTagId], standing: Standing) -> Option<Vec<ForumTagId>> {
    let is_ours = |id: &ForumTagId| of_forum.iter().any(|tag| tag.id == *id && says(tag).is_some());
    let is_right = |id: &ForumTagId| of_forum.iter().any(|tag| tag.id == *id && says(tag) == Some(standing));
    let mut kept: Vec<ForumTagId> = applied.iter().filter(|id| !is_ours(id) || is_right(id)).copied().collect();
    let wanted = of_forum.iter().find(|tag| says(tag) == Some(standing));
    if let Some(wanted) = wanted.filter(|_| !kept.iter().any(is_right) && kept.len() < MOST_TAGS) {
        kept.push(wanted.id);
    }
    (kept != applied).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(id: u64, name: &str) -> ForumTag {
        ForumTag { id: ForumTagId::new(id), name: name.to_owned(), moderated: false }
    }

    fn ids(all: &[u64]) -> Vec<ForumTagId> {
        all.iter().copied().map(ForumTagId::new).collect()
    }

    #[test]
    fn one_tag_says_how_it_stands_and_the_others_stay() {
        let forum = [tag(1, "bug"), tag(2, "⏳ Working"), tag(3, "Answered!"), tag(4, "FAILED"), tag(5, "answered later")];
        assert_eq!(chosen(&forum, &ids(&[1]), Standing::Working), Some(ids(&[1, 2])));
        assert_eq!(chosen(&forum, &ids(&[1, 2]), Standing::Answered), Some(ids(&[1, 3])));
        assert_eq!(chosen(&forum, &ids(&[1, 3]), Standing::Answered), None);
        assert_eq!(chosen(&forum, &ids(&[5, 3, 4]), Standing::Failed), Some(ids(&[5, 4])));
        // No tag for that: the one that is not true any more goes.
        assert_eq!(chosen(&forum, &ids(&[2]), Standing::Stopped), Some(Vec::new()));
        assert_eq!(chosen(&forum, &ids(&[1]), Standing::Stopped), None);
    }

    #[test]
    fn a_post_has_no_more_tags_than_it_may() {
        let forum: Vec<ForumTag> = (1..=5).map(|n| tag(n, "x")).chain([tag(6, "failed")]).collect();
        assert_eq!(chosen(&forum, &ids(&[1, 2, 3, 4, 5]), Standing::Failed), None);
    }
}
