//! Which interfaces there are.

use std::net::IpAddr;

use nix::net::if_::{InterfaceFlags, if_nametoindex};
use pcap::ConnectionStatus;
use wirewhy_packet::LinkType;

use crate::live::handle::Handle;
use crate::live::{LiveError, LiveErrorKind, Options};

/// The name that stands for all interfaces.
pub(super) const ANY: &str = "any";

/// Something that libpcap offers to capture from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What libpcap says of it.
    pub description: Option<String>,
    /// Its addresses, each with the length of its network's prefix where that is known.
    pub addresses: Vec<(IpAddr, Option<u8>)>,
    /// Whether it is up: without that it cannot be opened.
    pub up: bool,
    /// Whether it is ready to pass frames.
    pub running: bool,
    /// Whether it is a loopback interface.
    pub loopback: bool,
    /// Whether it is a radio.
    pub wireless: bool,
    /// Whether something is at the other end.
    pub connected: Connected,
}

/// Whether a cable is plugged in, or a radio associated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connected {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The interface cannot tell.
    Unknown,
    /// The interface knows no such thing.
    NotApplicable,
}

/// Everything libpcap offers to capture from; no right is needed to ask.
///
/// # Errors
///
/// Where the system does not answer.
pub fn devices() -> Result<Vec<Device>, LiveError> {
    let listed = pcap::Device::list().map_err(|error| LiveError {
        interface: String::new(),
        kind: LiveErrorKind::Other(words(&error)),
    })?;
    Ok(listed.into_iter().map(device).collect())
}

/// Tries whether something can be captured from, by opening it for a moment, and gives the link type of its frames.
///
/// # Errors
///
/// Why it cannot be captured.
pub fn probe(name: &str) -> Result<LinkType, LiveError> {
    let options = Options {
        snap_len: 64,
        // The kernel's least.
        buffer: 1,
        ..Options::default()
    };
    match Handle::open(name, &options) {
        Ok(handle) => Ok(handle.link_type),
        Err(kind) => Err(LiveError {
            interface: name.to_owned(),
            kind,
        }),
    }
}

fn device(listed: pcap::Device) -> Device {
    let addresses = listed.addresses.iter();
    Device {
        addresses: addresses
            .map(|address| (address.addr, address.netmask.map(prefix_len)))
            .collect(),
        up: listed.flags.is_up(),
        running: listed.flags.is_running(),
        loopback: listed.flags.is_loopback(),
        wireless: listed.flags.is_wireless(),
        connected: match listed.flags.connection_status {
            ConnectionStatus::Connected => Connected::Yes,
            ConnectionStatus::Disconnected => Connected::No,
            ConnectionStatus::Unknown => Connected::Unknown,
            ConnectionStatus::NotApplicable => Connected::NotApplicable,
        },
        name: listed.name,
        description: listed.desc,
    }
}

fn prefix_len(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    u8::try_from(ones).unwrap_or(u8::MAX)
}

/// What libpcap says, without the binding's own words.
pub(super) fn words(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(message) => message.clone(),
        other => other.to_string(),
    }
}

/// What the system says of an interface, and the number it has for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InterfaceState {
    Absent,
    Down(u32),
    Up(u32),
}

/// Asks the system for an interface's standing; `None` where it does not know such names, as of `any`.
pub(super) fn interface_state(name: &str) -> Option<InterfaceState> {
    if name == ANY || name.contains(':') || name.starts_with("nf") {
        return None;
    }
    let Ok(index) = if_nametoindex(name) else {
        return Some(InterfaceState::Absent);
    };
    let mut entries = nix::ifaddrs::getifaddrs().ok()?;
    let entry = entries.find(|entry| entry.interface_name == name)?;
    Some(if entry.flags.contains(InterfaceFlags::IFF_UP) {
        InterfaceState::Up(index)
    } else {
        InterfaceState::Down(index)
    })
}

/// The names of the interfaces there are.
pub(super) fn names() -> Vec<String> {
    let listed = devices().unwrap_or_default();
    listed.into_iter().map(|device| device.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_become_prefix_lengths() {
        assert_eq!(prefix_len("255.255.240.0".parse().unwrap()), 20);
        assert_eq!(prefix_len("0.0.0.0".parse().unwrap()), 0);
        assert_eq!(prefix_len("ffff:ffff::".parse().unwrap()), 32);
    }

    #[test]
    fn the_loopback_interface_is_listed_with_its_state() {
        let listed = devices().unwrap();
        let loopback = listed.iter().find(|device| device.loopback).unwrap();
        assert!(!loopback.wireless);
        let up = matches!(interface_state(&loopback.name), Some(InterfaceState::Up(_)));
        assert_eq!(up, loopback.up);
    }

    #[test]
    fn an_interface_that_is_not_there_is_absent() {
        assert_eq!(
            interface_state("no-such-name0"),
            Some(InterfaceState::Absent)
        );
        assert_eq!(interface_state(ANY), None);
    }
}
