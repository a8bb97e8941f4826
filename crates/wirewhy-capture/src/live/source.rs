//! Several interfaces as one stream of frames.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wirewhy_packet::{Frame, Timestamp};

use crate::clock;
use crate::live::interface::ANY;
use crate::live::interface_queue::{CHECK_EVERY, InterfaceQueue, QueuedFrame};
use crate::live::{LiveError, LiveErrorKind, Options};
use crate::{Interface, InterfaceStatistics};

/// How many frames are lent before the kernel's buffers are looked into again, when order makes frames wait.
const LENT_BETWEEN_FILLS: u32 = 256;

/// Open interfaces, and the frames that pass them.
pub struct Source {
    options: Options,
    queues: Vec<InterfaceQueue>,
    /// What frames are numbered with; an interface that returns with another link type has one more.
    interfaces: Vec<Interface>,
    traffic: Traffic,
    changes: VecDeque<Change>,
    /// The lane whose first batch has lent the last frame.
    lending: Option<usize>,
    lent_since_fill: u32,
}

/// What has come so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Frames delivered.
    pub packets: u64,
    /// Captured bytes in them.
    pub bytes: u64,
    /// Bytes they had on the wire.
    pub wire_bytes: u64,
    /// The earliest time on a frame.
    pub first_time: Option<Timestamp>,
    /// The latest time on a frame.
    pub last_time: Option<Timestamp>,
}

/// What waiting for a frame brought.
#[derive(Debug)]
pub enum Pulled<'a> {
    /// A frame. It borrows the source's buffer.
    Frame(Frame<'a>),
    /// Nothing in the time given, or a signal arrived.
    Idle,
    /// An interface went or came back.
    Change(Change),
}

/// An interface went or came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its name.
    pub interface: String,
    /// What happened.
    pub transition: Transition,
}

/// How an interface went or came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transition {
    /// It was taken down; no frame passes until it is up again.
    Down,
    /// It can no longer be captured; it is tried again and again.
    Lost(LiveErrorKind),
    /// It is there again, and cannot be opened for another reason than its absence; it is tried again and again.
    Refused(LiveErrorKind),
    /// It is up or open again.
    Back,
}

impl Traffic {
    fn count(&mut self, record: &QueuedFrame) {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(record.captured_len());
        self.wire_bytes = self
            .wire_bytes
            .saturating_add(u64::from(record.original_len));
        let time = record.time;
        self.first_time = Some(self.first_time.map_or(time, |first| first.min(time)));
        self.last_time = Some(self.last_time.map_or(time, |last| last.max(time)));
    }
}

impl Source {
    /// Opens the interfaces.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be captured.
    pub fn open(options: Options) -> Result<Source, LiveError> {
        let mut names: Vec<&String> = Vec::new();
        for name in &options.interfaces {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let refuse = |interface: &str, kind| {
            Err(LiveError {
                interface: interface.to_owned(),
                kind,
            })
        };
        if names.is_empty() {
            return refuse("", LiveErrorKind::NoneNamed);
        }
        if names.len() > 1 && names.iter().any(|name| *name == ANY) {
            return refuse(ANY, LiveErrorKind::AnyBesideOthers);
        }
        let queues: Vec<InterfaceQueue> = names
            .into_iter()
            .map(|name| InterfaceQueue::open(name, &options))
            .collect::<Result<_, _>>()?;
        let mut source = Source {
            options,
            queues: Vec::with_capacity(queues.len()),
            interfaces: Vec::new(),
            traffic: Traffic::default(),
            changes: VecDeque::new(),
            lending: None,
            lent_since_fill: 0,
        };
        for mut queue in queues {
            number(&mut source.interfaces, &mut queue, &source.options);
            source.queues.push(queue);
        }
        Ok(source)
    }

    /// Waits for the next frame, at most `wait`.
    ///
    /// Frames of several interfaces come in the order of their times, as far as the kernel hands them over in time.
    pub fn next(&mut self, wait: Duration) -> Pulled<'_> {
        if let Some(queue) = self
            .lending
            .take()
            .and_then(|index| self.queues.get_mut(index))
        {
            queue.settle();
        }
        match self.wait(wait) {
            Found::Frame(queue, record) => self.lend(queue, record),
            Found::Change(change) => Pulled::Change(change),
            Found::Nothing => Pulled::Idle,
        }
    }

