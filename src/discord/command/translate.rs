//! From what was filled in to the text a mention would have had. Pure.
//!
//! The text is read back with the grammar before it is taken: a command means what it says, or the person is told why it cannot. Words
//! alone would sometimes mean something else: "queue is the build green?" is a question, `/queue` is not.

use crate::intake::command::{self, Command, Problem, Word};
use crate::reply::fence;
use crate::sandbox::Language;

use super::definition::{Definition, LONGEST_TEXT};

/// What somebody filled in for an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Filled {
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
}

/// The options somebody filled in, by name.
pub type Options = Vec<(String, Filled)>;

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// The requests it stands for, in order. Each is the text of a mention.
    pub requests: Vec<Spoken>,
    /// What everybody sees of it, after the name of who asks.
    pub shown: Shown,
}

/// One text, as if a mention had said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Tells the requests of one command apart; empty for the last, which is what was asked for.
    pub name: &'static str,
    /// The text.
    pub text: String,
    /// The repository it is about, where one was given.
    pub repository: Option<String>,
}

/// What everybody sees of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A verb and the person's own words.
    Words {
        /// Such as `asks`.
        verb: &'static str,
        /// As written.
        text: String,
    },
    /// The word by itself.
    Word(&'static str),
    /// Code.
    Code {
        /// For the fence.
        language: &'static str,
        /// Name of a file with it.
        file: String,
        /// As written.
        code: String,
    },
}

/// Why a command comes to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The code is to be written in a field with several lines.
    NeedsCode {
        /// The language that was chosen.
        language: Language,
    },
    /// There is no such language.
    NoLanguage {
        /// As written.
        given: String,
    },
    /// The command lacks what it needs.
    Problem(Problem),
    /// Its words would mean something else.
    Unclear {
        /// The command.
        word: Word,
    },
    /// It is longer than what can be shown.
    TooLong,
}

/// What a command with these options comes to.
///
/// # Errors
/// When it comes to nothing as it is.
pub fn translate(definition: &Definition, options: &Options, handle: &str) -> Result<Translated, Unfit> {
    match definition.word {
        None => ask(options, handle),
        Some(Word::Run) => {
            let language = language(text(options, "language"))?;
            match text(options, "code") {
                "" => Err(Unfit::NeedsCode { language }),
                code => run(language, code, handle),
            }
        }
        Some(word) => one(word, options, handle),
    }
}

/// Code from a field, to be run.
///
/// # Errors
/// When there is none.
pub fn run(language: Language, code: &str, handle: &str) -> Result<Translated, Unfit> {
    let code = code.replace("\r\n", "\n");
    let text = format!("@{handle} run\n\n{}", fence::fence(language.fence(), &code));
    let text = means(Word::Run, text.trim_end().to_owned(), handle)?;
    let file = language.file().to_owned();
    Ok(Translated { requests: vec![spoken(text)], shown: Shown::Code { language: language.fence(), file, code } })
}

/// A word without more, as a button says it.
pub fn word(word: Word, handle: &str) -> Translated {
    Translated { requests: vec![spoken(format!("@{handle} {}", word.as_str()))], shown: Shown::Word(word.as_str()) }
}

/// The ceiling somebody filled in, with or without a dollar sign.
///
/// # Errors
/// When it is no amount.
pub fn budget(amount: &str, handle: &str) -> Result<Translated, Unfit> {
    let amount = one_line(amount);
    let text =
        means(Word::Budget, format!("@{handle} budget {amount}"), handle).map_err(|why| sharpen(Word::Budget, &amount, why))?;
    Ok(Translated { requests: vec![spoken(text)], shown: Shown::Words { verb: "sets the budget", text: amount } })
}

/// Free words: what follows the mention is never a command.
///
/// # Errors
/// When the grammar cannot take it for a request.
pub fn ask_text(words: &str, handle: &str) -> Result<String, Unfit> {
    let is_ask = |text: &str| matches!(command::parse(text, handle), Some(Command::Ask { .. }));
    // A command word at the beginning is no command where the mention comes last.
    let candidates = [format!("@{handle} {words}"), format!("{words}\n\n@{handle}")];
    candidates.into_iter().find(|text| is_ask(text)).ok_or(Unfit::Problem(Problem::NoText { word: Word::Queue }))
}

fn ask(options: &Options, handle: &str) -> Result<Translated, Unfit> {
    let words = text(options, "text");
    if words.chars().count() > LONGEST_TEXT {
        return Err(Unfit::TooLong);
    }
    let mut requests = Vec::new();
    let address = one_line(text(options, "repository"));
    if !address.is_empty() {
        means(Word::Link, format!("@{handle} link {address}"), handle)?;
    }
    let model = one_line(text(options, "model"));
    if !model.is_empty() {
        requests.push(Spoken {
            name: "model",
            text: means(Word::Model, format!("@{handle} model {model}"), handle)?,
            repository: None,
        });
    }
    let repository = Some(address).filter(|address| !address.is_empty());
    requests.push(Spoken { repository, ..spoken(ask_text(words, handle)?) });
    Ok(Translated { requests, shown: Shown::Words { verb: "asks", text: words.to_owned() } })
}

