use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;
use tonic::{Code, Status};

/// What clients have done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    deeds: Mutex<BTreeMap<Deed, u64>>,
    refusals: Mutex<BTreeMap<i32, u64>>,
}

/// One of the things that clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Connection,
    Acquire,
    Denied,
    Probe,
    Report,
    Stream,
    Message,
    DeafStream,
    FrozenConnection,
    CutOff,
    Create,
    Delete,
    Override,
    TripOrReset,
    Release,
    List,
    History,
    TransitionStream,
}

/// All of which belongs to the load.
const ALL: [Deed; 18] = [
    Deed::Connection,
    Deed::Acquire,
    Deed::Denied,
    Deed::Probe,
    Deed::Report,
    Deed::Stream,
    Deed::Message,
    Deed::DeafStream,
    Deed::FrozenConnection,
    Deed::CutOff,
    Deed::Create,
    Deed::Delete,
    Deed::Override,
    Deed::TripOrReset,
    Deed::Release,
    Deed::List,
    Deed::History,
    Deed::TransitionStream,
];

/// How a server refuses what comes too late, or does not go together with what another client has
/// done meanwhile.
const EXPECTED: [Code; 4] =
    [Code::NotFound, Code::AlreadyExists, Code::FailedPrecondition, Code::InvalidArgument];

impl Tally {
    /// Counts one.
    pub(crate) fn count(&self, deed: Deed) {
        *self.deeds.lock().entry(deed).or_default() += 1;
    }

    /// Counts an answer; one that was refused as it may be is none.
    ///
    /// # Errors
    /// What should not have been refused.
    pub(crate) fn answer<T>(
        &self,
        deed: Deed,
        answer: Result<tonic::Response<T>, Status>,
    ) -> anyhow::Result<Option<T>> {
        match answer {
            Ok(answer) => {
                self.count(deed);
                Ok(Some(answer.into_inner()))
            }
            Err(status) if EXPECTED.contains(&status.code()) => {
                *self.refusals.lock().entry(status.code().into()).or_default() += 1;
                Ok(None)
            }
            Err(status) => Err(anyhow::Error::from(status).context(format!("{deed:?}"))),
        }
    }

    /// # Errors
    /// If something was never done.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let deeds = self.deeds.lock();
        let missing: Vec<_> = ALL.iter().filter(|deed| !deeds.contains_key(deed)).collect();
        anyhow::ensure!(missing.is_empty(), "this was never done: {missing:?}");
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (deed, count) in &*self.deeds.lock() {
            writeln!(f, "{count:>14} {deed:?}")?;
        }
        for (code, count) in &*self.refusals.lock() {
            writeln!(f, "{count:>14} refused: {:?}", Code::from_i32(*code))?;
        }
        Ok(())
    }
}
