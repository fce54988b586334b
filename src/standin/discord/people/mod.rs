//! The people's side: what is done in Discord's own client. People are held to the same rules as the service; what Discord would
//! not let them do is an error.

mod act;
mod place;
mod say;

pub use place::NewChannel;
pub use say::{Upload, Words};

use super::error::Refuse;
use super::world::World;
use super::{DiscordStandin, Id};

impl DiscordStandin {
    /// Changes the world and tells those who wait.
    fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let done = self.shared.with(act);
        self.shared.notify();
        done
    }

    /// The same, for what may be refused.
    fn try_act<T>(&self, act: impl FnOnce(&mut World) -> Result<T, Refuse>) -> anyhow::Result<T> {
        Ok(self.act(act)?)
    }

    /// How somebody is named in a text: `<@number>`.
    pub fn mention(&self, who: Id) -> String {
        format!("<@{who}>")
    }
}
