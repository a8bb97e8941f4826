//! From a capture to findings: alone while the capture is small or no thread is idle, in several threads otherwise.

use std::io;

use wirewhy_capture::{Filters, Recording};
use wirewhy_flow::StreamTable;
use wirewhy_packet::Decoder;

use super::batch::Batch;
use super::diagnosing::{Diagnosing, Sink};
use super::following::{Fed, Following};
use super::packet_notes::PacketNotes;
use super::pool::{Permit, ThreadPool, follow_beside};

/// After so many packets it is checked whether a thread is idle: much more than a thread costs, and soon enough to be there
/// for most of a large capture.
const ASK_EVERY: u32 = 8_192;

/// The packets of a recording: read, matched against a filter, and decoded. What analyses a recording reads it by this.
#[derive(Debug)]
pub struct Feed<'a> {
    recording: &'a mut Recording,
    filters: Option<&'a mut Filters>,
    decoder: Decoder,
}

impl<'a> Feed<'a> {
    /// All packets of a recording from where it was read to.
    pub fn new(recording: &'a mut Recording, filters: Option<&'a mut Filters>) -> Feed<'a> {
        Feed {
            recording,
            filters,
            decoder: Decoder::new(),
        }
    }

    /// Calls `take` with the next packet, and returns what it does; `None` at the end.
    pub fn next<R>(&mut self, take: impl FnOnce(&Fed<'_, '_>) -> R) -> Option<R> {
        let item = self.recording.next()?;
        let passes = self
            .filters
            .as_mut()
            .is_none_or(|filters| filters.matches(&item.frame));
        Some(self.decoder.decode_with(&item.frame, |packet| {
            take(&Fed {
                frame: &item.frame,
                packet,
                passes,
                secrets: item.secrets,
                gap: item.gap,
            })
        }))
    }
}

/// Follows a recording to its end, and diagnoses every connection.
pub(super) fn run(
    recording: &mut Recording,
    filters: Option<&mut Filters>,
    pool: &ThreadPool,
    (following, diagnosing): (&mut Following, &mut Diagnosing),
    sink: &mut (dyn Sink + Send),
) -> io::Result<()> {
    let mut line = Line {
        feed: Feed::new(recording, filters),
        pool,
        ahead: None,
        since: 0,
    };
    while line.follow_next(following) {
        if !following.ended.is_empty() {
            diagnosing.take_all(&mut following.ended, sink)?;
            following.tracker.take_back(diagnosing.spent.drain(..));
        }
        if line.is_due()
            && let Some(permit) = line.acquire()
        {
            let mut reading = Reading::of(following);
            let fill = &mut |batch: &mut Batch| line.fill(batch, &mut reading);
            let done = follow_beside(fill, following, diagnosing, sink)?;
            drop(permit);
            reading.give_back(following);
            if done.is_some() {
                return diagnosing.settle_all(sink);
            }
        }
    }
    diagnosing.take_rest(following, sink)
}

/// What is done to each packet where it is read, while another thread follows them.
struct Reading {
    notes: PacketNotes,
    streams: StreamTable,
    keeps_frames: bool,
}

impl Reading {
    fn of(following: &mut Following) -> Reading {
        Reading {
            notes: std::mem::take(&mut following.notes),
            streams: following.tracker.take_streams(),
            keeps_frames: following.keeps_frames(),
        }
    }

    /// Notes a packet, numbers its stream, and puts it into a batch.
    fn put(&mut self, fed: &Fed<'_, '_>, batch: &mut Batch) {
        self.notes.take(fed);
        let located = self.streams.number(fed.packet);
        batch.push(fed, located.as_ref(), self.keeps_frames);
    }

    fn give_back(self, following: &mut Following) {
        following.notes = self.notes;
        following.tracker.give_streams(self.streams);
    }
}

/// The work on one recording, and the threads that help with it.
struct Line<'a> {
    feed: Feed<'a>,
    pool: &'a ThreadPool,
    /// Set while another thread decompresses.
    ahead: Option<Permit<'a>>,
    /// Packets since a thread was asked for.
    since: u32,
}

