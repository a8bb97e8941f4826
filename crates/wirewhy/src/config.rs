//! The configuration file: thresholds, ignored codes, names for addresses, trusted roots.
//!
//! ```toml
//! ignore = ["tcp.probe"]
//! roots = "our-authority.pem"
//!
//! [limits]
//! slow_handshake_seconds = 0.5
//!
//! [names]
//! "10.0.0.9" = "db1"
//! ```

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use wirewhy_detect::Limits;
use wirewhy_flow::Interval;

use crate::exit::{Failure, in_words};
use crate::roots::Roots;
use crate::spelling::hint;

/// What the user set once for all runs.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Config {
    /// Thresholds of the detectors.
    pub(crate) limits: Limits,
    /// Globs of codes that do not count.
    pub(crate) ignore: Vec<String>,
    /// Names for addresses.
    pub(crate) names: Vec<(IpAddr, String)>,
    /// What certificates are held against.
    pub(crate) roots: Roots,
}

impl Config {
    /// Reads the file named, or else the user's, where there is one.
    pub(crate) fn load(named: Option<&Path>) -> Result<Config, Failure> {
        let (path, must_exist) = match named {
            Some(path) => (path.to_owned(), true),
            None => match users_file() {
                Some(path) => (path, false),
                None => return Ok(Config::default()),
            },
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => {
                return Ok(Config::default());
            }
            Err(error) => {
                return Err(Failure::new(format!(
                    "{}: {}",
                    path.display(),
                    in_words(&error)
                )));
            }
        };
        let config = Config::parse(&text)
            .map_err(|message| Failure::new(format!("{}: {message}", path.display())))?;
        Ok(Config {
            roots: config.roots.beside(&path),
            ..config
        })
    }

    fn parse(text: &str) -> Result<Config, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {}", error.message().replace('\n', ": "))
        })?;
        let mut config = Config::default();
        for (key, value) in &table {
            match (key.as_str(), value) {
                ("limits", Value::Table(limits)) => set_limits(&mut config.limits, limits)?,
                ("ignore", Value::Array(globs)) => config.ignore = strings("ignore", globs)?,
                ("names", Value::Table(names)) => config.names = addresses(names)?,
                ("roots", Value::String(roots)) => config.roots = OsString::from(roots).into(),
                ("limits" | "names", _) => return Err(format!("{key} must be a table")),
                ("ignore", _) => return Err("ignore must be a list of codes".to_owned()),
                ("roots", _) => {
                    return Err("roots must be the name of a PEM file, or mozilla".to_owned());
                }
                _ => {
                    let hint = hint(key, ["limits", "ignore", "names", "roots"]);
                    return Err(format!("unknown key {key}{hint}"));
                }
            }
        }
        Ok(config)
    }
}

/// `wirewhy/config.toml` where the XDG base directory specification puts it.
fn users_file() -> Option<PathBuf> {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(base.join("wirewhy").join("config.toml"))
}

