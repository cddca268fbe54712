//! What Watch costs: changes on their way to many streams, beside a naive broadcast; calls beside
//! many streams; memory; a restart; a reader that does not read.

pub(crate) mod acquire;
mod cpu;
pub(crate) mod fan_out;
pub(crate) mod memory;
mod naive;
mod percentile;
pub(crate) mod resume;
mod streams;
pub(crate) mod stuck;