impl<'a> Line<'a> {
    /// Follows the next packet. Whether there was one.
    fn follow_next(&mut self, following: &mut Following) -> bool {
        self.feed
            .next(|fed| {
                following.take(fed);
            })
            .is_some()
    }

    /// Puts the next packets into a batch. Whether more may come.
    fn fill(&mut self, batch: &mut Batch, reading: &mut Reading) -> bool {
        while !batch.is_full() {
            if self.feed.next(|fed| reading.put(fed, batch)).is_none() {
                return false;
            }
        }
        true
    }

    fn is_due(&mut self) -> bool {
        self.since += 1;
        if self.since < ASK_EVERY {
            return false;
        }
        self.since = 0;
        true
    }

    /// A thread to follow the packets while this one reads and diagnoses.
    fn acquire(&mut self) -> Option<Permit<'a>> {
        // The first thread decompresses, where there is anything to: that is most of the work.
        if self.feed.recording.is_compressed() && self.ahead.is_none() {
            let permit = self.pool.acquire()?;
            self.ahead = self.feed.recording.read_ahead().then_some(permit);
            return None;
        }
        self.pool.acquire()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Cursor;

    use wirewhy_testkit::{to_pcap, trace};

    use wirewhy_capture::Reader;
    use wirewhy_detect::Diagnosis;

    use super::*;
    use crate::engine::EngineOptions;

    /// Refused attempts, one packet each way.
    fn recording(attempts: u32) -> Recording {
        let mut lines = String::new();
        for n in 1..=attempts {
            writeln!(lines, "{n}.0 #{n} > S 0:0(0)\n{n}.1 #{n} < RA 0:0(0) ack 1").unwrap();
        }
        let source = Cursor::new(to_pcap(&trace(&lines)));
        Reader::new(Box::new(source), "memory".to_owned())
            .unwrap()
            .into()
    }

    /// The streams in the order in which they were diagnosed, and whether all threads of the pool were used.
    fn diagnosis(attempts: u32, pool: &ThreadPool) -> (Vec<u32>, bool) {
        let (mut streams, mut all_at_work) = (Vec::new(), false);
        let options = EngineOptions::default();
        let mut following = Following::new(&options, wirewhy_protocol::KeyLog::new());
        let mut diagnosing = Diagnosing::new(options);
        let mut recording = recording(attempts);
        let mut sink = |diagnosis: &Diagnosis| {
            all_at_work |= pool.acquire().is_none();
            streams.push(diagnosis.connection.stream);
            Ok(())
        };
        let halves = (&mut following, &mut diagnosing);
        run(&mut recording, None, pool, halves, &mut sink).unwrap();
        (streams, all_at_work)
    }

    #[test]
    fn whoever_is_idle_helps_with_a_large_capture() {
        let (alone, _) = diagnosis(20_000, &ThreadPool::default());
        assert_eq!(alone.len(), 20_000);
        let pool = ThreadPool::new(1);
        let (helped, at_work) = diagnosis(20_000, &pool);
        assert!(at_work);
        assert!(helped == alone);
        assert!(pool.acquire().is_some(), "and is idle again");
    }

    #[test]
    fn a_small_capture_is_not_worth_a_thread() {
        let (streams, at_work) = diagnosis(2_000, &ThreadPool::new(1));
        assert_eq!((streams.len(), at_work), (2_000, false));
    }

    #[test]
    fn what_the_sink_fails_with_ends_both() {
        let pool = ThreadPool::new(1);
        let options = EngineOptions::default();
        let mut following = Following::new(&options, wirewhy_protocol::KeyLog::new());
        let mut diagnosing = Diagnosing::new(options);
        let mut left = 5_000;
        let mut sink = |_: &Diagnosis| {
            left -= 1;
            if left == 0 {
                Err(io::Error::other("full"))
            } else {
                Ok(())
            }
        };
        let halves = (&mut following, &mut diagnosing);
        let ended = run(&mut recording(20_000), None, &pool, halves, &mut sink);
        assert_eq!(ended.unwrap_err().to_string(), "full");
    }
}
