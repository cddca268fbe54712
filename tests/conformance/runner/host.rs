//! Addresses that nobody else uses, also while nobody listens there.

use std::net::Ipv4Addr;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many addresses one run may use before it could meet those of another one.
const SCENARIOS_PER_RUN: u32 = 509;

/// The first of the addresses that hosts are taken from, and how many there are.
const FIRST: u32 = 0x7f01_0000;
const COUNT: u32 = 0x00fe_0000;

/// The host of one scenario.
///
/// On Linux every address that begins with 127 is this machine: there a scenario gets one of its own.
/// A server that is down keeps no port, and a client that looks for it must not meet the server of
/// another test that has got its port meanwhile.
pub(crate) fn next() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if !cfg!(target_os = "linux") {
        return Ipv4Addr::LOCALHOST;
    }
    let turn = NEXT.fetch_add(1, Ordering::Relaxed);
    let number = process::id().wrapping_mul(SCENARIOS_PER_RUN).wrapping_add(turn);
    Ipv4Addr::from_bits(FIRST + number % COUNT)
}
