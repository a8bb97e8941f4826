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
use wirewhy_detect::{Change, Limits, Setting};

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
    /// Reads the file named, or else the user's, where there is one. Of the user's own that cannot be read the second value
    /// says why.
    pub(crate) fn load(named: Option<&Path>) -> Result<(Config, Option<String>), Failure> {
        let must_exist = named.is_some();
        let Some(path) = Config::path(named) else {
            return Ok((Config::default(), None));
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => {
                return Ok((Config::default(), None));
            }
            Err(error) => {
                let problem = format!("{}: {}", path.display(), in_words(&error));
                return match must_exist {
                    true => Err(Failure::new(problem)),
                    false => Ok((Config::default(), Some(problem))),
                };
            }
        };
        let config = Config::parse(&text)
            .map_err(|message| Failure::new(format!("{}: {message}", path.display())))?;
        let config = Config {
            roots: config.roots.beside(&path),
            ..config
        };
        Ok((config, None))
    }

    /// Where the configuration is: the file that is named, else that of the user; `None` where there is no place for one.
    pub(crate) fn path(named: Option<&Path>) -> Option<PathBuf> {
        named.map(Path::to_owned).or_else(users_file)
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

fn set_limits(limits: &mut Limits, set: &Table) -> Result<(), String> {
    for (key, value) in set {
        let setting = match value {
            Value::Integer(number) => Setting::Whole(*number),
            Value::Float(number) => Setting::Real(*number),
            _ => return Err(format!("limits.{key} must be a number")),
        };
        match limits.set(key, setting) {
            Change::Done => {}
            Change::Expected(what) => return Err(format!("limits.{key} must be {what}")),
            Change::UnknownName => {
                let known: Vec<String> = Limits::thresholds()
                    .map(|threshold| format!("limits.{}", threshold.name))
                    .collect();
                let hint = hint(&format!("limits.{key}"), known.iter().map(String::as_str));
                return Err(format!("unknown key limits.{key}{hint}"));
            }
        }
    }
    Ok(())
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
    use wirewhy_flow::Interval;

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

    /// The example configuration, with every threshold, its meaning and its default.
    fn example() -> String {
        let mut text = EXAMPLE_HEAD.to_owned();
        for threshold in Limits::thresholds() {
            text.push('\n');
            for line in threshold.means.lines() {
                text.push_str(&format!("# {}\n", line.trim()));
            }
            text.push_str(&format!("# {} = {}\n", threshold.name, threshold.default));
        }
        text
    }

    const EXAMPLE_HEAD: &str = "\
# Configuration of wirewhy: ~/.config/wirewhy/config.toml, or --config FILE. What stands behind # is the default.

# Codes whose findings are hidden, as with --ignore.
# ignore = []

# The roots that certificates are held against: a PEM file, beside this one where the name is relative, or mozilla.
# roots = \"mozilla\"

# Names for addresses, for the reports.
[names]
# \"10.0.0.9\" = \"db1\"

# Thresholds of the findings. Times are in seconds and may have a fraction.
[limits]
";

    /// Set to rewrite the example instead of comparing it.
    const BLESS: &str = "WIREWHY_BLESS";

    #[test]
    fn the_example_configuration_documents_every_key() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/config.example.toml");
        if env::var_os(BLESS).is_some() {
            fs::write(&path, example()).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            example(),
            "run the tests with {BLESS}=1 to rewrite it"
        );
        assert_eq!(Config::parse(&text).unwrap(), Config::default());
    }

    #[test]
    fn the_example_configuration_is_right_about_the_defaults() {
        let text = example();
        let (_, limits) = text.split_once("[limits]\n").unwrap();
        let set: Vec<&str> = limits
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| {
                Limits::thresholds().any(|one| line.starts_with(&format!("{} = ", one.name)))
            })
            .collect();
        assert_eq!(set.len(), Limits::thresholds().count());
        let set = set.join("\n");
        let config = Config::parse(&format!("[limits]\n{set}")).unwrap();
        assert_eq!(config.limits, Limits::default());
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
                "[limits]\nsilence_seconds = \"3\"",
                "limits.silence_seconds must be a number",
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
