//! One interface of a source, and the frames taken from the kernel that wait for their turn.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use wirewhy_packet::{LinkType, Timestamp};

use crate::InterfaceStatistics;
use crate::clock;
use crate::live::handle::Handle;
use crate::live::interface::{InterfaceState, interface_state};
use crate::live::{HOLD, LiveError, LiveErrorKind, Options, Transition};

/// How many frames one call takes from the kernel.
const BATCH: usize = 128;

/// How many bytes may wait for earlier frames of other interfaces; beyond that order gives way.
const MOST_HELD: usize = 16 << 20;

/// A batch that grew beyond this is not kept for the next frames.
const MOST_SPARE: usize = 1 << 20;

/// How often a quiet or missing interface is asked after.
pub(super) const CHECK_EVERY: Duration = Duration::from_millis(500);

/// An interface of a source.
pub(super) struct InterfaceQueue {
    /// `None` while the interface is gone.
    open: Option<Handle>,
    pub(super) name: String,
    /// What its frames are numbered with.
    pub(super) interface: u32,
    waiting: VecDeque<Batch>,
    spare: Vec<Batch>,
    held: usize,
    up: bool,
    next_check: Instant,
    /// Why it could not be opened again, so that it is said once.
    refused: Option<LiveErrorKind>,
    statistics: InterfaceStatistics,
}

/// Frames that came from the kernel in one go.
#[derive(Default)]
struct Batch {
    arrived: Option<Instant>,
    interface: u32,
    link_type: Option<LinkType>,
    bytes: Vec<u8>,
    records: VecDeque<QueuedFrame>,
}

/// A frame in a batch.
#[derive(Clone, Copy)]
pub(super) struct QueuedFrame {
    pub(super) time: Timestamp,
    pub(super) original_len: u32,
    start: usize,
    len: usize,
}

impl InterfaceQueue {
    pub(super) fn open(name: &str, options: &Options) -> Result<InterfaceQueue, LiveError> {
        Ok(InterfaceQueue {
            open: Some(Handle::open(name, options).map_err(|kind| LiveError {
                interface: name.to_owned(),
                kind,
            })?),
            name: name.to_owned(),
            interface: 0,
            waiting: VecDeque::new(),
            spare: Vec::new(),
            held: 0,
            up: true,
            next_check: clock::monotonic(),
            refused: None,
            statistics: InterfaceStatistics::default(),
        })
    }

    /// Whether frames may be lying in the kernel.
    pub(super) fn is_silent(&self) -> bool {
        self.open.is_some() && self.up && self.waiting.is_empty()
    }

    /// How its frames begin; `None` while it is gone.
    pub(super) fn link_type(&self) -> Option<LinkType> {
        self.open.as_ref().map(|open| open.link_type)
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(Handle::fd)
    }

