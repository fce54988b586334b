//! What an interaction comes to: an answer, or something that is kept and then answered.

use chrono::TimeDelta;

use super::Inner;
use super::answer::Answer;
use super::heard::{Heard, What};
use super::policy;
use super::store::{self, AnsweredBy, Asked, AskedOne, Kept, New, Quota};
use super::words;
use crate::discord::button::Button;
use crate::discord::command::definition::{self, About};
use crate::discord::command::translate::{self, Options, Shown, Spoken, Translated, Unfit};
use crate::discord::command::{complete, repositories};
use crate::discord::component::modal::{self, Filled, Modal};
use crate::discord::component::{self, Pressed};
use crate::id::InboxId;
use crate::intake::{Asks, Place, Press, Request, Trigger, With};
use crate::sandbox::Language;

/// The window in which one person's runs are counted.
const HOUR: TimeDelta = TimeDelta::hours(1);
/// Repositories that are looked through while somebody types.
const MOST_REPOSITORIES: i64 = 200;

/// What an interaction comes to.
pub(super) enum Decided {
    /// Nothing but an answer.
    Answer(Answer),
    /// It is kept; once this answer is given it is handed over.
    Kept {
        /// What.
        asked: Box<Asked>,
        /// The answer.
        answer: Answer,
    },
    /// It was answered and handed over before.
    Done,
}

/// A command, a press or a modal as it is to be kept.
struct Meant {
    place: Place,
    requests: Vec<(String, Request)>,
    answered_by: AnsweredBy,
    answer: Answer,
    /// Whether runs come of it.
    runs: bool,
    /// Whether free words join what runs.
    joins: bool,
}

impl Inner {
    pub(super) async fn decide(&self, heard: &Heard) -> Result<Decided, sqlx::Error> {
        let typing = matches!(heard.what, What::Typing { .. });
        let rules = self.parts.settings.discord.as_ref();
        if let Some(Err(why)) = rules.map(|rules| policy::may(rules, heard)) {
            let answer = if typing { Answer::Choices(Vec::new()) } else { whisper(words::refused(why)) };
            return Ok(Decided::Answer(answer));
        }
        match &heard.what {
            What::Typing { option, typed } => Ok(Decided::Answer(Answer::Choices(self.choices(heard, option, typed).await?))),
            What::Command { name, options } => self.command(heard, name, options).await,
            What::Pressed { custom_id, message } => self.pressed(heard, custom_id, *message).await,
            What::Filled { custom_id, fields } => self.filled(heard, custom_id, fields).await,
        }
    }

