//! A followed connection as it is written while it is idle.

use wirewhy_protocol::compact::{Compact, CompactReader, CompactWriter};

use super::weigh::Scale;
use super::{Scratch, Tracked};
use crate::segment::Segment;
use crate::{Delivery, Hole, Run, Smoothed, Stuck, Trouble, WindowStall};

impl Compact for Tracked {
    fn write(&self, to: &mut CompactWriter) {
        self.connection.write(to);
        self.scratch.write(to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Tracked> {
        Some(Tracked {
            connection: Compact::read(from)?,
            scratch: Compact::read(from)?,
        })
    }
}

impl Compact for Scratch {
    fn write(&self, to: &mut CompactWriter) {
        let Scratch {
            client_is_low,
            recent,
            flights,
            conversation,
            stream_offsets,
            client_speaks,
            pause,
            other_syn_ack,
            strays,
            undisturbed,
            // Found out anew.
            scale: _,
        } = self;
        client_is_low.write(to);
        recent.write(to);
        flights.write(to);
        stream_offsets.write(to);
        client_speaks.write(to);
        pause.write(to);
        other_syn_ack.write(to);
        strays.write(to);
        undisturbed.write(to);
        conversation.write(to);
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Scratch> {
        Some(Scratch {
            client_is_low: Compact::read(from)?,
            recent: Compact::read(from)?,
            flights: Compact::read(from)?,
            stream_offsets: Compact::read(from)?,
            client_speaks: Compact::read(from)?,
            pause: Compact::read(from)?,
            other_syn_ack: Compact::read(from)?,
            strays: Compact::read(from)?,
            undisturbed: Compact::read(from)?,
            conversation: Compact::read(from)?,
            scale: Scale::default(),
        })
    }
}

// A second answer to a SYN is settled as the connection opens.
wirewhy_protocol::compact!(declined Segment);

wirewhy_protocol::compact!(Delivery {
    round_trip,
    largest_delivered,
    trouble,
    signs,
    damage
});

wirewhy_protocol::compact!(Smoothed {
    samples,
    min,
    smoothed
});

wirewhy_protocol::compact!(Trouble {
    fast,
    timeout,
    tail_probes,
    spurious,
    lost_before,
    reordered,
    longest_reordering,
    reported_duplicates,
    keep_alives,
    window_probes,
    stalled,
    longest_stall,
    unanswered,
    unanswered_keep_alives,
    unanswered_window_probes,
    stuck,
    hole,
    window,
    frames,
    reordered_frames,
});

wirewhy_protocol::compact!(Run { count, first, last });

wirewhy_protocol::compact!(Stuck {
    seq,
    largest,
    smallest,
    sent,
    first,
    last,
    heard,
    acknowledged
});

wirewhy_protocol::compact!(Hole {
    seq,
    len,
    since,
    asked,
    last_asked
});

wirewhy_protocol::compact!(WindowStall {
    episodes,
    total,
    closed_since,
    reopened,
    first
});
