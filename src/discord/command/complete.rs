//! What is offered while somebody types an option. Pure.

use crate::model::{ModelName, price};

/// Choices Discord shows.
pub const MOST: usize = 25;
/// Characters of a choice.
const LONGEST: usize = 100;

/// Models that can be asked and whose name holds what was typed: those of the operator first, then those whose price is known. What was
/// typed is offered itself when it can be asked.
pub fn models(typed: &str, chain: &[ModelName], can_ask: impl Fn(&ModelName) -> bool) -> Vec<String> {
    let wanted = typed.trim().to_ascii_lowercase();
    let own = typed.trim().parse::<ModelName>().ok().filter(|_| !wanted.contains(char::is_whitespace));
    let known = price::names().filter_map(|(provider, model)| format!("{provider}/{model}").parse().ok());
    let all = chain.iter().cloned().chain(known).filter(|name| name.to_string().to_ascii_lowercase().contains(&wanted));
    let mut found: Vec<String> = Vec::new();
    for name in all.chain(own).filter(can_ask) {
        let name = name.to_string();
        if !found.contains(&name) && name.chars().count() <= LONGEST {
            found.push(name);
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// Those of the repositories whose name holds what was typed.
pub fn repositories(typed: &str, known: Vec<String>) -> Vec<String> {
    let wanted = typed.trim().to_ascii_lowercase();
    let fits = |name: &String| name.to_ascii_lowercase().contains(&wanted) && name.chars().count() <= LONGEST;
    known.into_iter().filter(fits).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModelName {
        let (provider, model) = text.split_once('/').unwrap_or((text, ""));
        ModelName { provider: provider.into(), model: model.into() }
    }

    #[test]
    fn models_that_can_be_asked_are_offered() {
        let chain = [name("local/llama"), name("openai/gpt-4.1")];
        let offered = models("", &chain, |name| name.provider == "local" || name.provider == "openai");
        assert_eq!(&offered[..2], ["local/llama", "openai/gpt-4.1"]);
        assert_eq!(offered.len(), MOST);
        assert!(offered.iter().all(|name| !name.starts_with("anthropic/")));
        assert_eq!(models("LOCAL/", &chain, |_| true), ["local/llama"]);
        assert_eq!(models("openai/new-one", &chain, |_| true), ["openai/new-one"]);
        assert!(models("openai/new-one", &chain, |_| false).is_empty());
    }

    #[test]
    fn repositories_are_found_by_a_part_of_their_name() {
        let known = || vec!["acme/rocket".to_owned(), "acme/tools".to_owned()];
        assert_eq!(repositories("ROCK", known()), ["acme/rocket"]);
        assert_eq!(repositories("", known()), known());
    }
}
