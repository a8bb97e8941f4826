//! Idle limits worth recognising, by device (vendors' documentation; all are defaults that can be changed).

use wirewhy_packet::Interval;

/// Seconds, and who forgets after them.
const KNOWN: &[(i64, &str)] = &[
    (30, "Cisco ASA embryonic and GCP transitory limits (30 s)"),
    (
        60,
        "AWS classic and application load balancers, and many proxies (60 s)",
    ),
    (75, "nginx keep-alive (75 s)"),
    (120, "common short NAT limits (120 s)"),
    (240, "Azure load balancers and NAT (4 min)"),
    (300, "F5 BIG-IP (5 min)"),
    (
        350,
        "AWS NAT gateways, network load balancers and transit appliances (350 s)",
    ),
    (
        600,
        "GCP connection tracking and balancers, and some NATs (10 min)",
    ),
    (900, "kube-proxy in IPVS mode (15 min)"),
    (1_200, "GCP Cloud NAT (20 min)"),
    (3_600, "Cisco ASA and PAN-OS (1 h)"),
    (7_200, "devices with a two-hour limit (2 h)"),
    (432_000, "Linux connection tracking (5 days)"),
];

/// The timers an idle time points to: the packet after it met a connection forgotten shortly before, so the idle time is
/// the limit or a little more.
#[must_use]
pub fn known(idle: Interval) -> Option<&'static str> {
    let seconds = idle.as_secs_f64();
    KNOWN
        .iter()
        .find(|(limit, _)| {
            let limit = *limit as f64;
            seconds >= limit * 0.98 && seconds <= limit * 1.1 + 2.0
        })
        .map(|(_, name)| *name)
}

/// A timer longer than an idle time that was survived and no longer than one that was not.
#[must_use]
pub fn known_between(survived: Interval, fatal: Interval) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(limit, _)| (survived..=fatal).contains(&Interval::from_secs(*limit)))
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_more_than_the_limit_points_to_it() {
        assert!(known(Interval::from_secs(356)).is_some_and(|name| name.contains("350 s")));
        assert!(known(Interval::from_secs(45)).is_none());
    }
}
