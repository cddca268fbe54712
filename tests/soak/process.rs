//! What the kernel knows of a process.

use std::fs;

use anyhow::Context;

/// The bytes of memory that are its own: those of files that it has mapped come and go as the
/// kernel likes.
pub(crate) fn memory_bytes(process: u32) -> anyhow::Result<u64> {
    let kib = status(process, "RssAnon:")?;
    let kib = kib.strip_suffix(" kB").context("memory is told in kB")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// Its threads.
pub(crate) fn threads(process: u32) -> anyhow::Result<u64> {
    Ok(status(process, "Threads:")?.parse()?)
}

/// Its open file handles.
pub(crate) fn handles(process: u32) -> anyhow::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64)
}

fn status(process: u32, field: &str) -> anyhow::Result<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    Ok(value.with_context(|| format!("{field} is not told"))?.trim().to_owned())
}
