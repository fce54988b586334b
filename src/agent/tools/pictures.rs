//! Pictures that a program wrote, which become part of the answer without being asked for.

use serde_json::{Map, Value, json};

use super::{Attachment, ToolContext, text};
use crate::attachment::{self, MAX_PICTURE};
use crate::sandbox::Sandbox;

/// Pictures of one call.
const MOST: usize = 10;
/// Pictures that are told to be left out.
const MAX_TOLD: usize = 10;

/// What was taken, and what was not, with the reason.
#[derive(Default)]
pub(super) struct Pictures {
    pub attachments: Vec<Attachment>,
    left_out: Vec<String>,
}

/// Reads those of these files that are pictures, within what the run may still attach.
pub(super) async fn collect(ctx: &ToolContext<'_>, sandbox: &dyn Sandbox, files: Vec<(String, u64)>) -> Pictures {
    let mut pictures = Pictures::default();
    let mut allowance = ctx.limits.attachments;
    for (path, size) in files.into_iter().filter(|(path, size)| attachment::may_be_picture(path) && *size > 0) {
        let refused = if size > MAX_PICTURE as u64 {
            Some(format!("{} are more than {}", text::human_size(size), text::human_size(MAX_PICTURE as u64)))
        } else if pictures.attachments.len() == MOST {
            Some(format!("only {MOST} pictures of a call are attached"))
        } else {
            allowance.admit(size).err()
        };
        if let Some(why) = refused {
            pictures.left_out.push(format!("{path}: {why}"));
            continue;
        }
        // Gone or replaced meanwhile, or no picture in spite of its name.
        let Ok((content, whole)) = sandbox.read(&path, 0, MAX_PICTURE).await else { continue };
        let media_type = attachment::media_type(&path, &content);
        if whole > content.len() as u64 || !attachment::is_picture(media_type) {
            continue;
        }
        allowance = allowance.without(content.len() as u64);
        let name = unlike(&pictures.attachments, &attachment::clean_name(&path));
        pictures.attachments.push(Attachment { name, media_type: media_type.to_owned(), content });
    }
    pictures
}

/// The name, with a number when two directories have a picture of it.
fn unlike(known: &[Attachment], name: &str) -> String {
    let is_taken = |name: &str| known.iter().any(|attachment| attachment.name == name);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{stem}-{number}.{extension}")));
    names.find(|name| !is_taken(name)).unwrap_or_else(|| name.to_owned())
}

impl Pictures {
    /// For the model.
    pub(super) fn tell(&self, fields: &mut Map<String, Value>) {
        if !self.attachments.is_empty() {
            let names: Vec<_> = self.attachments.iter().map(|attachment| attachment.name.as_str()).collect();
            fields.insert("attachments".to_owned(), json!(names));
        }
        if !self.left_out.is_empty() {
            let mut told: Vec<String> = self.left_out.iter().take(MAX_TOLD).cloned().collect();
            let more = self.left_out.len() - told.len();
            told.extend((more > 0).then(|| format!("{more} more")));
            fields.insert("attachmentsLeftOut".to_owned(), json!(told));
        }
    }

    /// For people; empty when nothing was left out.
    pub(super) fn note(&self) -> String {
        match self.left_out.len() {
            0 => String::new(),
            1 => format!("\n[1 picture is not shown: {}]", self.left_out[0]),
            count => format!("\n[{count} pictures are not shown: {}]", self.left_out[..count.min(3)].join("; ")),
        }
    }
}
