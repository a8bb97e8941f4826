//! The first half of an analysis: packets, in their order, to the connections they make up.

use wirewhy_capture::{Secrets, SecretsType};
use wirewhy_flow::{Neighbours, Observed, Over, Sample, Tracker};
use wirewhy_packet::{Frame, Interval, Packet, RecordingGap, Timestamp};
use wirewhy_protocol::{CaptureContext, KeyLog};
use wirewhy_report::CaptureSummary;
use wirewhy_survey::CaptureFaults;

use super::EngineOptions;
use crate::evidence::{FrameScope, SharedRecorder};

/// One packet of a recording.
#[derive(Debug)]
pub struct Fed<'p, 'f> {
    /// The frame it was read from.
    pub frame: &'p Frame<'f>,
    /// The packet.
    pub packet: &'p Packet<'f>,
    /// Whether the filter, where there is one, lets it through.
    pub passes: bool,
    /// TLS secrets and others that its file gave since the packet before.
    pub secrets: &'p [Secrets],
    /// Set where packets are missing right before this one.
    pub gap: Option<RecordingGap>,
}

/// Connections that are over.
pub(super) type Ended = Vec<Over>;

/// What was seen so far, and the connections that are over and not yet diagnosed.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) tracker: Tracker,
    pub(super) neighbours: Neighbours,
    pub(super) ended: Ended,
    pub(super) frames: u64,
    recorder: Option<SharedRecorder>,
    latest: Option<Timestamp>,
    backwards: Sample,
    largest_step_back: Interval,
}

impl Following {
    pub(super) fn new(options: &EngineOptions, keys: KeyLog) -> Following {
        let mut tracker = Tracker::new(options.bounds);
        *tracker.context_mut() = CaptureContext::new(keys);
        if options.follows_all {
            tracker.follow_all();
        }
        Following {
            tracker,
            neighbours: Neighbours::default(),
            ended: Vec::new(),
            frames: 0,
            recorder: options.recorder.clone(),
            latest: None,
            backwards: Sample::default(),
            largest_step_back: Interval::ZERO,
        }
    }

    /// Takes in one packet. Connections that are over are in `ended` then.
    pub(super) fn observe(&mut self, packet: &Packet<'_>) -> Option<Observed> {
        self.note_time(packet);
        self.neighbours.observe(packet);
        let ended = &mut self.ended;
        self.tracker
            .observe_briefly(packet, &mut |over| ended.push(over))
    }

    /// Takes in one packet of a recording, and before it what the recording gave with it.
    pub(super) fn take(&mut self, fed: &Fed<'_, '_>) -> Option<Observed> {
        if fed.gap.is_some() {
            self.tracker.interrupt();
            self.neighbours.interrupt();
        }
        self.learn_secrets(fed.secrets);
        if fed.passes {
            let observed = self.observe(fed.packet);
            self.record(fed, observed);
            return observed;
        }
        self.skip(fed.packet);
        None
    }

    fn record(&self, fed: &Fed<'_, '_>, observed: Option<Observed>) {
        if let Some(recorder) = &self.recorder
            && let Some(frame_scope) = FrameScope::of(fed.packet, observed)
        {
            recorder.lock().record(fed.frame, frame_scope);
        }
    }

    fn skip(&mut self, packet: &Packet<'_>) {
        self.note_time(packet);
        self.tracker.skip(packet);
    }

    fn learn_secrets(&mut self, fresh: &[Secrets]) {
        for block in fresh {
            if block.kind == SecretsType::TLS_KEY_LOG {
                self.tracker.context_mut().keys_mut().add(&block.data);
            }
        }
    }

    /// What is known of the recording: `recording`, and what the packets show.
    pub(super) fn faults(&self, recording: CaptureFaults) -> CaptureFaults {
        let tally = self.tracker.tally();
        CaptureFaults {
            frames: self.frames,
            tcp_packets: tally.tcp_packets,
            backwards: self.backwards.clone(),
            largest_step_back: self.largest_step_back,
            late_resets: tally.late_resets.clone(),
            copies: tally.copies.clone(),
            cut: tally.cut.clone(),
            offloaded: tally.offloaded.clone(),
            ..recording
        }
    }

    /// What was given up because there was too much of it, added to what a report says of the recording.
    pub(super) fn given_up(&self, summary: CaptureSummary) -> CaptureSummary {
        let tally = self.tracker.tally();
        CaptureSummary {
            given_up: tally.given_up,
            unread: tally.unread,
            not_followed: self.tracker.context().not_followed(),
            ..summary
        }
    }

    fn note_time(&mut self, packet: &Packet<'_>) {
        self.frames += 1;
        if let Some(latest) = self.latest.replace(packet.time)
            && packet.time < latest
        {
            self.backwards.add(packet.frame);
            self.largest_step_back = self.largest_step_back.max(latest.since(packet.time));
        }
    }
}