/// Where a threshold is kept; what can be set there.
enum Place<'a> {
    Seconds(&'a mut Interval),
    Count(&'a mut u32),
    Weight(&'a mut i32),
    LargeCount(&'a mut u64),
    Factor(&'a mut i64),
    Share(&'a mut f64),
}

/// Every threshold by the name it has in the file.
fn places(limits: &mut Limits) -> Vec<(&'static str, Place<'_>)> {
    // Taken apart by name, so that a threshold without a name here does not compile.
    let Limits {
        silence,
        slow_handshake,
        nearer_round_trip,
        parallel_attempts,
        probe_count,
        probe_jitter,
        probe_period,
        probe_duration,
        repeated_syn_acks,
        paws_answers,
        no_response,
        slow_response,
        handshake_silence,
        expiring,
        rsa_bits,
        zero_window,
        half_closed,
        lost_segments,
        loss_share,
        reordered_segments,
        reordering_share,
        unanswered_retransmissions,
        unanswered_span,
        unanswered_keep_alives,
        repeated_segment,
        large_packet,
        idle,
        idle_timer_ends,
        down_attempts,
        flaky_failures,
        flaky_share,
        flood_attempts,
        flood_sources,
        scan_ports,
        scan_hosts,
        scan_window,
        scan_share,
        conflict_returns,
        conflict_window,
        arp_requests,
        arp_requests_known,
        foreign_possible,
        foreign_likely,
        foreign_certain,
        one_direction_share,
        missing_segments,
        missing_share,
        copies,
    } = limits;
    vec![
        ("silence_seconds", Place::Seconds(silence)),
        ("slow_handshake_seconds", Place::Seconds(slow_handshake)),
        ("nearer_round_trip", Place::Factor(nearer_round_trip)),
        (
            "parallel_attempts_seconds",
            Place::Seconds(parallel_attempts),
        ),
        ("probe_count", Place::Count(probe_count)),
        ("probe_jitter", Place::Share(probe_jitter)),
        ("probe_period_seconds", Place::Seconds(probe_period)),
        ("probe_duration_seconds", Place::Seconds(probe_duration)),
        ("repeated_syn_acks", Place::Count(repeated_syn_acks)),
        ("paws_answers", Place::Count(paws_answers)),
        ("no_response_seconds", Place::Seconds(no_response)),
        ("slow_response_seconds", Place::Seconds(slow_response)),
        (
            "handshake_silence_seconds",
            Place::Seconds(handshake_silence),
        ),
        ("expiring_seconds", Place::Seconds(expiring)),
        ("rsa_bits", Place::Count(rsa_bits)),
        ("zero_window_seconds", Place::Seconds(zero_window)),
        ("half_closed_seconds", Place::Seconds(half_closed)),
        ("lost_segments", Place::Count(lost_segments)),
        ("loss_share", Place::Share(loss_share)),
        ("reordered_segments", Place::Count(reordered_segments)),
        ("reordering_share", Place::Share(reordering_share)),
        (
            "unanswered_retransmissions",
            Place::Count(unanswered_retransmissions),
        ),
        ("unanswered_span_seconds", Place::Seconds(unanswered_span)),
        (
            "unanswered_keep_alives",
            Place::Count(unanswered_keep_alives),
        ),
        ("repeated_segment", Place::Count(repeated_segment)),
        ("large_packet_bytes", Place::Count(large_packet)),
        ("idle_seconds", Place::Seconds(idle)),
        ("idle_timer_ends", Place::Count(idle_timer_ends)),
        ("down_attempts", Place::Count(down_attempts)),
        ("flaky_failures", Place::Count(flaky_failures)),
        ("flaky_share", Place::Share(flaky_share)),
        ("flood_attempts", Place::Count(flood_attempts)),
        ("flood_sources", Place::Count(flood_sources)),
        ("scan_ports", Place::Count(scan_ports)),
        ("scan_hosts", Place::Count(scan_hosts)),
        ("scan_window_seconds", Place::Seconds(scan_window)),
        ("scan_share", Place::Share(scan_share)),
        ("conflict_returns", Place::Count(conflict_returns)),
        ("conflict_window_seconds", Place::Seconds(conflict_window)),
        ("arp_requests", Place::Count(arp_requests)),
        ("arp_requests_known", Place::Count(arp_requests_known)),
        ("foreign_possible", Place::Weight(foreign_possible)),
        ("foreign_likely", Place::Weight(foreign_likely)),
        ("foreign_certain", Place::Weight(foreign_certain)),
        ("one_direction_share", Place::Share(one_direction_share)),
        ("missing_segments", Place::LargeCount(missing_segments)),
        ("missing_share", Place::Share(missing_share)),
        ("copies", Place::LargeCount(copies)),
    ]
}

fn set_limits(limits: &mut Limits, set: &Table) -> Result<(), String> {
    for (key, value) in set {
        let mut places = places(limits);
        let Some((_, place)) = places.iter_mut().find(|(name, _)| name == key) else {
            let known: Vec<String> = places
                .iter()
                .map(|(name, _)| format!("limits.{name}"))
                .collect();
            let hint = hint(&format!("limits.{key}"), known.iter().map(String::as_str));
            return Err(format!("unknown key limits.{key}{hint}"));
        };
        set_place(place, value).map_err(|expected| format!("limits.{key} must be {expected}"))?;
    }
    Ok(())
}

fn set_place(place: &mut Place<'_>, value: &Value) -> Result<(), &'static str> {
    let whole = value.as_integer();
    let positive = whole.filter(|number| *number > 0);
    // Exact up to 2^53, far above any threshold.
    let number = value
        .as_float()
        .or_else(|| whole.map(|number| number as f64));
    match place {
        Place::Seconds(place) => {
            let seconds = number.filter(|seconds| (0.0..=1e9).contains(seconds));
            **place = seconds.and_then(interval).ok_or("a number of seconds")?;
        }
        Place::Count(place) => {
            let count = positive.and_then(|number| u32::try_from(number).ok());
            **place = count.ok_or("a whole number above 0")?;
        }
        Place::Weight(place) => {
            let weight = positive.and_then(|number| i32::try_from(number).ok());
            **place = weight.ok_or("a whole number above 0")?;
        }
        Place::LargeCount(place) => {
            let count = positive.and_then(|number| u64::try_from(number).ok());
            **place = count.ok_or("a whole number above 0")?;
        }
        Place::Factor(place) => **place = positive.ok_or("a whole number above 0")?,
        Place::Share(place) => {
            let share = number.filter(|share| (0.0..=1.0).contains(share));
            **place = share.ok_or("a number from 0 to 1")?;
        }
    }
    Ok(())
}

/// Seconds, to the nanosecond.
fn interval(seconds: f64) -> Option<Interval> {
    let span = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    i64::try_from(span.as_nanos()).ok().map(Interval)
}

fn strings(key: &str, values: &[Value]) -> Result<Vec<String>, String> {
    values
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{key} must hold nothing but strings"))
}

fn addresses(names: &Table) -> Result<Vec<(IpAddr, String)>, String> {
    names
        .iter()
        .map(|(address, name)| {
            let parsed = address
                .parse()
                .map_err(|_| format!("names: \"{address}\" is no IP address"))?;
            let name = name
                .as_str()
                .ok_or_else(|| format!("names: the name of \"{address}\" must be a string"))?;
            Ok((parsed, name.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_set() {
        let text = r#"
            ignore = ["tcp.probe", "capture.*"]
            roots = "ca.pem"
            [limits]
            slow_handshake_seconds = 0.5
            silence_seconds = 10
            probe_count = 7
            probe_jitter = 0.1
            copies = 9
            nearer_round_trip = 3
            [names]
            "10.0.0.9" = "db1"
            "2001:db8::1" = "gw"
        "#;
        let config = Config::parse(text).unwrap();
        let expected = Limits {
            slow_handshake: Interval::from_millis(500),
            silence: Interval::from_secs(10),
            probe_count: 7,
            probe_jitter: 0.1,
            copies: 9,
            nearer_round_trip: 3,
            ..Limits::default()
        };
        assert_eq!(config.limits, expected);
        assert_eq!(config.ignore, ["tcp.probe", "capture.*"]);
        assert_eq!(config.roots, Roots::File("ca.pem".into()));
        let mut names = config.names;
        names.sort();
        assert_eq!(names[0], ("10.0.0.9".parse().unwrap(), "db1".to_owned()));
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn every_threshold_can_be_changed() {
        let mut limits = Limits::default();
        let names: Vec<&str> = places(&mut limits).iter().map(|(name, _)| *name).collect();
        for name in names {
            let mut changed = Limits::default();
            let set: Table = format!("{name} = 1").parse().unwrap();
            set_limits(&mut changed, &set).unwrap();
            let other: Table = match set_limits(&mut changed, &"x = 1".parse().unwrap()) {
                Err(_) => format!(
                    "{name} = {}",
                    if name.ends_with("share") || name.ends_with("jitter") {
                        "0.125"
                    } else {
                        "77"
                    }
                )
                .parse()
                .unwrap(),
                Ok(()) => panic!("x was accepted"),
            };
            let before = changed;
            set_limits(&mut changed, &other).unwrap();
            assert_ne!(before, changed, "{name}");
        }
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_key() {
        let mistakes = [
            ("limts = 1", "unknown key limts (did you mean limits?)"),
            (
                "[limits]\nslow_handshake_second = 1",
                "unknown key limits.slow_handshake_second (did you mean limits.slow_handshake_seconds?)",
            ),
            (
                "[limits]\nprobe_count = 0",
                "limits.probe_count must be a whole number above 0",
            ),
            (
                "[limits]\nprobe_count = 1.5",
                "limits.probe_count must be a whole number above 0",
            ),
            (
                "[limits]\nsilence_seconds = -1",
                "limits.silence_seconds must be a number of seconds",
            ),
            (
                "[limits]\nsilence_seconds = nan",
                "limits.silence_seconds must be a number of seconds",
            ),
            (
                "[limits]\nmissing_share = 2",
                "limits.missing_share must be a number from 0 to 1",
            ),
            ("ignore = [1]", "ignore must hold nothing but strings"),
            ("ignore = 1", "ignore must be a list of codes"),
            ("names = 1", "names must be a table"),
            (
                "roots = []",
                "roots must be the name of a PEM file, or mozilla",
            ),
            ("[names]\nhost = \"x\"", "names: \"host\" is no IP address"),
            (
                "[names]\n\"::1\" = 1",
                "names: the name of \"::1\" must be a string",
            ),
        ];
        for (text, message) in mistakes {
            assert_eq!(Config::parse(text), Err(message.to_owned()), "{text}");
        }
        let broken = Config::parse("ignore = []\n[limits\n").unwrap_err();
        assert!(broken.starts_with("line 2: "), "{broken}");
        assert!(!broken.contains('\n'), "{broken:?}");
    }
}
