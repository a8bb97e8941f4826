//! One direction of a time-sequence plot.

use maud::{Markup, html};
use wirewhy_flow::Connection;
use wirewhy_packet::Timestamp;

use super::super::axis::{NumberAxis, TimeAxis};
use super::super::draw::{Path, Staircase, column, px};
use super::super::{Cited, Key};
use super::shapes::{Kind, PlotSegment, Shapes};
use super::{LEFT, RIGHT, WIDTH};
use crate::{Names, format};

/// With no more bars than this each has ticks at its ends.
const MOST_TICKED: usize = 150;

/// A bar lower than this is no bar with ticks.
const LEAST_TICKED: f64 = 5.0;

/// So many retransmissions have a text of their own each; more are one path.
const MOST_TITLED: usize = 60;

/// How far apart letters of one kind are at least.
const LETTERS_APART: f64 = 9.0;

/// A direction, drawn.
#[derive(Debug)]
pub(super) struct Panel<'a> {
    shapes: &'a Shapes,
    times: &'a TimeAxis,
    numbers: NumberAxis,
    top: f64,
    bottom: f64,
    pub(super) new: Path,
    pub(super) again: Vec<&'a PlotSegment>,
    pub(super) out_of_order: Path,
    pub(super) probes: Path,
    pub(super) acks: Path,
    pub(super) window: Path,
    pub(super) sack: Path,
    pub(super) duplicates: Path,
}

/// Numbers that stand at one time.
#[derive(Debug)]
struct Bar {
    x: f64,
    from: i64,
    to: i64,
}

/// Bars in their order. Those that touch in one column of pixels are one: nothing of it could be told apart.
#[derive(Debug, Default)]
struct Bars(Vec<Bar>);

/// How many bars of one column are looked at for one that touches: SACK blocks come in fours.
const LOOKED_AT: usize = 8;

impl Bars {
    fn add(&mut self, x: f64, from: i64, to: i64) {
        let latest = self.0.iter_mut().rev().take(LOOKED_AT);
        let mut in_column = latest.take_while(|bar| column(bar.x) == column(x));
        match in_column.find(|bar| from <= bar.to && to >= bar.from) {
            Some(bar) => (bar.from, bar.to) = (bar.from.min(from), bar.to.max(to)),
            None => self.0.push(Bar { x, from, to }),
        }
    }
}

/// A letter at a place, and what it stands for.
struct Letter {
    x: f64,
    y: f64,
    class: &'static str,
    text: &'static str,
    meaning: String,
}

