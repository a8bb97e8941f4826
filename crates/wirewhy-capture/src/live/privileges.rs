//! Laying down rights once the interfaces are open.
//!
//! A program that captures began as root, or with `CAP_NET_RAW`. Open interfaces need no right at all; opening one again
//! that was removed and made anew needs `CAP_NET_RAW` once more. It may stay, and stays asleep: permitted and not
//! effective, raised for the moment of opening. A program that goes on as root may have to read and write what belongs to
//! others: `CAP_DAC_READ_SEARCH` and `CAP_DAC_OVERRIDE` may stay for that. Nothing else does.

use std::fmt;

/// What of the rights stays, where the program has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keep {
    /// What opening an interface again takes. Without it an interface that was removed and made anew is lost; one that was
    /// only down is not.
    pub reopening: bool,
    /// What reading the files of others takes.
    pub reading: bool,
    /// What writing into the folders of others takes.
    pub writing: bool,
}

impl Keep {
    /// Nothing.
    pub const NOTHING: Keep = Keep {
        reopening: false,
        reading: false,
        writing: false,
    };

    /// What opening an interface again takes, and nothing else.
    pub const REOPENING: Keep = Keep {
        reopening: true,
        ..Keep::NOTHING
    };
}

/// What the program is after laying down rights.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lowered {
    /// The user it runs as.
    pub user: String,
    /// Whether it can open interfaces again.
    pub can_reopen: bool,
}

/// Why privileges could not be dropped.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// There is no such user.
    NoSuchUser(String),
    /// Becoming another user takes rights that this program does not have.
    NotRoot {
        /// The user it was to become.
        user: String,
    },
    /// Other threads run already, and would keep their rights: rights belong to threads.
    Threads,
    /// The system refused a step.
    Refused {
        /// Which.
        step: &'static str,
        /// What the system says.
        message: String,
    },
    /// Everything was done, and yet the rights are there.
    Kept,
    /// This system has no such rights.
    Unsupported,
}

impl fmt::Display for PrivilegeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrivilegeError::NoSuchUser(user) => write!(f, "there is no user {user}"),
            PrivilegeError::NotRoot { user } => write!(
                f,
                "only root can become {user}; without it, what this program may do is what it was started with"
            ),
            PrivilegeError::Threads => {
                write!(
                    f,
                    "privileges cannot be dropped after other threads have started"
                )
            }
            PrivilegeError::Refused { step, message } => write!(f, "{step}: {message}"),
            PrivilegeError::Kept => write!(f, "privileges were dropped and are still there"),
            PrivilegeError::Unsupported => write!(f, "this system knows no such rights"),
        }
    }
}

impl std::error::Error for PrivilegeError {}

/// Whether this program runs as root, whatever rights that has here.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(target_os = "linux")]
pub use linux::lower_privileges;

