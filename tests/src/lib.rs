//! End-to-end tests on the real binaries, and the benchmarks
