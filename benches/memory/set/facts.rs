//! What is planted to be found, with its questions and with what looks like it.
//!
//! A fact has a topic of its own that filler never settles. Beside each answer stand messages that name the same topic without
//! answering, and filler settles the same aspect of other subjects and other aspects of the same subject everywhere.

use std::collections::HashSet;

use super::chance::Chance;
use super::filler;
use super::vocabulary::{DETAILS, EVENTS, MONTHS, PEOPLE, THINGS, UNSPOKEN};
use super::words::{Name, Pool, Topic, capital, fill};
use super::world::{AGENT, Category, Question, Role, World};
use chrono::Datelike;
use threadbox::memory::Reach;

const DECIDED: &[&str] = &[
    "Decision: the {subject} gets {value} as its {aspect}, because {reason}.",
    "We settled it in the call: the {aspect} of the {subject} is {value} from now on, {reason}.",
    "Okay, let's go with {value} for the {aspect} of the {subject}; {reason}.",
    "Agreed with {person}: {value} for the {subject} ({aspect}).",
    "Final word on the {subject}: its {aspect} becomes {value}.",
    "I merged it, the {subject} now has {value} as {aspect}.",
    "{value} it is for the {aspect} in the {subject}. Reason: {reason}.",
];
const ASK_DECIDED: &[&str] = &[
    "What did we decide about the {aspect} of the {subject}?",
    "which {aspect} did we settle on for the {subject}",
    "{subject} {aspect}?",
    "What is the agreed {aspect} for the {subject}?",
    "Can you look up what the {subject} should use as {aspect}, please?",
];
const REVERSED: &[&str] = &[
    "Change of plan: the {subject} no longer uses {old} as {aspect}. From today it is {value}, {reason}.",
    "I reverted that. {subject}, {aspect}: {value}.",
    "Scrap what I said on the {subject}; for the {aspect} we take {value} instead of {old}.",
    "Update: {reason}, so the {aspect} of the {subject} becomes {value}.",
];
const ASK_NOW: &[&str] = &[
    "What is the {aspect} of the {subject} now?",
    "current {aspect} of the {subject}?",
    "What do we use as {aspect} for the {subject} these days?",
    "Which {aspect} did we end up with for the {subject}?",
];
const OPINIONS: &[&str] = &[
    "I am in favour of {value} as {aspect} for the {subject}, {reason}.",
    "Please let us not touch the {aspect} of the {subject}. It works, and {reason}.",
    "Strongly against {value} for the {subject}; the {aspect} is not our problem.",
    "{value} is fine with me ({subject}, {aspect}), as long as somebody writes it down.",
    "For the {subject} I would pick {value} as {aspect}. {rival} is wrong here.",
    "The {aspect} of the {subject} should simply be configurable, then nobody has to agree.",
];
const ASK_WHO: &[&str] = &[
    "What did {person} say about the {aspect} of the {subject}?",
    "what's {person}'s opinion on the {aspect} of the {subject}",
    "Was {person} for or against changing the {aspect} of the {subject}?",
];
const MENTIONS: &[&str] = &[
    "Not sure the {aspect} of the {subject} matters here.",
    "Does anybody remember the {aspect} of the {subject}?",
    "The docs still need a paragraph on the {aspect} of the {subject}.",
    "cc {person}: {subject}, {aspect}, see the other thread.",
    "I keep forgetting the {aspect} of the {subject}, sorry.",
];
const REPORTS: &[&str] = &[
    "Monthly check of the {subject}: {aspect} is at {value}.",
    "{subject}, {aspect}: we are at {value} this month.",
    "The usual report. {aspect_} of the {subject}: {value}.",
];
const CODE: &[(&str, &str)] = &[
    (
        "`{code_name}` drops the last {noun} when the list is empty; fixed by checking the length first.",
        "What was wrong with {asked}?",
    ),
    ("I moved the retry handling out of {code_name}, {person} asked for it.", "what did we move out of {asked}"),
    (
        "{code_name} comes from the proxy, not from us: it closes idle connections after {n} seconds.",
        "Where does {asked} come from?",
    ),
    ("Nobody calls {code_name} any more, it can go with the next major version.", "is {asked} still used?"),
];
const RELEASES: &[(&str, &str)] = &[
    (
        "Until {release} is out the {subject} stays with {value} as {aspect}.",
        "What was the {aspect} of the {subject} before the {release} release?",
    ),
    (
        "Once {release} is out the {subject} switches to {value} as {aspect}.",
        "What is the {aspect} of the {subject} after the {release} release?",
    ),
];

