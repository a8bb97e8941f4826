//! The front door: a capture in, what is wrong with its connections out.

use std::io;
use std::path::Path;

use wirewhy_capture::{OpenError, Recording};
use wirewhy_detect::Diagnosis;
use wirewhy_report::{CaptureSummary, Reporter, View};
use wirewhy_survey::{GroupFinding, Totals};

use crate::engine::{self, EngineOptions, ThreadPool};

/// What an analysis found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The capture.
    pub capture: CaptureSummary,
    /// The sums over its connections.
    pub totals: Totals,
    /// The connections that have findings, or of which the capture shows too little, in the order in which they ended.
    pub connections: Vec<Diagnosis>,
    /// Findings about services, hosts, links and the capture.
    pub beyond: Vec<GroupFinding>,
}

/// Reads a capture file, pcap or pcapng, plain or compressed, and returns why its connections failed.
///
/// # Errors
///
/// Where nothing can be read. A file that cannot be read to its end is no error: see [`CaptureSummary::problem`].
///
/// ```
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/captures/stale-connection/client.pcap");
/// let found = wirewhy::analyze(path)?;
/// for diagnosis in &found.connections {
///     if let Some(cause) = diagnosis.root_cause() {
///         println!("stream {}: {}", diagnosis.connection.stream, cause.summary);
///     }
/// }
/// assert!(found.totals.failed > 0);
/// # Ok::<(), wirewhy_capture::OpenError>(())
/// ```
pub fn analyze(path: impl AsRef<Path>) -> Result<Found, OpenError> {
    let reader = wirewhy_capture::open(path.as_ref())?;
    let mut connections = Vec::new();
    let mut found = analyze_each(&mut reader.into(), &EngineOptions::default(), |diagnosis| {
        if View::default().shows(diagnosis) {
            connections.push(diagnosis.clone());
        }
    });
    found.connections = connections;
    Ok(found)
}

/// Reads a recording and calls `each` with every connection, healthy ones too, as soon as it is decided. Memory does not
/// grow with their number; `connections` of what is returned is empty.
///
/// ```
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/captures/stale-connection/client.pcap");
/// use wirewhy::engine::EngineOptions;
/// use wirewhy_capture::Recording;
///
/// let mut recording = Recording::from(wirewhy_capture::open(path.as_ref())?);
/// let mut failed = 0;
/// let found = wirewhy::analyze_each(&mut recording, &EngineOptions::default(), |diagnosis| {
///     failed += u64::from(diagnosis.outcome() == wirewhy_detect::Outcome::Failed);
/// });
/// assert_eq!(failed, found.totals.failed);
/// # Ok::<(), wirewhy_capture::OpenError>(())
/// ```
pub fn analyze_each(
    recording: &mut Recording,
    options: &EngineOptions,
    each: impl FnMut(&Diagnosis) + Send,
) -> Found {
    let mut collector = Collector { each, end: None };
    let view = View::everything();
    // It fails only with its reporter, and this one does not.
    let analyzed = engine::analyze(
        recording,
        None,
        options,
        &view,
        &ThreadPool::default(),
        &mut collector,
    );
    let (capture, beyond) = collector.end.unwrap_or_default();
    Found {
        capture,
        totals: analyzed.map(|analyzed| analyzed.totals).unwrap_or_default(),
        connections: Vec::new(),
        beyond,
    }
}

struct Collector<F> {
    each: F,
    end: Option<(CaptureSummary, Vec<GroupFinding>)>,
}

impl<F: FnMut(&Diagnosis) + Send> Reporter for Collector<F> {
    fn connection(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        (self.each)(diagnosis);
        Ok(())
    }

    fn finish(
        &mut self,
        capture: &CaptureSummary,
        _: &Totals,
        group: &[GroupFinding],
    ) -> io::Result<()> {
        self.end = Some((capture.clone(), group.to_vec()));
        Ok(())
    }
}