/// Becomes another user without more rights than are to be kept.
///
/// # Errors
///
/// Always: this is written for Linux.
#[cfg(not(target_os = "linux"))]
pub fn lower_privileges(_user: Option<&str>, _keep: Keep) -> Result<Lowered, PrivilegeError> {
    Err(PrivilegeError::Unsupported)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::fmt;
    use std::sync::atomic::Ordering;

    use caps::{CapSet, Capability, CapsHashSet};
    use nix::sys::prctl;
    use nix::unistd::{Uid, User, getresuid, initgroups, setresgid, setresuid, setuid};

    use super::{Keep, Lowered, PrivilegeError};
    use crate::live::rights::PRIVILEGES_DROPPED;

    /// Becomes another user, for good, without more rights than are to be kept. Without a user only the rights go.
    ///
    /// To be called after the interfaces were opened and before any thread is started. What is written afterwards is
    /// written as that user. Programs started later cannot come by rights either (`no_new_privs`).
    ///
    /// # Errors
    ///
    /// Where that cannot be done wholly. The rights may be partly gone then; the program had better end.
    pub fn lower_privileges(user: Option<&str>, keep: Keep) -> Result<Lowered, PrivilegeError> {
        if threads() > 1 {
            return Err(PrivilegeError::Threads);
        }
        let user = user.map(find).transpose()?;
        let asleep = held(keep.reopening.then_some(Capability::CAP_NET_RAW));
        let can_reopen = !asleep.is_empty();
        let reading = keep.reading.then_some(Capability::CAP_DAC_READ_SEARCH);
        let writing = keep.writing.then_some(Capability::CAP_DAC_OVERRIDE);
        let awake = held(reading.into_iter().chain(writing));
        let kept: CapsHashSet = asleep.union(&awake).copied().collect();
        lay_down_sets()?;
        if let Some(user) = &user {
            become_user(user)?;
        }
        step("leaving rights", caps::set(None, CapSet::Effective, &awake))?;
        step("leaving rights", caps::set(None, CapSet::Permitted, &kept))?;
        PRIVILEGES_DROPPED.store(!can_reopen, Ordering::Relaxed);
        step("no_new_privs", prctl::set_no_new_privs())?;
        if !is_lowered(user.as_ref(), &kept, &awake) {
            return Err(PrivilegeError::Kept);
        }
        let name = user.map_or_else(|| User::from_uid(Uid::effective()).ok().flatten(), Some);
        Ok(Lowered {
            user: name.map_or_else(|| Uid::effective().to_string(), |user| user.name),
            can_reopen,
        })
    }

    fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
    }

    /// A user by name or number.
    fn find(name: &str) -> Result<User, PrivilegeError> {
        let known = match name.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(name),
        };
        let user = step("looking up the user", known)?
            .ok_or_else(|| PrivilegeError::NoSuchUser(name.to_owned()))?;
        if has(Capability::CAP_SETUID) && has(Capability::CAP_SETGID)
            || user.uid == Uid::effective()
        {
            Ok(user)
        } else {
            Err(PrivilegeError::NotRoot { user: user.name })
        }
    }

    fn has(right: Capability) -> bool {
        caps::has_cap(None, CapSet::Effective, right).unwrap_or(false)
    }

    /// Those of the rights that the program has.
    fn held(rights: impl IntoIterator<Item = Capability>) -> CapsHashSet {
        let has =
            |right: &Capability| caps::has_cap(None, CapSet::Permitted, *right).unwrap_or(false);
        rights.into_iter().filter(has).collect()
    }

    /// Drops what could be passed on to other programs.
    fn lay_down_sets() -> Result<(), PrivilegeError> {
        step("leaving ambient rights", caps::clear(None, CapSet::Ambient))?;
        if has(Capability::CAP_SETPCAP) {
            step(
                "leaving bounding rights",
                caps::clear(None, CapSet::Bounding),
            )?;
        }
        step(
            "leaving inheritable rights",
            caps::clear(None, CapSet::Inheritable),
        )
    }

    fn become_user(user: &User) -> Result<(), PrivilegeError> {
        if user.uid == Uid::effective() && !user.uid.is_root() {
            return Ok(());
        }
        let name = CString::new(user.name.as_str())
            .map_err(|_| PrivilegeError::NoSuchUser(user.name.clone()))?;
        // Else the kernel takes all rights together with root's number.
        step("keeping rights", prctl::set_keepcaps(true))?;
        step("changing groups", initgroups(&name, user.gid))?;
        step(
            "changing the group",
            setresgid(user.gid, user.gid, user.gid),
        )?;
        step("changing the user", setresuid(user.uid, user.uid, user.uid))?;
        step("keeping rights", prctl::set_keepcaps(false))
    }

    /// Whether everything is as it is meant to be, by asking for it.
    fn is_lowered(user: Option<&User>, kept: &CapsHashSet, awake: &CapsHashSet) -> bool {
        let holds = |set, expected: &CapsHashSet| {
            caps::read(None, set).is_ok_and(|found| found == *expected)
        };
        let none = CapsHashSet::new();
        let rights = holds(CapSet::Permitted, kept)
            && holds(CapSet::Effective, awake)
            && holds(CapSet::Inheritable, &none)
            && holds(CapSet::Ambient, &none);
        let is_user = user.is_none_or(|user| {
            let numbers = getresuid().map(|now| (now.real, now.effective, now.saved));
            let back = !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok();
            numbers == Ok((user.uid, user.uid, user.uid)) && !back
        });
        rights && is_user
    }

    fn step<T>(
        step: &'static str,
        done: Result<T, impl fmt::Display>,
    ) -> Result<T, PrivilegeError> {
        done.map_err(|error| PrivilegeError::Refused {
            step,
            message: error.to_string(),
        })
    }
}
