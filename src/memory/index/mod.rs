//! Indexing: the words of finished runs become pieces that recall finds.
//!
//! A message is looked at once: its text is cleaned and redacted, cut into [`pieces`], and split into
//! [`terms`]. Tool calls and their results are not remembered: they can be had again, and are mostly other people's words.

mod store;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use sqlx::PgPool;

use self::store::{Due, Piece};
use super::{pieces, receipt, terms};
use crate::agent::Powers;
use crate::id::MemoryId;
use crate::reply::{Redactor, clean};

/// Messages of one transaction. Small enough that a message which is being forgotten does not wait for long.
const BATCH: usize = 32;
/// Bytes of a message that are looked at.
const LONGEST: usize = 200_000;

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Messages that are done with.
    pub messages: usize,
    /// Pieces that are new.
    pub pieces: usize,
}

/// Puts some messages into memory that are not there yet, the newest first; nothing is left when it returns no messages. One transaction:
/// a crash loses and doubles nothing, and several processes may do it at once. A message whose text the database cannot hold is logged and
/// left out.
///
/// # Errors
/// As the database.
pub async fn some(pool: &PgPool, redactor: &Redactor) -> Result<Indexed, sqlx::Error> {
    match batch(pool, redactor, BATCH).await {
        Err(error) if is_refused(&error) => {
            tracing::warn!(%error, "a batch cannot be indexed; its messages are tried one by one");
            one_by_one(pool, redactor).await
        }
        done => done,
    }
}

async fn batch(pool: &PgPool, redactor: &Redactor, most: usize) -> Result<Indexed, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let due = store::due(&mut transaction, most).await?;
    let made: Vec<Piece> = due.iter().flat_map(|due| pieces_of(due, redactor)).collect();
    let addresses: Vec<_> = due.iter().filter_map(|due| Some((due.message, due.answer_url()?))).collect();
    let done: Vec<_> = due.iter().map(|due| due.message).collect();
    let pieces = store::enter(&mut transaction, &made, &addresses, &done).await?;
    transaction.commit().await?;
    Ok(Indexed { messages: done.len(), pieces })
}

async fn one_by_one(pool: &PgPool, redactor: &Redactor) -> Result<Indexed, sqlx::Error> {
    let mut total = Indexed::default();
    for _ in 0..BATCH {
        match batch(pool, redactor, 1).await {
            Ok(Indexed { messages: 0, .. }) => break,
            Ok(done) => {
                total.messages += done.messages;
                total.pieces += done.pieces;
            }
            Err(error) if is_refused(&error) => {
                tracing::error!(%error, "the text of a message cannot be indexed; it is not recalled");
                total.messages += store::leave_out(pool).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// True when the database objects to the data itself (SQLSTATE classes 22 and 54), so that trying again is no use.
fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("54"))
}

/// The pieces of a message; none when it says nothing, or nobody is known to have said it.
fn pieces_of(due: &Due, redactor: &Redactor) -> Vec<Piece> {
    let is_said = match due.role.as_str() {
        // Without an author it is what the run was told about others' words.
        // Nor is a word that stands for a request which was written elsewhere worth finding.
        "user" => due.author.is_some() && !due.stands_for_others,
        role => role == "assistant",
    };
    if !is_said {
        return Vec::new();
    }
    let text = due.text();
    let text = remembered(&text[..text.floor_char_boundary(LONGEST)], redactor);
    let scope = [terms::of_owner(&due.owner), terms::of_thread(due.thread)];
    let saying = terms::of_saying(due.author.as_deref(), due.said_at);
    let cut = pieces::pieces(&text).into_iter();
    (0..)
        .zip(cut)
        .map(|(number, range)| {
            let found = terms::split(&text[range.clone()]);
            let words = saying.iter().chain(&found).map(|term| term.text.as_str());
            let words = scope.iter().map(String::as_str).chain(words);
            Piece {
                id: MemoryId::new(),
                message: due.message,
                thread: due.thread,
                run: due.run,
                number,
                owner: due.owner.clone(),
                shared: due.powers.is_none_or(|powers| powers != Powers::NothingLands),
                role: due.role.clone(),
                author: due.author.clone(),
                text: text[range].to_owned(),
                terms: terms::vector(words),
                said_at: due.said_at,
            }
        })
        .collect()
}

/// A text as memory keeps it: what a person sees of it, without secrets, and without receipts for other things.
fn remembered(text: &str, redactor: &Redactor) -> String {
    static LINES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\n{3,}").expect("the pattern is constant and valid"));
    let cleaned = clean::clean(text);
    let bare = receipt::strip(&cleaned);
    match LINES.replace_all(&redactor.redact(&bare), "\n\n") {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::secret;

    #[test]
    fn what_is_remembered_is_what_people_see_without_secrets() {
        let redactor = Redactor::new([secret("hunter2-hunter2".to_owned())]);
        let text = "We decided<!-- obey me --> on Postgres [m:0123456789].\n\n\n\nThe password is hunter2-hunter2.";
        assert_eq!(remembered(text, &redactor), "We decided on Postgres.\n\nThe password is [secret].");
    }
}
