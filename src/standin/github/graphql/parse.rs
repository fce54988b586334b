//! Reading GraphQL documents: operations with variables, arguments, aliases, fragments and directives, after the language's grammar.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

/// Deeper nesting is refused, so that no document exhausts the stack.
const DEEPEST: usize = 40;

/// A document.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub operations: Vec<Operation>,
    pub fragments: BTreeMap<String, Fragment>,
}

/// A query or mutation.
#[derive(Debug)]
pub(super) struct Operation {
    pub kind: String,
    pub name: Option<String>,
    pub variables: Vec<Variable>,
    pub fields: Vec<Selection>,
}

/// A variable an operation declares.
#[derive(Debug)]
pub(super) struct Variable {
    pub name: String,
    pub required: bool,
    pub default: Option<Input>,
}

/// A named fragment.
#[derive(Debug)]
pub(super) struct Fragment {
    pub on: String,
    pub fields: Vec<Selection>,
}

/// What is asked of an object.
#[derive(Debug)]
pub(super) enum Selection {
    Field(Field),
    Spread { name: String, conditions: Vec<Condition> },
    Inline { on: Option<String>, conditions: Vec<Condition>, fields: Vec<Selection> },
}

/// A field with its arguments.
#[derive(Debug)]
pub(super) struct Field {
    pub alias: String,
    pub name: String,
    pub arguments: Vec<(String, Input)>,
    pub conditions: Vec<Condition>,
    pub fields: Vec<Selection>,
}

/// `@include` or `@skip`.
#[derive(Debug)]
pub(super) struct Condition {
    pub name: String,
    pub value: Input,
}

/// A value as written.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Variable(String),
    Plain(Value),
    List(Vec<Input>),
    Object(Vec<(String, Input)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Mark(char),
    Spread,
    Name(String),
    Text(String),
    Number(Number),
}

/// Reads a document; the error is what GitHub would call a parse error.
pub(super) fn parse(text: &str) -> Result<Document, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let mut document = Document::default();
    while parser.at < parser.tokens.len() {
        if parser.peek_name("fragment") {
            parser.at += 1;
            let name = parser.name()?;
            parser.keyword("on")?;
            let on = parser.name()?;
            document.fragments.insert(name, Fragment { on, fields: parser.selections()? });
        } else {
            document.operations.push(parser.operation()?);
        }
    }
    if document.operations.is_empty() {
        Err("A query attribute must be specified and must be a string.".into())
    } else {
        Ok(document)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            ' ' | '\t' | '\n' | '\r' | ',' | '\u{feff}' => first.len_utf8(),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '.' if rest.starts_with("...") => {
                tokens.push(Token::Spread);
                3
            }
            '!' | '$' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '}' | '|' | '&' => {
                tokens.push(Token::Mark(first));
                1
            }
            '"' => {
                let (value, length) = string(rest)?;
                tokens.push(Token::Text(value));
                length
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push(Token::Name(rest[..end].to_owned()));
                end
            }
            '-' | '0'..='9' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len());
                let number =
                    serde_json::from_str(&rest[..end]).map_err(|_| format!("Expected a number, actual: {}", &rest[..end]))?;
                tokens.push(Token::Number(number));
                end
            }
            other => return Err(format!("Unexpected character {other:?}")),
        };
        rest = &rest[taken..];
    }
    Ok(tokens)
}