    /// Whether it is time to ask after the interface.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next_check;
        if due {
            self.next_check = now + CHECK_EVERY;
        }
        due
    }

    /// Asks after an interface that is quiet, and tries to open one that is gone.
    pub(super) fn look_after(&mut self, options: &Options) -> Option<Transition> {
        let interface_state = interface_state(&self.name);
        let Some(open) = &self.open else {
            return self.reopen(interface_state, options);
        };
        match interface_state? {
            InterfaceState::Up(index) if index == open.index => {
                let was_up = std::mem::replace(&mut self.up, true);
                (!was_up).then_some(Transition::Back)
            }
            InterfaceState::Down(index) if index == open.index => {
                let was_up = std::mem::replace(&mut self.up, false);
                was_up.then_some(Transition::Down)
            }
            // Another one of the same name, or none.
            _ => {
                self.close();
                Some(Transition::Lost(LiveErrorKind::Gone))
            }
        }
    }

    fn reopen(
        &mut self,
        interface_state: Option<InterfaceState>,
        options: &Options,
    ) -> Option<Transition> {
        if matches!(
            interface_state,
            Some(InterfaceState::Absent | InterfaceState::Down(_))
        ) {
            return None;
        }
        match Handle::open(&self.name, options) {
            Ok(open) => {
                self.open = Some(open);
                self.up = true;
                self.refused = None;
                Some(Transition::Back)
            }
            // It went again in between.
            Err(LiveErrorKind::NoSuchInterface { .. } | LiveErrorKind::Down) => None,
            Err(kind) => {
                let before = self.refused.replace(kind.clone());
                (before.as_ref() != Some(&kind)).then_some(Transition::Refused(kind))
            }
        }
    }

    /// Takes from the kernel what is there, at most so many batches, and no more than may be held.
    pub(super) fn fill(&mut self, now: Instant, batches: usize) -> Result<(), LiveErrorKind> {
        for _ in 0..batches {
            let Some(open) = &mut self.open else {
                return Ok(());
            };
            if self.held >= MOST_HELD {
                return Ok(());
            }
            let mut batch = self.spare.pop().unwrap_or_default();
            let taken = open.take(BATCH, |time, original_len, data| {
                batch.push(time, original_len, data);
            });
            let count = batch.records.len();
            if count > 0 {
                batch.arrived = Some(now);
                batch.interface = self.interface;
                batch.link_type = Some(open.link_type);
                self.held = self.held.saturating_add(batch.bytes.len());
                self.next_check = now + CHECK_EVERY;
                self.waiting.push_back(batch);
            } else {
                self.spare.push(batch);
            }
            if let Err(message) = taken {
                return Err(self.lose(message));
            }
            if count < BATCH {
                break;
            }
        }
        Ok(())
    }

    /// The frame whose turn is next, on this interface.
    pub(super) fn head(&self) -> Option<QueuedFrame> {
        self.waiting.front()?.records.front().copied()
    }

    /// Whether the next frame has waited long enough, or too many wait.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.held >= MOST_HELD || self.due().is_some_and(|due| now >= due)
    }

    /// When the next frame will have waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        Some(self.waiting.front()?.arrived? + HOLD)
    }

    /// Takes the next frame off the queue; its bytes stay until [`settle`](InterfaceQueue::settle).
    pub(super) fn advance(&mut self) {
        if let Some(batch) = self.waiting.front_mut() {
            batch.records.pop_front();
        }
        let delivered = self.statistics.delivered.get_or_insert(0);
        *delivered = delivered.saturating_add(1);
    }

    /// Interface, link type and bytes of a frame of the first batch.
    pub(super) fn lend(&self, record: QueuedFrame) -> Option<(u32, LinkType, &[u8])> {
        let batch = self.waiting.front()?;
        let bytes = batch.bytes.get(record.start..)?.get(..record.len)?;
        Some((batch.interface, batch.link_type?, bytes))
    }

    /// Puts away the first batch if all its frames have been lent.
    pub(super) fn settle(&mut self) {
        let empty = |batch: &Batch| batch.records.is_empty();
        if !self.waiting.front().is_some_and(empty) {
            return;
        }
        if let Some(mut batch) = self.waiting.pop_front() {
            self.held = self.held.saturating_sub(batch.bytes.len());
            batch.bytes.clear();
            // Reused only while small: one flood of large frames must not hold memory for good.
            if batch.bytes.capacity() <= MOST_SPARE && self.spare.len() < 4 {
                self.spare.push(batch);
            }
        }
    }

    /// The counters since the capture began.
    pub(super) fn statistics(&mut self) -> InterfaceStatistics {
        if let Some(open) = &mut self.open {
            open.count(&mut self.statistics);
        }
        self.statistics
    }

    /// Gives up the handle, and says why.
    fn lose(&mut self, message: String) -> LiveErrorKind {
        let index = self.open.as_ref().map(|open| open.index);
        self.close();
        match interface_state(&self.name) {
            Some(InterfaceState::Absent) => LiveErrorKind::Gone,
            Some(InterfaceState::Up(now) | InterfaceState::Down(now)) if Some(now) != index => {
                LiveErrorKind::Gone
            }
            Some(InterfaceState::Down(_)) => LiveErrorKind::Down,
            _ => LiveErrorKind::Other(message),
        }
    }

    fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.count(&mut self.statistics);
        }
        self.up = false;
        self.refused = None;
    }
}

impl Batch {
    fn push(&mut self, time: Timestamp, original_len: u32, data: &[u8]) {
        self.records.push_back(QueuedFrame {
            time,
            original_len,
            start: self.bytes.len(),
            len: data.len(),
        });
        self.bytes.extend_from_slice(data);
    }
}

impl QueuedFrame {
    pub(super) fn captured_len(&self) -> u64 {
        u64::try_from(self.len).unwrap_or(u64::MAX)
    }
}
