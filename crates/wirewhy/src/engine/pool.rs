//! Work inside one capture by several threads, with the same result as by one.
//!
//! A capture is worked on as on an assembly line: one thread decompresses, one reads and decodes the packets, numbers their streams, and
//! diagnoses the connections that are over, one follows the packets in between. Each does all of its part in order, so that nothing depends on
//! how many they are.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::batch::Batch;
use super::diagnosing::{Diagnosing, Sink, Spent};
use super::following::{Ended, Following};

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

/// How many batches are on their way at once: one that is followed, and more that wait for it.
const BATCHES: usize = 4;

/// How many connections that are left at the end are handed over at once.
const LEFT: usize = 128;

/// What goes from the thread that reads and diagnoses to the one that follows, and back.
#[derive(Debug, Default)]
struct Parcel {
    /// There: packets. Back: none.
    packets: Batch,
    /// Back: the connections that they ended.
    ended: Ended,
    /// There: connections that are not needed any more. What one thread allocates and another frees costs both more.
    spent: Spent,
    /// There: whether no packets come behind these.
    is_last: bool,
}

/// Follows the packets that `fill` puts into batches, which it does as long as it returns true. Another thread does that, and
/// diagnoses meanwhile what is over, in order. Nothing where the system has no thread to spare: then `fill` was not called.
///
/// # Errors
///
/// What `sink` returns.
pub(super) fn follow_beside<F>(
    fill: &mut F,
    following: &mut Following,
    diagnosing: &mut Diagnosing,
    sink: &mut (dyn Sink + Send),
) -> io::Result<Option<()>>
where
    F: FnMut(&mut Batch) -> bool + Send,
{
    let (there, packets) = sync_channel(BATCHES);
    let (back, ended) = sync_channel(BATCHES);
    thread::scope(move |scope| {
        let work = move || read_and_diagnose(fill, there, ended, diagnosing, sink);
        let Ok(other) = thread::Builder::new().spawn_scoped(scope, work) else {
            return Ok(None);
        };
        // Memory of connections is allocated here, in the first thread, for which the C library does it with less effort.
        follow(following, packets, back);
        match other.join() {
            Ok(done) => done.map(Some),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn read_and_diagnose(
    fill: &mut dyn FnMut(&mut Batch) -> bool,
    there: SyncSender<Parcel>,
    ended: Receiver<Parcel>,
    diagnosing: &mut Diagnosing,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut continues = true;
    let mut spare: Vec<Parcel> = (0..BATCHES).map(|_| Parcel::default()).collect();
    loop {
        while let Some(mut parcel) = spare.pop() {
            continues = continues && fill(&mut parcel.packets);
            parcel.is_last = !continues;
            // Where nothing takes it any more, everything is followed.
            let _ = there.send(parcel);
        }
        let Ok(mut parcel) = ended.recv() else {
            return Ok(());
        };
        diagnosing.take_all(&mut parcel.ended, sink)?;
        std::mem::swap(&mut parcel.spent, &mut diagnosing.spent);
        spare.push(parcel);
    }
}

/// Follows the packets that come, and behind the last ones what is left, as long as what is over is wanted.
fn follow(following: &mut Following, packets: Receiver<Parcel>, back: SyncSender<Parcel>) {
    let mut left = None;
    for mut parcel in packets {
        following.tracker.take_back(parcel.spent.drain(..));
        parcel.packets.follow(following);
        std::mem::swap(&mut parcel.ended, &mut following.ended);
        if parcel.is_last {
            let left = left.get_or_insert_with(|| following.tracker.end());
            let rest = std::iter::from_fn(|| following.tracker.next_left(left));
            parcel.ended.extend(rest.take(LEFT));
            if parcel.ended.is_empty() {
                return;
            }
        }
        if back.send(parcel).is_err() {
            return;
        }
    }
}
