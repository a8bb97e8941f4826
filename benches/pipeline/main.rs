//! `cargo bench -p wirewhy-benches`: nanoseconds per packet and per byte, one stage on top of the other.
//!
//! Each figure is the median of several passes over captures that are in memory. Stages are whole: `track` decodes too, and
//! `pipeline` reads, decodes, tracks, diagnoses and reports, as `wirewhy FILE` does. An argument selects captures by name.

use std::hint::black_box;
use std::io::{self, Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use wirewhy::engine::{Analysis, EngineOptions, ThreadPool, analyze};
use wirewhy_benches::{Mix, Workload, frames};
use wirewhy_capture::{Reader, Recording};
use wirewhy_detect::Diagnosis;
use wirewhy_flow::{Bounds, Tracker};
use wirewhy_packet::Decoder;
use wirewhy_report::{CaptureSummary, Names, Ndjson, Reporter, Text, TextStyle, View};

/// Passes measured of each stage, after one that is not.
const PASSES: usize = 9;

type Stage = fn(&Workload) -> io::Result<()>;

const STAGES: &[(&str, Stage)] = &[
    ("read", read),
    ("decode", decode),
    ("track", track),
    ("judge", diagnose),
    ("pipeline, text", pipeline_text),
    ("pipeline, ndjson of all", pipeline_ndjson),
];

fn main() -> io::Result<()> {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/captures");
    let healthy = std::fs::read(lab.join("tls-healthy-kinds/client.pcap"))?;
    let workloads = [
        Workload::synthetic(Mix::Web, 2_000),
        Workload::synthetic(Mix::Small, 30_000),
        Workload::synthetic(Mix::Scan, 300_000),
        // A healthy handshake with a certificate and 1 to 2 kB of data, in TLS 1.2 and in TLS 1.3.
        Workload::repeated("tls12", &healthy, 159..=175, 20_000),
        Workload::repeated("tls13", &healthy, 193..=211, 20_000),
        Workload::below(&lab)?,
    ];
    let mut out = io::stdout().lock();
    for workload in &workloads {
        if wanted.is_empty() || wanted.iter().any(|name| name == workload.name) {
            measure(workload, &mut out)?;
        }
    }
    Ok(())
}

fn measure(workload: &Workload, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}: {} packets, {} bytes, {} captures",
        workload.name,
        workload.packets,
        workload.bytes,
        workload.files.len()
    )?;
    for (name, stage) in STAGES {
        let mut passes = Vec::new();
        for _ in 0..=PASSES {
            passes.push(timed(*stage, workload)?);
        }
        // The first fills caches and the allocator.
        let mut passes = passes.split_off(1);
        passes.sort_unstable();
        let median = passes.get(PASSES / 2).copied().unwrap_or_default();
        let nanos = median.as_secs_f64() * 1e9;
        writeln!(
            out,
            "  {name:<24} {:8.1} ns/packet {:8.3} ns/byte{}",
            nanos / workload.packets as f64,
            nanos / workload.bytes as f64,
            workload.connections.map_or(String::new(), |count| format!(
                " {:8.2} µs/connection",
                nanos / 1e3 / f64::from(count)
            ))
        )?;
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures time; nothing it measures reads the clock"
)]
fn timed(stage: Stage, workload: &Workload) -> io::Result<Duration> {
    let begun = Instant::now();
    stage(workload)?;
    Ok(begun.elapsed())
}

fn readers(workload: &Workload) -> impl Iterator<Item = io::Result<Reader>> {
    workload.files.iter().map(|file| {
        let source = Box::new(Cursor::new(file.clone()));
        Reader::new(source, "memory".to_owned()).map_err(io::Error::other)
    })
}

fn read(workload: &Workload) -> io::Result<()> {
    for reader in readers(workload) {
        let mut reader = reader?;
        while let Some(frame) = reader.next() {
            black_box(frame);
        }
    }
    Ok(())
}

fn decode(workload: &Workload) -> io::Result<()> {
    for file in &workload.files {
        let mut decoder = Decoder::new();
        for frame in frames(file) {
            black_box(decoder.decode(&frame));
        }
    }
    Ok(())
}

fn track(workload: &Workload) -> io::Result<()> {
    for file in &workload.files {
        let mut decoder = Decoder::new();
        let mut tracker = Tracker::new(Bounds::default());
        let mut sink = |connection| drop(black_box(connection));
        for frame in frames(file) {
            black_box(tracker.observe(&decoder.decode(&frame), &mut sink));
        }
        tracker.finish(&mut sink);
    }
    Ok(())
}

fn diagnose(workload: &Workload) -> io::Result<()> {
    for file in &workload.files {
        let mut decoder = Decoder::new();
        let mut analysis = Analysis::new(EngineOptions::default());
        let mut sink = |diagnosis: &Diagnosis| {
            black_box(diagnosis);
            Ok(())
        };
        for frame in frames(file) {
            analysis.observe(&decoder.decode(&frame), &mut sink)?;
        }
        black_box(analysis.finish(&CaptureSummary::default(), &mut sink)?);
    }
    Ok(())
}

fn pipeline_text(workload: &Workload) -> io::Result<()> {
    let view = View::default();
    pipeline(workload, &view, || {
        Box::new(Text::new(
            io::sink(),
            TextStyle::default(),
            view.clone(),
            Names::default(),
        ))
    })
}

fn pipeline_ndjson(workload: &Workload) -> io::Result<()> {
    let view = View::everything();
    pipeline(workload, &view, || {
        Box::new(Ndjson::new(io::sink(), view.clone(), Names::default()))
    })
}

fn pipeline(
    workload: &Workload,
    view: &View,
    reporter: impl Fn() -> Box<dyn Reporter>,
) -> io::Result<()> {
    let options = EngineOptions::default();
    for reader in readers(workload) {
        let mut recording = Recording::from(reader?);
        black_box(analyze(
            &mut recording,
            None,
            &options,
            view,
            &ThreadPool::default(),
            reporter().as_mut(),
        )?);
    }
    Ok(())
}
