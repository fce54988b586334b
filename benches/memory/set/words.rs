//! What is said: templates and the words that fill them.

use super::chance::Chance;
use super::vocabulary::{
    ASPECTS, CODES, DETAILS, DIRECTORIES, EXTENSIONS, MANNERS, MONTHS, NOUNS, PEOPLE, REASONS, SUBJECTS, THINGS, TOOLS, VERBS,
};

/// A subject and what is settled about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    pub subject: usize,
    pub aspect: usize,
}

/// What a topic may be used for. Facts stay answerable because filler never settles their topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Planted, with questions.
    Facts,
    /// Filler speaks of it.
    Noise,
    /// Subject and aspect are both spoken of, but never of each other.
    Unspoken,
}

impl Topic {
    pub fn pool(self) -> Pool {
        match (self.subject * 7 + self.aspect * 3) % 10 {
            0..=3 => Pool::Facts,
            4..=7 => Pool::Noise,
            _ => Pool::Unspoken,
        }
    }

    pub fn all(pool: Pool) -> impl Iterator<Item = Self> {
        let topic = |subject| (0..ASPECTS.len()).map(move |aspect| Self { subject, aspect });
        (0..SUBJECTS.len()).flat_map(topic).filter(move |topic| topic.pool() == pool)
    }

    pub fn noise(chance: &mut Chance, subject: usize) -> Self {
        loop {
            let topic = Self { subject, aspect: chance.below(ASPECTS.len()) };
            if topic.pool() == Pool::Noise {
                return topic;
            }
        }
    }

    pub fn subject(self) -> &'static str {
        SUBJECTS[self.subject]
    }

    pub fn aspect(self) -> &'static str {
        ASPECTS[self.aspect].0
    }

    /// A value it could have.
    pub fn value(self, chance: &mut Chance) -> String {
        let value = chance.pick(ASPECTS[self.aspect].1);
        value.chars().map(|char| if char == '#' { digit(chance) } else { char }).collect()
    }
}

/// A name in code. Its parts are common; the three together are rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    pub verb: usize,
    pub noun: usize,
    pub manner: usize,
}

impl Name {
    pub fn any(chance: &mut Chance) -> Self {
        Self { verb: chance.below(VERBS.len()), noun: chance.below(NOUNS.len()), manner: chance.below(MANNERS.len()) }
    }

    /// One in eight is kept for facts.
    pub fn is_for_facts(self) -> bool {
        (self.verb * 3 + self.noun * 5 + self.manner).is_multiple_of(8)
    }

    pub fn noise(chance: &mut Chance) -> Self {
        loop {
            let name = Self::any(chance);
            if !name.is_for_facts() {
                return name;
            }
        }
    }

    /// Another that shares two of three parts and belongs to no fact.
    pub fn neighbour(self, chance: &mut Chance) -> Self {
        loop {
            let mut other = self;
            match chance.below(3) {
                0 => other.verb = chance.below(VERBS.len()),
                1 => other.noun = chance.below(NOUNS.len()),
                _ => other.manner = chance.below(MANNERS.len()),
            }
            if !other.is_for_facts() {
                return other;
            }
        }
    }

    pub fn parts(self) -> [&'static str; 3] {
        [VERBS[self.verb], NOUNS[self.noun], MANNERS[self.manner]]
    }

    pub fn snake(self) -> String {
        self.parts().join("_")
    }

    pub fn spaced(self) -> String {
        self.parts().join(" ")
    }

    pub fn camel(self) -> String {
        let [verb, noun, manner] = self.parts();
        format!("{verb}{}{}", capital(noun), capital(manner))
    }

    pub fn variable(self) -> String {
        self.snake().to_uppercase()
    }

    pub fn path(self) -> String {
        let directory = DIRECTORIES[(self.verb + self.manner) % DIRECTORIES.len()];
        format!("src/{directory}/{}", self.file())
    }

    pub fn file(self) -> String {
        let [verb, noun, manner] = self.parts();
        format!("{noun}_{verb}_{manner}.{}", EXTENSIONS[(self.noun + self.verb) % EXTENSIONS.len()])
    }

    pub fn code(self) -> String {
        let number = 1000 + self.verb * 389 + self.noun * 17 + self.manner;
        format!("{}{number}", CODES[(self.verb + self.noun) % CODES.len()])
    }
}

pub fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn digit(chance: &mut Chance) -> char {
    char::from(b'2' + u8::try_from(chance.below(8)).unwrap_or_default())
}

/// Fills the `{…}` of a template: those of `given` as they are, the others by chance. A name that nobody knows is a mistake here.
pub fn fill(template: &str, given: &[(&str, &str)], chance: &mut Chance) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (slot, after) = after.split_once('}').unwrap_or_else(|| panic!("unclosed slot in {template:?}"));
        text.push_str(before);
        match given.iter().find(|(name, _)| *name == slot) {
            Some((_, value)) => text.push_str(value),
            None => text.push_str(&by_chance(slot, chance)),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

fn by_chance(slot: &str, chance: &mut Chance) -> String {
    match slot {
        "subject2" => (*chance.lean(SUBJECTS)).to_owned(),
        "name" => Name::noise(chance).snake(),
        "camel" => Name::noise(chance).camel(),
        "variable" => Name::noise(chance).variable(),
        "path" => Name::noise(chance).path(),
        "code" => Name::noise(chance).code(),
        "noun" => (*chance.lean(NOUNS)).to_owned(),
        "verb" => (*chance.lean(VERBS)).to_owned(),
        "person" => (*chance.pick(PEOPLE)).to_owned(),
        "tool" => (*chance.lean(TOOLS)).to_owned(),
        "month" => (*chance.pick(MONTHS)).to_owned(),
        "reason" => (*chance.pick(REASONS)).to_owned(),
        "detail" => (*chance.pick(DETAILS)).to_owned(),
        "n" => chance.between(2, 99).to_string(),
        "k" => chance.between(100, 9_999).to_string(),
        "version" => format!("{}.{}", chance.between(0, 4), chance.between(0, 30)),
        "sha" => format!("{:07x}", chance.below(0x0FFF_FFFF)),
        "thing" => {
            let (one, other) = *chance.pick(THINGS);
            if chance.percent(50) { one.to_owned() } else { other.to_owned() }
        }
        unknown => panic!("no words for {unknown:?}"),
    }
}
