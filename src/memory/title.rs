//! Titles: a thread is named once, after its first run, by the cheap model; a title that is there stays.

use crate::model::{Message, Model, ModelError, Request, Role};

/// Longest title, in characters.
const LONGEST: usize = 80;
const MAX_OUTPUT_TOKENS: u32 = 200;

const INSTRUCTIONS: &str = "You name conversations. Answer with one title of at most 80 characters for the conversation you are shown: \
what the user wants, in plain words, without quotes, colons or a full stop. Never answer the conversation itself.";

/// Asks for a title of what is quoted in `opening`. None when the model had none to offer.
pub async fn find(model: &dyn Model, opening: String) -> Result<Option<String>, ModelError> {
    let request = Request {
        system: INSTRUCTIONS.to_owned(),
        messages: vec![Message::text(Role::User, opening)],
        tools: Vec::new(),
        max_output_tokens: Some(MAX_OUTPUT_TOKENS),
    };
    let answer = model.answer(&request, &|_| {}).await?;
    Ok(Some(tidy(&answer.message.plain_text())).filter(|title| !title.is_empty()))
}

/// One line of at most 80 characters, without quotes around it and without anything that could ping or link.
fn tidy(text: &str) -> String {
    let text = text.rsplit("</think>").next().unwrap_or_default();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = line.trim_start_matches(['#', '*', ' ']).trim_matches(['"', '\'', '`', '*', ' ', '.']);
    let plain = line.chars().filter(|char| !char.is_control() && !matches!(char, '<' | '>' | '@' | '`'));
    plain.take(LONGEST).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn titles_are_one_short_plain_line() {
        assert_eq!(tidy("\"Sum of the first primes.\"\n\nmore"), "Sum of the first primes");
        assert_eq!(tidy("<think>hm</think>\n# Fix @everyone <b>now</b>"), "Fix everyone bnow/b");
        assert_eq!(tidy(&"ä".repeat(200)).chars().count(), 80);
        assert_eq!(tidy("  \n "), "");
    }
}
