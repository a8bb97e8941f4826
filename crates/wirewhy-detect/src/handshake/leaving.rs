//! How and why the client left, where it says nothing or something else.

use wirewhy_flow::{Interval, Mark, Side};
use wirewhy_protocol::{Alert, AlertDescription, AlertSeen, ContentType};

use super::{End, Handshake, flow_mark, records};

/// How long after the handshake a client that does not like what it got takes to leave, a round trip not counted. Programs
/// that check a name or a pin themselves do so at once.
const LEAVES_WITHIN: Interval = Interval::from_secs(1);

/// The type of a record that holds a heartbeat (RFC 6520).
const HEARTBEAT: ContentType = ContentType(24);

impl Handshake<'_> {
    /// Whether a client that left at `mark` had the server's certificates: it answered them, or acknowledged what the server
    /// had sent by then.
    pub(crate) fn had_certificates(&self, mark: Mark) -> bool {
        let Some(shown) = &self.tls.server_certificates else {
            return false;
        };
        let client = &self.tls.client;
        let between =
            |at: wirewhy_protocol::Mark| shown.mark.frame < at.frame && at.frame < mark.frame;
        let answered = client.messages.iter().any(|message| between(message.mark));
        shown.mark.frame < mark.frame && (answered || self.ending.crossed(mark) == 0)
    }

    /// The encrypted alert of a client of TLS 1.2 or before that comes behind its Finished and ahead of the server's: it looked
    /// at the certificates beside the handshake, and ended that.
    pub(crate) fn refused_beside(&self) -> Option<Mark> {
        let tls = self.tls;
        let (own, peer) = (tls.client.finished?, tls.server.finished?);
        let mut alerts = tls.client.alerts.iter();
        let alert = alerts.find(|alert| {
            alert.seen == AlertSeen::Encrypted
                && (own.frame..peer.frame).contains(&alert.mark.frame)
        })?;
        (tls.client.application_data.count == 0).then(|| flow_mark(alert.mark))
    }

    /// Where a client left that had finished the handshake and sent nothing over it: what it was shown did not suit it, or it
    /// only tried whether a server answers. Of TLS 1.3 without secrets its Finished is known by its size.
    pub(crate) fn left_unused(&self) -> Option<Mark> {
        let tls = self.tls;
        let client = &tls.client;
        // A heartbeat is use, too.
        let beats = client
            .sealed
            .iter()
            .chain(&client.last_sealed)
            .any(|sealed| sealed.kind == HEARTBEAT);
        if !self.is_completed() || client.application_data.count > 0 || beats {
            return None;
        }
        let sized = client.likely_finished.map(|sealed| sealed.mark);
        let finished = [client.finished.or(sized), tls.server.finished];
        let done = finished
            .into_iter()
            .flatten()
            .max_by_key(|mark| mark.frame)?;
        let farewells = [Side::Client, Side::Server].into_iter().filter_map(|side| {
            let mut alerts = records(tls, side).alerts.iter();
            let alert = alerts.find(|alert| alert.mark.frame > done.frame)?;
            Some((side, flow_mark(alert.mark)))
        });
        let (from, mark) = [self.ending.closed, self.ending.reset]
            .into_iter()
            .flatten()
            .chain(farewells)
            .min_by_key(|(_, mark)| mark.frame)?;
        let took = mark.time.since(done.time);
        let within = Interval(LEAVES_WITHIN.0.saturating_add(self.ending.round_trip.0));
        let soon = mark.frame >= done.frame && took <= within;
        (from == Side::Client && soon).then_some(mark)
    }

    /// A warning of the server that it does not serve the name asked for (RFC 6066 section 3), where the client ended the
    /// handshake behind it: some take it for a refusal.
    pub(crate) fn name_warning(&self) -> Option<Alert> {
        let warned = self.tls.server.alerts.iter().find(|alert| {
            alert.description == Some(AlertDescription::UNRECOGNIZED_NAME) && alert.level == Some(1)
        })?;
        let by_client = match self.end {
            End::Alert { from, alert } => {
                let fits = matches!(
                    alert.description,
                    Some(
                        AlertDescription::HANDSHAKE_FAILURE
                            | AlertDescription::UNEXPECTED_MESSAGE
                            | AlertDescription::UNRECOGNIZED_NAME
                            | AlertDescription::INTERNAL_ERROR
                    )
                );
                (from == Side::Client && fits).then_some(alert.mark.frame)
            }
            End::Closed { from, mark } | End::Reset { from, mark } => {
                let only_hello = self.tls.client.messages.len() == 1;
                (from == Side::Client && only_hello).then_some(mark.frame)
            }
            _ => None,
        };
        (by_client? > warned.mark.frame).then_some(*warned)
    }
}
