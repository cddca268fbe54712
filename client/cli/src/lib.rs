//! Command-line client of breakerd
