//! The job that names a thread, once, after its first run, with the cheap model.

use std::time::Duration;

use graphile_worker::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::Services;
use crate::id::ThreadId;
use crate::model::{Message, Request, Role};
use crate::{agent, thread};

/// Longest title, in characters.
const LONGEST: usize = 80;
/// A title is not worth more of a slot's time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A thread without a title.
#[derive(Debug, Serialize, Deserialize)]
pub struct TitleThread {
    /// Which.
    pub thread_id: ThreadId,
}

impl TaskHandler for TitleThread {
    const IDENTIFIER: &'static str = "title_thread";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let services = context.get_ext::<Services>().ok_or("the services are missing")?;
        find_title(services, self.thread_id).await.map_err(|error| error.to_string())
    }
}

async fn find_title(services: &Services, thread: ThreadId) -> anyhow::Result<()> {
    let Some(text) = thread::opening_text(&services.pool, thread).await? else { return Ok(()) };
    let request = Request {
        system: agent::prompt::TITLE.to_owned(),
        messages: vec![Message::text(Role::User, text)],
        tools: Vec::new(),
        max_output_tokens: Some(200),
    };
    let answer = tokio::time::timeout(PATIENCE, services.title_model.answer(&request, &|_| {})).await??;
    let title = tidy(&answer.message.plain_text());
    if !title.is_empty() {
        thread::set_title(&services.pool, thread, &title).await?;
    }
    Ok(())
}

/// One line of at most 80 characters, without quotes around it and without anything that could ping or link.
fn tidy(text: &str) -> String {
    let text = text.rsplit("</think>").next().unwrap_or_default();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = line.trim_start_matches(['#', '*', ' ']).trim_matches(['"', '\'', '`', '*', ' ', '.']);
    let plain = line.chars().filter(|char| !char.is_control() && !matches!(char, '<' | '>' | '@' | '`'));
    plain.take(LONGEST).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn titles_are_one_short_plain_line() {
        assert_eq!(tidy("\"Sum of the first primes.\"\n\nmore"), "Sum of the first primes");
        assert_eq!(tidy("<think>hm</think>\n# Fix @everyone <b>now</b>"), "Fix everyone bnow/b");
        assert_eq!(tidy(&"ä".repeat(200)).chars().count(), 80);
        assert_eq!(tidy("  \n "), "");
    }
}
