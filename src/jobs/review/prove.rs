//! Tries suggestions where code may run: in a copy of the reviewed commit inside the thread's sandbox, so that the work there is left alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::diffing;
use crate::review::apply::{Block, apply_all};
use crate::review::finding::{Proof, Ran};
use crate::review::format::{Formatted, formatted};
use crate::sandbox::{Exec, Executed, Sandbox, SandboxError};

/// Where the copy is, relative to the workspace. It is gone when the call is over.
/// An interruption may leave it behind: landing leaves it out by this name (`landing::survey`).
const SCRATCH: &str = ".threadbox-review";
/// What is to be put into the copy lies here first.
const INBOX: &str = ".threadbox-review/.threadbox-in";
const PREPARE_TIME: Duration = Duration::from_secs(180);
const FORMAT_TIME: Duration = Duration::from_secs(120);
const TEST_TIME: Duration = Duration::from_secs(600);
const OUTPUT: usize = 12 << 10;
const LARGEST_FILE: usize = 2 << 20;
/// Suggestions that are tried one by one when they fail together.
const MOST_ALONE: usize = 8;

/// Copies everything, dependencies included, and takes back what was changed since the checkout.
const COPY: &str = r#"
rm -rf .threadbox-review && mkdir .threadbox-review || exit 1
for entry in ./* ./.[!.]* ./..?*; do
  [ -e "$entry" ] || [ -L "$entry" ] || continue
  [ "$entry" = ./.threadbox-review ] && continue
  cp -a "$entry" .threadbox-review/ || exit 1
done
cd .threadbox-review || exit 1
if [ -d .git ] && command -v git >/dev/null; then
  first=$(git rev-list --max-parents=0 HEAD | tail -n 1)
  [ -z "$first" ] || { git -c core.hooksPath=/dev/null reset -q --hard "$first" && git -c core.hooksPath=/dev/null clean -qfd; }
fi
"#;

/// A suggestion that is to be tried.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub path: String,
    pub block: Block,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// Applied together with all others that are proved, this block is exact, and nothing fails.
    Proved { block: Block, proof: Proof },
    /// Why it is not offered.
    Failed(String),
}

/// How the repository is formatted and tested.
#[derive(Clone, Debug, Default)]
pub(super) struct Commands {
    pub format: Option<String>,
    pub test: Option<String>,
}

/// A place to try things.
pub(super) struct Proving<'a> {
    pub sandbox: Arc<dyn Sandbox>,
    pub commands: &'a Commands,
    /// The touched files as they were reviewed.
    pub base: &'a BTreeMap<String, Arc<str>>,
    pub cancel: &'a CancellationToken,
}

/// How an attempt went.
struct Attempt {
    blocks: Vec<Formatted>,
    format: Option<Ran>,
    test: Option<Ran>,
    /// The end of what a failing command printed.
    failed: Option<String>,
}

impl Proving<'_> {
    /// Tries all candidates together, those at `from` and after it one by one when that fails. The candidates before `from` were proved
    /// before, and are not blamed. One answer each, and what the commands printed when something failed.
    pub async fn prove(&self, candidates: &[Candidate], from: usize) -> Result<(Vec<Tried>, Option<String>), SandboxError> {
        let done = self.in_copy(candidates, from).await;
        if let Err(error) = self.sandbox.delete(SCRATCH).await
            && !matches!(error, SandboxError::NotFound(_))
        {
            tracing::info!(%error, "the copy for a review is not removed");
        }
        done
    }

    async fn in_copy(&self, candidates: &[Candidate], from: usize) -> Result<(Vec<Tried>, Option<String>), SandboxError> {
        let copied = self.sandbox.exec(Exec::shell(COPY, PREPARE_TIME, OUTPUT), self.cancel).await?;
        if copied.exit_code != 0 {
            let why = format!("the reviewed commit could not be copied to try it ({})", ended(&copied));
            return Ok((vec![Tried::Failed(why); candidates.len()], None));
        }
        let mut tried: Vec<Option<Tried>> = vec![None; candidates.len()];
        let other = self.other_files().await?;
        for (at, candidate) in candidates.iter().enumerate() {
            if other.contains(&candidate.path) {
                let why = "the sandbox holds another state of this file than the reviewed commit, so it could not be tried";
                tried[at] = Some(Tried::Failed(why.to_owned()));
            }
        }
        let told = self.try_together(candidates, from, &mut tried).await?;
        let open = || Tried::Failed("it could not be tried".to_owned());
        Ok((tried.into_iter().map(|one| one.unwrap_or_else(open)).collect(), told))
    }

    /// Those of the touched files that are not in the copy as they were reviewed.
    async fn other_files(&self) -> Result<Vec<String>, SandboxError> {
        let paths: Vec<String> = self.base.keys().map(|path| format!("{SCRATCH}/{path}")).collect();
        let read = self.sandbox.read_many(&paths, LARGEST_FILE).await?;
        let same = |read: &Result<Bytes, SandboxError>, base: &str| read.as_ref().is_ok_and(|bytes| bytes == base.as_bytes());
        let files = self.base.iter().zip(&read).filter(|((_, base), read)| !same(read, base));
        Ok(files.map(|((path, _), _)| path.clone()).collect())
    }

    async fn try_together(
        &self,
        candidates: &[Candidate],
        from: usize,
        tried: &mut [Option<Tried>],
    ) -> Result<Option<String>, SandboxError> {
        let mut chosen: Vec<usize> = (0..candidates.len()).filter(|at| tried[*at].is_none()).collect();
        // What the formatter objects to is left out, so twice may be needed.
        for _ in 0..3 {
            if chosen.is_empty() {
                return Ok(None);
            }
            let attempt = self.attempt(candidates, &chosen).await?;
            let unfit: Vec<usize> = unfit(&chosen, &attempt);
            if attempt.failed.is_none() && unfit.is_empty() {
                accept(candidates, &chosen, &attempt, tried);
                return Ok(None);
            }
            if unfit.is_empty() {
                return self.one_by_one(candidates, from, chosen, attempt, tried).await;
            }
            for at in unfit {
                tried[at] = Some(Tried::Failed("the formatter of the repository changes the lines around it".to_owned()));
            }
            chosen.retain(|at| tried[*at].is_none());
        }
        Ok(None)
    }

    /// They fail together: finds out which do, a bounded number of them, and tries what is left together again.
    async fn one_by_one(
        &self,
        candidates: &[Candidate],
        from: usize,
        chosen: Vec<usize>,
        together: Attempt,
        tried: &mut [Option<Tried>],
    ) -> Result<Option<String>, SandboxError> {
        let (old, new): (Vec<usize>, Vec<usize>) = chosen.into_iter().partition(|at| *at < from);
        let told = together.failed.clone();
        let mut good = old.clone();
        for (count, at) in new.iter().copied().enumerate() {
            if count >= MOST_ALONE || self.cancel.is_cancelled() {
                tried[at] = Some(Tried::Failed("it was not tried by itself after all of them together failed".to_owned()));
                continue;
            }
            let alone: Vec<usize> = old.iter().copied().chain([at]).collect();
            let attempt = if alone.len() == 1 && new.len() == 1 && old.is_empty() {
                None
            } else {
                Some(self.attempt(candidates, &alone).await?)
            };
            let attempt = attempt.as_ref().unwrap_or(&together);
            if attempt.failed.is_some() || !unfit(&alone, attempt).is_empty() {
                tried[at] = Some(Tried::Failed(self.why(attempt).await?));
            } else {
                good.push(at);
            }
        }
        if good.is_empty() {
            return Ok(told);
        }
        let attempt = self.attempt(candidates, &good).await?;
        if attempt.failed.is_none() && unfit(&good, &attempt).is_empty() {
            accept(candidates, &good, &attempt, tried);
        } else {
            for at in good.into_iter().filter(|at| *at >= from) {
                tried[at] = Some(Tried::Failed("it passes by itself, but not together with the others".to_owned()));
            }
        }
        Ok(told)
    }

    /// Why a suggestion fails, with whether the same fails without it.
    async fn why(&self, attempt: &Attempt) -> Result<String, SandboxError> {
        let failed = attempt.test.as_ref().or(attempt.format.as_ref());
        let Some(ran) = failed else { return Ok("the formatter changes the lines around it".to_owned()) };
        let what = format!("`{}` fails with it (exit {})", short(&ran.command), ran.exit_code);
        let without = self.attempt(&[], &[]).await?;
        Ok(if without.failed.is_some() { format!("{what}, as it does without it, so nothing is proved") } else { what })
    }

    /// Puts the chosen suggestions, and nothing else, into the copy; formats and tests.
    async fn attempt(&self, candidates: &[Candidate], chosen: &[usize]) -> Result<Attempt, SandboxError> {
        let mut blocks: BTreeMap<&str, Vec<(usize, Block)>> = BTreeMap::new();
        for (place, at) in chosen.iter().enumerate() {
            blocks.entry(&candidates[*at].path).or_default().push((place, candidates[*at].block.clone()));
        }
        let mut done = vec![Formatted::Same; chosen.len()];
        let mut wanted = self.applied(&blocks);
        self.put(&wanted).await?;
        let mut format = None;
        if let Some(command) = &self.commands.format {
            let (ran, printed) = self.run(command, FORMAT_TIME).await?;
            if ran.exit_code != 0 {
                return Ok(Attempt { blocks: done, format: Some(ran), test: None, failed: Some(printed) });
            }
            format = Some(ran);
            for (path, blocks) in &mut blocks {
                self.adopt(path, blocks, &wanted, &mut done).await?;
            }
            wanted = self.applied(&blocks);
            self.put(&wanted).await?;
        }
        let Some(command) = &self.commands.test else {
            return Ok(Attempt { blocks: done, format, test: None, failed: None });
        };
        let (ran, printed) = self.run(command, TEST_TIME).await?;
        let failed = (ran.exit_code != 0).then_some(printed);
        Ok(Attempt { blocks: done, format, test: Some(ran), failed })
    }

    /// Takes over what the formatter made of a file.
    async fn adopt(
        &self,
        path: &str,
        blocks: &mut [(usize, Block)],
        wanted: &BTreeMap<String, String>,
        done: &mut [Formatted],
    ) -> Result<(), SandboxError> {
        let (Some(base), Some(wanted)) = (self.base.get(path), wanted.get(path)) else { return Ok(()) };
        let (bytes, _) = self.sandbox.read(&format!("{SCRATCH}/{path}"), 0, LARGEST_FILE).await?;
        let now = String::from_utf8_lossy(&bytes);
        blocks.sort_by_key(|(_, block)| block.first);
        let only: Vec<Block> = blocks.iter().map(|(_, block)| block.clone()).collect();
        let (base, wanted, now) = (Arc::clone(base), wanted.clone(), now.into_owned());
        let made = diffing::apart(move || formatted(&base, &only, &wanted, &now)).await;
        for ((place, block), made) in blocks.iter_mut().zip(made) {
            if let Formatted::Changed(changed) = &made {
                *block = changed.clone();
            }
            done[*place] = made;
        }
        Ok(())
    }

    /// All touched files, with these blocks applied.
    fn applied(&self, blocks: &BTreeMap<&str, Vec<(usize, Block)>>) -> BTreeMap<String, String> {
        let apply = |(path, base): (&String, &Arc<str>)| {
            let blocks = blocks.get(path.as_str()).map(Vec::as_slice).unwrap_or_default();
            let applied = apply_all(base, blocks.iter().map(|(_, block)| block));
            (path.clone(), applied.unwrap_or_else(|| base.to_string()))
        };
        self.base.iter().map(apply).collect()
    }

    /// Writes files into the copy. Through the shell, because that keeps their modes.
    async fn put(&self, files: &BTreeMap<String, String>) -> Result<(), SandboxError> {
        let mut written = Vec::new();
        let mut script = String::from("set -e\n");
        for (at, (path, text)) in files.iter().enumerate() {
            written.push((format!("{INBOX}/{at}"), Bytes::copy_from_slice(text.as_bytes())));
            let _ = writeln!(script, "cat {} > {}", quoted(&format!("{INBOX}/{at}")), quoted(&format!("{SCRATCH}/{path}")));
        }
        let _ = writeln!(script, "rm -rf {INBOX}");
        self.sandbox.write_many(&written).await?;
        let put = self.sandbox.exec(Exec::shell(script, PREPARE_TIME, OUTPUT), self.cancel).await?;
        if put.exit_code != 0 {
            return Err(SandboxError::Unavailable(format!("the files of a review could not be written ({})", ended(&put))));
        }
        Ok(())
    }

    async fn run(&self, command: &str, time: Duration) -> Result<(Ran, String), SandboxError> {
        let exec = Exec { working_directory: Some(SCRATCH.to_owned()), ..Exec::shell(command, time, OUTPUT) };
        let ran = self.sandbox.exec(exec, self.cancel).await?;
        let printed = format!("{}\n{}", ran.stdout.text().trim_end(), ran.stderr.text().trim_end());
        let duration_ms = u64::try_from(ran.duration.as_millis()).unwrap_or(u64::MAX);
        Ok((Ran { command: command.to_owned(), exit_code: ran.exit_code, duration_ms }, printed.trim().to_owned()))
    }
}

fn unfit(chosen: &[usize], attempt: &Attempt) -> Vec<usize> {
    let pairs = chosen.iter().zip(&attempt.blocks);
    pairs.filter(|(_, made)| **made == Formatted::Unfit).map(|(at, _)| *at).collect()
}

fn accept(candidates: &[Candidate], chosen: &[usize], attempt: &Attempt, tried: &mut [Option<Tried>]) {
    for (at, made) in chosen.iter().zip(&attempt.blocks) {
        let block = match made {
            Formatted::Changed(block) => block.clone(),
            Formatted::Same | Formatted::Unfit => candidates[*at].block.clone(),
        };
        let formatted = matches!(made, Formatted::Changed(_));
        let proof = Proof { format: attempt.format.clone(), test: attempt.test.clone(), formatted };
        tried[*at] = Some(Tried::Proved { block, proof });
    }
}

/// How a command of ours ended badly.
fn ended(ran: &Executed) -> String {
    let stderr = ran.stderr.text();
    let said = stderr.lines().next().unwrap_or_default();
    format!("exit {} {}", ran.exit_code, said.chars().take(200).collect::<String>()).trim_end().to_owned()
}

fn short(command: &str) -> String {
    command.lines().next().unwrap_or_default().chars().take(80).collect()
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
