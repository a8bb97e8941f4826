//! Connections of traces with their packets, for the tests of drawings.

use wirewhy_detect::{Diagnosis, Limits, TrustStore, diagnose};
use wirewhy_flow::wireshark::WiresharkAnalysis;
use wirewhy_flow::{Bounds, Tracker};
use wirewhy_packet::Decoder;
use wirewhy_testkit::trace;

use crate::Packets;

/// The first connection of a trace, diagnosed, and its packets.
pub(crate) fn traced(text: &str) -> (Diagnosis, Packets) {
    let mut decoder = Decoder::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut analysis = WiresharkAnalysis::new();
    let mut packets = Packets::new(Packets::MOST);
    let mut ended = Vec::new();
    for frame in trace(text) {
        let packet = decoder.decode(&frame.as_frame());
        let observed = tracker.observe(&packet, &mut |connection| ended.push(connection));
        if let Some(marked) = analysis
            .observe(&packet)
            .filter(|marked| marked.stream == 0)
        {
            packets.add(&packet, &marked, observed.is_some_and(|seen| seen.is_copy));
        }
    }
    tracker.finish(&mut |connection| ended.push(connection));
    ended.sort_by_key(|connection| connection.stream);
    let diagnosis = diagnose(ended.remove(0), &Limits::default(), &TrustStore::mozilla());
    let server = &diagnosis.connection.server;
    packets.name_sides((server.address, server.port).into());
    (diagnosis, packets)
}
