//! Pools of our own workers. The job engine rings a bell; how much is done at once, and by whom, is decided here.
//!
//! The engine's slots each ask the database at every signal and every tick, so a process with a slot per run would ask hundreds of
//! times a second when it has nothing to do. Ours sleep until the bell rings.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Wakes sleeping workers of a pool. Clones ring the same bell.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    notify: Notify,
    asleep: AtomicUsize,
}

impl Bell {
    /// Wakes one worker, or the next that would fall asleep. False when all of them are at work.
    pub fn ring(&self) -> bool {
        self.0.notify.notify_one();
        self.0.asleep.load(Ordering::SeqCst) > 0
    }

    async fn heard(&self) {
        self.0.asleep.fetch_add(1, Ordering::SeqCst);
        let awake = Awake(&self.0.asleep);
        self.0.notify.notified().await;
        drop(awake);
    }
}

/// Counts a worker as awake again, also when its sleep is cancelled.
struct Awake<'a>(&'a AtomicUsize);

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts `workers` tasks that call `work` whenever the bell rings, until shutdown. `work` goes on until nothing is left to do; when
/// it takes something up it rings for the next worker, so that a backlog wakes as many as it needs. One that panics is logged and
/// goes on with the next thing.
pub fn start(
    workers: usize,
    bell: &Bell,
    shutdown: &CancellationToken,
    work: impl Fn() -> BoxFuture<'static, ()> + Clone + Send + 'static,
) -> Vec<JoinHandle<()>> {
    let worker = |_| {
        let (bell, shutdown, work) = (bell.clone(), shutdown.clone(), work.clone());
        tokio::spawn(async move {
            while !shutdown.is_cancelled() {
                tokio::select! {
                    () = bell.heard() => {}
                    () = shutdown.cancelled() => return,
                }
                if AssertUnwindSafe(work()).catch_unwind().await.is_err() {
                    tracing::error!("a worker panicked; what it held is taken up when its lease is over");
                }
            }
        })
    };
    (0..workers).map(worker).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test]
    async fn every_ring_is_answered_and_a_panic_does_not_end_the_pool() {
        let (bell, shutdown, count) = (Bell::default(), CancellationToken::new(), Arc::new(AtomicU32::new(0)));
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let counted = count.clone();
        let tasks = start(1, &bell, &shutdown, move || {
            let (counted, told) = (counted.clone(), told.clone());
            async move {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let _ = told.send(number);
                assert_ne!(number, 0, "the first one panics");
            }
            .boxed()
        });
        for expected in 0..3 {
            bell.ring();
            assert_eq!(heard.recv().await, Some(expected));
        }
        shutdown.cancel();
        for task in tasks {
            assert!(task.await.is_ok());
        }
    }
}
