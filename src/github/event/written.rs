//! What people wrote: whether it addresses us, and whether a change of it matters.

use chrono::{DateTime, Utc};

use super::super::MARKER;
use super::super::payload::{Account, Changes};
use super::{INCOMPLETE, Meaning, author, nothing};
use crate::intake::command::mentions;
use crate::intake::{Asks, Change, Changed, Event, ObjectVersion, Place, Renamed, Request, ReviewThread, Trigger, With};
use crate::storable;

/// Which part of the text is new, as far as mentions go.
pub(super) enum Adds {
    Everything,
    /// The text was this before.
    Since(String),
    Nothing,
}

/// What an edit adds to the text.
pub(super) fn edit(changes: &Option<Changes>) -> Adds {
    match changes.as_ref().and_then(|c| c.body.as_ref()) {
        Some(was) => Adds::Since(was.from.clone().unwrap_or_default()),
        None => Adds::Nothing,
    }
}

/// Whether an edit gave the conversation another title.
pub(super) fn is_renamed(changes: &Option<Changes>) -> bool {
    changes.as_ref().is_some_and(|changes| changes.title.is_some())
}

/// Something a person wrote, before it is known to address us.
pub(super) struct Written {
    pub place: Place,
    pub trigger: Trigger,
    /// Names it for ever, such as `issue_comment:42`; none when the payload lacks its number.
    pub object: Option<String>,
    pub by: Option<Account>,
    pub text: String,
    pub title: String,
    pub body: Option<String>,
    pub url: String,
    pub at: Option<DateTime<Utc>>,
    pub head: Option<String>,
    pub review_thread: Option<ReviewThread>,
    pub from_fork: bool,
    pub opened_by: Option<i64>,
}

impl Written {
    /// A request when it addresses us and did not before.
    pub fn request(self, adds: &Adds, handle: &str) -> Meaning {
        if self.text.contains(MARKER) {
            return nothing("our own text never asks for anything");
        }
        let was_for_us = matches!(adds, Adds::Since(before) if mentions(before, handle));
        match (mentions(&self.text, handle), adds) {
            (false, _) if was_for_us => self.changed(Change::Edited),
            (false, _) => nothing("nobody addressed us"),
            (true, Adds::Since(_)) if was_for_us => self.changed(Change::Edited),
            (true, Adds::Nothing) => nothing("the edit did not change the text"),
            (true, Adds::Everything | Adds::Since(_)) => self.asks(Asks::Words),
        }
    }

    /// The new title of the conversation, when a person gave it one; bots do not name threads.
    pub fn renamed(&self) -> Option<Renamed> {
        let by = self.by.clone().and_then(author).filter(|by| !by.is_bot)?;
        let mut title = self.title.clone();
        storable::text(&mut title);
        Some(Renamed { place: self.place.clone(), title, by: by.login, at: self.at? })
    }

    /// The same without a look at its words: nobody wrote them to us.
    pub fn asks(self, asks: Asks) -> Meaning {
        let Some(author) = self.by.and_then(author) else { return nothing("the author's account is gone") };
        let (Some(written_at), Some(object)) = (self.at, self.object) else { return nothing(INCOMPLETE) };
        let mut request = Request {
            place: self.place,
            trigger: self.trigger,
            author,
            text: self.text,
            title: self.title,
            body: self.body,
            url: self.url,
            written_at,
            asks,
            head: self.head,
            review_thread: self.review_thread,
            from_fork: self.from_fork,
            opened_by: self.opened_by,
            with: With::default(),
        };
        request.make_storable();
        let object = ObjectVersion { object, edited_at: written_at };
        Meaning { event: Event::Request(Box::new(request)), object: Some(object) }
    }

    /// It is gone. It may have been a request before it was edited, so this is told of whatever it says.
    pub fn deleted(mut self) -> Meaning {
        self.text.clear();
        self.changed(Change::Deleted)
    }

    fn changed(self, change: Change) -> Meaning {
        let (Some(at), Some(object)) = (self.at, self.object) else { return nothing(INCOMPLETE) };
        let by = self.by.and_then(|by| by.login).unwrap_or_else(|| "somebody".to_owned());
        let mut text = self.text;
        crate::storable::text(&mut text);
        Event::Changed(Changed { place: self.place, object, change, by, at, text }).into()
    }
}
