//! The thresholds of the catalogue: names, types, defaults and documentation in one list.

use wirewhy_packet::Interval;

/// A value that a threshold is set to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Setting {
    /// A whole number.
    Whole(i64),
    /// A number with a fraction.
    Real(f64),
}

/// Whether a threshold was set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It has the new value.
    Done,
    /// No threshold has this name.
    UnknownName,
    /// The value is not what this says; the threshold has its old value.
    Expected(&'static str),
}

/// A threshold, for documentation.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    /// Its name in the configuration, with the unit.
    pub name: String,
    /// What it means and where its default comes from.
    pub means: String,
    /// Its default, as it is written in the configuration.
    pub default: String,
}

/// What a type of threshold is called, accepts and looks like.
trait Kind: Sized {
    /// What follows the field's name in the configuration.
    const UNIT: &'static str;
    const EXPECTED: &'static str;

    fn read(setting: Setting) -> Option<Self>;
    fn write(self) -> String;
}

impl Kind for Interval {
    const UNIT: &'static str = "_seconds";
    const EXPECTED: &'static str = "a number of seconds";

    fn read(setting: Setting) -> Option<Interval> {
        let seconds = Some(setting.as_real()).filter(|seconds| (0.0..=1e9).contains(seconds))?;
        let span = std::time::Duration::try_from_secs_f64(seconds).ok()?;
        i64::try_from(span.as_nanos()).ok().map(Interval)
    }

    fn write(self) -> String {
        self.as_secs_f64().to_string()
    }
}

impl Kind for u32 {
    const UNIT: &'static str = "";
    const EXPECTED: &'static str = "a whole number above 0";

    fn read(setting: Setting) -> Option<u32> {
        match setting {
            Setting::Whole(number) => u32::try_from(number).ok().filter(|number| *number > 0),
            Setting::Real(_) => None,
        }
    }

    fn write(self) -> String {
        self.to_string()
    }
}

impl Kind for f64 {
    const UNIT: &'static str = "";
    const EXPECTED: &'static str = "a number from 0 to 1";

    fn read(setting: Setting) -> Option<f64> {
        Some(setting.as_real()).filter(|share| (0.0..=1.0).contains(share))
    }

    fn write(self) -> String {
        format!("{self:?}")
    }
}

impl Setting {
    fn as_real(self) -> f64 {
        match self {
            // Exact up to 2^53, far above any threshold.
            Setting::Whole(number) => number as f64,
            Setting::Real(number) => number,
        }
    }
}

