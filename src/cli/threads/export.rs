//! `threadbox threads export`: JSON lines, one page in memory at a time.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use sqlx::PgPool;

use super::ExportArgs;
use crate::cli::Outcome;
use crate::cli::output::{Failure, Progress};
use crate::memory::forget::record::Export;

pub(super) async fn main(pool: &PgPool, args: ExportArgs, progress: Progress) -> Outcome {
    let whose = args.whose.find(pool).await?;
    let mut out: BufWriter<Box<dyn Write + Send>> = BufWriter::new(match &args.output {
        Some(path) => create(path)?,
        None => Box::new(std::io::stdout()),
    });
    let cannot_write = |error: std::io::Error| {
        Failure::new(format!("Cannot write the export: {error}."), "What was written so far is incomplete.")
    };
    let mut export = Export::new(pool.clone(), whose);
    let mut written = 0_u64;
    while let Some(records) = export.next().await.context("Cannot read everything; what was written so far is incomplete")? {
        for record in &records {
            writeln!(out, "{record}").map_err(cannot_write)?;
            written += 1;
        }
        progress.say(format!("exporting: {written} records"));
    }
    out.flush().map_err(cannot_write)?;
    drop(progress);
    if args.output.is_some() {
        eprintln!("{written} records.");
    }
    Ok(ExitCode::SUCCESS)
}

/// A new file that only its owner may read: it holds what people said.
fn create(path: &Path) -> Result<Box<dyn Write + Send>, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        Failure::new(format!("Cannot create {}: {error}.", path.display()), "Name a file that is not there yet.")
    })?;
    Ok(Box::new(file))
}
