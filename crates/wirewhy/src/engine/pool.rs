//! Work inside one capture by several threads, with the same result as by one.
//!
//! A capture is worked on as on an assembly line: one thread decompresses, one follows the packets, one diagnoses the
//! connections that are over. Each does all of its part in order, so that nothing depends on how many they are.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use super::diagnosing::{Diagnosing, Sink, Spent};
use super::following::Ended;

/// Threads that may help with a capture besides the one that was given it. Several captures at once share them.
#[derive(Debug, Default)]
pub struct ThreadPool {
    idle: AtomicUsize,
}

impl ThreadPool {
    /// So many that have nothing else to do.
    #[must_use]
    pub fn new(idle: usize) -> ThreadPool {
        ThreadPool {
            idle: AtomicUsize::new(idle),
        }
    }

    /// One more has nothing else to do.
    pub fn add_one(&self) {
        self.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one away, if there is any, until its permit is dropped.
    pub(super) fn acquire(&self) -> Option<Permit<'_>> {
        let one_less = |idle: usize| idle.checked_sub(1);
        self.idle
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .ok()
            .map(|_| Permit(self))
    }
}

/// The right to use one thread of the pool; dropping it gives the thread back.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a ThreadPool);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.add_one();
    }
}

/// How many batches lie between the thread that follows and the one that diagnoses.
const BATCHES: usize = 4;

/// Where connections go that another thread is to diagnose.
pub(super) struct Outbox {
    full: SyncSender<Ended>,
    /// What was diagnosed and is not needed any more.
    spent: Receiver<Spent>,
}

/// The thread that diagnosed has ended with an error, which it returns.
#[derive(Debug)]
pub(super) struct Gone;

impl Outbox {
    /// Hands over these connections. Returns some that were handed over before and are not needed any more.
    pub(super) fn send(&self, batch: Ended) -> Result<Spent, Gone> {
        self.full.send(batch).map_err(|_| Gone)?;
        Ok(self.spent.try_recv().unwrap_or_default())
    }
}

/// Lets another thread do `follow`, and diagnoses meanwhile what it sends, in order. Nothing where the system has no thread
/// to spare: then `follow` was not called.
///
/// # Errors
///
/// What `sink` returns.
pub(super) fn diagnose_beside<F>(
    follow: &mut F,
    diagnosing: &mut Diagnosing,
    sink: &mut dyn Sink,
) -> io::Result<Option<()>>
where
    F: FnMut(&Outbox) -> Result<(), Gone> + Send,
{
    let (full, inbox) = sync_channel::<Ended>(BATCHES);
    let (back, spent) = channel();
    let outbox = Outbox { full, spent };
    // The inbox is gone once diagnosing has ended, however it did: no thread waits to send what none takes.
    thread::scope(move |scope| {
        let spawned = thread::Builder::new().spawn_scoped(scope, move || follow(&outbox));
        let Ok(following) = spawned else {
            return Ok(None);
        };
        for mut batch in &inbox {
            diagnosing.take_all(&mut batch, sink)?;
            // What one thread allocates and another frees costs both more: all go back.
            let spent = std::mem::take(&mut diagnosing.spent);
            // Who has ended needs no more room.
            let _ = back.send(spent);
        }
        match following.join() {
            Ok(_) => Ok(Some(())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
