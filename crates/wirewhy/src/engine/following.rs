//! The first half of an analysis: packets, in their order, to the connections they make up.

use wirewhy_capture::{Secrets, SecretsType};
use wirewhy_flow::{Located, Observed, Over, PackedArrival, Tracker};
use wirewhy_packet::{Frame, Packet, RecordingGap};
use wirewhy_protocol::{CaptureContext, KeyLog};
use wirewhy_report::CaptureSummary;
use wirewhy_survey::CaptureFaults;

use super::EngineOptions;
use super::packet_notes::PacketNotes;
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
    pub(super) notes: PacketNotes,
    pub(super) ended: Ended,
    recorder: Option<SharedRecorder>,
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
            notes: PacketNotes::default(),
            ended: Vec::new(),
            recorder: options.recorder.clone(),
        }
    }

    /// Takes in one packet. Connections that are over are in `ended` then.
    pub(super) fn observe(&mut self, packet: &Packet<'_>) -> Option<Observed> {
        self.notes.observe(packet);
        let ended = &mut self.ended;
        self.tracker
            .observe_briefly(packet, &mut |over| ended.push(over))
    }

    /// Takes in one packet of a recording, and before it what the recording gave with it.
    pub(super) fn take(&mut self, fed: &Fed<'_, '_>) -> Option<Observed> {
        self.notes.take(fed);
        self.prepare(fed);
        if !fed.passes {
            self.tracker.skip(fed.packet);
            return None;
        }
        let ended = &mut self.ended;
        let sink = &mut |over| ended.push(over);
        let observed = self.tracker.observe_briefly(fed.packet, sink);
        self.record(fed, observed);
        observed
    }

    /// The same of one that was noted and located elsewhere.
    pub(super) fn follow(&mut self, fed: &Fed<'_, '_>, located: Option<&Located>) {
        self.prepare(fed);
        if !fed.passes {
            self.tracker.skip_numbered(fed.packet, located);
            return;
        }
        let ended = &mut self.ended;
        let sink = &mut |over| ended.push(over);
        let observed = self.tracker.observe_numbered(fed.packet, located, sink);
        self.record(fed, observed);
    }

    /// Takes in what the recording gave with a packet.
    #[inline]
    fn prepare(&mut self, fed: &Fed<'_, '_>) {
        if fed.gap.is_some() {
            self.tracker.interrupt();
        }
        self.learn_secrets(fed.secrets);
    }

    /// The same of a segment that nothing else came with, where [`Following::keeps_frames`] does not say that its frame is wanted, too.
    #[inline]
    pub(super) fn follow_packed(&mut self, arrival: &PackedArrival, payload: &[u8]) {
        let ended = &mut self.ended;
        let sink = &mut |over| ended.push(over);
        self.tracker.observe_packed(arrival, payload, sink);
    }

    /// Whether the frames of packets are kept.
    pub(super) fn keeps_frames(&self) -> bool {
        self.recorder.is_some()
    }

    fn record(&self, fed: &Fed<'_, '_>, observed: Option<Observed>) {
        if let Some(recorder) = &self.recorder
            && let Some(frame_scope) = FrameScope::of(fed.packet, observed)
        {
            recorder.lock().record(fed.frame, frame_scope);
        }
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
            frames: self.notes.frames,
            tcp_packets: tally.tcp_packets,
            backwards: self.notes.backwards.clone(),
            largest_step_back: self.notes.largest_step_back,
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
}
