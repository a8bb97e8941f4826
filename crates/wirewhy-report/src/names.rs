//! Names the user gave to addresses, and those that clients ask for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use wirewhy_flow::Connection;

/// Names for addresses, to be shown beside them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names(BTreeMap<IpAddr, String>);

impl Names {
    /// The name of an address.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        self.0.get(&address).map(String::as_str)
    }

    /// The address, with its name behind it where it has one.
    pub(crate) fn host(&self, address: IpAddr) -> String {
        match self.name(address) {
            Some(name) => format!("{address} ({})", crate::Safe(name)),
            None => address.to_string(),
        }
    }

    /// Address and port, with the name behind them where there is one.
    pub(crate) fn socket(&self, address: IpAddr, port: u16) -> String {
        let socket = SocketAddr::new(address, port);
        match self.name(address) {
            Some(name) => format!("{socket} ({})", crate::Safe(name)),
            None => socket.to_string(),
        }
    }
}

impl Names {
    /// Address and port of a connection's server, with its name behind them: the user's, else what the client had looked up.
    pub(crate) fn server(&self, connection: &Connection) -> String {
        let (address, port) = (connection.server.address, connection.server.port);
        match connection.looked_up.as_deref() {
            Some(found) if self.name(address).is_none() => {
                format!(
                    "{} ({})",
                    SocketAddr::new(address, port),
                    crate::Safe(&found.name)
                )
            }
            _ => self.socket(address, port),
        }
    }
}

impl FromIterator<(IpAddr, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (IpAddr, String)>>(names: I) -> Names {
        Names(names.into_iter().collect())
    }
}

/// The name of a server: what the client had looked up for its address, else what it asked for in its TLS hello.
pub(crate) fn server_name(connection: &Connection) -> Option<Cow<'_, str>> {
    if let Some(found) = connection.looked_up.as_deref() {
        return Some(Cow::Borrowed(&found.name));
    }
    let app = connection.app.as_deref();
    app.and_then(|app| app.tls.as_deref()?.client_hello.as_ref()?.server_name())
        .map(Cow::Owned)
        .or_else(|| connection.server_name.as_deref().map(Cow::Borrowed))
}
