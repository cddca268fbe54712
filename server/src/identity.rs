//! What tells a server from every other one that shares its database, and is the same after its
//! restart: the machine, and where on it the server listens.

use std::fs;

/// The id of the server on this machine that listens at an address.
pub(crate) fn of(address: &str) -> String {
    // Two containers on one machine have different names, two machines different boots.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{}/{}/{address}", host(), boot.trim())
}

/// The name of this machine.
pub(crate) fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
