//! Connections to findings: the rules.
//!
//! [`diagnose()`] runs over one finished connection those detectors of [`DETECTORS`] that it shows a sign for. Detectors are pure functions over finished facts: they keep no state, see no bytes and write nothing.
//! Every word a user reads about a finding stands in its [`Record`].

mod causes;
mod certificates;
pub mod code;
mod detectors;
mod diagnose;
mod ending;
mod finding;
mod handshake;
mod icmp;
mod idle;
mod limits;
mod live;
mod record;
mod refusals;
mod resets;
mod signature;
mod signs;
#[cfg(test)]
mod testing;
pub mod timers;
pub mod wording;

pub use causes::{Cause, link_causes};
pub use certificates::{TrustStore, UnusableRoot};
pub use detectors::tcp::backend_unreachable::{reset_again, reset_behind_handshake};
pub use detectors::tcp::mtu_blackhole::{LargeUnanswered, large_unanswered, while_others_pass};
pub use detectors::{
    DETECTORS, Spoken, demands_resumption, ftp_session, header_missing, header_not_expected,
    hello_was_refused, is_sealed_ftp, lost_state, neighbours_speak_otherwise, neighbours_speak_tls,
    record_of, refused_unresumed, spoken, unresumed_finding,
};
pub use diagnose::{
    Diagnosis, Outcome, diagnose, diagnose_briefly, diagnose_unopened, finds_nothing,
};
pub use finding::{Confidence, Culprit, Facts, Finding, Role, Scope, Severity, Value};
pub use idle::{FatalIdle, idle_before_end};
pub use limits::{Change, Limits, Setting, Threshold};
pub use live::{Reportable, next_deadline, reportable_at};
pub(crate) use record::Rule;
pub use record::{Detector, Group, Record, found_without_sign};
pub use signature::signature;
pub(crate) use signs::Signs;
