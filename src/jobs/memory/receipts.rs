//! Receipts in what people read: tokens become links to where it was said.

use crate::agent::store::{Record, Taken};
use crate::jobs::Services;
use crate::memory::receipt;
use crate::reply::{AnswerView, Outcome};

/// Tokens of one answer that are looked up among the conversation's own messages.
const MOST: usize = 100;

/// Turns the receipts in an answer into links: of what the run was shown, and of the conversation itself. Others become nothing. The stored
/// conversation keeps them.
pub(in crate::jobs) async fn link(
    services: &Services,
    taken: &Taken,
    record: &Record,
    view: &mut AnswerView,
) -> Result<(), sqlx::Error> {
    let mut texts = vec![&mut view.text];
    if let Outcome::NeedsAnswer { question, options } = &mut view.outcome {
        texts.push(question);
        for option in options {
            *option = receipt::strip(option);
        }
    }
    let mut known = record.snapshot.cites.clone();
    let mut named: Vec<String> = texts.iter().flat_map(|text| receipt::tokens(text, MOST)).collect();
    named.retain(|digits| !known.iter().any(|cite| receipt::token(cite.message).contains(digits.as_str())));
    named.truncate(MOST);
    known.extend(receipt::store::of_thread(&services.pool, taken.thread, &named, &services.settings.name).await?);
    for text in texts {
        *text = receipt::link(text, &known);
    }
    Ok(())
}
