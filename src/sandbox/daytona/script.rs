//! The shell programs that run in the sandbox on our behalf: how they are called, and how their answers are read. Pure.
//!
//! They travel in an environment variable and are started by a line with quoted arguments, because the toolbox feeds a line to
//! whatever shell the image has (often zsh) on its standard input. Answers are lines that begin with `@tb `: profiles, warnings and a hostile
//! sandbox may print anything else around them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Runs, watches and ends programs.
pub(super) const JOB: &str = include_str!("job.sh");
/// Moves, walks and deletes files.
pub(super) const FILES: &str = include_str!("files.sh");

/// Longest text that may travel as one environment variable; the kernel takes 128 KiB, name included.
pub(super) const MAX_VARIABLE: usize = 96 << 10;

/// The line that starts a script, which is in `TB`, with arguments.
pub(super) fn line(arguments: &[&str]) -> String {
    let mut line = "exec sh -c \"$TB\" threadbox".to_owned();
    for argument in arguments {
        line.push(' ');
        line.push_str(&quote(argument));
    }
    line.push_str(" </dev/null");
    line
}

/// A text as one word of any shell.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The lines of an answer, without the mark. None when the answer is not whole.
pub(super) fn answer(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("@tb "))
}

/// What a job script says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// What became of a launch; none in answers to other verbs.
    pub lock: Option<Lock>,
    pub state: JobState,
    pub out: StreamReport,
    pub err: StreamReport,
}

/// Who holds the lock of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// This launch began it.
    Begun,
    /// An earlier launch began it.
    Joined,
    /// Another program has the name and lives.
    Busy,
}

/// How a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    /// There is no such job.
    Absent,
    /// Its lock is taken and its supervisor is not there yet.
    Starting,
    /// Its supervisor lives.
    Running,
    /// It ended.
    Ended { code: i32, why: Why },
}

/// Why a job ended, as its files say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// By itself.
    Itself,
    Timeout,
    Cancelled,
    Disk,
    Memory,
    /// Its supervisor is gone without a result.
    Lost,
    /// Not begun: no room for its files.
    Full,
    /// Not begun: the image has no `setsid`.
    NoSetsid,
    /// Not begun: its directory does not exist.
    NoDirectory,
    /// Not begun: this program that its language needs does not exist.
    NoInterpreter(usize),
}

impl Why {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "-" => Self::Itself,
            "timeout" => Self::Timeout,
            "cancelled" => Self::Cancelled,
            "disk" => Self::Disk,
            "memory" => Self::Memory,
            "lost" => Self::Lost,
            "full" => Self::Full,
            "setsid" => Self::NoSetsid,
            "directory" => Self::NoDirectory,
            _ => Self::NoInterpreter(word.strip_prefix("interpreter:")?.parse().ok()?),
        })
    }
}

/// One stream of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamReport {
    /// Bytes printed so far.
    pub size: u64,
    /// Where the hole ends whose bytes were given up; 0 without one.
    pub cut: u64,
    /// The next bytes, when they were few enough to come along.
    pub bytes: Vec<u8>,
}

impl Report {
    /// Reads an answer. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut report = Self { lock: None, state: JobState::Absent, out: StreamReport::default(), err: StreamReport::default() };
        let mut is_whole = false;
        for line in answer(text) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "begun" => report.lock = Some(Lock::Begun),
                "joined" => report.lock = Some(Lock::Joined),
                "busy" => report.lock = Some(Lock::Busy),
                "state" => report.state = parse_state(rest).ok_or_else(|| format!("unexpected answer: {line}"))?,
                "out" => report.out = parse_stream(rest).ok_or("an unexpected answer about the output")?,
                "err" => report.err = parse_stream(rest).ok_or("an unexpected answer about the errors")?,
                "failed" => return Err(rest.to_owned()),
                "end" => is_whole = true,
                _ => {}
            }
        }
        if is_whole { Ok(report) } else { Err(noise(text)) }
    }
}

/// What stands in place of an answer.
pub(super) fn noise(text: &str) -> String {
    const LONGEST: usize = 300;
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        _ if text.is_empty() => "it gave no answer".to_owned(),
        Some((end, _)) => format!("it said: {}…", &text[..end]),
        None => format!("it said: {text}"),
    }
}

fn parse_state(rest: &str) -> Option<JobState> {
    let mut words = rest.split_whitespace();
    Some(match words.next()? {
        "none" => JobState::Absent,
        "starting" => JobState::Starting,
        "running" => JobState::Running,
        "ended" => JobState::Ended { code: words.next()?.parse().ok()?, why: Why::parse(words.next()?)? },
        _ => return None,
    })
}

fn parse_stream(rest: &str) -> Option<StreamReport> {
    let mut words = rest.split_whitespace();
    Some(StreamReport {
        size: words.next()?.parse().ok()?,
        cut: words.next()?.parse().ok()?,
        bytes: words.next().map_or(Some(Vec::new()), |text| BASE64_STANDARD.decode(text).ok())?,
    })
}

/// What a file script says went wrong with which of the files, or how many it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FilesAnswer {
    Done,
    Failed {
        number: usize,
        reason: String,
    },
    /// The image lacks a tool that this needs.
    Unsupported,
}

impl FilesAnswer {
    /// Reads an answer. The error says what stands in its place.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        for line in answer(text) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "unsupported" => return Ok(Self::Unsupported),
                "done" => return Ok(Self::Done),
                "fail" => {
                    let (number, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                    let number = number.parse().map_err(|_| noise(text))?;
                    return Ok(Self::Failed { number, reason: reason.trim().to_owned() });
                }
                _ => {}
            }
        }
        Err(noise(text))
    }
}

#[cfg(test)]
mod tests;