impl<'a> Panel<'a> {
    pub(super) fn new(
        shapes: &'a Shapes,
        times: &'a TimeAxis,
        (top, bottom): (f64, f64),
    ) -> Panel<'a> {
        let numbers = NumberAxis::new(shapes.range(), (top + 6.0, bottom - 4.0));
        let mut panel = Panel {
            shapes,
            times,
            numbers,
            top,
            bottom,
            new: Path::default(),
            again: shapes
                .segments
                .iter()
                .filter(|segment| segment.kind == Kind::Again)
                .collect(),
            out_of_order: Path::default(),
            probes: Path::default(),
            acks: Path::default(),
            window: Path::default(),
            sack: Path::default(),
            duplicates: Path::default(),
        };
        panel.new = panel.bars(Kind::New);
        panel.out_of_order = panel.bars(Kind::OutOfOrder);
        panel.sack = panel.blocks();
        for probe in shapes.segments.iter().filter(|segment| segment.probe) {
            let (x, y) = (panel.x(probe.time), panel.y(probe.from));
            panel.probes.bar(x, y - 4.0, y + 4.0);
        }
        panel.follow_acks();
        panel
    }

    fn x(&self, time: Timestamp) -> f64 {
        self.times.x(time)
    }

    fn y(&self, number: i64) -> f64 {
        self.numbers.y(number)
    }

    /// Segments of a kind as bars.
    fn bars(&self, kind: Kind) -> Path {
        let segments = self.shapes.segments.iter();
        let segments = segments.filter(|segment| segment.kind == kind && !segment.probe);
        let mut bars = Bars::default();
        for segment in segments {
            bars.add(self.x(segment.time), segment.from, segment.to);
        }
        self.path(&bars)
    }

    /// Blocks that were acknowledged selectively, as bars.
    fn blocks(&self) -> Path {
        let mut bars = Bars::default();
        for ack in &self.shapes.acks {
            for (left, right) in &ack.sack {
                bars.add(self.x(ack.time), *left, *right);
            }
        }
        self.path(&bars)
    }

    fn path(&self, bars: &Bars) -> Path {
        let mut path = Path::default();
        let are_ticked = bars.0.len() <= MOST_TICKED;
        for Bar { x, from, to } in &bars.0 {
            let (from, to) = (self.y(*from), self.y(*to));
            // What is lower than a pixel is still there.
            let to = to.min(from - 1.0);
            path.bar(*x, from, to);
            if are_ticked && from - to >= LEAST_TICKED {
                path.tick(*x, from, 2.0);
                path.tick(*x, to, 2.0);
            }
        }
        path
    }

    fn follow_acks(&mut self) {
        let (mut acks, mut window) = (Staircase::default(), Staircase::default());
        let (mut highest, mut end) = (i64::MIN, LEFT);
        let mut latest_duplicate = f64::NEG_INFINITY;
        for ack in &self.shapes.acks {
            let x = self.x(ack.time);
            highest = highest.max(ack.number);
            acks.step(x, self.y(highest));
            if let Some(limit) = ack.limit {
                window.step(x, self.y(limit));
            }
            if ack.duplicate && column(latest_duplicate) != column(x) {
                latest_duplicate = x;
                self.duplicates.tick(x, self.y(ack.number), 3.0);
            }
            end = x;
        }
        let last = self
            .shapes
            .segments
            .last()
            .map_or(end, |segment| self.x(segment.time));
        let end = end.max(last).max(
            self.times
                .folds()
                .map(|fold| fold.right)
                .fold(end, f64::max),
        );
        self.acks = acks.end(end);
        self.window = window.end(end);
    }

    /// The panel with its heading and its axis.
    pub(super) fn draw(
        &self,
        connection: &Connection,
        names: &Names,
        cited: &Cited<'_>,
        key: &Key,
    ) -> Markup {
        let side = self.shapes.side;
        let end = connection.side(side);
        let heading = format!(
            "{} {} →",
            super::format::party(side),
            names.socket(end.address, end.port)
        );
        let ticks = self.numbers.ticks();
        let mut grid = Path::default();
        for tick in &ticks {
            grid.across(LEFT, tick.at, WIDTH - RIGHT);
        }
        html! {
            text.who x="0" y=(px(self.top - 8.0)) { (heading) }
            rect.frame x=(px(LEFT)) y=(px(self.top)) width=(px(WIDTH - LEFT - RIGHT)) height=(px(self.bottom - self.top)) {}
            path.grid d=(grid.data()) {}
            @for tick in &ticks {
                text.number x=(px(LEFT - 6.0)) y=(px(tick.at + 4.0)) { (tick.label) }
            }
            (self.cited(cited, key))
            (path("win", &self.window))
            (path("ack", &self.acks))
            (path("dup", &self.duplicates))
            (path("sack", &self.sack))
            (path("seg", &self.new))
            (path("ooo", &self.out_of_order))
            (path("probe", &self.probes))
            (self.sent_again())
            @for letter in self.letters() {
                text class=(letter.class) x=(px(letter.x)) y=(px(letter.y)) { (letter.text) title { (letter.meaning) } }
            }
        }
    }

    fn sent_again(&self) -> Markup {
        let bar = |segment: &PlotSegment| {
            let mut path = Path::default();
            let (from, to) = (self.y(segment.from), self.y(segment.to));
            path.bar(self.x(segment.time), from, to.min(from - 2.0));
            path
        };
        if self.again.len() > MOST_TITLED {
            let all: String = self
                .again
                .iter()
                .map(|segment| bar(segment).data().to_owned())
                .collect();
            return html! { path.rtx d=(all) {} };
        }
        html! {
            @for segment in &self.again {
                path.rtx d=(bar(segment).data()) {
                    title { "Frame " (segment.frame) ": " (numbers(segment)) " sent again" }
                }
            }
        }
    }

    /// Whether a letter is to be seen in it.
    pub(super) fn has(&self, letter: &str, cited: &Cited<'_>) -> bool {
        match letter {
            "▲" => !self.cited_frames(cited).is_empty(),
            letter => self.letters().iter().any(|shown| shown.text == letter),
        }
    }

    /// The frames that findings cite, as lines over the panel that lead to the ladder.
    fn cited(&self, cited: &Cited<'_>, key: &Key) -> Markup {
        let frames = self.cited_frames(cited);
        html! {
            @for (frame, time) in frames {
                @let line = self.cited_line(frame, time);
                @if cited.drawn.contains(&frame) {
                    a.cited href=(format!("#{key}-{frame}")) { (line) }
                } @else {
                    g.cited { (line) }
                }
            }
        }
    }

    fn cited_frames(&self, cited: &Cited<'_>) -> Vec<(u64, Timestamp)> {
        let shapes = self.shapes;
        let segments = shapes
            .segments
            .iter()
            .map(|segment| (segment.frame, segment.time));
        let acks = shapes.acks.iter().map(|ack| (ack.frame, ack.time));
        let resets = shapes.resets.iter().map(|reset| (reset.frame, reset.time));
        let reset_by = shapes.reset_by.iter().copied();
        let mut frames: Vec<(u64, Timestamp)> =
            segments.chain(acks).chain(resets).chain(reset_by).collect();
        frames.retain(|(frame, _)| cited.is_cited(*frame));
        frames.sort_unstable();
        frames.dedup();
        frames
    }

    fn cited_line(&self, frame: u64, time: Timestamp) -> Markup {
        let x = px(self.x(time));
        html! {
            path d=(format!("M{x} {}V{}m-4 0h8l-4 -6z", px(self.top), px(self.bottom))) {
                title { "Frame " (frame) " proves a finding" }
            }
        }
    }

    /// What has a letter. Of letters that would cover each other one is enough.
    fn letters(&self) -> Vec<Letter> {
        let mut letters = self.controls();
        letters.extend(self.answers());
        let mut shown: Vec<Letter> = Vec::new();
        for letter in letters {
            let is_covered = |other: &Letter| {
                other.text == letter.text
                    && (other.x - letter.x).abs() < LETTERS_APART
                    && (other.y - letter.y).abs() < LETTERS_APART
            };
            if !shown.iter().rev().take(4).any(is_covered) {
                shown.push(letter);
            }
        }
        shown
    }

    /// SYN, FIN and RST of the side.
    fn controls(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        let segments = self.shapes.segments.iter();
        for segment in segments.filter(|segment| segment.syn || segment.fin) {
            let (text, what, below) = match segment.syn {
                true => ("S", "SYN", -3.0),
                false => ("F", "FIN", 10.0),
            };
            letters.push(Letter {
                x: self.x(segment.time) + 3.0,
                y: (self.y(segment.to) + below).max(self.top + 11.0),
                class: "ctl",
                text,
                meaning: format!("Frame {}: {what}", segment.frame),
            });
        }
        let party = super::format::party(self.shapes.side).to_lowercase();
        letters.extend(self.shapes.resets.iter().map(|reset| Letter {
            x: self.x(reset.time),
            y: self.y(reset.number) + 4.0,
            class: "rst",
            text: "✕",
            meaning: format!("Frame {}: RST of {party}", reset.frame),
        }));
        letters
    }

    /// What came back: ICMP errors, resets, closed windows.
    fn answers(&self) -> Vec<Letter> {
        let errors = self.shapes.errors.iter().map(|error| Letter {
            x: self.x(error.time),
            y: self.bottom - 10.0,
            class: "icmp",
            text: "▼",
            meaning: format!("Frame {}: ICMP {}", error.frame, error.message()),
        });
        let resets = self.shapes.reset_by.iter().map(|(frame, time)| Letter {
            x: self.x(*time),
            y: self.top + 12.0,
            class: "rst in",
            text: "RST",
            meaning: format!("Frame {frame}: RST of the other side"),
        });
        let closed = self.shapes.acks.iter().filter(|ack| ack.closed);
        let closed = closed.map(|ack| Letter {
            x: self.x(ack.time),
            y: self.y(ack.number) + 4.0,
            class: "zero",
            text: "Z",
            meaning: format!("Frame {}: the window is closed", ack.frame),
        });
        errors.chain(resets).chain(closed).collect()
    }

    /// Whether the window goes beyond what is drawn.
    pub(super) fn hides_window(&self) -> bool {
        let mut limits = self.shapes.acks.iter().filter_map(|ack| ack.limit);
        limits.any(|limit| self.numbers.is_beyond(limit))
    }
}

fn path(class: &str, path: &Path) -> Markup {
    html! {
        @if !path.is_empty() {
            path class=(class) d=(path.data()) {}
        }
    }
}

fn numbers(segment: &PlotSegment) -> String {
    let PlotSegment { from, to, .. } = segment;
    format!(
        "{} to {}",
        format::count(from.unsigned_abs()),
        format::count(to.unsigned_abs())
    )
}
