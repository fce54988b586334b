//! Reviews: findings become comments on lines of a diff, and a suggestion is posted only when it was proved.
//!
//! Pure but for `store`: [`place`] finds the passage a finding is about, [`edit`] says what the replacement makes of the file,
//! [`anchor`] finds the lines of the diff a suggestion can stand at, [`apply`] applies it as GitHub does, [`format`](mod@format) takes a formatter's changes over, [`fingerprint`] knows a finding
//! again, [`comment`] and [`body`] are what people read. Who asks GitHub and runs the tests is in `jobs::review`.

pub mod anchor;
pub mod apply;
pub mod body;
pub mod comment;
pub mod diff;
pub mod edit;
pub mod finding;
pub mod fingerprint;
pub mod format;
pub mod lines;
pub mod place;
pub mod prepare;
pub(crate) mod store;
