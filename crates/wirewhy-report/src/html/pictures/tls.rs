//! The TLS handshake: its messages in their order.

use maud::{Markup, html};
use wirewhy_flow::{Connection, Side};
use wirewhy_protocol::{Message, MessageKind, TlsFacts};

use crate::messages;

/// The table of the messages.
pub(super) fn of(connection: &Connection, tls: &TlsFacts) -> Markup {
    let sides = [(Side::Client, &tls.client), (Side::Server, &tls.server)];
    let mut sent: Vec<(Side, &Message)> = Vec::new();
    for (side, of) in sides {
        sent.extend(of.messages.iter().map(|message| (side, message)));
    }
    // Within a frame those of one side keep their order: the sort is stable.
    sent.sort_by_key(|(_, message)| message.mark.frame);
    let origin = connection.first.time;
    let unfinished = sides
        .into_iter()
        .filter_map(|(side, of)| Some((side, of.incomplete.as_ref()?)));
    html! {
        @if !sent.is_empty() {
            figure.tls {
                table {
                    caption { "TLS: " (messages::summary(tls)) }
                    thead {
                        tr {
                            th.n scope="col" { "Frame" }
                            th.n scope="col" { "Seconds" }
                            th scope="col" { "Client" }
                            th scope="col" { "Server" }
                        }
                    }
                    tbody {
                        @for (side, message) in &sent {
                            tr class=[class(message)] {
                                td.n { (message.mark.frame) }
                                td.n { (format!("{:.6}", message.mark.time.since(origin).as_secs_f64())) }
                                @if *side == Side::Server { td {} }
                                td { (messages::of_message(tls, *side, message)) }
                                @if *side == Side::Client { td {} }
                            }
                        }
                        @for (side, incomplete) in unfinished {
                            tr.bad {
                                td.n { (incomplete.begun.frame) }
                                td.n { (format!("{:.6}", incomplete.begun.time.since(origin).as_secs_f64())) }
                                @if side == Side::Server { td {} }
                                td { (messages::unfinished(incomplete)) }
                                @if side == Side::Client { td {} }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn class(message: &Message) -> Option<&'static str> {
    matches!(message.what, MessageKind::Alert(_)).then_some("bad")
}
