//! How long recall takes while memory grows tenfold and tenfold again, and what it occupies.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use sqlx::PgPool;
use threadbox::id::{MessageId, ThreadId};
use threadbox::memory::{Reach, Scope};
use uuid::Uuid;

use crate::resident_mb;
use crate::set::ask::Asker;
use crate::set::chance::Chance;
use crate::set::filler;
use crate::set::judge::Way;
use crate::set::place;
use crate::set::vocabulary::{PEOPLE, SUBJECTS};
use crate::set::words::{Name, Topic};
use crate::set::world::{AGENT, Role, Said, Thread};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Messages of a thread.
const THREAD: usize = 50;
/// Messages that are made, stored and indexed at a time; more would count as our memory.
const PORTION: usize = 2_000;
const QUESTIONS: usize = 200;
/// Longest measurement of one figure; a slow one has fewer questions.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many hits are wanted: what a run is shown by itself.
const HITS: usize = 10;

pub async fn measure(asker: &Asker, full: bool, quiet: bool) -> Value {
    let sizes = if full { &SIZES[..] } else { &SIZES[..3] };
    let mut all = Vec::new();
    for owners in [1, 100] {
        place::clear(&asker.pool).await;
        if !quiet {
            println!(
                "latency of recall in ms, {owners} {}",
                if owners == 1 { "owner of everything" } else { "owners that share it" }
            );
            println!("  {:>9}{:>32}{:>32}{:>32}   resident", "messages", "lexical p50/p95/p99", "vector", "hybrid");
        }
        let mut filling = Filling {
            pool: &asker.pool,
            chance: Chance::new(11),
            owners,
            threads: Vec::new(),
            messages: 0,
            embedded: Uuid::nil(),
            at: 0,
        };
        let mut before: Option<Vec<Figure>> = None;
        for size in sizes {
            let begun = Instant::now();
            filling.up_to(*size, asker).await;
            let filled = begun.elapsed();
            let mut figures = Vec::new();
            for way in Way::ALL {
                figures.push(figure(asker, &filling, way).await);
            }
            let (resident, disk) = (resident_mb(), place::sizes(&asker.pool).await);
            if !quiet {
                row(*size, &figures, before.as_deref(), resident);
                let sizes: Vec<String> = disk.iter().map(|(name, mb)| format!("{name} {mb:.0}")).collect();
                println!("  {:>9}on disk, MB: {}; filled in {:.0} s", "", sizes.join(", "), filled.as_secs_f64());
            }
            all.push(json!({ "owners": owners, "messages": size, "figures": figures, "resident_mb": resident, "disk_mb": disk }));
            before = Some(figures);
        }
        if !quiet {
            println!();
        }
    }
    Value::Array(all)
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Figure {
    way: Way,
    p50: f64,
    p95: f64,
    p99: f64,
    questions: usize,
}

fn row(size: usize, figures: &[Figure], before: Option<&[Figure]>, resident: f64) {
    let cell = |(place, figure): (usize, &Figure)| {
        let growth = before.map(|before| format!(" ×{:.1}", figure.p50 / before[place].p50)).unwrap_or_default();
        format!("{:>32}", format!("{:.1} / {:.1} / {:.1}{growth:<7}", figure.p50, figure.p95, figure.p99))
    };
    let cells: String = figures.iter().enumerate().map(cell).collect();
    println!("  {size:>9}{cells}   {resident:.0} MB");
}

/// Asks what people ask, of owners in turn.
async fn figure(asker: &Asker, filling: &Filling<'_>, way: Way) -> Figure {
    let mut chance = Chance::new(23);
    let begun = Instant::now();
    let mut times = Vec::new();
    for number in 0..QUESTIONS + QUESTIONS / 10 {
        let thread = chance.pick(&filling.threads);
        let scope = Scope { owner: thread.owner.clone(), thread: thread.id, reach: Reach::Owner };
        let text = question(&mut chance);
        let start = Instant::now();
        let found = asker.find(&scope, &text, way, HITS).await;
        // The first ones warm up connections and caches.
        if number >= QUESTIONS / 10 {
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        std::hint::black_box(found);
        if begun.elapsed() > PATIENCE && times.len() >= 20 {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    Figure { way, p50: at(50), p95: at(95), p99: at(99), questions: times.len() }
}

fn question(chance: &mut Chance) -> String {
    let subject = chance.below(SUBJECTS.len());
    let topic = Topic::noise(chance, subject);
    match chance.below(4) {
        0 => format!("What did we decide about the {} of the {}?", topic.aspect(), topic.subject()),
        1 => format!("{} {}?", topic.subject(), topic.aspect()),
        2 => format!("where do we call {}", Name::noise(chance).snake()),
        _ => format!("Did {} say why the {} ignores its {}?", chance.pick(PEOPLE), topic.subject(), topic.aspect()),
    }
}

/// Memory that is filled further and further.
struct Filling<'a> {
    pool: &'a PgPool,
    chance: Chance,
    owners: usize,
    threads: Vec<Thread>,
    messages: usize,
    /// The last piece that has a vector.
    embedded: Uuid,
    /// Minutes since the first message.
    at: i64,
}

impl Filling<'_> {
    async fn up_to(&mut self, size: usize, asker: &Asker) {
        while self.messages < size {
            let threads = PORTION.min(size - self.messages) / THREAD;
            let from = self.threads.len();
            let mut messages: Vec<Said> = Vec::new();
            for _ in 0..threads {
                self.thread(&mut messages);
            }
            place::threads(self.pool, &self.threads[from..]).await;
            place::messages(self.pool, &self.threads, &messages).await;
            place::index(self.pool).await;
            self.embedded = place::embed_after(self.pool, &asker.embedder, self.embedded).await;
            self.messages += messages.len();
        }
        sqlx::raw_sql("vacuum analyze").execute(self.pool).await.unwrap();
    }

    fn thread(&mut self, messages: &mut Vec<Said>) {
        let thread = self.threads.len();
        let home = self.chance.below(SUBJECTS.len());
        let owner = format!("github:{}", thread % self.owners);
        let id = ThreadId::from(self.made_id());
        self.threads.push(Thread { id, owner, home });
        for place in 0..THREAD {
            self.at += 1;
            let by_agent = place % 2 == 1;
            let text = filler::message(&mut self.chance, home, by_agent);
            let author = if by_agent { AGENT.to_owned() } else { (*self.chance.pick(PEOPLE)).to_owned() };
            let role = if by_agent { Role::Assistant } else { Role::User };
            let at = DateTime::UNIX_EPOCH + TimeDelta::days(18_262) + TimeDelta::minutes(self.at);
            let id = MessageId::from(self.made_id());
            messages.push(Said { id, thread, role, author, at, shared: true, text });
        }
    }

    fn made_id(&mut self) -> Uuid {
        let millis = 1_577_836_800_000 + self.at.unsigned_abs() * 60_000;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.chance.next().to_le_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
