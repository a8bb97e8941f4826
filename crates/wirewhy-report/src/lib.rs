//! Findings to words: text for a person, JSON for a program.
//!
//! A reporter is fed one diagnosed connection after another and writes to the writer it was given, and to nothing else.
//! What it keeps is bounded: a capture with three million failed connections needs no more memory than one with three
//! thousand. Equal input gives equal output, byte for byte.
//!
//! Names and texts that come from the wire are hostile. They reach a terminal only through [`Safe`], and JSON with
//! every invisible character escaped.
//!
//! This crate draws no conclusions: of packets it has only rows to draw, and it adds no conclusion of its own.

mod archive;
mod capture;
mod community_id;
mod ecs;
mod explain;
mod format;
mod html;
mod json;
mod ladder;
mod live;
mod lookup;
mod markdown;
mod messages;
mod metrics;
mod model;
mod names;
mod packets;
mod reporter;
mod rows;
mod safe;
mod style;
mod text;
mod view;

pub use archive::{
    Archive, Digest, Digester, Digests, Extent, Lines, Scanned, Shown, write_error_ndjson,
    write_error_text,
};
pub use capture::{CaptureSummary, FileSummary, FilterSummary};
pub use community_id::community_id;
pub use ecs::{Ecs, LiveEcs};
pub use explain::{explain, list_codes};
pub use format::rfc3339;
pub use html::{Html, LiveHtml};
pub use json::{Json, LiveNdjson, Ndjson};
pub use ladder::{Ladder, PacketChoice};
pub use live::{LiveReporter, LiveText, Screen, Status};
pub use markdown::Markdown;
pub use metrics::{EvidenceSums, Metrics, Sums};
pub use names::Names;
pub use packets::{PacketRow, PacketSource, Packets, PacketsNdjson, PacketsText};
pub use reporter::Reporter;
pub use rows::{Column, Field, Kind, Parquet, Rows, Sorter, Table, Tables, Texts, Values};
pub use safe::Safe;
pub use style::{Color, TextStyle};
pub use text::Text;
pub use view::{Selection, View, glob_matches};
