//! The command grammar: what people type after the mention. Pure; knows Markdown, no surface.

/// True when `text` addresses `@handle`. Placeholder of the branch: the grammar brings the real one.
pub fn mentions(text: &str, handle: &str) -> bool {
    let lower = text.to_lowercase();
    let mention = format!("@{}", handle.to_lowercase());
    lower.match_indices(&mention).any(|(at, _)| {
        let after = lower[at + mention.len()..].chars().next();
        !after.is_some_and(|c| c.is_alphanumeric() || c == '-')
    })
}
