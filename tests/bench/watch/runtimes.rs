use tokio::runtime::{Builder, Runtime};

/// The thread of the server that is measured. The kernel keeps 15 letters of a name.
pub(crate) const SERVER: &str = "bench-breakerd";
/// The thread of the server that it is compared with.
pub(crate) const NAIVE: &str = "bench-naive";
/// The thread that reads streams.
pub(crate) const READERS: &str = "bench-readers";
/// The thread that makes calls.
pub(crate) const CALLERS: &str = "bench-callers";

/// A runtime with one thread of that name.
pub(crate) fn one_thread(name: &str) -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build()?)
}
