//! Whether this process makes progress, and notifications about that to the service manager that started it: sd_notify(3).
//!
//! Without `NOTIFY_SOCKET` in the environment nothing is sent. A notification that cannot be sent is dropped: the analysis
//! goes on without the service manager.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use wirewhy_capture::monotonic_time;
use wirewhy_packet::Interval;

/// How long one notification may wait for room in the socket of the service manager. Its queue is short (10 datagrams by
/// default), and full while many services start.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the status is sent at most.
const STATUS_EVERY: Interval = Interval::from_secs(10);

/// How long ago the last progress may be before this process counts as stalled.
const STALLED: Interval = Interval::from_secs(30);

/// When progress was made last, for other threads.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Nanoseconds of the monotonic clock.
    last: AtomicI64,
}

impl Default for Progress {
    /// Progress was made just now.
    fn default() -> Progress {
        Progress {
            last: AtomicI64::new(monotonic_time().0),
        }
    }
}

impl Progress {
    /// Progress is made.
    fn note(&self, time: Interval) {
        self.last.store(time.0, Ordering::Relaxed);
    }

    /// Whether the last progress is longer ago than any work should take.
    pub(crate) fn is_stalled(&self) -> bool {
        let last = Interval(self.last.load(Ordering::Relaxed));
        monotonic_time() - last > STALLED
    }

    /// The last progress was made this long ago.
    #[cfg(test)]
    pub(crate) fn ago(time: Interval) -> Progress {
        Progress {
            last: AtomicI64::new((monotonic_time() - time).0),
        }
    }
}

/// The connection to the service manager, where there is one.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// How often `WATCHDOG=1` is sent: half of the time after which the service manager would end this process.
    watchdog: Option<Interval>,
    /// When `WATCHDOG=1` and `STATUS=` were sent last, on the monotonic clock.
    last_alive: Option<Interval>,
    last_status: Option<Interval>,
    progress: Arc<Progress>,
}

impl ServiceManager {
    /// The service manager that the environment names: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(crate) fn from_environment() -> ServiceManager {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name).ok());
        let variable = |name: &str| env::var(name).ok();
        ServiceManager {
            watchdog: socket
                .as_ref()
                .and_then(|_| watchdog(variable, std::process::id())),
            socket,
            ..ServiceManager::default()
        }
    }

    /// When progress was made last, whether there is a service manager or not.
    pub(crate) fn watched_progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Start-up is finished, or the reload is.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// A reload begins. Since version 253 systemd takes it for the answer to its SIGHUP by the time in it.
    pub(crate) fn reloading(&self) {
        let Interval(nanos) = monotonic_time();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", nanos / 1_000));
    }

    /// The end begins.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=writing the summary");
    }

    /// To be called each time the work has made progress: sends `WATCHDOG=1` and the status where they are due.
    pub(crate) fn progress(&mut self, status: impl FnOnce() -> String) {
        let time = monotonic_time();
        self.progress.note(time);
        if self.socket.is_none() {
            return;
        }
        let is_due =
            |last: Option<Interval>, every: Interval| last.is_none_or(|last| time - last >= every);
        if self
            .watchdog
            .is_some_and(|every| is_due(self.last_alive, every))
        {
            self.last_alive = Some(time);
            self.send("WATCHDOG=1");
        }
        if is_due(self.last_status, STATUS_EVERY) {
            self.last_status = Some(time);
            self.send(&format!("STATUS={}", status()));
        }
    }

    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// Connects to a socket by its path, or by its name in the abstract namespace, which begins with `@` (unix(7)).
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

/// Only Linux has abstract names.
#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Half of `WATCHDOG_USEC`, as sd_watchdog_enabled(3) recommends, where `WATCHDOG_PID` is this process or not set.
fn watchdog(variable: impl Fn(&str) -> Option<String>, process: u32) -> Option<Interval> {
    let is_ours = variable("WATCHDOG_PID").is_none_or(|text| text.parse() == Ok(process));
    let micros: i64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    (is_ours && micros > 0).then(|| Interval(micros.saturating_mul(1_000 / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(set: &[(&str, &str)]) -> Option<Interval> {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        watchdog(variable, 42)
    }

    #[test]
    fn the_watchdog_is_for_one_process() {
        let time = ("WATCHDOG_USEC", "30000000");
        assert_eq!(every(&[time]), Some(Interval::from_secs(15)));
        assert_eq!(
            every(&[time, ("WATCHDOG_PID", "42")]),
            Some(Interval::from_secs(15))
        );
        assert_eq!(every(&[time, ("WATCHDOG_PID", "43")]), None);
        assert_eq!(every(&[time, ("WATCHDOG_PID", "")]), None);
        assert_eq!(every(&[]), None);
    }

    #[test]
    fn a_watchdog_time_that_is_no_time_is_ignored() {
        for text in ["", "0", "-1", "30s", "99999999999999999999"] {
            assert_eq!(every(&[("WATCHDOG_USEC", text)]), None, "{text}");
        }
        assert!(every(&[("WATCHDOG_USEC", "9223372036854775807")]).is_some());
    }

    #[test]
    fn a_socket_that_is_not_there_is_an_error() {
        for name in [
            "",
            "@",
            "@wirewhy-no-such-socket",
            "no-such-socket",
            "vsock:2:1",
        ] {
            assert!(connect(OsStr::new(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn without_a_service_manager_nothing_is_sent() {
        let mut none = ServiceManager::default();
        none.ready();
        none.reloading();
        none.progress(|| unreachable!());
        none.stopping();
        assert!(!none.watched_progress().is_stalled());
    }

    #[test]
    fn long_without_progress_is_stalled() {
        assert!(!Progress::ago(Interval::from_secs(20)).is_stalled());
        let progress = Progress::ago(Interval::from_secs(40));
        assert!(progress.is_stalled());
        progress.note(monotonic_time());
        assert!(!progress.is_stalled());
    }
}