/// Plants facts into a world whose messages say nothing yet.
pub struct Facts<'a> {
    world: &'a mut World,
    chance: &'a mut Chance,
    planted: Vec<bool>,
    topics: Vec<Topic>,
    unspoken: Vec<Topic>,
    names: HashSet<Name>,
    paraphrases: Vec<(usize, usize)>,
    /// Messages of each owner, by time.
    by_time: Vec<Vec<usize>>,
}

impl<'a> Facts<'a> {
    /// Plants `count` questions of each category. Says which messages are taken.
    pub fn plant(world: &'a mut World, chance: &'a mut Chance, count: usize) -> Vec<bool> {
        let mut facts = Self::new(world, chance);
        for category in Category::ALL {
            for number in 0..count {
                facts.one(category, number);
            }
        }
        facts.planted
    }

    fn new(world: &'a mut World, chance: &'a mut Chance) -> Self {
        let mut by_time: Vec<Vec<usize>> = Vec::new();
        let mut owners: Vec<&str> = Vec::new();
        for (place, message) in world.messages.iter().enumerate() {
            let owner = world.owner(message.thread);
            let which = owners.iter().position(|known| *known == owner).unwrap_or_else(|| {
                owners.push(owner);
                by_time.push(Vec::new());
                owners.len() - 1
            });
            by_time[which].push(place);
        }
        for places in &mut by_time {
            places.sort_by_key(|place| (world.messages[*place].at, *place));
        }
        let mut topics: Vec<Topic> = Topic::all(Pool::Facts).collect();
        let mut unspoken: Vec<Topic> = Topic::all(Pool::Unspoken).collect();
        let mut paraphrases: Vec<(usize, usize)> =
            (0..THINGS.len()).flat_map(|thing| (0..EVENTS.len()).map(move |event| (thing, event))).collect();
        chance.shuffle(&mut topics);
        chance.shuffle(&mut unspoken);
        chance.shuffle(&mut paraphrases);
        let planted = vec![false; world.messages.len()];
        Self { world, chance, planted, topics, unspoken, names: HashSet::new(), paraphrases, by_time }
    }

    fn one(&mut self, category: Category, number: usize) {
        match category {
            Category::Decision => self.decision(number),
            Category::Reversal => self.reversal(number),
            Category::WhoSaid => self.who_said(number),
            Category::Code => self.code(number),
            Category::Paraphrase => self.paraphrase(),
            Category::Temporal => match number % 3 {
                0 => self.release(),
                _ => self.month(),
            },
            Category::MultiHop => match number % 2 {
                0 => self.comparison(),
                _ => self.chain(),
            },
            Category::CrossThread => self.cross_thread(),
            Category::OwnThread => self.own_thread(),
            Category::Border => self.border(number),
            Category::Abstention => self.abstention(number),
            Category::Forgotten => self.forgotten(),
        }
    }

    fn decision(&mut self, number: usize) {
        let (topic, owner) = (self.topic(), self.owner());
        let answer = self.somewhere(owner, 0, 100);
        self.decide(answer, topic);
        self.mention(owner, topic, 3);
        let own = self.world.messages[answer].thread;
        let (kind, thread) = if number.is_multiple_of(2) { ("own thread", own) } else { ("any thread", self.thread(owner)) };
        self.ask(Category::Decision, kind, ASK_DECIDED, topic, &[], thread).answers.push(answer);
    }

    fn reversal(&mut self, number: usize) {
        let (topic, owner) = (self.topic(), self.owner());
        let old = self.somewhere(owner, 0, 45);
        self.decide(old, topic);
        let mut rivals = vec![old];
        if number.is_multiple_of(3) {
            let between = self.somewhere(owner, 47, 60);
            self.reverse(between, topic);
            rivals.push(between);
        }
        let answer = self.somewhere(owner, 62, 100);
        self.reverse(answer, topic);
        self.mention(owner, topic, 2);
        let thread = self.thread(owner);
        let question = self.ask(Category::Reversal, "replaced", ASK_NOW, topic, &[], thread);
        question.answers.push(answer);
        question.rivals = rivals;
    }

