//! `wirewhy interfaces`: what can be captured, and what is missing where nothing can.

use std::io::Write as _;

use wirewhy_capture::live::{Connected, Device, LiveErrorKind, devices, missing_right, probe};
use wirewhy_report::Safe;

use crate::cli::InterfacesArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(crate) fn run(args: &InterfacesArgs) -> Result<Exit, Failure> {
    let listed = devices().map_err(Failure::new)?;
    let mut output = Output::open(args.output.as_deref(), &[])?;
    let widest = listed.iter().map(|device| device.name.chars().count());
    let width = widest.max().unwrap_or(0);
    for device in &listed {
        let line = format!(
            "{:width$}  {}",
            Safe(&device.name).to_string(),
            about(device)
        );
        writeln!(output.writer(), "{}", line.trim_end()).map_err(|error| output.failure(&error))?;
    }
    output.close()?;
    match missing_right() {
        None if listed.is_empty() => Err(Failure::new("there is no interface to capture")),
        None => Ok(Exit::Done),
        Some(missing) => Err(Failure::new(missing)),
    }
}

/// Why it cannot be captured, where that is not plain from its state.
fn hindrance(device: &Device) -> Option<String> {
    if !device.up || missing_right().is_some() {
        return None;
    }
    match probe(&device.name) {
        Ok(_) => None,
        Err(error) => match error.kind {
            LiveErrorKind::Down => None,
            kind => Some(kind.to_string()),
        },
    }
}

/// State, addresses and what the system says of it.
fn about(device: &Device) -> String {
    let mut parts = vec![state(device).to_owned()];
    for (address, prefix) in &device.addresses {
        parts.push(match prefix {
            Some(prefix) => format!("{address}/{prefix}"),
            None => address.to_string(),
        });
    }
    if let Some(description) = &device.description {
        parts.push(Safe(description).to_string());
    }
    parts.extend(hindrance(device));
    parts.join("  ")
}

fn state(device: &Device) -> &'static str {
    match (device.up, device.running, device.connected) {
        (false, _, _) => "down",
        (true, _, Connected::No) => "up, not connected",
        (true, false, _) => "up, not running",
        (true, true, _) => "up",
    }
}
