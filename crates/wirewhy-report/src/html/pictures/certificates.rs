//! The certificates of a chain: when each is valid, as bars over one axis with the capture's time on it.

use maud::{Markup, html};
use wirewhy_detect::wording::span;
use wirewhy_packet::{Interval, Timestamp};
use wirewhy_protocol::{Certificate, CertificateFacts, Certificates, TlsFacts};

use super::Key;
use super::draw::{px, wire};
use crate::format;

/// The bars: their width, and how long before and after the capture they reach at least.
const WIDTH: f64 = 360.0;
const LEAST: Interval = Interval::from_secs(24 * 60 * 60);

/// How much longer than the validity of the first certificate the axis is.
const ROOM: f64 = 1.25;

/// The chains of both sides.
pub(super) fn of(tls: &TlsFacts, key: &Key) -> Markup {
    let sent = [
        ("server", &tls.server_certificates),
        ("client", &tls.client_certificates),
    ];
    html! {
        @for (side, chain) in sent {
            @if let Some(chain) = chain.as_ref().filter(|chain| !chain.chain.is_empty()) {
                (table(side, chain, key))
            }
        }
    }
}

fn table(side: &str, sent: &Certificates, key: &Key) -> Markup {
    let now = sent.mark.time;
    let scale = Scale::of(&sent.chain, now);
    let more = u64::from(sent.count).saturating_sub(sent.chain.len() as u64);
    html! {
        figure.certificates {
            table {
                caption { "Certificates of the " (side) ", frame " (sent.mark.frame) "; the line is the time of the capture, " (format::date_time(now)) " UTC" }
                thead {
                    tr {
                        th scope="col" { "Subject and issuer" }
                        th scope="col" { "Valid from" }
                        th scope="col" { "Validity" }
                        th scope="col" { "Until" }
                    }
                }
                tbody {
                    @for (nth, certificate) in sent.chain.iter().enumerate() {
                        @match &certificate.facts {
                            Some(facts) => (row(facts, now, &scale, &format!("{key}-{side}-certificate-{nth}"))),
                            None => { tr { td colspan="4" { "A certificate that cannot be read" } } }
                        }
                    }
                    @if more > 0 {
                        tr { td colspan="4" { (format::counted(more, "further certificate")) } }
                    }
                }
            }
        }
    }
}

fn row(facts: &CertificateFacts, now: Timestamp, scale: &Scale, id: &str) -> Markup {
    let (from, until) = (scale.x(facts.not_before), scale.x(facts.not_after));
    let verdict = verdict(facts, now);
    let is_valid = (facts.not_before..=facts.not_after).contains(&now);
    let class = if is_valid { "valid" } else { "invalid" };
    let date = |time: Timestamp| format::date_time(time).chars().take(16).collect::<String>();
    html! {
        tr class=[(!is_valid).then_some("bad")] {
            td { (wire(name(&facts.subject))) br; small { "by " (wire(name(&facts.issuer))) } }
            td.n { (date(facts.not_before)) }
            td {
                svg viewBox=(format!("0 0 {WIDTH} 22")) role="img" aria-labelledby=(id) {
                    title id=(id) { (verdict) }
                    rect class=(class) x=(px(from)) y="6" width=(px((until - from).max(1.0))) height="10" {}
                    @if facts.not_before < scale.from { path.edge d="M6 7l-5 4l5 4" {} }
                    @if facts.not_after > scale.until { path.edge d=(format!("M{} 7l5 4l-5 4", px(WIDTH - 6.0))) {} }
                    path.now d=(format!("M{} 1V21", px(scale.x(now)))) {}
                }
                small { (verdict) }
            }
            td.n { (date(facts.not_after)) }
        }
    }
}

/// A name from the wire, unless there is none.
fn name(name: &str) -> &str {
    if name.is_empty() { "(no name)" } else { name }
}

fn verdict(facts: &CertificateFacts, now: Timestamp) -> String {
    if now < facts.not_before {
        format!(
            "not valid for another {}",
            span(facts.not_before.since(now))
        )
    } else if now > facts.not_after {
        format!("expired {} before", span(now.since(facts.not_after)))
    } else {
        format!("valid for another {}", span(facts.not_after.since(now)))
    }
}

/// A stretch of time around the capture.
struct Scale {
    from: Timestamp,
    until: Timestamp,
}

impl Scale {
    /// Around the validity of the first certificate: authorities live so much longer that nothing would be seen of it.
    fn of(chain: &[std::sync::Arc<Certificate>], now: Timestamp) -> Scale {
        let first = chain
            .iter()
            .find_map(|certificate| certificate.facts.as_ref());
        let ends = first.map_or([now, now], |facts| [facts.not_before, facts.not_after]);
        let most = ends.into_iter().map(|end| end.since(now).abs()).max();
        let reach = most.unwrap_or(LEAST).max(LEAST).as_secs_f64() * ROOM;
        // At most some centuries: a timestamp ends at the year 2262.
        let reach = Interval::from_secs(whole(reach));
        Scale {
            from: now.after(Interval::ZERO - reach),
            until: now.after(reach),
        }
    }

    fn x(&self, time: Timestamp) -> f64 {
        let time = time.clamp(self.from, self.until);
        let all = self.until.since(self.from).as_secs_f64().max(1.0);
        time.since(self.from).as_secs_f64() / all * WIDTH
    }
}

/// Whole seconds of a span that is neither negative nor longer than some centuries.
fn whole(seconds: f64) -> i64 {
    let interval = format!("{:.0}", seconds.clamp(0.0, 4e9));
    interval.parse().unwrap_or(0)
}