    fn reverse(&mut self, place: usize, topic: Topic) {
        let (value, old) = (topic.value(self.chance), topic.value(self.chance));
        let template = *self.chance.pick(REVERSED);
        self.say(place, template, topic, &[("value", &value), ("old", &old)], None);
    }

    fn who_said(&mut self, number: usize) {
        let (topic, owner) = (self.topic(), self.owner());
        let mut people: Vec<&str> = PEOPLE.to_vec();
        self.chance.shuffle(&mut people);
        let person = people[0];
        let together = self.thread(owner);
        let mut said = Vec::new();
        for (place, speaker) in people.iter().take(6).enumerate() {
            let value = topic.value(self.chance);
            // Every second time somebody else names the one who is asked about.
            let template = if place == 1 && number.is_multiple_of(2) { OPINIONS[4] } else { *self.chance.pick(OPINIONS) };
            let rival = if place == 1 { person } else { people[7] };
            let message = match number % 3 {
                0 => self.in_thread(together, owner),
                _ => self.somewhere(owner, 0, 100),
            };
            self.say(message, template, topic, &[("value", &value), ("rival", rival)], Some(speaker));
            said.push(message);
        }
        let thread = self.thread(owner);
        let question = self.ask(Category::WhoSaid, "one of six", ASK_WHO, topic, &[("person", person)], thread);
        question.answers.push(said.remove(0));
        question.rivals = said;
    }

