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
    // There is no listener, and the answer to an earlier one may say so.
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

/// Two interfaces joined by a cable; what is sent out of one comes in at the other.
fn pair(one: &str, other: &str) {
    ip(&format!("link add {one} type veth peer name {other}"));
    for name in [one, other] {
        // Without an address they say nothing of themselves.
        ip(&format!("link set dev {name} addrgenmode none"));
        ip(&format!("link set dev {name} up"));
    }
}

/// Puts an address on one end of a pair and a neighbour behind it, so that datagrams to it pass.
fn address(name: &str, network: u8) {
    ip(&format!("addr add 10.0.{network}.1/24 dev {name}"));
    ip(&format!(
        "neigh add 10.0.{network}.2 lladdr 02:00:00:00:00:02 dev {name} nud permanent"
    ));
}

fn send_through(network: u8, payload: &[u8]) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let to: SocketAddr = ([10, 0, network, 2], 9).into();
    socket.send_to(payload, to).unwrap();
}

/// How long the calling thread ran.
fn processor_time() -> Duration {
    let stated = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = stated.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanoseconds)
}

/// What comes next within a while, in words: the end of a frame, or what happened to an interface.
fn next(source: &mut Source) -> String {
    let begun = clock::monotonic();
    while clock::monotonic() - begun < LONG {
        match source.next(Duration::from_millis(100)) {
            Pulled::Frame(frame) => {
                let text = String::from_utf8_lossy(frame.data);
                return text.rsplit('|').next().unwrap_or_default().to_owned();
            }
            Pulled::Change(change) => {
                return format!("{} {:?}", change.interface, change.transition);
            }
            Pulled::Idle => {}
        }
    }
    "nothing".to_owned()
}

#[test]
fn an_interface_that_goes_down_and_up_is_followed() {
    if !in_namespace() {
        return;
    }
    pair("one", "other");
    address("one", 1);
    let mut source = Source::open(options(&["one"])).unwrap();
    send_through(1, b"|first");
    assert_eq!(next(&mut source), "first");
    ip("link set dev one down");
    assert_eq!(next(&mut source), "one Down");
    let before = processor_time();
    assert!(matches!(source.next(Duration::from_secs(1)), Pulled::Idle));
    let spent = processor_time() - before;
    assert!(spent < Duration::from_millis(100), "waiting took {spent:?}");
    ip("link set dev one up");
    assert_eq!(next(&mut source), "one Back");
    address_again("one", 1);
    send_through(1, b"|second");
    assert_eq!(next(&mut source), "second");
}

/// Neighbours are forgotten when an interface goes down.
fn address_again(name: &str, network: u8) {
    ip(&format!(
        "neigh replace 10.0.{network}.2 lladdr 02:00:00:00:00:02 dev {name} nud permanent"
    ));
}

#[test]
fn an_interface_that_is_removed_and_made_again_is_opened_again() {
    if !in_namespace() {
        return;
    }
    pair("one", "other");
    address("one", 1);
    let mut source = Source::open(options(&["one"])).unwrap();
    send_through(1, b"|first");
    assert_eq!(next(&mut source), "first");
    ip("link del dev one");
    assert_eq!(next(&mut source), "one Lost(Gone)");
    pair("one", "other");
    assert_eq!(next(&mut source), "one Back");
    address("one", 1);
    send_through(1, b"|second");
    assert_eq!(next(&mut source), "second");
    assert_eq!(source.interfaces().len(), 1);
    assert_eq!(source.traffic().packets, 2);
}

#[test]
fn frames_of_several_interfaces_come_in_the_order_of_their_times() {
    if !in_namespace() {
        return;
    }
    let names = ["a1", "b1", "c1"];
    for (network, name) in (1..).zip(names) {
        pair(name, &name.replace('1', "2"));
        address(name, network);
    }
    let mut source = Source::open(options(&names)).unwrap();
    let mut sent = Vec::new();
    for round in 0..200_u32 {
        // Uneven, so that batches of the three differ in length.
        let network = [1, 2, 1, 3, 1, 1, 2][round as usize % 7];
        send_through(network, format!("|{network} {round}").as_bytes());
        sent.push((u32::from(network) - 1, format!("{network} {round}")));
    }
    let mut came = Vec::new();
    let mut times = Vec::new();
    while came.len() < sent.len() {
        let Pulled::Frame(frame) = source.next(LONG) else {
            panic!("{} of {} came", came.len(), sent.len());
        };
        let text = String::from_utf8_lossy(frame.data);
        let text = text.rsplit('|').next().unwrap_or_default().to_owned();
        came.push((frame.interface, text));
        times.push((frame.time, frame.number));
    }
    assert_eq!(came, sent);
    assert!(times.is_sorted());
    assert_eq!(times.last().map(|last| last.1), Some(200));
    let known: Vec<_> = source
        .interfaces()
        .iter()
        .flat_map(|known| known.name.as_deref())
        .collect();
    assert_eq!(known, names);
}

#[test]
fn a_quiet_interface_delays_others_by_no_more_than_is_promised() {
    if !in_namespace() {
        return;
    }
    pair("busy", "other");
    address("busy", 1);
    let mut source = Source::open(options(&["busy", "lo"])).unwrap();
    let mut longest = wirewhy_packet::Interval::ZERO;
    for _ in 0..20 {
        send_through(1, b"|now");
        let Pulled::Frame(frame) = source.next(LONG) else {
            panic!("no frame");
        };
        longest = longest.max(now().since(frame.time));
    }
    // Twice the promise: the machine that tests may be busy.
    assert!(
        longest.as_secs_f64() < 2.0 * MOST_DELAY.as_secs_f64(),
        "{longest:?}"
    );
}

