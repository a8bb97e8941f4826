//! What the program may do, and how it comes to be allowed.

use std::fmt;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

/// A right that capturing needs and this program does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingRight {
    /// Its name: `CAP_NET_RAW` on Linux.
    pub right: &'static str,
    /// What would give it to the program.
    pub remedy: Remedy,
}

/// What would give a right to the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// A command line.
    Command(String),
    /// Another start of the container or service: nothing inside it can have the right.
    Container,
    /// Another start: it was dropped on purpose.
    Restart,
    /// A start without the `no_new_privs` flag, or by a service manager that gives the right itself.
    NewPrivileges,
}

impl fmt::Display for MissingRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = self.right;
        write!(f, "capturing needs {right}, which this program lacks; ")?;
        match &self.remedy {
            Remedy::Command(command) => write!(f, "`{command}` grants it"),
            Remedy::Container => write!(
                f,
                "nor can it be granted inside this container or service: start that with --cap-add NET_RAW (Docker, \
                 Podman), securityContext.capabilities.add [NET_RAW] (Kubernetes) or CapabilityBoundingSet=CAP_NET_RAW \
                 (systemd)"
            ),
            Remedy::Restart => write!(f, "it was dropped after the start"),
            Remedy::NewPrivileges => write!(
                f,
                "nor can setcap grant it to a program started with no_new_privs: start it without, or with \
                 AmbientCapabilities=CAP_NET_RAW (systemd)"
            ),
        }
    }
}

/// Whether this program gave up the right itself, so that no advice how to get it is in place.
#[cfg(target_os = "linux")]
pub(super) static PRIVILEGES_DROPPED: AtomicBool = AtomicBool::new(false);

/// The right this program lacks to capture; `None` where it has all it needs.
#[must_use]
#[cfg(target_os = "linux")]
pub fn missing_right() -> Option<MissingRight> {
    use caps::{CapSet, Capability, has_cap};

    let has = |set| has_cap(None, set, Capability::CAP_NET_RAW).unwrap_or(true);
    if has(CapSet::Effective) || has(CapSet::Permitted) {
        return None;
    }
    let remedy = if PRIVILEGES_DROPPED.load(Ordering::Relaxed) {
        Remedy::Restart
    } else if !has(CapSet::Bounding) {
        Remedy::Container
    } else if nix::sys::prctl::get_no_new_privs().unwrap_or(false) {
        Remedy::NewPrivileges
    } else {
        let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("wirewhy"));
        let path = shell_quoted(&path.display().to_string());
        Remedy::Command(format!("sudo setcap cap_net_raw=ep {path}"))
    };
    Some(MissingRight {
        right: "CAP_NET_RAW",
        remedy,
    })
}

/// The right this program lacks to capture; `None` where it has all it needs.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn missing_right() -> Option<MissingRight> {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("wirewhy"));
    let path = shell_quoted(&path.display().to_string());
    (!nix::unistd::geteuid().is_root()).then(|| MissingRight {
        right: "root, or a BPF device this user may read",
        remedy: Remedy::Command(format!("sudo {path}")),
    })
}

/// Does something with the right to capture in effect, and lays it down again where it was not before.
#[cfg(target_os = "linux")]
pub(super) fn with_capture<T>(act: impl FnOnce() -> T) -> T {
    use caps::{CapSet, Capability, has_cap};

    let right = Capability::CAP_NET_RAW;
    let has = |set| has_cap(None, set, right).unwrap_or(false);
    let raised = has(CapSet::Permitted)
        && !has(CapSet::Effective)
        && caps::raise(None, CapSet::Effective, right).is_ok();
    let done = act();
    if raised {
        // What was raised can be lowered; if not, the right stays, and it is one the program may have.
        let _ = caps::drop(None, CapSet::Effective, right);
    }
    done
}

/// Does something with the right to capture in effect.
#[cfg(not(target_os = "linux"))]
pub(super) fn with_capture<T>(act: impl FnOnce() -> T) -> T {
    act()
}

/// A word as a shell reads it back unchanged.
pub(super) fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(shell_quoted("/usr/bin/wirewhy"), "/usr/bin/wirewhy");
        assert_eq!(
            shell_quoted("/opt/my tools/it's"),
            r"'/opt/my tools/it'\''s'"
        );
        assert_eq!(shell_quoted(""), "''");
    }

    #[test]
    fn every_remedy_names_the_right_and_what_to_type() {
        for (remedy, expected) in [
            (Remedy::Command("sudo x".to_owned()), "`sudo x`"),
            (Remedy::Container, "--cap-add NET_RAW"),
            (Remedy::Restart, "dropped"),
            (Remedy::NewPrivileges, "AmbientCapabilities=CAP_NET_RAW"),
        ] {
            let right = "CAP_NET_RAW";
            let message = MissingRight { right, remedy }.to_string();
            assert!(message.contains("needs CAP_NET_RAW"), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }
}
