//! Live analysis: against the same packets in a file, and for real in network namespaces.

mod replay;
