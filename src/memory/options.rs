//! What a repository decides about memory: `[memory]` of its file.

use super::Reach;

/// How memory works in a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Whether what was said before is looked for: before a run, and by the tool.
    pub recall: bool,
    /// How far memory reaches. [`Reach::Thread`] keeps the conversations of the repository apart: nothing is found or kept for others.
    pub scope: Reach,
    /// Passages that are shown at once, at least 1.
    pub top_k: usize,
    /// Messages shown before each passage.
    pub before: usize,
    /// Messages shown after each passage.
    pub after: usize,
    /// Passages that are less alike than this, from 0 to 1, are left out; none for no such limit.
    pub threshold: Option<f64>,
    /// What runs may do with working memory.
    pub working: Working,
    /// The sections of working memory, as Markdown; the built-in ones where there is none.
    pub template: Option<String>,
    /// Whether conversations get titles.
    pub titles: bool,
}

/// What runs may do with working memory. People can change it whatever this says, unless it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Working {
    /// They are shown it and change it.
    #[default]
    On,
    /// They are shown it.
    ReadOnly,
    /// Neither.
    Off,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            recall: true,
            scope: Reach::Owner,
            top_k: 4,
            before: 1,
            after: 1,
            threshold: None,
            working: Working::On,
            template: None,
            titles: true,
        }
    }
}
