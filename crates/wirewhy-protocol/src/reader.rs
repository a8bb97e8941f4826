//! The parser of a direction: kept in place where the protocol is one that most connections carry, else allocated.

use std::ops::{Deref, DerefMut};

use crate::compact::{Compact, CompactReader, CompactWriter};
use crate::parser::Parser;
use crate::protocol::Reading;
use crate::{http1, records};

/// A parser.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    Http1(http1::Reader),
    Tls(records::Reader),
    Other(Box<dyn Parser>),
}

impl Reader {
    /// The parser of a protocol that is read so; `None` where it is read as plaintext.
    pub(crate) fn of(reading: &Reading) -> Option<Reader> {
        match reading {
            Reading::Http1 => Some(Reader::Http1(http1::Reader::default())),
            Reading::Tls => Some(Reader::Tls(records::Reader::default())),
            Reading::Parser(parser) => Some(Reader::Other(parser())),
            Reading::StartTls(_) | Reading::Quic => None,
        }
    }
}

impl Deref for Reader {
    type Target = dyn Parser;

    fn deref(&self) -> &Self::Target {
        match self {
            Reader::Http1(parser) => parser,
            Reader::Tls(parser) => parser,
            Reader::Other(parser) => parser.as_ref(),
        }
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Reader::Http1(parser) => parser,
            Reader::Tls(parser) => parser,
            Reader::Other(parser) => parser.as_mut(),
        }
    }
}

/// A parser that is allocated is not written.
impl Compact for Reader {
    fn write(&self, to: &mut CompactWriter) {
        match self {
            Reader::Http1(parser) => {
                to.tag(0);
                parser.write(to);
            }
            Reader::Tls(parser) => {
                to.tag(1);
                parser.write(to);
            }
            Reader::Other(_) => to.decline(),
        }
    }

    fn read(from: &mut CompactReader<'_>) -> Option<Reader> {
        Some(match from.number()? {
            0 => Reader::Http1(Compact::read(from)?),
            _ => Reader::Tls(Compact::read(from)?),
        })
    }
}