fn one(word: Word, options: &Options, handle: &str) -> Result<Translated, Unfit> {
    let (verb, given) = match word {
        Word::Queue => ("queues", text(options, "text").to_owned()),
        Word::Plan => ("wants a plan", text(options, "text").to_owned()),
        Word::Remember => ("wants this remembered", text(options, "text").to_owned()),
        Word::Forget => ("wants this forgotten", text(options, "text").to_owned()),
        Word::Approve => ("approves", one_line(text(options, "digest"))),
        Word::Model => ("sets the model", one_line(text(options, "name"))),
        Word::Budget => ("sets the budget", number(options, "usd")),
        Word::Link => ("links", one_line(text(options, "address"))),
        Word::Branch => ("branches off", one_line(text(options, "address"))),
        Word::Run
        | Word::Review
        | Word::Fix
        | Word::Pr
        | Word::Stop
        | Word::Retry
        | Word::Undo
        | Word::Status
        | Word::Help
        | Word::Memory => ("", String::new()),
    };
    if given.chars().count() > LONGEST_TEXT {
        return Err(Unfit::TooLong);
    }
    let takes_words = matches!(word, Word::Queue | Word::Plan | Word::Remember | Word::Forget);
    if takes_words && !given.contains(char::is_alphanumeric) {
        return Err(Unfit::Problem(Problem::NoText { word }));
    }
    let name = word.as_str();
    let text = means(word, format!("@{handle} {name} {given}").trim_end().to_owned(), handle)
        .or_else(|_| means(word, format!("@{handle} {name} this: {given}"), handle).map_err(|_| ()))
        .or_else(|()| means(word, format!("@{handle} {name} {given}").trim_end().to_owned(), handle))
        .map_err(|why| sharpen(word, &given, why))?;
    let shown = if given.is_empty() { Shown::Word(name) } else { Shown::Words { verb, text: given } };
    Ok(Translated { requests: vec![spoken(text)], shown })
}

/// The text, if the grammar reads the word in it.
fn means(word: Word, text: String, handle: &str) -> Result<String, Unfit> {
    match command::parse(&text, handle) {
        Some(read) if read.word() == Some(word) => Ok(text),
        Some(Command::Invalid { problem }) => Err(Unfit::Problem(problem)),
        Some(_) | None => Err(Unfit::Unclear { word }),
    }
}

/// Says what is missing where the grammar alone would take the words for a request.
fn sharpen(word: Word, given: &str, why: Unfit) -> Unfit {
    let given = given.to_owned();
    match (word, why) {
        (Word::Model, Unfit::Unclear { .. }) => Unfit::Problem(Problem::NoModel { given }),
        (Word::Budget, Unfit::Unclear { .. }) => Unfit::Problem(Problem::NoAmount { given }),
        (Word::Link, Unfit::Unclear { .. }) => Unfit::Problem(Problem::NoAddress { given }),
        (_, why) => why,
    }
}

fn spoken(text: String) -> Spoken {
    Spoken { name: "", text, repository: None }
}

fn text<'o>(options: &'o Options, name: &str) -> &'o str {
    match options.iter().find(|(given, _)| given == name) {
        Some((_, Filled::Text(text))) => text.trim(),
        Some((_, Filled::Number(_))) | None => "",
    }
}

fn number(options: &Options, name: &str) -> String {
    match options.iter().find(|(given, _)| given == name) {
        Some((_, Filled::Number(number))) => number.to_string(),
        Some((_, Filled::Text(text))) => one_line(text),
        None => String::new(),
    }
}

