//! A rule over many connections, and what rules read.

use std::net::IpAddr;

use wirewhy_detect::{FatalIdle, Finding, Limits, Record};
use wirewhy_flow::Neighbours;
use wirewhy_packet::Interval;

use crate::flood::Recorded;
use crate::lookups::{LookupCase, LookupFinding};
use crate::recording::CaptureFaults;
use crate::service::ServiceTally;
use crate::source::SourceTally;

/// A rule with its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SurveyDetector {
    /// Its text.
    pub(crate) record: &'static Record,
    /// What it reads.
    pub(crate) rule: Rule,
}

/// A rule, by what it reads. It returns `None`, or nothing, where there is nothing to report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Over the attempts at one service. Of several rules the first that applies is the only one.
    Service(fn(&Service<'_>, &Limits) -> Option<Finding>),
    /// Over the attempts of one source.
    Source(fn(&Source<'_>, &Limits) -> Option<Finding>),
    /// Over the idle times of connections to one host.
    IdleTimes(fn(&IdleTimes, &Limits) -> Option<Finding>),
    /// Over the ARP and neighbour discovery messages of the link.
    Link(fn(&Neighbours, &Limits) -> Vec<(IpAddr, Finding)>),
    /// Over one lookup, or several alike.
    Lookup(fn(&LookupCase<'_>, &Limits) -> Option<LookupFinding>),
    /// Over what is known of the recording.
    Recording(fn(&CaptureFaults, &Limits) -> Option<Finding>),
    /// Added to single connections by [`Survey::revise`](crate::Survey::revise).
    Connection,
}

/// The attempts at one service, as the rules read them.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    pub(crate) tally: &'a ServiceTally,
    pub(crate) recorded: &'a Recorded,
    /// Whether all the failed attempts are those of port scanners.
    pub(crate) is_scanned: bool,
    /// Over QUIC: whether attempts at the same address and port over TCP worked. `None` over TCP.
    pub(crate) works_over_tcp: Option<bool>,
}

/// The attempts of one source, as the rules read them.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) address: IpAddr,
    pub(crate) tally: &'a SourceTally,
    pub(crate) recorded: &'a Recorded,
}

/// How connections to one host got over their idle times.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct IdleTimes {
    /// Those that did not.
    pub(crate) ends: Vec<IdleEnd>,
    /// The longest idle time that one survived.
    pub(crate) survived: Interval,
}

/// A connection that did not survive an idle time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct IdleEnd {
    /// How long it had been idle.
    pub(crate) end: FatalIdle,
    /// Its last frame.
    pub(crate) frame: u64,
}
