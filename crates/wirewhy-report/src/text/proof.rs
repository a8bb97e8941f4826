//! Where the proof of a finding lies: frames, streams, display filters.

use wirewhy_flow::Transport;

use crate::model::StreamId;
use crate::style::JOINED;
use crate::{FileSummary, Safe};

/// How many frames are named without being asked for more.
const MAX_FRAMES: usize = 8;

/// The numbers of frames; in a recording of several `files` those that each frame has in its file.
pub(crate) fn frames(frames: &[u64], files: &[FileSummary]) -> String {
    if frames.is_empty() {
        return "no frame".to_owned();
    }
    let mut different: Vec<u64> = Vec::new();
    for frame in frames {
        if !different.contains(frame) {
            different.push(*frame);
        }
    }
    let frames = different.as_slice();
    let shown = frames.get(..MAX_FRAMES).unwrap_or(frames);
    let mut parts: Vec<String> = Vec::new();
    let mut left = shown;
    while let Some(first) = left.first() {
        let file = file_of(*first, files);
        let same = left
            .iter()
            .take_while(|frame| file_of(**frame, files) == file)
            .count();
        let (here, rest) = left.split_at(same.max(1));
        left = rest;
        let before = file.map_or(0, |file| file.first_frame.saturating_sub(1));
        let numbers: Vec<String> = here
            .iter()
            .map(|frame| frame.saturating_sub(before).to_string())
            .collect();
        let noun = if here.len() == 1 { "frame" } else { "frames" };
        let mut part = format!("{noun} {}", numbers.join(", "));
        if let Some(file) = file {
            part.push_str(&format!(" of {}", Safe(base_name(&file.source))));
        }
        parts.push(part);
    }
    if shown.len() < frames.len() {
        parts.push("and more".to_owned());
    }
    parts.join("; ")
}

/// The file that a frame of a recording is in.
fn file_of(frame: u64, files: &[FileSummary]) -> Option<&FileSummary> {
    files
        .iter()
        .rev()
        .find(|file| file.packets > 0 && file.first_frame <= frame)
}

/// The name of a file without its folder.
pub(crate) fn base_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

/// A display filter for Wireshark, kept on one line so that it can be copied.
pub(super) fn filter(streams: &[StreamId]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (transport, field) in [
        (Transport::Tcp, "tcp.stream"),
        (Transport::Udp, "udp.stream"),
    ] {
        let of_it = streams
            .iter()
            .filter(|stream| stream.transport == transport);
        let numbers: Vec<String> = of_it.map(|stream| stream.number.to_string()).collect();
        match numbers.as_slice() {
            [] => {}
            [one] => parts.push(format!("{field} == {one}")),
            many => parts.push(format!("{field} in {{{}}}", many.join(","))),
        }
    }
    let filter = parts.join(" || ");
    filter.replace(' ', &JOINED.to_string())
}
