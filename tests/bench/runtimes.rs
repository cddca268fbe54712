use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
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

/// The same on one processor alone, where the machine has so many: threads that take it from each
/// other would be measured with the server.
pub(crate) fn one_thread_on(processor: usize, name: &str) -> anyhow::Result<Runtime> {
    let stay = move || {
        let mut processors = CpuSet::new();
        let stayed = processors
            .set(processor)
            .and_then(|()| sched_setaffinity(Pid::from_raw(0), &processors));
        if let Err(error) = stayed {
            eprintln!("not kept on processor {processor}: {error}");
        }
    };
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name(name).enable_all().on_thread_start(stay);
    Ok(builder.build()?)
}