    async fn choices(&self, heard: &Heard, option: &str, typed: &str) -> Result<Vec<String>, sqlx::Error> {
        match option {
            "name" | "model" => {
                let models = &self.parts.models;
                Ok(complete::models(typed, &self.parts.settings.models.chain, |name| models.can_ask(name)))
            }
            "address" | "repository" => {
                let at = (heard.spot.guild, heard.spot.channel);
                let known = repositories(&self.parts.pool, at, heard.person.id, MOST_REPOSITORIES).await?;
                Ok(complete::repositories(typed, known))
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn command(&self, heard: &Heard, name: &str, options: &Options) -> Result<Decided, sqlx::Error> {
        let Some(definition) = definition::find(name) else { return Ok(Decided::Answer(whisper(words::UNKNOWN))) };
        let in_conversation = heard.spot.is_conversation();
        match definition.about {
            About::Nothing => return Ok(Decided::Answer(Answer::Whisper(words::help(in_conversation)))),
            About::Conversation if !in_conversation => {
                return Ok(Decided::Answer(Answer::Whisper(words::needs_conversation(definition.name))));
            }
            About::Conversation | About::Anything => {}
        }
        match translate::translate(definition, options, &self.parts.settings.name) {
            Ok(translated) => {
                let meant = self.said(heard, heard.spot.place(heard.person.id), translated, definition.runs);
                self.keep(heard, Meant { joins: definition.word.is_none(), ..meant }).await
            }
            Err(Unfit::NeedsCode { language }) => Ok(Decided::Answer(Answer::Modal(Modal::Run { language }.json()))),
            Err(why) => Ok(Decided::Answer(Answer::Whisper(words::unfit(&why)))),
        }
    }

    async fn pressed(&self, heard: &Heard, custom_id: &str, message: i64) -> Result<Decided, sqlx::Error> {
        let Some(button) = Button::parse(custom_id) else { return Ok(Decided::Answer(whisper(words::TOO_OLD))) };
        let (pool, channel) = (&self.parts.pool, heard.spot.channel);
        let known = match button {
            Button::Again(request) => return self.again(heard, request).await,
            Button::Stop(run) | Button::Retry(run) | Button::Continue(run) | Button::OpenPullRequest(run) => {
                let run = component::store::run(pool, run, channel).await?;
                run.map(|run| (component::about_run(button, &run), run.place))
            }
            Button::Approve(id) | Button::Decline(id) => {
                let approval = component::store::approval(pool, id, channel).await?;
                approval.map(|approval| (component::about_approval(button, &approval), approval.place))
            }
        };
        let Some((pressed, place)) = known else { return Ok(Decided::Answer(whisper(words::GONE))) };
        match pressed {
            Pressed::Not(why) => Ok(Decided::Answer(whisper(why))),
            Pressed::Ask(modal) => Ok(Decided::Answer(Answer::Modal(modal.json()))),
            Pressed::Say(said) => {
                let text = format!("@{} {said}", self.parts.settings.name);
                let requests = vec![Spoken { name: "", text, repository: None }];
                let shown = Shown::Words { verb: "says", text: said };
                let meant = self.said(heard, place, Translated { requests, shown }, true);
                self.keep(heard, meant).await
            }
            Pressed::Press(press, word) => {
                let text = translate::word(word, &self.parts.settings.name).requests.remove(0).text;
                let asks = Asks::Pressed { press, interaction: heard.id };
                let request = Request { asks, url: heard.spot.link(Some(message)), ..self.request(heard, &place, text) };
                let meant = Meant {
                    place,
                    requests: vec![(String::new(), request)],
                    answered_by: AnsweredBy::Press { message },
                    answer: Answer::Heard,
                    runs: matches!(press, Press::Retry(_) | Press::OpenPullRequest(_)),
                    joins: false,
                };
                self.keep(heard, meant).await
            }
        }
    }

    /// What was given up, asked for again by whoever pressed, in the words it was asked in.
    async fn again(&self, heard: &Heard, id: InboxId) -> Result<Decided, sqlx::Error> {
        let Some(known) = component::store::request(&self.parts.pool, id, heard.spot.channel).await? else {
            return Ok(Decided::Answer(whisper(words::GONE)));
        };
        if let Some(why) = component::not_again(&known) {
            return Ok(Decided::Answer(whisper(why)));
        }
        let text = known.request.text;
        let requests = vec![Spoken { name: "", text: text.clone(), repository: None }];
        let shown = Shown::Words { verb: "asks again", text };
        let mut meant = self.said(heard, known.place, Translated { requests, shown }, true);
        for (_, request) in &mut meant.requests {
            // What it came with, but for who asks.
            request.with = With { roles: std::mem::take(&mut request.with.roles), ..known.request.with.clone() };
        }
        self.keep(heard, meant).await
    }

    async fn filled(&self, heard: &Heard, custom_id: &str, fields: &[(String, String)]) -> Result<Decided, sqlx::Error> {
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim_end());
        let handle = &self.parts.settings.name;
        let (place, translated, runs) = match Filled::parse(custom_id) {
            None => return Ok(Decided::Answer(whisper(words::TOO_OLD))),
            Some(Filled::Run) => {
                let given = field(modal::LANGUAGE).trim();
                let language = if given.is_empty() { Some(Language::Python) } else { Language::find(given) };
                let ran = match language {
                    Some(language) => translate::run(language, field(modal::CODE), handle),
                    None => Err(Unfit::NoLanguage { given: given.to_owned() }),
                };
                (heard.spot.place(heard.person.id), ran, true)
            }
            Some(Filled::Budget(run)) => {
                let Some(run) = component::store::run(&self.parts.pool, run, heard.spot.channel).await? else {
                    return Ok(Decided::Answer(whisper(words::GONE)));
                };
                let given = field(modal::USD).trim();
                let budget = translate::budget(given, handle);
                (run.place, budget, false)
            }
        };
        match translated {
            Ok(translated) => {
                let meant = self.said(heard, place, translated, runs);
                self.keep(heard, meant).await
            }
            Err(why) => Ok(Decided::Answer(Answer::Whisper(words::unfit(&why)))),
        }
    }

    /// Words that everybody sees.
    fn said(&self, heard: &Heard, place: Place, translated: Translated, runs: bool) -> Meant {
        let redactor = &self.parts.redactor;
        let post = words::post(&heard.person.login, &translated.shown);
        let file = post.file.map(|mut file| {
            file.bytes = redactor.redact(&String::from_utf8_lossy(&file.bytes)).into_owned().into();
            file
        });
        let answer = Answer::Message { content: words::cut(&redactor.redact(&post.content), words::MOST), file };
        let requests = translated.requests.into_iter();
        let requests = requests.map(|spoken| {
            let mut request = self.request(heard, &place, spoken.text);
            request.with.repository = spoken.repository;
            (spoken.name.to_owned(), request)
        });
        let requests = requests.collect();
        let opens = !heard.spot.is_conversation() && matches!(&place, Place::Discord { opening: None, .. });
        Meant { place, requests, answered_by: AnsweredBy::Message { opens }, answer, runs, joins: false }
    }

    fn request(&self, heard: &Heard, place: &Place, text: String) -> Request {
        let mut request = Request {
            place: place.clone(),
            trigger: Trigger::Event,
            author: heard.person.clone(),
            text,
            title: heard.spot.name.clone(),
            body: None,
            url: heard.spot.link(None),
            written_at: heard.at,
            asks: Asks::Words,
            head: None,
            review_thread: None,
            from_fork: false,
            opened_by: None,
            with: With { roles: heard.roles.clone(), ..With::default() },
        };
        request.make_storable();
        request
    }

    async fn keep(&self, heard: &Heard, meant: Meant) -> Result<Decided, sqlx::Error> {
        let requests = meant.requests.into_iter().map(|(name, request)| AskedOne { name, request }).collect();
        let asked = Asked { requests, answer: meant.answered_by };
        let now = self.parts.clock.now();
        let key = meant.place.key();
        let limit = self.parts.settings.limits.user_runs_per_hour;
        let joins = meant.joins.then_some(key.as_str());
        let quota = meant.runs.then_some(Quota { person: heard.person.id, since: now - HOUR, limit, joins });
        let new = New { id: heard.id, application: heard.application, token: &heard.token, asked: &asked, quota };
        Ok(match store::keep(&self.parts.pool, new, now).await? {
            Kept::Yes => Decided::Kept { asked: Box::new(asked), answer: meant.answer },
            Kept::HandedOver => Decided::Done,
            Kept::TooMany { oldest } => Decided::Answer(Answer::Whisper(words::too_often(limit, oldest + HOUR))),
        })
    }
}

fn whisper(text: &str) -> Answer {
    Answer::Whisper(text.to_owned())
}
