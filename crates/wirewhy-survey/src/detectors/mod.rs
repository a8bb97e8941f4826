//! The rules over many connections, one file each, named after its code.

pub(crate) mod arp;
pub(crate) mod capture;
pub(crate) mod dns;
pub(crate) mod ftp;
pub(crate) mod host;
pub(crate) mod rst;
pub(crate) mod service;
pub(crate) mod tcp;