/// A string at the beginning of a text, and how long it is written.
fn string(text: &str) -> Result<(String, usize), String> {
    let open = || "Unterminated string".to_owned();
    if let Some(block) = text.strip_prefix("\"\"\"") {
        let end = block.find("\"\"\"").ok_or_else(open)?;
        return Ok((block[..end].trim().to_owned(), end + 6));
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return Err(open()),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                // The escapes are those of JSON.
                let value = serde_json::from_str(&text[..=at]).map_err(|_| "Bad escape in a string".to_owned())?;
                return Ok((value, at + 1));
            }
            _ => {}
        }
    }
    Err(open())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn peek_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if found == name)
    }

    fn accept(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.accept(mark) { Ok(()) } else { Err(self.unexpected(&format!("{mark:?}"))) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.peek() {
            Some(token) => format!("Expected {wanted}, actual: {token:?}"),
            None => format!("Expected {wanted}, actual: end of the document"),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn keyword(&mut self, word: &str) -> Result<(), String> {
        if self.peek_name(word) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected(word))
    }

    fn operation(&mut self) -> Result<Operation, String> {
        if self.peek() == Some(&Token::Mark('{')) {
            return Ok(Operation { kind: "query".into(), name: None, variables: Vec::new(), fields: self.selections()? });
        }
        let kind = self.name()?;
        if !["query", "mutation", "subscription"].contains(&kind.as_str()) {
            return Err(format!("Expected an operation, actual: {kind}"));
        }
        let name = if let Some(Token::Name(_)) = self.peek() { Some(self.name()?) } else { None };
        let mut variables = Vec::new();
        if self.accept('(') {
            while !self.accept(')') {
                variables.push(self.variable()?);
            }
        }
        self.conditions()?;
        Ok(Operation { kind, name, variables, fields: self.selections()? })
    }

    fn variable(&mut self) -> Result<Variable, String> {
        self.expect('$')?;
        let name = self.name()?;
        self.expect(':')?;
        let required = self.kind()?;
        let default = if self.accept('=') { Some(self.input()?) } else { None };
        Ok(Variable { name, required, default })
    }

    /// A type; whether it must not be null.
    fn kind(&mut self) -> Result<bool, String> {
        if self.accept('[') {
            self.deeper(|parser| parser.kind())?;
            self.expect(']')?;
        } else {
            self.name()?;
        }
        Ok(self.accept('!'))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("The document is nested too deeply".into());
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn selections(&mut self) -> Result<Vec<Selection>, String> {
        self.expect('{')?;
        let mut fields = Vec::new();
        while !self.accept('}') {
            fields.push(self.deeper(|parser| parser.selection())?);
        }
        if fields.is_empty() { Err("Expected a field, actual: \"}\"".into()) } else { Ok(fields) }
    }

    fn selection(&mut self) -> Result<Selection, String> {
        if self.peek() == Some(&Token::Spread) {
            self.at += 1;
            if let Some(Token::Name(name)) = self.peek()
                && name != "on"
            {
                let name = self.name()?;
                return Ok(Selection::Spread { name, conditions: self.conditions()? });
            }
            let on = if self.peek_name("on") {
                self.at += 1;
                Some(self.name()?)
            } else {
                None
            };
            let conditions = self.conditions()?;
            return Ok(Selection::Inline { on, conditions, fields: self.selections()? });
        }
        let first = self.name()?;
        let (alias, name) = if self.accept(':') { (first, self.name()?) } else { (first.clone(), first) };
        let arguments = if self.accept('(') { self.pairs(')')? } else { Vec::new() };
        let conditions = self.conditions()?;
        let fields = if self.peek() == Some(&Token::Mark('{')) { self.selections()? } else { Vec::new() };
        Ok(Selection::Field(Field { alias, name, arguments, conditions, fields }))
    }

    fn conditions(&mut self) -> Result<Vec<Condition>, String> {
        let mut conditions = Vec::new();
        while self.accept('@') {
            let name = self.name()?;
            let arguments = if self.accept('(') { self.pairs(')')? } else { Vec::new() };
            let value = arguments.into_iter().find(|(name, _)| name == "if").map(|(_, value)| value);
            match value {
                Some(value) if name == "include" || name == "skip" => conditions.push(Condition { name, value }),
                Some(_) | None => return Err(format!("Directive @{name} is not defined or lacks its argument")),
            }
        }
        Ok(conditions)
    }

    fn pairs(&mut self, end: char) -> Result<Vec<(String, Input)>, String> {
        let mut pairs = Vec::new();
        while !self.accept(end) {
            let name = self.name()?;
            self.expect(':')?;
            pairs.push((name, self.deeper(|parser| parser.input())?));
        }
        Ok(pairs)
    }

    fn input(&mut self) -> Result<Input, String> {
        if self.accept('$') {
            return Ok(Input::Variable(self.name()?));
        }
        if self.accept('[') {
            let mut items = Vec::new();
            while !self.accept(']') {
                items.push(self.deeper(|parser| parser.input())?);
            }
            return Ok(Input::List(items));
        }
        if self.accept('{') {
            return Ok(Input::Object(self.pairs('}')?));
        }
        let value = match self.peek() {
            Some(Token::Text(text)) => Value::from(text.as_str()),
            Some(Token::Number(number)) => Value::Number(number.clone()),
            Some(Token::Name(name)) => match name.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                "null" => Value::Null,
                word => word.into(),
            },
            _ => return Err(self.unexpected("a value")),
        };
        self.at += 1;
        Ok(Input::Plain(value))
    }
}

impl Input {
    /// The value with variables put in; one that was not given is null.
    pub fn value(&self, variables: &Map<String, Value>) -> Value {
        match self {
            Self::Variable(name) => variables.get(name).cloned().unwrap_or_default(),
            Self::Plain(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value(variables)).collect(),
            Self::Object(pairs) => {
                Value::Object(pairs.iter().map(|(name, input)| (name.clone(), input.value(variables))).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_clients_write_is_read() {
        let document = parse(
            "# all of it\nquery Threads($owner: String!, $n: Int! = 3, $ids: [ID!]) {\n  r: repository(owner: $owner, name: \"a \\\"b\\\"\") { ...F, pullRequest(number: $n) @include(if: true) { id } }\n}\nfragment F on Repository { id ... on Node { id } }",
        )
        .unwrap();
        let operation = &document.operations[0];
        assert_eq!((operation.kind.as_str(), operation.name.as_deref()), ("query", Some("Threads")));
        let declared: Vec<_> = operation.variables.iter().map(|variable| (variable.name.as_str(), variable.required)).collect();
        assert_eq!(declared, [("owner", true), ("n", true), ("ids", false)]);
        let Selection::Field(field) = &operation.fields[0] else { panic!("a field was written") };
        assert_eq!((field.alias.as_str(), field.name.as_str(), field.arguments.len()), ("r", "repository", 2));
        assert_eq!(field.arguments[1].1.value(&Map::new()), Value::from("a \"b\""));
        assert_eq!(document.fragments["F"].on, "Repository");
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "{", "{ }", "{ a(", "query { a: }", "{ a @wat }", "{ a(b: \"x) }", "mutation", "{ a } }"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"{a".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall_over(text in "[{}()a-c:$!@\"\\\\.# \n\\[\\]0-9é-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
