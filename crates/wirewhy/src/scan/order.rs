//! Work by several threads, results in the order of the work.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far workers may run ahead of the oldest piece of work that is not done: one huge file must not leave the others
/// idle. What waits is small, or on disk.
const WINDOW: u64 = 1 << 16;

/// Does `work` on every item with `jobs` threads and hands the results to `take` in the order of the items. An error
/// of `take` ends it: nothing more is begun, and `cancel` is called for what is under way. A thread that finds no more
/// work calls `leave`.
pub(crate) fn in_order<T, R: Send, E>(
    items: impl Iterator<Item = T> + Send,
    jobs: usize,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
    cancel: impl Fn(),
    leave: impl Fn() + Sync,
) -> Result<(), E> {
    let line = Line::new(jobs);
    let items = Mutex::new((0_u64, items));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let _leaving = Leaving(&line);
                loop {
                    let (index, item) = {
                        let mut items = locked(&items);
                        let (next, items) = &mut *items;
                        if !line.has_room(*next) {
                            return;
                        }
                        let Some(item) = items.next() else {
                            leave();
                            return;
                        };
                        *next += 1;
                        (*next - 1, item)
                    };
                    line.put(index, work(item));
                }
            });
        }
        while let Some(result) = line.next() {
            if let Err(error) = take(result) {
                line.close();
                cancel();
                return Err(error);
            }
        }
        Ok(())
    })
}

/// Results that wait for their turn.
struct Line<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

struct State<R> {
    waiting: BTreeMap<u64, R>,
    /// Whose turn it is.
    turn: u64,
    workers: usize,
    closed: bool,
}

impl<R> Line<R> {
    fn new(workers: usize) -> Line<R> {
        Line {
            state: Mutex::new(State {
                waiting: BTreeMap::new(),
                turn: 0,
                workers,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits until work with this number may begin; false if none may any more.
    fn has_room(&self, index: u64) -> bool {
        let mut state = locked(&self.state);
        while !state.closed && index >= state.turn.saturating_add(WINDOW) {
            state = waited(&self.changed, state);
        }
        !state.closed
    }

    fn put(&self, index: u64, result: R) {
        locked(&self.state).waiting.insert(index, result);
        self.changed.notify_all();
    }

    /// The next result in order; `None` once there are no workers left to bring it.
    fn next(&self) -> Option<R> {
        let mut state = locked(&self.state);
        loop {
            let turn = state.turn;
            if let Some(result) = state.waiting.remove(&turn) {
                state.turn += 1;
                if state.turn.is_multiple_of(WINDOW / 4) {
                    self.changed.notify_all();
                }
                return Some(result);
            }
            if state.workers == 0 {
                return None;
            }
            state = waited(&self.changed, state);
        }
    }

    fn close(&self) {
        locked(&self.state).closed = true;
        self.changed.notify_all();
    }
}

/// A worker that leaves is counted, even if it leaves by a panic.
struct Leaving<'a, R>(&'a Line<R>);

impl<R> Drop for Leaving<'_, R> {
    fn drop(&mut self) {
        locked(&self.0.state).workers -= 1;
        self.0.changed.notify_all();
    }
}

/// A lock that outlives a panic elsewhere: the thread that panicked ends the program soon.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn waited<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn results_keep_the_order_of_the_work() {
        for jobs in [1, 2, 8] {
            let mut taken = Vec::new();
            let work = |number: u64| {
                // Uneven work: neighbours end in another order than they began.
                (0..(number % 7) * 10_000).fold(number, |sum, n| sum ^ (n & 1) ^ (n & 1))
            };
            in_order(
                0..2_000,
                jobs,
                work,
                |result| {
                    taken.push(result);
                    Ok::<(), ()>(())
                },
                || (),
                || (),
            )
            .unwrap();
            assert_eq!(taken, (0..2_000).collect::<Vec<u64>>(), "{jobs} jobs");
        }
    }

    #[test]
    fn nobody_runs_further_ahead_than_the_window() {
        let done = AtomicU64::new(0);
        let most_ahead = AtomicU64::new(0);
        let work = |number: u64| {
            let ahead = number.saturating_sub(done.load(Ordering::SeqCst));
            most_ahead.fetch_max(ahead, Ordering::SeqCst);
        };
        let take = |()| {
            done.fetch_add(1, Ordering::SeqCst);
            Ok::<(), ()>(())
        };
        in_order(0..4 * WINDOW, 4, work, take, || (), || ()).unwrap();
        assert!(most_ahead.into_inner() <= WINDOW + 1);
    }

    #[test]
    fn an_error_ends_the_work() {
        let gave_up = AtomicU64::new(0);
        let end = in_order(
            0..,
            3,
            |number: u64| number,
            |number| if number == 70 { Err(number) } else { Ok(()) },
            || {
                gave_up.fetch_add(1, Ordering::SeqCst);
            },
            || (),
        );
        assert_eq!(end, Err(70));
        assert_eq!(gave_up.into_inner(), 1);
    }
}
