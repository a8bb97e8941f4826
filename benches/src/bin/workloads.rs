//! Writes the captures that are measured: `workloads FOLDER [TIMES]`, TIMES as many conversations as in the smallest set.
//!
//! `web`, `small`, `scan` and `refusals` are synthetic; `tls12` and `tls13` repeat a recorded handshake. `empty` holds no packet: what a run
//! costs before the first one. Beside them goes `workloads.json` with the numbers of packets and connections.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use wirewhy_benches::{Mix, Workload};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        return Err(io::Error::other("usage: workloads FOLDER [TIMES]"));
    };
    let times = match arguments.next() {
        None => 1,
        Some(times) => {
            let number = times.to_str().and_then(|times| times.parse().ok());
            number.ok_or_else(|| io::Error::other("TIMES is a number from 1 on"))?
        }
    };
    fs::create_dir_all(&folder)?;
    write(&folder, times)
}

fn write(folder: &Path, times: u32) -> io::Result<()> {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/captures");
    let healthy = fs::read(lab.join("tls-healthy-kinds/client.pcap"))?;
    let many = |conversations: u32| conversations.saturating_mul(times);
    let workloads = [
        Workload::synthetic(Mix::Web, many(200)),
        Workload::synthetic(Mix::Small, many(2_000)),
        Workload::synthetic(Mix::Scan, many(10_000)),
        Workload::synthetic(Mix::Refusals, many(10_000)),
        Workload::repeated("tls12", &healthy, 159..=175, many(1_000)),
        Workload::repeated("tls13", &healthy, 193..=211, many(1_000)),
        Workload::repeated("empty", &healthy, 0..=0, 1),
    ];
    let mut list = fs::File::create(folder.join("workloads.json"))?;
    writeln!(list, "[")?;
    for (at, workload) in workloads.iter().enumerate() {
        let Some(file) = workload.files.first() else {
            continue;
        };
        fs::write(folder.join(workload.name).with_extension("pcap"), file)?;
        let comma = if at + 1 < workloads.len() { "," } else { "" };
        writeln!(
            list,
            "  {{\"name\": \"{}\", \"packets\": {}, \"connections\": {}}}{comma}",
            workload.name,
            workload.packets,
            workload.connections.unwrap_or(0),
        )?;
    }
    writeln!(list, "]")
}
