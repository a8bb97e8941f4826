//! Real frames on real interfaces, each test in a network namespace of its own.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use wirewhy_packet::LinkType;

use super::*;
use crate::{clock, now};

/// Moves the calling thread, and with it the test, into a network namespace of its own.
///
/// Says why where that cannot be, and then fails unless an ordinary user runs the tests outside of CI.
fn in_namespace() -> bool {
    use nix::sched::{CloneFlags, unshare};

    let refused = match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {
            ip("link set lo up");
            return true;
        }
        Err(refused) => refused,
    };
    let why =
        format!("network namespaces cannot be made here, so live capture is NOT tested: {refused}");
    let root = nix::unistd::geteuid().is_root();
    assert!(!root && std::env::var_os("CI").is_none(), "{why}");
    eprintln!("{why}; run the tests as root");
    false
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "ip {arguments}: {status:?} (the package iproute2 has ip)"
    );
}

fn options(interfaces: &[&str]) -> Options {
    Options {
        interfaces: interfaces.iter().map(|&name| name.to_owned()).collect(),
        buffer: 4 << 20,
        ..Options::default()
    }
}

/// Sends a datagram to a port of the loopback interface.
fn send(port: u16, payload: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to: SocketAddr = ([127, 0, 0, 1], port).into();
    // Nobody listens there, and the answer to an earlier one may say so.
    let _ = socket.send_to(payload, to);
}

const LONG: Duration = Duration::from_secs(5);

#[test]
fn a_frame_is_at_hand_soon_after_it_passed() {
    if !in_namespace() {
        return;
    }
    let mut source = Source::open(options(&["lo"])).unwrap();
    assert!(matches!(source.next(Duration::ZERO), Pulled::Idle));
    let sent = now();
    send(9, b"hello there");
    let begun = clock::monotonic();
    let Pulled::Frame(frame) = source.next(LONG) else {
        panic!("no frame");
    };
    let waited = clock::monotonic() - begun;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert_eq!((frame.number, frame.interface), (1, 0));
    assert_eq!(frame.link_type, LinkType::ETHERNET);
    assert!(frame.data.ends_with(b"hello there"));
    assert_eq!(frame.original_len as usize, frame.data.len());
    let age = frame.time.since(sent);
    assert!(age.0 >= 0 && age.0 < 1_000_000_000, "{age:?}");
}