/// Nothing that stands on a line of its own can follow.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn language(given: &str) -> Result<Language, Unfit> {
    match given {
        "" => Ok(Language::Python),
        given => Language::find(given).ok_or_else(|| Unfit::NoLanguage { given: given.to_owned() }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::definition::{ALL, find};
    use super::*;

    fn filled(options: &[(&str, &str)]) -> Options {
        options.iter().map(|(name, value)| ((*name).to_owned(), Filled::Text((*value).to_owned()))).collect()
    }

    fn say(name: &str, options: &[(&str, &str)]) -> Result<Translated, Unfit> {
        translate(find(name).unwrap(), &filled(options), "threadbox")
    }

    fn texts(name: &str, options: &[(&str, &str)]) -> Vec<String> {
        say(name, options).unwrap().requests.into_iter().map(|spoken| spoken.text).collect()
    }

    #[test]
    fn every_command_is_the_text_of_a_mention() {
        assert_eq!(texts("stop", &[]), ["@threadbox stop"]);
        assert_eq!(texts("ask", &[("text", "why is it red?")]), ["@threadbox why is it red?"]);
        assert_eq!(texts("queue", &[("text", "tidy up")]), ["@threadbox queue tidy up"]);
        assert_eq!(texts("approve", &[("digest", "ab12cd34ef")]), ["@threadbox approve ab12cd34ef"]);
        assert_eq!(texts("approve", &[]), ["@threadbox approve"]);
        assert_eq!(texts("model", &[("name", "openai/gpt-5.5")]), ["@threadbox model openai/gpt-5.5"]);
        assert_eq!(texts("link", &[("address", "acme/rocket")]), ["@threadbox link acme/rocket"]);
        let usd = vec![("usd".to_owned(), Filled::Number(2.5))];
        let budget = translate(find("budget").unwrap(), &usd, "threadbox").unwrap();
        assert_eq!(budget.requests[0].text, "@threadbox budget 2.5");
    }

    #[test]
    fn every_definition_comes_to_its_word() {
        for definition in ALL.iter().filter(|definition| definition.word.is_some()) {
            let options: Options = definition
                .options
                .iter()
                .map(|option| {
                    let value = match option.name {
                        "usd" => Filled::Number(5.0),
                        "digest" => Filled::Text("0123456789".into()),
                        "name" => Filled::Text("openai/gpt-5.5".into()),
                        "address" if definition.word == Some(Word::Branch) => {
                            Filled::Text("https://discord.com/channels/1/2".into())
                        }
                        "address" => Filled::Text("acme/rocket".into()),
                        "language" => Filled::Text("rust".into()),
                        "code" => Filled::Text("fn main() {}".into()),
                        _ => Filled::Text("the build, please".into()),
                    };
                    (option.name.to_owned(), value)
                })
                .collect();
            let translated = translate(definition, &options, "threadbox").unwrap();
            let read = command::parse(&translated.requests[0].text, "threadbox").unwrap();
            assert_eq!(read.word(), definition.word, "{translated:?}");
        }
    }

    #[test]
    fn a_command_means_its_word_whatever_the_text_says() {
        assert_eq!(texts("queue", &[("text", "is the build green?")]), ["@threadbox queue this: is the build green?"]);
        assert_eq!(texts("ask", &[("text", "stop")]), ["stop\n\n@threadbox"]);
        assert_eq!(texts("ask", &[("text", "revew this")]), ["revew this\n\n@threadbox"]);
        let nothing = Err(Unfit::Problem(Problem::NoText { word: Word::Remember }));
        assert_eq!(say("remember", &[("text", "???")]), nothing);
        let forget = say("forget", &[("text", "it")]);
        assert_eq!(forget, Err(Unfit::Unclear { word: Word::Forget }));
        assert_eq!(say("model", &[("name", "gpt-5")]), Err(Unfit::Problem(Problem::NoModel { given: "gpt-5".into() })));
    }

    #[test]
    fn a_question_knows_its_repository_and_the_model_is_said_before() {
        let said = say("ask", &[("text", "fix it"), ("repository", "acme/rocket"), ("model", "groq/x")]).unwrap();
        let said: Vec<_> =
            said.requests.iter().map(|spoken| (spoken.name, spoken.text.as_str(), spoken.repository.as_deref())).collect();
        // "fix it" is a command where people write, and none in `/ask`.
        assert_eq!(said, [("model", "@threadbox model groq/x", None), ("", "fix it\n\n@threadbox", Some("acme/rocket"))]);
    }

    #[test]
    fn code_is_fenced_whatever_it_holds() {
        assert_eq!(say("run", &[]), Err(Unfit::NeedsCode { language: Language::Python }));
        assert_eq!(say("run", &[("language", "cobol")]), Err(Unfit::NoLanguage { given: "cobol".into() }));
        let said = run(Language::Shell, "echo '```'\n@threadbox stop", "threadbox").unwrap();
        assert_eq!(said.requests[0].text, "@threadbox run\n\n````sh\necho '```'\n@threadbox stop\n````");
        assert_eq!(run(Language::Shell, " \n", "threadbox"), Err(Unfit::Problem(Problem::NoCode)));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_asked_and_nothing_else(words in "(\\PC|\n){1,200}") {
            if let Ok(text) = ask_text(&words, "threadbox") {
                let is_ask = matches!(command::parse(&text, "threadbox"), Some(Command::Ask { .. }));
                prop_assert!(is_ask);
            }
        }

        #[test]
        fn code_arrives_as_it_is(code in "(\\PC|`|~|\n){1,200}") {
            prop_assume!(!code.trim().is_empty());
            let Ok(said) = run(Language::Python, &code, "threadbox") else {
                return Err(TestCaseError::fail("code was not taken"));
            };
            let Some(Command::Run { blocks }) = command::parse(&said.requests[0].text, "threadbox") else {
                return Err(TestCaseError::fail("it is no run"));
            };
            prop_assert_eq!(blocks.len(), 1);
            let code = code.replace("\r\n", "\n");
            prop_assert_eq!(blocks[0].code.trim_end_matches('\n'), code.trim_end_matches('\n'));
        }
    }
}
