//! `wirewhy packets`: one line a TCP frame.

use std::io;

use wirewhy::engine::Feed;
use wirewhy_capture::{Filters, Recording};
use wirewhy_flow::wireshark::WiresharkAnalysis;
use wirewhy_flow::{Bounds, Tracker};
use wirewhy_report::{PacketRow, PacketsNdjson, PacketsText};

use crate::cli::{PacketsArgs, RowFormat, SelectArgs, TlsArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::setup::{Completeness, Setup, open};

pub(crate) fn run(args: &PacketsArgs) -> Result<Exit, Failure> {
    let every = SelectArgs {
        only: Vec::new(),
        ignore: Vec::new(),
    };
    let setup = Setup::new(&args.common, &every, &TlsArgs::default())?;
    let mut recording = open(&args.files)?;
    let mut filters = setup.filters.clone();
    let mut output = Output::open(args.common.output.as_deref(), &setup.reads(&args.files))?;
    let out = output.writer();
    let written = match args.format {
        RowFormat::Text => {
            let mut table = PacketsText::new(out);
            rows(&mut recording, filters.as_mut(), &mut |row| table.row(row))
                .and_then(|()| table.finish())
        }
        RowFormat::Ndjson => {
            let mut table = PacketsNdjson::new(out);
            rows(&mut recording, filters.as_mut(), &mut |row| table.row(row))
                .and_then(|()| table.finish())
        }
    };
    written.map_err(|error| output.failure(&error))?;
    output.close()?;
    match setup.wrap_up(&recording, filters.as_ref()) {
        Completeness::Whole => Ok(Exit::Done),
        Completeness::Partial => Ok(Exit::Partial),
    }
}

/// Marks every frame, so that numbers and marks are those of the whole capture, and hands on those the filter lets
/// through.
fn rows(
    recording: &mut Recording,
    filters: Option<&mut Filters>,
    sink: &mut dyn FnMut(&PacketRow) -> io::Result<()>,
) -> io::Result<()> {
    let mut analysis = WiresharkAnalysis::new();
    let mut tracker = Tracker::new(Bounds::default());
    let mut feed = Feed::new(recording, filters);
    while let Some(written) = feed.next(|fed| {
        let observed = tracker.observe(fed.packet, &mut |_| {});
        let Some(marked) = analysis.observe(fed.packet) else {
            return Ok(());
        };
        let is_copy = observed.is_some_and(|observed| observed.is_copy);
        match PacketRow::of(fed.packet, &marked, is_copy).filter(|_| fed.passes) {
            Some(row) => sink(&row),
            None => Ok(()),
        }
    }) {
        written?;
    }
    Ok(())
}