    fn code(&mut self, number: usize) {
        let (name, owner) = (self.name(), self.owner());
        type Write = fn(Name) -> String;
        let ways: [(&'static str, Write, Write); 8] = [
            ("function, exact", Name::snake, Name::snake),
            ("function, in words", Name::snake, Name::spaced),
            ("path, exact", Name::path, Name::path),
            ("file name only", Name::path, Name::file),
            ("camel case, in words", Name::camel, Name::spaced),
            ("error code", Name::code, Name::code),
            ("variable, in words", Name::variable, Name::spaced),
            ("camel case as snake case", Name::camel, Name::snake),
        ];
        let (kind, written, asked) = ways[number % ways.len()];
        let (template, question) = CODE[(number / ways.len()) % CODE.len()];
        let answer = self.somewhere(owner, 0, 100);
        self.say_plain(answer, template, &[("code_name", &written(name))], None);
        for _ in 0..4 {
            let other = written(name.neighbour(self.chance));
            let place = self.somewhere(owner, 0, 100);
            let (template, _) = *self.chance.pick(CODE);
            self.say_plain(place, template, &[("code_name", &other)], None);
        }
        let thread = self.thread(owner);
        let text = fill(question, &[("asked", &asked(name))], self.chance);
        self.push(Category::Code, kind, text, thread).answers.push(answer);
    }

    fn paraphrase(&mut self) {
        let (thing, event) = self.paraphrases.pop().expect("fewer paraphrases are asked for than there are");
        let owner = self.owner();
        let ((said, asked), (template, question, _)) = (THINGS[thing], EVENTS[event]);
        let detail = *self.chance.pick(DETAILS);
        let answer = self.somewhere(owner, 0, 100);
        self.say_plain(answer, &template.replace("{}", said), &[("detail", detail)], None);
        let thread = self.thread(owner);
        let text = capital(&question.replace("{}", asked));
        self.push(Category::Paraphrase, "other words", text, thread).answers.push(answer);
    }

    /// The same thing is reported month after month; nothing but the date tells the reports apart.
    fn month(&mut self) {
        let (topic, owner) = (self.topic(), self.owner());
        let (wanted, answer) = loop {
            let month = self.chance.between(2, 10);
            if let Some(place) = self.in_month(owner, month) {
                break (month, place);
            }
        };
        self.report(answer, topic);
        let mut rivals = Vec::new();
        for month in (wanted.saturating_sub(4).max(1)..=(wanted + 4).min(12)).filter(|month| *month != wanted) {
            let Some(place) = self.in_month(owner, month) else { continue };
            self.report(place, topic);
            rivals.push(place);
        }
        let thread = self.thread(owner);
        let month = MONTHS[wanted - 1];
        let asked = ["What was the {aspect} of the {subject} in {month}?", "{aspect} of the {subject} in {month} 2025"];
        let question = self.ask(Category::Temporal, "month", &asked, topic, &[("month", month)], thread);
        question.answers.push(answer);
        question.rivals = rivals;
    }

    fn report(&mut self, place: usize, topic: Topic) {
        let value = topic.value(self.chance);
        let template = *self.chance.pick(REPORTS);
        self.say(place, template, topic, &[("value", &value), ("aspect_", &capital(topic.aspect()))], None);
    }

    fn release(&mut self) {
        let (topic, owner) = (self.topic(), self.owner());
        let release = format!("{}.{}", self.chance.between(5, 9), self.chance.between(0, 9));
        let asked = self.chance.below(RELEASES.len());
        let mut answer = 0;
        let mut rivals = Vec::new();
        for (number, (template, _)) in RELEASES.iter().enumerate() {
            let (place, value) = (self.somewhere(owner, 0, 100), topic.value(self.chance));
            self.say(place, template, topic, &[("value", &value), ("release", &release)], None);
            if number == asked {
                answer = place;
            } else {
                rivals.push(place);
            }
        }
        let place = self.somewhere(owner, 0, 100);
        self.say_plain(place, "Released {release}. Thanks everybody, notes follow.", &[("release", &release)], None);
        self.mention(owner, topic, 3);
        let thread = self.thread(owner);
        let question = self.ask(Category::Temporal, "release", &[RELEASES[asked].1], topic, &[("release", &release)], thread);
        question.answers.push(answer);
        question.rivals = rivals;
    }

    /// Two subjects, one aspect: each is settled in a conversation of its own.
    fn comparison(&mut self) {
        let (one, owner) = (self.topic(), self.owner());
        let same = self.topics.iter().rposition(|topic| topic.aspect == one.aspect);
        let other = same.map(|place| self.topics.remove(place)).expect("topics come in many subjects");
        let mut answers = Vec::new();
        for topic in [one, other] {
            let place = self.somewhere(owner, 0, 100);
            self.decide(place, topic);
            self.mention(owner, topic, 2);
            answers.push(place);
        }
        let asked = [
            "Do the {subject} and the {other} use the same {aspect}?",
            "Compare the {aspect} of the {subject} with that of the {other}.",
        ];
        let thread = self.thread(owner);
        self.ask(Category::MultiHop, "comparison", &asked, one, &[("other", other.subject())], thread).answers = answers;
    }

    /// Who looks after a piece of code, and what it broke: said by different people at different times.
    fn chain(&mut self) {
        let (name, owner) = (self.name(), self.owner());
        let snake = name.snake();
        let given = [("code_name", snake.as_str())];
        let mut answers = Vec::new();
        for template in [
            "{person} maintains `{code_name}` from now on, ask there first.",
            "The outage on the weekend was `{code_name}`: {detail}.",
        ] {
            let place = self.somewhere(owner, 0, 100);
            self.say_plain(place, template, &given, None);
            answers.push(place);
        }
        for _ in 0..3 {
            let place = self.somewhere(owner, 0, 100);
            let other = name.neighbour(self.chance).snake();
            self.say_plain(
                place,
                "{person} maintains `{code_name}`; the outage was not its fault.",
                &[("code_name", &other)],
                None,
            );
        }
        let thread = self.thread(owner);
        let text = format!("Who maintains {snake}, and which outage did it cause?");
        self.push(Category::MultiHop, "chain", text, thread).answers = answers;
    }

    fn cross_thread(&mut self) {
        let (topic, owner) = (self.topic(), self.owner());
        let thread = self.thread(owner);
        for _ in 0..3 {
            let place = self.in_thread(thread, owner);
            let template = *self.chance.pick(MENTIONS);
            self.say(place, template, topic, &[], None);
        }
        let answer = self.elsewhere(owner, thread);
        self.decide(answer, topic);
        self.ask(Category::CrossThread, "elsewhere", ASK_DECIDED, topic, &[], thread).answers.push(answer);
    }

    fn own_thread(&mut self) {
        let (topic, owner) = (self.topic(), self.owner());
        let thread = self.thread(owner);
        let answer = self.in_thread(thread, owner);
        let thread = self.world.messages[answer].thread;
        self.decide(answer, topic);
        let mut rivals = Vec::new();
        for _ in 0..3 {
            let place = self.elsewhere(owner, thread);
            self.decide(place, topic);
            rivals.push(place);
        }
        let question = self.ask(Category::OwnThread, "thread scope", ASK_DECIDED, topic, &[], thread);
        question.reach = Reach::Thread;
        question.answers.push(answer);
        question.forbidden = rivals;
    }

    fn border(&mut self, number: usize) {
        let (topic, owner) = (self.topic(), self.owner());
        let elsewhere = (owner + 1 + self.chance.below(self.by_time.len() - 1)) % self.by_time.len();
        let (kind, place) = match number % 2 {
            0 => ("another owner's", self.somewhere(elsewhere, 0, 100)),
            _ => ("said by outsiders", self.somewhere(owner, 0, 100)),
        };
        self.decide(place, topic);
        self.world.messages[place].shared = number.is_multiple_of(2);
        self.mention(owner, topic, 1);
        let thread = loop {
            let thread = self.thread(owner);
            if thread != self.world.messages[place].thread {
                break thread;
            }
        };
        self.ask(Category::Border, kind, ASK_DECIDED, topic, &[], thread).forbidden.push(place);
    }

    fn abstention(&mut self, number: usize) {
        let owner = self.owner();
        let thread = self.thread(owner);
        if number.is_multiple_of(2) {
            let topic = self.unspoken.pop().expect("fewer are asked for than there are");
            self.ask(Category::Abstention, "known words, never together", ASK_DECIDED, topic, &[], thread);
        } else {
            let about = UNSPOKEN[(number / 2) % UNSPOKEN.len()];
            let template = *self.chance.pick(&["What was said about {}?", "Tell me about {}.", "Did anybody mention {}?"]);
            self.push(Category::Abstention, "unknown words", template.replace("{}", about), thread);
        }
    }

    fn forgotten(&mut self) {
        let (topic, owner) = (self.topic(), self.owner());
        let place = self.somewhere(owner, 0, 100);
        self.decide(place, topic);
        self.mention(owner, topic, 1);
        self.world.forgotten.push(place);
        let thread = self.thread(owner);
        self.ask(Category::Forgotten, "deleted", ASK_DECIDED, topic, &[], thread).forbidden.push(place);
    }

    fn decide(&mut self, place: usize, topic: Topic) {
        let value = topic.value(self.chance);
        let template = *self.chance.pick(DECIDED);
        self.say(place, template, topic, &[("value", &value)], None);
    }

    /// Messages that name the topic and settle nothing.
    fn mention(&mut self, owner: usize, topic: Topic, count: usize) {
        for _ in 0..count {
            let place = self.somewhere(owner, 0, 100);
            let template = *self.chance.pick(MENTIONS);
            self.say(place, template, topic, &[], None);
        }
    }

    fn say(&mut self, place: usize, template: &str, topic: Topic, given: &[(&str, &str)], author: Option<&str>) {
        let mut all = vec![("subject", topic.subject()), ("aspect", topic.aspect())];
        all.extend_from_slice(given);
        self.say_plain(place, template, &all, author);
    }

    /// Says it there, alone or among other words.
    fn say_plain(&mut self, place: usize, template: &str, given: &[(&str, &str)], author: Option<&str>) {
        let fact = capital(&fill(template, given, self.chance));
        let home = self.world.threads[self.world.messages[place].thread].home;
        let text = match self.chance.below(10) {
            0..=3 => fact,
            4 | 5 => format!("{}\n\n{fact}", filler::aside(self.chance, home)),
            6 | 7 => format!("{fact} {}", filler::aside(self.chance, home)),
            8 => format!("{}\n\n{fact}\n\n{}", filler::block(self.chance, home), filler::aside(self.chance, home)),
            _ => format!(
                "{}\n\n{}\n\n{}\n\n{fact}\n\n{}",
                filler::block(self.chance, home),
                filler::aside(self.chance, home),
                filler::block(self.chance, home),
                filler::block(self.chance, home)
            ),
        };
        // Now and then it is the agent who says it.
        let by_agent = author.is_none() && self.chance.percent(15);
        let speaker = author.unwrap_or_else(|| *self.chance.pick::<&str>(PEOPLE));
        let message = &mut self.world.messages[place];
        message.author = if by_agent { AGENT.to_owned() } else { speaker.to_owned() };
        message.role = if by_agent { Role::Assistant } else { Role::User };
        message.text = text;
    }

    fn ask(
        &mut self,
        category: Category,
        kind: &'static str,
        templates: &[&str],
        topic: Topic,
        given: &[(&str, &str)],
        thread: usize,
    ) -> &mut Question {
        let mut all = vec![("subject", topic.subject()), ("aspect", topic.aspect())];
        all.extend_from_slice(given);
        let template = *self.chance.pick(templates);
        let text = fill(template, &all, self.chance);
        self.push(category, kind, text, thread)
    }

    fn push(&mut self, category: Category, kind: &'static str, text: String, thread: usize) -> &mut Question {
        let (answers, rivals, forbidden) = (Vec::new(), Vec::new(), Vec::new());
        self.world.questions.push(Question { category, kind, text, thread, reach: Reach::Owner, answers, rivals, forbidden });
        self.world.questions.last_mut().expect("just pushed")
    }

    fn topic(&mut self) -> Topic {
        self.topics.pop().expect("fewer facts are asked for than there are topics")
    }

    fn name(&mut self) -> Name {
        loop {
            let name = Name::any(self.chance);
            if name.is_for_facts() && self.names.insert(name) {
                return name;
            }
        }
    }

    fn owner(&mut self) -> usize {
        let all: usize = self.by_time.iter().map(Vec::len).sum();
        let mut at = self.chance.below(all);
        self.by_time.iter().position(|places| at.checked_sub(places.len()).map(|left| at = left).is_none()).unwrap_or_default()
    }

    /// A conversation of the owner; long ones more often, as in life.
    fn thread(&mut self, owner: usize) -> usize {
        let place = *self.chance.pick(&self.by_time[owner]);
        self.world.messages[place].thread
    }

    /// A free message of the owner, between two hundredths of its time.
    fn somewhere(&mut self, owner: usize, from: usize, to: usize) -> usize {
        let places = &self.by_time[owner];
        let (from, to) = (places.len() * from / 100, places.len() * to / 100);
        loop {
            let place = places[from + self.chance.below(to - from)];
            if !std::mem::replace(&mut self.planted[place], true) {
                return place;
            }
        }
    }

    /// A free message of another conversation of the owner.
    fn elsewhere(&mut self, owner: usize, thread: usize) -> usize {
        loop {
            let place = self.somewhere(owner, 0, 100);
            if self.world.messages[place].thread != thread {
                return place;
            }
            self.planted[place] = false;
        }
    }

    /// A free message of the conversation, or of the owner where it is full.
    fn in_thread(&mut self, thread: usize, owner: usize) -> usize {
        let free: Vec<usize> = self.by_time[owner]
            .iter()
            .copied()
            .filter(|place| self.world.messages[*place].thread == thread && !self.planted[*place])
            .collect();
        if free.is_empty() {
            return self.somewhere(owner, 0, 100);
        }
        let place = *self.chance.pick(&free);
        self.planted[place] = true;
        place
    }

    fn in_month(&mut self, owner: usize, month: usize) -> Option<usize> {
        let of_month = |place: &usize| {
            self.world.messages[*place].at.month() as usize == month && self.world.messages[*place].at.year() == 2025
        };
        let free: Vec<usize> =
            self.by_time[owner].iter().copied().filter(|place| of_month(place) && !self.planted[*place]).collect();
        if free.is_empty() {
            return None;
        }
        let place = *self.chance.pick(&free);
        self.planted[place] = true;
        Some(place)
    }
}
