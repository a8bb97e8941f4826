//! The drawings of one connection: lookup, time-sequence plot, ladder, TLS handshake, certificates and rests.
//!
//! All are SVG or tables of HTML without a style attribute or a script: classes give them their colours, which
//! [`STYLE`] defines for light, dark and print. Text from the wire is shown as text, cleaned, and is in no `id` and no URL.

mod axis;
mod certificates;
mod draw;
mod idle;
mod ladder;
mod lookup;
mod plot;
#[cfg(test)]
mod testing;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use maud::{Markup, html};
use wirewhy_detect::{Diagnosis, Finding};
use wirewhy_protocol::Transport;

use crate::{Names, Packets, Safe, View};

/// The style sheet of the drawings.
pub(crate) const STYLE: &str = include_str!("pictures.css");

/// Everything that can be drawn of a connection. `packets` are its packets, where they are still to be had.
pub(crate) fn of(
    diagnosis: &Diagnosis,
    packets: Option<&Packets>,
    names: &Names,
    view: &View,
) -> Markup {
    let key = Key::of(diagnosis);
    let mut cited = Cited::of(diagnosis, view);
    let ladder = packets.map(|packets| ladder::of(diagnosis, packets, names, &cited, &key));
    cited.drawn = ladder
        .as_ref()
        .map(|ladder| ladder.frames.clone())
        .unwrap_or_default();
    let connection = &*diagnosis.connection;
    let tls = connection.app.as_deref().and_then(|app| app.tls.as_deref());
    html! {
        div.pictures id=(key) {
            (cited.list(&key))
            @if let Some(found) = connection.looked_up.as_deref() {
                (lookup::of(connection, found, &key))
            }
            (idle::of(diagnosis, packets, &key))
            @if let Some(packets) = packets.filter(|_| connection.transport == Transport::Tcp) {
                @if let Some(plot) = plot::of(diagnosis, packets, names, &cited, &key) { (plot) }
            }
            @if let Some(ladder) = &ladder {
                (ladder.table)
            } @else if connection.transport == Transport::Tcp || connection.quic().is_some() {
                p.note { "Its packets are not to be had any more: neither ladder nor plot can be drawn." }
            }
            @if let Some(tls) = tls {
                (tls::of(connection, tls))
                (certificates::of(tls, &key))
            }
        }
    }
}

/// The rests behind a finding about a timer (`host.idle-timer`); nothing for any other finding. `id` is what the ids of the drawing
/// begin with, and not from the wire.
pub(crate) fn idle_timer(finding: &Finding, id: &str) -> Markup {
    html! {
        @if let Some(drawing) = idle::of_finding(finding, id) {
            div.pictures { (drawing) }
        }
    }
}

/// What the ids of a connection's drawings begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    transport: Transport,
    stream: u32,
    frame: u64,
}

impl Key {
    /// That of a connection: two that follow each other in one stream differ in their first frame.
    pub(crate) fn of(diagnosis: &Diagnosis) -> Key {
        let connection = &diagnosis.connection;
        Key {
            transport: connection.transport,
            stream: connection.stream,
            frame: connection.first.frame,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key {
            transport,
            stream,
            frame,
        } = self;
        write!(f, "{}-{stream}-{frame}", transport.name())
    }
}

/// The findings that are shown, and which frames prove them.
struct Cited<'a> {
    findings: Vec<&'a Finding>,
    by_frame: BTreeMap<u64, Vec<usize>>,
    /// Those of the frames that have a row in the ladder.
    drawn: BTreeSet<u64>,
}

impl<'a> Cited<'a> {
    fn of(diagnosis: &'a Diagnosis, view: &View) -> Cited<'a> {
        let mut findings: Vec<&Finding> = view.findings(&diagnosis.findings).collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let mut by_frame: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, finding) in findings.iter().enumerate() {
            for frame in &finding.frames {
                by_frame.entry(*frame).or_default().push(at + 1);
            }
        }
        by_frame.values_mut().for_each(Vec::dedup);
        Cited {
            findings,
            by_frame,
            drawn: BTreeSet::new(),
        }
    }

    /// The numbers of the findings that a frame proves.
    fn by(&self, frame: u64) -> &[usize] {
        self.by_frame.get(&frame).map_or(&[], Vec::as_slice)
    }

    fn is_cited(&self, frame: u64) -> bool {
        self.by_frame.contains_key(&frame)
    }

    /// The links from a frame to the sentences that it proves.
    fn links(&self, frame: u64, key: &Key) -> Markup {
        html! {
            @for number in self.by(frame) {
                a.badge href=(format!("#{key}-finding-{number}")) title=(self.code(*number)) { (number) }
            }
        }
    }

    fn code(&self, number: usize) -> &'static str {
        let finding = number.checked_sub(1).and_then(|at| self.findings.get(at));
        finding.map_or("", |finding| finding.code)
    }

    /// The sentences, each with its number and the frames that prove it.
    fn list(&self, key: &Key) -> Markup {
        html! {
            @if !self.findings.is_empty() {
                ol.proofs {
                    @for (at, finding) in self.findings.iter().enumerate() {
                        li id=(format!("{key}-finding-{}", at + 1)) class=(finding.severity.name()) {
                            span.badge { (at + 1) } " "
                            code { (finding.code) } " " (Safe(&finding.summary).to_string())
                            @if !finding.frames.is_empty() {
                                span.frames {
                                    " Proof: "
                                    @for (nth, frame) in once(&finding.frames).into_iter().enumerate() {
                                        @if nth > 0 { ", " }
                                        @if self.drawn.contains(&frame) {
                                            a href=(format!("#{key}-{frame}")) { (frame) }
                                        } @else {
                                            (frame)
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Frames in their order, each once: one may prove two things.
fn once(frames: &[u64]) -> Vec<u64> {
    let mut known = Vec::with_capacity(frames.len());
    for frame in frames {
        if !known.contains(frame) {
            known.push(*frame);
        }
    }
    known
}

#[cfg(test)]
mod tests;
