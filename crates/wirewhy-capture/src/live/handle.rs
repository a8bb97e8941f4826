//! libpcap's handle of one interface.

use std::os::fd::{AsFd, BorrowedFd};

use pcap::{Active, Capture, Linktype, Precision};
use wirewhy_packet::{LinkType, Timestamp};

use crate::live::interface::{ANY, InterfaceState, interface_state, names, words};
use crate::live::{BLOCK_TIMEOUT, LiveErrorKind, Options, missing_right, rights};
use crate::{FilterError, InterfaceStatistics};

/// An open interface.
pub(super) struct Handle {
    capture: Capture<Active>,
    /// The system's number for it, which a later one of the same name does not have.
    pub(super) index: u32,
    pub(super) link_type: LinkType,
    nanoseconds: bool,
    /// The kernel's counters when they were last read.
    counters: pcap::Stat,
}

impl Handle {
    pub(super) fn open(name: &str, options: &Options) -> Result<Handle, LiveErrorKind> {
        rights::with_capture(|| Handle::with_right(name, options))
    }

    fn with_right(name: &str, options: &Options) -> Result<Handle, LiveErrorKind> {
        // The netlink modules of libpcap know microseconds only, as do the systems other than Linux.
        let nanoseconds = cfg!(target_os = "linux") && !name.starts_with("nf");
        let precision = if nanoseconds {
            Precision::Nano
        } else {
            Precision::Micro
        };
        let timeout = i32::try_from(BLOCK_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        let inactive = Capture::from_device(name).map_err(|error| refusal(name, &error))?;
        let capture = inactive
            .snaplen(i32::try_from(options.snap_len).unwrap_or(i32::MAX))
            .buffer_size(i32::try_from(options.buffer).unwrap_or(i32::MAX))
            // `any` knows no such mode, and the binding takes libpcap's warning for a refusal.
            .promisc(options.promiscuous && name != ANY)
            .immediate_mode(false)
            .timeout(timeout)
            .precision(precision)
            .open()
            .and_then(Capture::setnonblock);
        let mut capture = capture.map_err(|error| refusal(name, &error))?;
        let link_type = choose_link_type(&mut capture, name)?;
        if let Some(filter) = &options.filter {
            capture
                .filter(filter, true)
                .map_err(|error| refused_filter(filter, link_type, &error))?;
        }
        Ok(Handle {
            capture,
            index: match interface_state(name) {
                Some(InterfaceState::Up(index) | InterfaceState::Down(index)) => index,
                _ => 0,
            },
            link_type,
            nanoseconds,
            counters: pcap::Stat {
                received: 0,
                dropped: 0,
                if_dropped: 0,
            },
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }

    /// Takes up to so many frames from the kernel, without waiting.
    pub(super) fn take(
        &mut self,
        most: usize,
        mut sink: impl FnMut(Timestamp, u32, &[u8]),
    ) -> Result<(), String> {
        let nanoseconds = self.nanoseconds;
        let taken = self.capture.dispatch(Some(most), |packet| {
            let time = time(packet.header, nanoseconds);
            sink(time, packet.header.len, packet.data);
        });
        match taken {
            Ok(_) | Err(pcap::Error::TimeoutExpired) => Ok(()),
            Err(error) => Err(words(&error)),
        }
    }

    /// Adds what the kernel counted since it was last asked. Its counters are 32 bits wide and wrap.
    pub(super) fn count(&mut self, sums: &mut InterfaceStatistics) {
        let Ok(now) = self.capture.stats() else {
            return;
        };
        let before = std::mem::replace(&mut self.counters, now);
        let add = |sum: &mut Option<u64>, now: u32, before: u32| {
            let more = u64::from(now.wrapping_sub(before));
            *sum = Some(sum.unwrap_or(0).saturating_add(more));
        };
        add(&mut sums.received, now.received, before.received);
        add(&mut sums.dropped_by_system, now.dropped, before.dropped);
        let by_interface = &mut sums.dropped_by_interface;
        add(by_interface, now.if_dropped, before.if_dropped);
    }
}

/// The link type to capture with: libpcap's own choice, and for cooked captures version 2, which says what interface a
/// frame passed.
fn choose_link_type(capture: &mut Capture<Active>, name: &str) -> Result<LinkType, LiveErrorKind> {
    const SLL2: Linktype = Linktype(276);
    if name == ANY {
        // libpcap before 1.10 has version 1 only.
        let _ = capture.set_datalink(SLL2);
    }
    let link_type = match capture.get_datalink() {
        // Filters and handles number raw IP differently than files do.
        Linktype(12) => LinkType::RAW,
        Linktype(other) => LinkType(u32::try_from(other).unwrap_or(u32::MAX)),
    };
    match link_type.name() {
        Some(_) => Ok(link_type),
        None => Err(LiveErrorKind::LinkType(link_type)),
    }
}

fn refused_filter(filter: &str, link_type: LinkType, error: &pcap::Error) -> LiveErrorKind {
    LiveErrorKind::Filter(FilterError {
        expression: filter.to_owned(),
        link_type,
        message: words(error),
    })
}

/// Why libpcap did not open an interface. The binding hides libpcap's code, so the facts are asked for.
fn refusal(name: &str, error: &pcap::Error) -> LiveErrorKind {
    match (interface_state(name), missing_right()) {
        (Some(InterfaceState::Absent), _) => LiveErrorKind::NoSuchInterface { known: names() },
        (_, Some(right)) => LiveErrorKind::NoPermission(right),
        (Some(InterfaceState::Down(_)), None) => LiveErrorKind::Down,
        _ => LiveErrorKind::Other(words(error)),
    }
}

/// A frame's time. With nanoseconds the field still bears the name of microseconds.
fn time(header: &pcap::PacketHeader, nanoseconds: bool) -> Timestamp {
    let (seconds, fraction) = (wide(header.ts.tv_sec), wide(header.ts.tv_usec));
    let nanos = if nanoseconds {
        fraction
    } else {
        fraction.saturating_mul(1_000)
    };
    Timestamp::from_secs_nanos(seconds, u32::try_from(nanos).unwrap_or(0))
}

/// The width of a `timeval`'s fields depends on the system.
fn wide(field: impl TryInto<i64>) -> i64 {
    field.try_into().unwrap_or(i64::MAX)
}
