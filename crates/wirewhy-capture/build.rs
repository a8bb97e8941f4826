//! Says what to install where libpcap is missing, instead of leaving it to the linker's last line.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn main() -> io::Result<()> {
    let mut cargo = io::stdout();
    for variable in ["LIBPCAP_LIBDIR", "LIBRARY_PATH", "PKG_CONFIG_PATH", "CC"] {
        writeln!(cargo, "cargo::rerun-if-env-changed={variable}")?;
    }
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")?;
    if !can_be_checked() || found_by_pkg_config() || found_by_linker() {
        return Ok(());
    }
    writeln!(
        cargo,
        "cargo::error=libpcap is missing: install libpcap-dev (Debian, Ubuntu, Alpine), libpcap-devel (Fedora, RHEL, \
         openSUSE) or libpcap (Arch, Homebrew), or set LIBPCAP_LIBDIR to the directory that holds the library"
    )
}

/// Whether this build links in the usual way, so that what is found here is what the linker will find.
fn can_be_checked() -> bool {
    let own_directories =
        env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("-L"));
    let cross = env::var_os("HOST") != env::var_os("TARGET");
    let system_library =
        env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos" || os == "windows");
    let named = env::var_os("LIBPCAP_LIBDIR").is_some() || env::var_os("DOCS_RS").is_some();
    !(own_directories || cross || system_library || named)
}

fn found_by_pkg_config() -> bool {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    Command::new(program)
        .args(["--exists", "libpcap"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Asks the compiler driver, which knows the linker's directories.
fn found_by_linker() -> bool {
    let paths = env::var_os("LIBRARY_PATH").unwrap_or_default();
    let names = ["libpcap.so", "libpcap.a"];
    if env::split_paths(&paths).any(|path| names.iter().any(|name| path.join(name).exists())) {
        return true;
    }
    let driver = env::var_os("CC").unwrap_or_else(|| "cc".into());
    names.iter().any(|name| {
        let asked = Command::new(&driver)
            .arg(format!("-print-file-name={name}"))
            .stderr(Stdio::null())
            .output();
        match asked {
            // What is not found comes back as it was asked for.
            Ok(answer) => {
                let path = String::from_utf8_lossy(&answer.stdout);
                let path = Path::new(path.trim());
                path.is_absolute() && path.exists()
            }
            // Without a driver nothing can be said, and nothing will be linked either.
            Err(_) => true,
        }
    })
}
