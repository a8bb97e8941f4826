//! Connections that are put to rest behind every packet, beside the same that never are: the same is known of them.

use std::path::Path;

use wirewhy_flow::{Bounds, Connection, Tracker};
use wirewhy_packet::{Decoder, Interval};

/// So many packets of each capture show enough.
const MOST: usize = 120;

/// The captures of a folder and of those in it.
fn captures(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            captures(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "pcap") {
            found.push(path);
        }
    }
}

fn watching(rests_after: Interval) -> Tracker {
    let mut tracker = Tracker::new(Bounds::default());
    tracker.watch(Interval::from_secs(1));
    tracker.rest_after(rests_after);
    tracker
}

fn news(tracker: &mut Tracker) -> Vec<Connection> {
    let mut seen = Vec::new();
    tracker.visit(&mut |connection| {
        seen.push(*connection);
        None
    });
    seen
}

#[test]
fn what_rests_is_known_as_what_does_not() {
    let mut paths = Vec::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures");
    captures(&fixtures, &mut paths);
    paths.sort();
    let (mut smaller, mut packets) = (0, 0);
    for path in paths {
        let mut resting = watching(Interval::ZERO);
        let mut awake = watching(Interval(i64::MAX));
        let (mut over, mut expected) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::new();
        let mut reader = wirewhy_capture::open(&path).unwrap();
        let mut left = MOST;
        while let Some(frame) = reader.next().filter(|_| left > 0) {
            left -= 1;
            decoder.decode_with(&frame, |packet| {
                resting.observe(packet, &mut |connection| over.push(*connection));
                awake.observe(packet, &mut |connection| expected.push(*connection));
            });
            assert_eq!(news(&mut resting), news(&mut awake), "{path:?}");
            packets += 1;
            smaller += usize::from(resting.memory() < awake.memory());
        }
        resting.finish(&mut |connection| over.push(*connection));
        awake.finish(&mut |connection| expected.push(*connection));
        assert_eq!(over, expected, "{path:?}");
        assert_eq!(resting.tally(), awake.tally(), "{path:?}");
    }
    assert!(smaller > packets / 2, "{smaller} of {packets}");
}