    /// The interfaces frames came from, with their counters when they were last read; index is
    /// [`Frame::interface`](wirewhy_packet::Frame::interface).
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// What has come so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Asks the kernel for its counters, and gives the sums over all interfaces. [`interfaces`](Source::interfaces) has
    /// them singly afterwards.
    ///
    /// On the loopback interface Linux counts as received each frame twice.
    pub fn statistics(&mut self) -> InterfaceStatistics {
        let mut sums = InterfaceStatistics::default();
        let add = |sum: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0).saturating_add(more));
            }
        };
        for queue in &mut self.queues {
            let counted = queue.statistics();
            add(&mut sums.received, counted.received);
            add(&mut sums.dropped_by_interface, counted.dropped_by_interface);
            add(&mut sums.dropped_by_system, counted.dropped_by_system);
            add(&mut sums.delivered, counted.delivered);
            let name = Some(queue.name.as_str());
            let mut known = self.interfaces.iter_mut();
            if let Some(known) = known.find(|known| known.name.as_deref() == name) {
                known.statistics = counted;
            }
        }
        sums
    }

    fn wait(&mut self, wait: Duration) -> Found {
        if let [queue] = self.queues.as_slice()
            && let Some(record) = queue.head()
        {
            return Found::Frame(0, record);
        }
        let mut now = clock::monotonic();
        let deadline = now + wait;
        loop {
            if let Some(found) = self.ready(now) {
                return found;
            }
            self.lent_since_fill = 0;
            self.fill(now);
            if let Some(found) = self.ready(now) {
                return found;
            }
            if now >= deadline {
                return Found::Nothing;
            }
            let due = self.queues.iter().filter_map(InterfaceQueue::due).min();
            let until = due.map_or(deadline, |due| due.min(deadline));
            let until = until.min(now + CHECK_EVERY);
            if self.sleep(until.saturating_duration_since(now)) == Err(Errno::EINTR) {
                return Found::Nothing;
            }
            now = clock::monotonic();
        }
    }

    /// A change, or the earliest frame, if no earlier one can be expected from another interface.
    fn ready(&mut self, now: Instant) -> Option<Found> {
        if let Some(change) = self.changes.pop_front() {
            return Some(Found::Change(change));
        }
        if let [queue] = self.queues.as_slice() {
            return queue.head().map(|record| Found::Frame(0, record));
        }
        if self.lent_since_fill >= LENT_BETWEEN_FILLS {
            return None;
        }
        let heads = self.queues.iter().enumerate();
        let earliest = heads
            .filter_map(|(index, queue)| Some((index, queue.head()?)))
            .min_by_key(|(_, record)| record.time)?;
        if self.queues.iter().any(InterfaceQueue::is_silent)
            && !self.queues.iter().any(|queue| queue.is_overdue(now))
        {
            return None;
        }
        let (index, record) = earliest;
        Some(Found::Frame(index, record))
    }

    /// Takes what the kernel has, and looks after interfaces that are quiet or gone.
    fn fill(&mut self, now: Instant) {
        // One interface needs no frames in store: nothing comes before its next one.
        let batches = if self.queues.len() == 1 {
            1
        } else {
            usize::MAX
        };
        for index in 0..self.queues.len() {
            let Some(queue) = self.queues.get_mut(index) else {
                continue;
            };
            let transition = match queue.fill(now, batches) {
                Err(kind) => Some(Transition::Lost(kind)),
                Ok(()) if queue.is_due(now) => queue.look_after(&self.options),
                Ok(()) => None,
            };
            let Some(transition) = transition else {
                continue;
            };
            if transition == Transition::Back {
                number(&mut self.interfaces, queue, &self.options);
            }
            self.changes.push_back(Change {
                interface: queue.name.clone(),
                transition,
            });
        }
    }

    /// Sleeps until an interface has something, or the time is over.
    fn sleep(&self, most: Duration) -> nix::Result<()> {
        let mut fds: Vec<PollFd<'_>> = self
            .queues
            .iter()
            .filter_map(InterfaceQueue::fd)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // Rounded up: a wait rounded down to nothing would spin.
        let most = most.saturating_add(Duration::from_micros(999));
        let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        poll(&mut fds, timeout).map(drop)
    }

    fn lend(&mut self, index: usize, record: QueuedFrame) -> Pulled<'_> {
        self.lending = Some(index);
        self.lent_since_fill = self.lent_since_fill.saturating_add(1);
        self.traffic.count(&record);
        if let Some(queue) = self.queues.get_mut(index) {
            queue.advance();
        }
        match self.queues.get(index).and_then(|queue| queue.lend(record)) {
            Some((interface, link_type, data)) => Pulled::Frame(Frame {
                number: self.traffic.packets,
                time: record.time,
                link_type,
                interface,
                original_len: record.original_len,
                data,
            }),
            None => Pulled::Idle,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("options", &self.options)
            .field("interfaces", &self.interfaces)
            .field("traffic", &self.traffic)
            .finish_non_exhaustive()
    }
}

/// What waiting came to.
enum Found {
    Frame(usize, QueuedFrame),
    Change(Change),
    Nothing,
}

/// Gives an open lane the number of its interface. One that returns with another link type becomes another.
fn number(interfaces: &mut Vec<Interface>, queue: &mut InterfaceQueue, options: &Options) {
    let Some(link_type) = queue.link_type() else {
        return;
    };
    let known = |known: &Interface| {
        known.name.as_deref() == Some(queue.name.as_str()) && known.link_type == link_type
    };
    let index = interfaces.iter().position(known).unwrap_or_else(|| {
        interfaces.push(Interface {
            link_type,
            snap_len: options.snap_len,
            name: Some(queue.name.clone()),
            statistics: InterfaceStatistics::default(),
        });
        interfaces.len().saturating_sub(1)
    });
    queue.interface = u32::try_from(index).unwrap_or(u32::MAX);
}
