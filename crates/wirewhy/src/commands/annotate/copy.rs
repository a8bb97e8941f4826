//! Writing the capture once more.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use wirewhy::evidence::{APPLICATION, Comments};
use wirewhy_capture::pcapng::{Notes, Section, Writer};
use wirewhy_capture::{Interface, InterfaceStatistics, RecordedFile, Recording};
use wirewhy_detect::Finding;
use wirewhy_packet::{Frame, LinkType, Timestamp};

use super::chosen::Chosen;

/// For packets whose interface is described so badly that it has no link type: one that readers show as bytes
/// (LINKTYPE_USER0).
const UNDESCRIBED: LinkType = LinkType(147);

/// What is written.
pub(super) struct Copy<'a> {
    pub(super) chosen: &'a Chosen,
    pub(super) findings: &'a [Finding],
    pub(super) interfaces: Interfaces<'a>,
    /// What packets had to pass, in libpcap's language.
    pub(super) filter: Option<&'a str>,
    /// Ends the writing.
    pub(super) stop: &'a AtomicBool,
}

impl Copy<'_> {
    /// Writes the chosen packets of a recording, with `about` on the section.
    pub(super) fn write(
        &mut self,
        out: impl Write,
        recording: &mut Recording,
        about: &[String],
    ) -> io::Result<()> {
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        let section = Section {
            application: APPLICATION,
            comments: &about,
        };
        let mut writer = Writer::new(out, section)?;
        let number = |frame| self.chosen.number(frame);
        let comments = Comments::new(self.findings, &number, None);
        let mut data = Vec::new();
        let mut latest = None;
        while !self.stop.load(Ordering::Relaxed) {
            let Some(item) = recording.next() else {
                break;
            };
            for secrets in item.secrets {
                writer.secrets(secrets)?;
            }
            let Some(packet) = number(item.frame.number) else {
                continue;
            };
            data.clear();
            data.extend_from_slice(item.frame.data);
            let frame = Frame {
                data: &[],
                ..item.frame
            };
            let file = recording.file();
            let interface = self
                .interfaces
                .number(&mut writer, file, &frame, self.filter)?;
            let mut texts = recording.comments();
            for text in comments.of(packet, &number) {
                // The capture may have been annotated before.
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let notes = Notes {
                packet_id: (packet != frame.number).then_some(frame.number),
                comments: &texts,
            };
            let frame = Frame {
                interface,
                data: &data,
                ..frame
            };
            writer.frame(&frame, notes)?;
            latest = Some(frame.time);
            let names = recording.fresh_names();
            if !names.is_empty() {
                writer.names(names)?;
            }
        }
        if let Some(latest) = latest {
            self.interfaces.statistics(&mut writer, latest)?;
        }
        writer.finish().map(drop)
    }
}

/// The interfaces of a recording in the new file. Those of several files that are described alike are one.
pub(super) struct Interfaces<'a> {
    files: &'a [RecordedFile],
    /// File and interface as the recording numbers them.
    met: Vec<(Met, u32)>,
    /// By their numbers in the new file.
    described: Vec<Interface>,
}

/// An interface of a file, and the link type of a packet there.
type Met = (usize, u32, LinkType);

impl<'a> Interfaces<'a> {
    pub(super) fn new(files: &'a [RecordedFile]) -> Interfaces<'a> {
        Interfaces {
            files,
            met: Vec::new(),
            described: Vec::new(),
        }
    }

    /// The number of a frame's interface; it is described when it is first met.
    fn number(
        &mut self,
        writer: &mut Writer<impl Write>,
        file: usize,
        frame: &Frame<'_>,
        filter: Option<&str>,
    ) -> io::Result<u32> {
        let key = (file, frame.interface, frame.link_type);
        // Most frames are of the interface of the frame before.
        let mut known = self.met.iter().rev();
        if let Some((_, number)) = known.find(|(known, _)| *known == key) {
            return Ok(*number);
        }
        let info = self.files.get(file).and_then(|file| file.info.as_ref());
        let index = usize::try_from(frame.interface).unwrap_or(usize::MAX);
        let known = info.and_then(|info| info.interfaces.get(index));
        let has_number = u16::try_from(frame.link_type.0).is_ok();
        let description = Interface {
            link_type: if has_number {
                frame.link_type
            } else {
                UNDESCRIBED
            },
            snap_len: known.map_or(0, |known| known.snap_len),
            name: known.and_then(|known| known.name.clone()),
            statistics: InterfaceStatistics::default(),
        };
        let alike = |of: &Interface| {
            (of.link_type, of.snap_len, &of.name)
                == (
                    description.link_type,
                    description.snap_len,
                    &description.name,
                )
        };
        let number = match self.described.iter().position(alike) {
            // Two interfaces of one file are two, however they are described.
            Some(at) if !self.is_of(file, at) => u32::try_from(at).unwrap_or(u32::MAX),
            _ => {
                self.described.push(description.clone());
                writer.interface(&description, filter)?
            }
        };
        self.add_statistics(number, known);
        self.met.push((key, number));
        Ok(number)
    }

    fn is_of(&self, file: usize, number: usize) -> bool {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let mut met = self.met.iter();
        met.any(|((of, ..), at)| *of == file && *at == number)
    }

    fn add_statistics(&mut self, number: u32, known: Option<&Interface>) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if let (Some(sum), Some(known)) = (self.described.get_mut(index), known) {
            let (sum, one) = (&mut sum.statistics, &known.statistics);
            for (sum, one) in [
                (&mut sum.received, one.received),
                (&mut sum.dropped_by_interface, one.dropped_by_interface),
                (&mut sum.accepted, one.accepted),
                (&mut sum.dropped_by_system, one.dropped_by_system),
                (&mut sum.delivered, one.delivered),
            ] {
                if let Some(one) = one {
                    *sum = Some(sum.unwrap_or(0).saturating_add(one));
                }
            }
        }
    }

    /// Writes what the files count, summed over those in which an interface is described alike.
    fn statistics(&self, writer: &mut Writer<impl Write>, latest: Timestamp) -> io::Result<()> {
        for (number, interface) in (0..).zip(&self.described) {
            if interface.statistics != InterfaceStatistics::default() {
                writer.statistics(number, latest, interface.statistics)?;
            }
        }
        Ok(())
    }
}