/// Makes the struct, its defaults, and the way from names in the configuration to fields, so that a threshold is one entry.
macro_rules! limits {
    ($($(#[doc = $means:literal])+ $name:ident: $kind:ty = $default:expr;)+) => {
        /// Every threshold a rule uses.
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub struct Limits {
            $($(#[doc = $means])+ pub $name: $kind,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Limits { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Sets the threshold with this name in the configuration: the field's name, and `_seconds` behind that of a
            /// time.
            pub fn set(&mut self, name: &str, setting: Setting) -> Change {
                $(
                    if name.strip_prefix(stringify!($name)) == Some(<$kind as Kind>::UNIT) {
                        let Some(value) = <$kind as Kind>::read(setting) else {
                            return Change::Expected(<$kind as Kind>::EXPECTED);
                        };
                        self.$name = value;
                        return Change::Done;
                    }
                )+
                Change::UnknownName
            }

            /// Every threshold with its documentation and default, in the order of this file.
            pub fn thresholds() -> impl Iterator<Item = Threshold> {
                [$(Threshold {
                    name: [stringify!($name), <$kind as Kind>::UNIT].concat(),
                    means: [$($means),+].concat().trim().to_owned(),
                    default: <$kind as Kind>::write($default),
                },)+]
                .into_iter()
            }
        }
    };
}

limits! {
    /// How long the recording must go on after a packet before its silence counts as no answer. RFC 6298 section 2.1 has a
    /// sender wait 1 s before the first retransmission; 3 s leave room for two.
    silence: Interval = Interval::from_secs(3);
    /// Time from SYN to SYN-ACK, without a retransmission, above which a handshake is slow: the initial retransmission timeout of
    /// RFC 6298 section 2.1.
    slow_handshake: Interval = Interval::from_secs(1);
    /// How many times faster than the shortest known round trip to a host an answer in its name must be to come from a nearer
    /// device. Samples of one path differ by far less than a factor of two.
    nearer_round_trip: u32 = 2;
    /// Two attempts of one client within this time race each other: RFC 8305 section 8 allows at most 2 s between them.
    parallel_attempts: Interval = Interval::from_secs(2);
    /// How many alike connections without payload are health checks.
    probe_count: u32 = 5;
    /// How far the longest pause between health checks may exceed the shortest, as a share of it.
    probe_jitter: f64 = 0.25;
    /// The shortest pause between health checks: what comes faster is a scan or a test.
    probe_period: Interval = Interval::from_millis(500);
    /// The longest duration of a health check, which closes at once.
    probe_duration: Interval = Interval::from_secs(1);
    /// How many SYN-ACKs a server must retransmit after the client's ACK was seen: one may follow a single lost ACK.
    repeated_syn_acks: u32 = 2;
    /// How many answered SYNs must follow one timestamp clock before an older timestamp explains an ignored SYN. Two random
    /// timestamps a second apart do so by chance once in two million times.
    paws_answers: u32 = 2;
    /// How long an application may take to answer before its silence is a finding: what most HTTP clients wait at least.
    no_response: Interval = Interval::from_secs(10);
    /// How long an application may take to answer, without the network's round trip, before it is slow.
    slow_response: Interval = Interval::from_secs(1);
    /// How long a body must have been held back for a "100 Continue" before it is a stall: a little less than the shortest wait of
    /// the usual clients, 350 ms (.NET).
    expect_stall: Interval = Interval::from_millis(300);
    /// How long a lookup of a name may take before it is slow: from here on a user notices that nothing happens.
    slow_lookup: Interval = Interval::from_secs(1);
    /// How long a TLS handshake may stand still before its silence is a finding.
    handshake_silence: Interval = Interval::from_secs(10);
    /// How long before a certificate expires it is worth a note.
    expiring: Interval = Interval::from_secs(14 * 24 * 3_600);
    /// The fewest bits of an RSA key that is not weak: NIST SP 800-131A, and what browsers demand.
    rsa_bits: u32 = 2_048;
    /// The fewest bits of a Diffie-Hellman group over a prime that is not weak: NIST SP 800-131A, and what OpenSSL 3 demands.
    group_bits: u32 = 2_048;
    /// How long in all a receiver may keep its window closed.
    zero_window: Interval = Interval::from_secs(1);
    /// How long one half of a connection may stay open and silent: the time that Linux gives an orphan in FIN-WAIT-2
    /// (`tcp_fin_timeout`).
    half_closed: Interval = Interval::from_secs(60);
    /// The round trip above which a path is slow: more than a geostationary satellite adds once.
    slow_path: Interval = Interval::from_millis(500);
    /// How many segments must end exactly where a written window ends before it is said to be taken as written: by chance one in a
    /// thousand does.
    filled_windows: u32 = 5;
    /// How many selective acknowledgements must name bytes that were never sent.
    mangled_sacks: u32 = 3;
    /// How many segments must arrive damaged and be dropped for it: one bit flips now and then on any link.
    damaged_segments: u32 = 2;
    /// How often a small segment must wait for a delayed acknowledgement before the writer is said to stall.
    ack_stalls: u32 = 4;
    /// On how many connections to one service SYNs with an option must fail before the option is the matter: one is lost by chance.
    option_failures: u32 = 2;
    /// How many connections to one service must be reset right behind the handshake before what is behind it is said to be out of
    /// reach.
    backend_resets: u32 = 3;
    /// How many segments a direction must lose before the path is lossy: fewer than three show no rate.
    lost_segments: u32 = 3;
    /// The share of its data segments that a direction must lose before the path is lossy: below 1 % TCP copes (Mathis et al.
    /// 1997).
    loss_share: f64 = 0.01;
    /// How many segments of a direction must arrive out of order before the path reorders.
    reordered_segments: u32 = 3;
    /// The share of its data segments that must arrive out of order before the path reorders.
    reordering_share: f64 = 0.01;
    /// How many retransmissions in a row without a packet of the other side make it vanished: Linux checks its route again after
    /// 3 (`tcp_retries1`).
    unanswered_retransmissions: u32 = 3;
    /// The time over which those retransmissions must spread.
    unanswered_span: Interval = Interval::from_secs(1);
    /// How many keep-alive probes in a row without an answer are a finding. Linux sends 9 by default, applications as few as 3.
    unanswered_keep_alives: u32 = 3;
    /// How often one segment must be sent before its size is suspected: Linux starts path MTU probing after 3 timeouts
    /// (`tcp_retries1`).
    repeated_segment: u32 = 3;
    /// The smallest IP packet that a path may refuse: what every IPv4 host must accept (RFC 1122 section 3.3.2).
    large_packet_bytes: u32 = 576;
    /// How long a connection must have been idle before a timer on the path may have ended it. The shortest defaults met in
    /// practice are 30 s; 15 s leave room for those set lower.
    idle: Interval = Interval::from_secs(15);
    /// How many connections must have ended after one idle time before it is called a timer.
    idle_timer_ends: u32 = 3;
    /// How many attempts must have failed alike before a service is down.
    down_attempts: u32 = 3;
    /// How many attempts must have failed before a service is flaky: fewer than three show no rate.
    flaky_failures: u32 = 3;
    /// The share of attempts that must have failed before a service is flaky: up to one in twenty is what mobile clients lose.
    flaky_share: f64 = 0.05;
    /// How many half-open attempts within ten seconds are a flood: the smallest SYN backlog of Linux is 128
    /// (`tcp_max_syn_backlog`).
    flood_attempts: u32 = 128;
    /// From how many sources they must come: one client opens no more than a browser's few connections to one service.
    flood_sources: u32 = 64;
    /// How many ports of one host make a port scan: the default of Zeek's `policy/misc/scan.zeek`.
    scan_ports: u32 = 15;
    /// How many hosts at one port make a host scan: the default of Zeek's `policy/misc/scan.zeek`.
    scan_hosts: u32 = 25;
    /// The time within which a scan makes its attempts: the default of Zeek's `policy/misc/scan.zeek`.
    scan_window: Interval = Interval::from_secs(300);
    /// The share of a source's attempts that must have found nothing before it scans.
    scan_share: f64 = 0.9;
    /// How often an address must return to a MAC address that had it before two hosts claim it: a failover moves it there and back
    /// once.
    conflict_returns: u32 = 2;
    /// The time within which it must return.
    conflict_window: Interval = Interval::from_secs(60);
    /// How many requests without an answer make an address missing: more than the 3 of one failed attempt of Linux
    /// (`neigh/*/mcast_solicit`); twice as many where it answered in the end.
    arp_requests: u32 = 5;
    /// The same for an address that had answered before.
    arp_requests_known: u32 = 3;
    /// How much evidence, in tenths, makes another sender of a reset possible. One sign that no TCP stack gives counts 30 to 40,
    /// one with harmless explanations 5 to 25.
    foreign_possible: u32 = 20;
    /// How much evidence, in tenths, makes another sender of a reset likely.
    foreign_likely: u32 = 35;
    /// How much evidence, in tenths, makes another sender of a reset certain.
    foreign_certain: u32 = 60;
    /// The share of connections with one direction only above which the whole recording has one direction only.
    one_direction_share: f64 = 0.5;
    /// How many acknowledged segments must be missing from the recording before it is incomplete: a packet may be recorded just
    /// behind its acknowledgement.
    missing_segments: u32 = 2;
    /// The share of TCP packets that they must make up.
    missing_share: f64 = 0.000_01;
    /// How many frames must have been recorded twice before the recording is doubled.
    copies: u32 = 3;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threshold_can_be_set_by_its_name() {
        for threshold in Limits::thresholds() {
            let mut limits = Limits::default();
            let tried = [Setting::Whole(77), Setting::Real(0.125)]
                .map(|setting| limits.set(&threshold.name, setting));
            assert!(tried.contains(&Change::Done), "{}", threshold.name);
            assert_ne!(limits, Limits::default(), "{}", threshold.name);
        }
    }

    #[test]
    fn a_value_of_another_kind_changes_nothing() {
        let mut limits = Limits::default();
        assert_eq!(
            limits.set("probe_count", Setting::Real(1.5)),
            Change::Expected("a whole number above 0")
        );
        assert_eq!(
            limits.set("silence_seconds", Setting::Whole(-1)),
            Change::Expected("a number of seconds")
        );
        assert_eq!(
            limits.set("silence", Setting::Whole(1)),
            Change::UnknownName
        );
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn thresholds_are_documented_with_their_defaults() {
        let silence = Limits::thresholds().next().unwrap();
        assert_eq!(
            (silence.name.as_str(), silence.default.as_str()),
            ("silence_seconds", "3")
        );
        assert!(Limits::thresholds().all(|threshold| threshold.means.ends_with(['.', ')'])));
    }
}
