//! What repeats is reported once and then counted, so that a thousand failures are a few lines.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wirewhy_detect::Severity;
use wirewhy_packet::{Interval, Timestamp};

/// What makes two findings alike: the code and the service; the code alone once one has met too many services.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Kind {
    pub(super) code: &'static str,
    pub(super) service: Option<SocketAddr>,
}

/// Findings of one kind since the last line about them.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) severity: Severity,
    since: Timestamp,
    pub(super) more: u64,
    pub(super) clients: Vec<IpAddr>,
    pub(super) more_clients: bool,
}

/// A line that tells how often something repeated.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) kind: Kind,
    pub(super) fold: Fold,
    pub(super) span: Interval,
}

/// Everything told lately.
#[derive(Debug, Default)]
pub(super) struct Folds {
    kinds: BTreeMap<Kind, Fold>,
    due: Option<Timestamp>,
}

/// How long repetitions are counted before the count is reported.
const WINDOW: Interval = Interval::from_secs(10);

/// How many services of one code are kept apart at one time.
const SERVICES: usize = 16;

/// How many clients are counted exactly.
const CLIENTS: usize = 64;

impl Folds {
    /// Takes in a finding. Returns whether it is the first of its kind and to be told at once.
    pub(super) fn is_first(
        &mut self,
        at: Timestamp,
        (code, severity): (&'static str, Severity),
        service: SocketAddr,
        client: IpAddr,
    ) -> bool {
        let exact = Kind {
            code,
            service: Some(service),
        };
        let all = Kind {
            code,
            service: None,
        };
        let lowest = Kind { ..all };
        let known = self.kinds.contains_key(&exact);
        let services = self
            .kinds
            .range(lowest..)
            .take_while(|(kind, _)| kind.code == code)
            .count();
        let crowded = !known && services >= SERVICES;
        let kind = if crowded { all } else { exact };
        self.due.get_or_insert(at.after(WINDOW));
        if let Some(fold) = self.kinds.get_mut(&kind) {
            fold.add(severity, client);
            return false;
        }
        let mut fold = Fold {
            severity,
            since: at,
            more: 0,
            clients: Vec::new(),
            more_clients: false,
        };
        if crowded {
            fold.add(severity, client);
        }
        self.kinds.insert(kind, fold);
        !crowded
    }

    /// Takes the counts that are to be told by now, and forgets what did not repeat.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Due> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.take(now, WINDOW)
    }

    /// Takes every count.
    pub(super) fn all(&mut self, now: Timestamp) -> Vec<Due> {
        self.take(now, Interval(i64::MIN))
    }

    fn take(&mut self, now: Timestamp, window: Interval) -> Vec<Due> {
        let mut due = Vec::new();
        let mut next: Option<Timestamp> = None;
        self.kinds.retain(|kind, fold| {
            let span = now.since(fold.since);
            if span >= window {
                if fold.more == 0 {
                    return false;
                }
                due.push(Due {
                    kind: *kind,
                    fold: fold.clone(),
                    span,
                });
                *fold = Fold {
                    since: now,
                    more: 0,
                    clients: Vec::new(),
                    more_clients: false,
                    ..*fold
                };
            }
            let again = fold.since.after(WINDOW);
            next = Some(next.map_or(again, |next| next.min(again)));
            true
        });
        self.due = next;
        due
    }
}

impl Fold {
    fn add(&mut self, severity: Severity, client: IpAddr) {
        self.more = self.more.saturating_add(1);
        self.severity = self.severity.max(severity);
        if self.clients.contains(&client) {
            return;
        }
        if self.clients.len() < CLIENTS {
            self.clients.push(client);
        } else {
            self.more_clients = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: (&str, Severity) = ("tcp.refused", Severity::Error);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs_nanos(seconds, 0)
    }

    fn service(port: u16) -> SocketAddr {
        SocketAddr::new("10.0.0.9".parse().unwrap(), port)
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn the_first_is_told_and_the_rest_counted() {
        let mut folds = Folds::default();
        assert!(folds.is_first(at(0), REFUSED, service(443), client(1)));
        assert!(!folds.is_first(at(1), REFUSED, service(443), client(1)));
        assert!(!folds.is_first(at(2), REFUSED, service(443), client(2)));
        assert!(folds.is_first(at(2), REFUSED, service(80), client(2)));
        assert!(folds.due(at(9)).is_empty());
        let [due] = folds.due(at(10)).try_into().unwrap();
        assert_eq!((due.fold.more, due.fold.clients.len()), (2, 2));
        assert_eq!(due.kind.service, Some(service(443)));
    }

    #[test]
    fn what_stopped_repeating_is_told_at_once_when_it_comes_back() {
        let mut folds = Folds::default();
        assert!(folds.is_first(at(0), REFUSED, service(443), client(1)));
        assert!(folds.due(at(10)).is_empty());
        assert!(folds.is_first(at(11), REFUSED, service(443), client(1)));
    }

    #[test]
    fn a_scan_is_one_count_behind_a_few_lines() {
        let mut folds = Folds::default();
        let reported = (0..1_000)
            .filter(|port| folds.is_first(at(0), REFUSED, service(*port), client(1)))
            .count();
        assert_eq!(reported, SERVICES);
        let due = folds.due(at(10));
        assert_eq!(due.iter().map(|due| due.fold.more).sum::<u64>(), 1_000 - 16);
        assert_eq!(due.len(), 1);
    }
}
