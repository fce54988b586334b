//! Text as people wrote it on Discord, with our mention as the command grammar knows it.

/// Mentions of that account become `@handle`. Discord puts them into code as text, so what stands in code stays in code.
pub(super) fn with_handle(text: &str, us: i64, handle: &str) -> String {
    let mut said = text.to_owned();
    for mention in [format!("<@{us}>"), format!("<@!{us}>")] {
        // What follows directly is no part of the name.
        while let Some(at) = said.find(&mention) {
            let end = at + mention.len();
            let space =
                if said[end..].starts_with(|next: char| next.is_alphanumeric() || next == '-' || next == '_') { " " } else { "" };
            said.replace_range(at..end, &format!("@{handle}{space}"));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_mention_becomes_the_handle_and_others_stay() {
        assert_eq!(with_handle("<@7> run it, <@8>", 7, "threadbox"), "@threadbox run it, <@8>");
        assert_eq!(with_handle("<@!7>stop", 7, "threadbox"), "@threadbox stop");
    }
}
