//! Times and sizes on the command line.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use wirewhy_flow::Transport;
use wirewhy_packet::Interval;

/// A span of time: a number of seconds, or one with a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span(pub(crate) Interval);

/// A number of bytes, with a binary unit or without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bytes(pub(crate) u32);

/// A number of bytes that may be large.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Amount(pub(crate) u64);

/// Frame numbers from one to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frames(pub(crate) RangeInclusive<u64>);

const NO_STREAM: &str = "the stream comes last and is a number, as in 7, or udp:7 for one over UDP";
const NO_FRAMES: &str = "frames are two numbers, the lower first, as in 120-180, or one";
const NO_SPAN: &str = "a time is a number with s, m, h or d behind it, as in 90s";
const NO_SIZE: &str = "a size is a number of bytes, or one with K, M, G or T behind it, as in 64M";

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Span, &'static str> {
        let (number, unit) = split(text);
        let unit = match unit {
            "" | "s" => 1.0,
            "ms" => 0.001,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(NO_SPAN),
        };
        let number: f64 = number.parse().map_err(|_| NO_SPAN)?;
        let millis = (number * unit * 1_000.0).ceil();
        if !(1.0..=1e13).contains(&millis) {
            return Err("a time must be longer than nothing, and shorter than a life");
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number within the bounds just checked"
        )]
        let millis = millis as i64;
        Ok(Span(Interval::from_millis(millis)))
    }
}

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Bytes, &'static str> {
        let bytes = u32::try_from(size(text)?).ok();
        bytes
            .filter(|bytes| *bytes > 0 && i32::try_from(*bytes).is_ok())
            .map(Bytes)
            .ok_or("a size lies between one byte and just below 2G")
    }
}

impl FromStr for Amount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Amount, &'static str> {
        match size(text)? {
            0 => Err("a size is at least one byte"),
            bytes => Ok(Amount(bytes)),
        }
    }
}

/// A number of bytes; as many as can be counted where it is more than that.
fn size(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = split(text);
    let unit: u64 = match unit.to_ascii_uppercase().trim_end_matches("IB") {
        "" | "B" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err(NO_SIZE),
    };
    let number: u64 = number.parse().map_err(|_| NO_SIZE)?;
    Ok(number.saturating_mul(unit))
}

/// A connection by its number: `7` is one over TCP, `udp:7` one over UDP, which Wireshark counts apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StreamNumber {
    pub(crate) transport: Transport,
    pub(crate) number: u32,
}

impl FromStr for StreamNumber {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<StreamNumber, &'static str> {
        let (transport, number) = match text.split_once(':') {
            Some(("udp", number)) => (Transport::Udp, number),
            Some(("tcp", number)) => (Transport::Tcp, number),
            _ => (Transport::Tcp, text),
        };
        let number = number.parse().map_err(|_| NO_STREAM)?;
        Ok(StreamNumber { transport, number })
    }
}

impl fmt::Display for StreamNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Tcp => write!(f, "{}", self.number),
            Transport::Udp => write!(f, "udp:{}", self.number),
        }
    }
}

impl FromStr for Frames {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Frames, &'static str> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| NO_FRAMES);
        let (first, last) = match text.split_once('-') {
            Some((first, "")) => (number(first)?, u64::MAX),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        match first > 0 && first <= last {
            true => Ok(Frames(first..=last)),
            false => Err(NO_FRAMES),
        }
    }
}

/// A count that is not zero.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a number above 0".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// The number at the beginning, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let seconds = |text: &str| text.parse::<Span>().map(|span| span.0.as_secs_f64());
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds("1.5m"), Ok(90.0));
        assert_eq!(seconds("200ms"), Ok(0.2));
        assert_eq!(seconds("2h"), Ok(7_200.0));
        for wrong in ["", "0", "-1", "s", "5 m", "1w", "1e99", "99999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn streams_are_counted_by_transport() {
        let shown = |text: &str| {
            text.parse::<StreamNumber>()
                .map(|stream| stream.to_string())
        };
        assert_eq!(shown("7"), Ok("7".to_owned()));
        assert_eq!(shown("tcp:7"), Ok("7".to_owned()));
        assert_eq!(shown("udp:7"), Ok("udp:7".to_owned()));
        for wrong in ["", "udp", "udp:", "quic:1", "-1", "1:udp"] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let bytes = |text: &str| text.parse::<Bytes>().map(|bytes| bytes.0);
        assert_eq!(bytes("4096"), Ok(4_096));
        assert_eq!(bytes("64M"), Ok(64 << 20));
        assert_eq!(bytes("1GiB"), Ok(1 << 30));
        for wrong in ["", "0", "M", "2G", "-1", "1.5M", "1T"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_may_be_large() {
        let bytes = |text: &str| text.parse::<Amount>().map(|bytes| bytes.0);
        assert_eq!(bytes("3T"), Ok(3 << 40));
        assert_eq!(bytes("99999999T"), Ok(u64::MAX));
        for wrong in ["", "0", "M", "-1", "1.5G", "1P"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn frames_are_one_or_from_one_to_another() {
        let frames = |text: &str| text.parse().map(|Frames(range)| range);
        assert_eq!(frames("7"), Ok(7..=7));
        assert_eq!(frames("7-9"), Ok(7..=9));
        assert_eq!(frames("7-"), Ok(7..=u64::MAX));
        for wrong in ["", "-", "-9", "0", "0-4", "9-7", "7-x", "7..9", "1-2-3"] {
            assert_eq!(frames(wrong), Err(NO_FRAMES), "{wrong}");
        }
    }
}
