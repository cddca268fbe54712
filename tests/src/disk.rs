use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use breaker_core::Time;
use parking_lot::Mutex;

use crate::clock;

/// How soon the next write follows.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
/// About as much as a small commit.
const WRITE: [u8; 8 << 10] = [1; 8 << 10];

/// Finds out how well the disk is while something else is written to it: writes a little all the
/// time, and waits until that is on it.
#[derive(Debug)]
pub struct DiskProbe {
    /// When each write ended. The thread that writes ends when this is gone.
    ends: Arc<Mutex<Vec<Time>>>,
}

impl DiskProbe {
    /// Begins to write, into a file without a name.
    ///
    /// # Errors
    /// If there can be no file in the folder.
    pub fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        let ends: Arc<Mutex<Vec<Time>>> = Arc::default();
        let noted = Arc::downgrade(&ends);
        thread::spawn(move || {
            while let Some(ends) = noted.upgrade() {
                if write(&file).is_err() {
                    return;
                }
                ends.lock().push(clock::now());
                drop(ends);
                thread::sleep(AGAIN_AFTER);
            }
        });
        Ok(Self { ends })
    }

    /// The longest that a write took which ended after `from` and began before `to`, waiting for
    /// the thread's turn included.
    pub fn slowest(&self, from: Time, to: Time) -> Duration {
        let mut ends = self.ends.lock().clone();
        // The one that is on its way.
        ends.push(clock::now());
        let turns = ends.windows(2).filter_map(|pair| match pair {
            [before, this] => Some((*before, *this)),
            _ => None,
        });
        let meanwhile = turns.filter(|(begun, ended)| *ended > from && *begun < to);
        let slowest = meanwhile.map(|(begun, ended)| ended.since(begun)).max();
        slowest.unwrap_or(Duration::MAX).saturating_sub(AGAIN_AFTER)
    }
}

fn write(mut file: &File) -> std::io::Result<()> {
    // Always at its end, as a log is written: that costs more than writing the same place again.
    file.write_all(&WRITE)?;
    file.sync_all()
}
