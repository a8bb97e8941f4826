//! Sums over the connections of one capture.

use wirewhy_detect::{Diagnosis, Outcome};
use wirewhy_flow::Unopened;

/// Sums over the connections of one capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Connections.
    pub connections: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were degraded.
    pub degraded: u64,
    /// Those that are ok.
    pub ok: u64,
    /// Those of which the capture shows too little.
    pub undecided: u64,
    /// Those of them that are over DTLS, which is not diagnosed.
    pub dtls: u64,
    /// TCP packets, copies included.
    pub tcp_packets: u64,
    /// Resets.
    pub resets: u64,
    /// Retransmitted segments.
    pub retransmissions: u64,
}

impl Totals {
    /// Counts an attempt that opened nothing.
    pub fn add_unopened(&mut self, attempt: &Unopened, has_failed: bool) {
        self.connections += 1;
        self.resets += u64::from(attempt.refused().is_some());
        match has_failed {
            true => self.failed += 1,
            false => self.undecided += 1,
        }
    }

    /// Counts a connection that went well.
    pub fn add_healthy(&mut self) {
        self.connections += 1;
        self.ok += 1;
    }

    /// Counts one diagnosed connection; `tcp_packets` is set by the reader.
    pub fn add(&mut self, diagnosis: &Diagnosis) {
        let connection = &diagnosis.connection;
        self.connections += 1;
        *match diagnosis.outcome() {
            Outcome::Failed => &mut self.failed,
            Outcome::Degraded => &mut self.degraded,
            Outcome::Ok => &mut self.ok,
            Outcome::Undecided => &mut self.undecided,
        } += 1;
        self.dtls += u64::from(connection.dtls().is_some());
        for side in [&connection.client, &connection.server] {
            self.resets += u64::from(side.tcp.counts.resets);
            self.retransmissions += u64::from(side.tcp.counts.retransmissions);
        }
    }
}
