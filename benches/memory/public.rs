//! The public LongMemEval questions, one haystack at a time.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::set::ask::Asker;
use crate::set::judge::Way;
use crate::set::longmemeval::{self, Instance, Results};
use crate::set::place;

/// Hits that are asked for: as many as memory gives, so that ten sessions are among them if possible.
const DEEP: usize = threadbox::memory::recall::MOST;

pub async fn measure(asker: &Asker, path: &Path, limit: Option<usize>, quiet: bool) -> Value {
    let file = BufReader::new(File::open(path).unwrap_or_else(|error| panic!("Cannot read {}: {error}", path.display())));
    // One question is at work and one is read ahead.
    let (sender, mut questions) = mpsc::channel::<Instance>(1);
    let mut left = limit.unwrap_or(usize::MAX);
    let reader = tokio::task::spawn_blocking(move || {
        longmemeval::read(file, |instance| {
            if instance.is_abstention() {
                return true;
            }
            left = left.saturating_sub(1);
            sender.blocking_send(instance).is_ok() && left > 0
        })
    });
    let mut results = [Results::default(), Results::default(), Results::default()];
    let mut done = 0;
    while let Some(instance) = questions.recv().await {
        let world = instance.world();
        place::put(&asker.pool, &world, &asker.embedder).await;
        for (way, results) in Way::ALL.into_iter().zip(&mut results) {
            let found = asker.question(&world, &world.questions[0], way, DEEP).await;
            results.add(&instance.question_type, &longmemeval::judge(&instance, &world, &found.ranked));
        }
        place::clear(&asker.pool).await;
        done += 1;
        eprint!("\r{done} questions");
    }
    eprintln!();
    reader.await.unwrap().unwrap_or_else(|error| panic!("{} is no LongMemEval file: {error}", path.display()));
    if !quiet {
        println!("LongMemEval, {done} questions of {} (abstention left out)\n", path.display());
        for (way, results) in Way::ALL.into_iter().zip(&results) {
            println!("{}\n{}\n", way.name(), results.table());
        }
    }
    json!({ "lexical": results[0], "vector": results[1], "hybrid": results[2] })
}