#[test]
fn all_interfaces_at_once_are_cooked_frames_that_name_theirs() {
    if !in_namespace() {
        return;
    }
    let filter = |filter: &str| Options {
        filter: Some(filter.to_owned()),
        ..options(&["any"])
    };
    let mut source = Source::open(filter("udp dst port 77")).unwrap();
    send(76, b"|not this");
    send(77, b"|this");
    assert_eq!(source.interfaces()[0].link_type, LinkType::LINUX_SLL2);
    assert_eq!(next(&mut source), "this");
    assert_eq!(source.traffic().packets, 1);
    // libpcap finds no tags in cooked frames.
    assert_eq!(
        refused(filter("vlan or udp")).to_string(),
        "any: filter \"vlan or udp\": no VLAN support for Linux cooked v2 (link type LINUX_SLL2); an interface named \
         instead of `any` shows tags"
    );
}

#[test]
fn what_the_filter_rejects_and_the_snap_length_cuts_is_not_seen() {
    if !in_namespace() {
        return;
    }
    let mut source = Source::open(Options {
        filter: Some("udp dst port 77 and greater 1000".to_owned()),
        snap_len: 60,
        ..options(&["lo", "lo"])
    })
    .unwrap();
    send(77, &[b'a'; 100]);
    send(77, &[b'b'; 1_400]);
    let Pulled::Frame(frame) = source.next(LONG) else {
        panic!("no frame");
    };
    assert_eq!((frame.number, frame.data.len()), (1, 60));
    assert_eq!(frame.original_len, 1_442);
    assert_eq!(frame.data.last(), Some(&b'b'));
    let traffic = source.traffic();
    assert_eq!((traffic.bytes, traffic.wire_bytes), (60, 1_442));
}

#[test]
fn what_the_kernel_drops_is_counted() {
    if !in_namespace() {
        return;
    }
    let mut source = Source::open(Options {
        buffer: 1 << 19,
        ..options(&["lo"])
    })
    .unwrap();
    for _ in 0..2_000 {
        send(9, &[0; 1_400]);
    }
    let mut delivered = 0;
    while let Pulled::Frame(_) = source.next(Duration::from_millis(300)) {
        delivered += 1;
    }
    let statistics = source.statistics();
    let dropped = statistics.dropped_by_system.unwrap();
    assert!(dropped > 0, "{statistics:?}");
    assert_eq!(statistics.delivered, Some(delivered));
    // Every datagram and every refusal of one was either delivered or counted.
    assert!(delivered + dropped >= 2_000, "{statistics:?}");
    assert_eq!(source.interfaces()[0].statistics, statistics);
    assert_eq!(source.statistics(), statistics);
}

fn refused(options: Options) -> LiveError {
    Source::open(options).unwrap_err()
}

#[test]
fn what_cannot_be_captured_is_refused_with_the_reason() {
    if !in_namespace() {
        return;
    }
    pair("upper", "lower");
    ip("link set dev lower down");
    let error = refused(options(&["uper"]));
    let LiveErrorKind::NoSuchInterface { known } = &error.kind else {
        panic!("{error}");
    };
    assert!(known.iter().any(|name| name == "upper"), "{known:?}");
    assert!(
        error
            .to_string()
            .starts_with("uper: no such interface; there are ")
    );
    assert_eq!(
        refused(options(&["lower"])).to_string(),
        "lower: the interface is down; `sudo ip link set dev lower up` would change that"
    );
    assert_eq!(probe("lower").unwrap_err().kind, LiveErrorKind::Down);
    assert_eq!(probe("lo"), Ok(LinkType::ETHERNET));
    assert_eq!(probe("any"), Ok(LinkType::LINUX_SLL2));
    ip("tuntap add dev tunnel mode tun");
    ip("link set tunnel up");
    assert_eq!(probe("tunnel"), Ok(LinkType::RAW));
    assert_eq!(refused(options(&[])).kind, LiveErrorKind::NoneNamed);
    assert_eq!(
        refused(options(&["any", "lo"])).kind,
        LiveErrorKind::AnyBesideOthers
    );
    let error = refused(Options {
        filter: Some("tcp prot 80".to_owned()),
        ..options(&["lo"])
    });
    let message = error.to_string();
    assert!(
        message.starts_with("lo: filter \"tcp prot 80\": "),
        "{message}"
    );
}

#[test]
fn without_the_right_the_command_that_grants_it_is_named() {
    use caps::{CapSet, Capability};

    if !in_namespace() {
        return;
    }
    // Rights belong to threads, and each test has its own.
    let right = Capability::CAP_NET_RAW;
    caps::drop(None, CapSet::Effective, right).unwrap();
    assert_eq!(missing_right(), None);
    Source::open(options(&["lo"])).unwrap();
    assert!(!caps::has_cap(None, CapSet::Effective, right).unwrap());
    caps::drop(None, CapSet::Permitted, right).unwrap();
    let message = refused(options(&["lo"])).to_string();
    let expected =
        "lo: capturing needs CAP_NET_RAW, which this program lacks; `sudo setcap cap_net_raw=ep /";
    assert!(message.starts_with(expected), "{message}");
    caps::drop(None, CapSet::Bounding, right).unwrap();
    let message = refused(options(&["lo"])).to_string();
    assert!(message.contains("--cap-add NET_RAW"), "{message}");
}
