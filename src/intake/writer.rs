//! The writer: requests that arrive while a commit is under way share the next one.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::store::{self, Row};
use super::{Accepted, Delivery, Event, Inbound, noted};
use crate::clock::Clock;
use crate::jobs::Waker;

/// Requests that wait for the writer; beyond it callers wait to hand theirs over.
const WAITING: usize = 1_024;
/// Requests in one statement.
const BATCH: usize = 64;

/// Accepts deliveries. Clones share the writer, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Intake {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    waker: Waker,
    writer: mpsc::Sender<Waiting>,
}

/// Why a delivery was not stored. It may be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The database did not take it.
    #[error("cannot store the delivery: {0}")]
    Database(#[from] Arc<sqlx::Error>),
    /// The service is ending.
    #[error("the service is ending")]
    Ending,
}

#[derive(Debug)]
struct Waiting {
    row: Row,
    told: oneshot::Sender<Result<Accepted, AcceptError>>,
}

impl Intake {
    /// Starts the writer. The task ends when the last `Intake` is gone and everything handed over is answered.
    pub fn start(pool: PgPool, clock: Arc<dyn Clock>, waker: Waker) -> (Self, JoinHandle<()>) {
        let (writer, waiting) = mpsc::channel(WAITING);
        let task = tokio::spawn(write(pool.clone(), clock.clone(), waker.clone(), waiting));
        (Self { pool, clock, waker, writer }, task)
    }

    /// Commits a delivery. Idempotent by delivery id and by object and edit time. An error means that nothing is known to be
    /// stored; a caller that gives up waiting may find it stored later, as a duplicate.
    pub async fn accept(&self, inbound: Inbound) -> Result<Accepted, AcceptError> {
        let now = self.clock.now();
        match inbound.event {
            Event::Request(request) => {
                let (told, answer) = oneshot::channel();
                let row = Row::new(&inbound.delivery, &request);
                self.writer.send(Waiting { row, told }).await.map_err(|_| AcceptError::Ending)?;
                answer.await.map_err(|_| AcceptError::Ending)?
            }
            event => {
                let accepted = noted::note(&self.pool, &inbound.delivery, event, now).await.map_err(Arc::new)?;
                if matches!(accepted, Accepted::Noted(_)) {
                    self.waker.wake().await;
                }
                Ok(accepted)
            }
        }
    }

    /// Tells the workers that there is something to do beside what was accepted.
    pub async fn wake(&self) {
        self.waker.wake().await;
    }

    /// Remembers that a delivery was looked at, whatever it meant, so that nobody looks again. Idempotent.
    ///
    /// # Errors
    /// As the database.
    pub async fn looked_at(&self, delivery: &Delivery) -> Result<(), AcceptError> {
        noted::store::record(&self.pool, delivery, self.clock.now()).await.map_err(Arc::new)?;
        Ok(())
    }
}

async fn write(pool: PgPool, clock: Arc<dyn Clock>, waker: Waker, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let (rows, told): (Vec<Row>, Vec<_>) = batch.drain(..).map(|waiting| (waiting.row, waiting.told)).unzip();
        let answers = commit(&pool, clock.as_ref(), &rows).await;
        let stored = answers.iter().any(|answer| matches!(answer, Ok(Accepted::Stored { .. })));
        for (told, answer) in told.into_iter().zip(answers) {
            // A caller that gave up does not listen any more; its delivery is stored all the same.
            let _ = told.send(answer);
        }
        if stored {
            waker.wake().await;
        }
    }
}

/// All in one commit; if that fails each by itself, so that one that cannot be stored does not keep the others out.
async fn commit(pool: &PgPool, clock: &dyn Clock, rows: &[Row]) -> Vec<Result<Accepted, AcceptError>> {
    match store::accept(pool, rows, clock.now()).await {
        Ok(accepted) => accepted.into_iter().map(Ok).collect(),
        Err(error) if rows.len() == 1 => vec![Err(Arc::new(error).into())],
        Err(error @ (sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_))) => {
            let error = Arc::new(error);
            rows.iter().map(|_| Err(error.clone().into())).collect()
        }
        Err(_) => {
            let mut answers = Vec::with_capacity(rows.len());
            for row in rows {
                let one = store::accept(pool, std::slice::from_ref(row), clock.now()).await;
                answers.push(one.map(|mut one| one.remove(0)).map_err(|error| Arc::new(error).into()));
            }
            answers
        }
    }
}
