//! Rust client of breakerd
