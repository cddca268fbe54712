use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::breaker::GENERATION_START;
use crate::calls::PackedCall;
use crate::config::Config;
use crate::probes::PermitId;
use crate::time::{Time, nanos};

/// The generation of no breaker: whatever was admitted under it is late.
const BEFORE_ALL_GENERATIONS: u64 = GENERATION_START - 1;

/// Longest error kind, in bytes.
const MAX_ERROR_KIND_BYTES: usize = 128;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The call did what it was meant to do.
    Success,
    /// The call failed.
    Failure,
    /// The call took longer than `call_timeout`: a failure.
    Timeout,
    /// Counts for nothing, but frees its permit.
    Ignored,
}

impl Outcome {
    /// Whether the outcome counts against the dependency.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::Timeout)
    }
}

/// The kind of an error as the caller reports it: `TimeoutError`, `http.503`, `grpc.UNAVAILABLE`.
///
/// It borrows the text that was reported, so that a run costs no allocation, until somebody keeps it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ErrorKind<'a>(Cow<'a, str>);

/// Why a text is not an error kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ErrorKindError {
    /// The text is too long.
    #[error("the error kind is {0} bytes long; at most {MAX_ERROR_KIND_BYTES} are allowed")]
    TooLong(usize),
    /// The text contains a control character.
    #[error("`{0}` contains a control character; use a short word such as `http.503`")]
    ControlCharacter(String),
}

impl<'a> ErrorKind<'a> {
    /// Checks and wraps a reported kind; an empty text means that none was reported.
    pub fn parse(kind: &'a str) -> Result<Option<Self>, ErrorKindError> {
        if kind.is_empty() {
            Ok(None)
        } else if kind.len() > MAX_ERROR_KIND_BYTES {
            Err(ErrorKindError::TooLong(kind.len()))
        } else if kind.chars().any(char::is_control) {
            Err(ErrorKindError::ControlCharacter(kind.escape_debug().to_string()))
        } else {
            Ok(Some(Self(kind.into())))
        }
    }

    /// The kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same kind, borrowed from this one.
    pub fn borrowed(&self) -> ErrorKind<'_> {
        ErrorKind(Cow::Borrowed(&self.0))
    }

    /// The same kind, with a text of its own.
    pub fn into_owned(self) -> ErrorKind<'static> {
        ErrorKind(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Debug for ErrorKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Calls of one outcome that ended one after another.
///
/// A run means exactly what its calls mean one by one. The calls of a run are taken to have
/// lasted equally long, a remainder going to the later ones, and its slow calls to be the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// What became of each of the calls.
    pub outcome: Outcome,
    /// How many calls, at least one.
    pub count: u32,
    /// The durations of the calls added up.
    pub total_duration: Duration,
    /// How many of the calls the caller took for slow; at most `count`.
    pub slow_count: u32,
    /// The kind of the error, where one was reported.
    pub error_kind: Option<ErrorKind<'a>>,
    /// How long ago the calls ended.
    pub age: Duration,
}

impl Run<'_> {
    /// A run of calls that ended just now and took no time.
    pub const fn new(outcome: Outcome, count: u32) -> Self {
        Self {
            outcome,
            count,
            total_duration: Duration::ZERO,
            slow_count: 0,
            error_kind: None,
            age: Duration::ZERO,
        }
    }

    /// The same run, its calls having lasted this long in total.
    pub const fn lasting(mut self, total_duration: Duration) -> Self {
        self.total_duration = total_duration;
        self
    }

    /// The same run, its kind borrowed from this one.
    pub fn borrowed(&self) -> Run<'_> {
        Run { error_kind: self.error_kind.as_ref().map(ErrorKind::borrowed), ..*self }
    }

    /// An error that the configuration does not take for a failure counts for nothing.
    pub(crate) fn counts_as(&self, config: &Config) -> CountsAs {
        let is_pardoned = self.outcome.is_failure()
            && self.error_kind.as_ref().is_some_and(|kind| !config.is_failure_kind(kind));
        if is_pardoned || self.outcome == Outcome::Ignored {
            CountsAs::Nothing
        } else {
            CountsAs::Itself
        }
    }

    /// The calls from `first` on that are alike in every way: what they count as, how long they
    /// lasted, and whether they were slow. A call longer than `call_timeout` is a TIMEOUT.
    pub(crate) fn alike(&self, config: &Config, first: u32, counts: CountsAs) -> Alike {
        if counts == CountsAs::Nothing {
            let (outcome, end) = (Outcome::Ignored, self.count);
            return Alike { outcome, nanos: 0, is_slow: false, begin: 0, end };
        }
        let durations = self.durations();
        let in_time = durations.at_most(nanos(config.call_timeout()));
        let quick = config
            .slow_call_rate()
            .map_or(self.count, |slow| durations.at_most(nanos(slow.duration)))
            .min(self.count.saturating_sub(self.slow_count));
        let borders = [in_time, quick, durations.longer_from, self.count];
        Alike {
            outcome: if first < in_time { self.outcome } else { Outcome::Timeout },
            nanos: durations.of(first),
            is_slow: first >= quick,
            begin: borders.into_iter().filter(|&border| border <= first).max().unwrap_or(0),
            end: borders.into_iter().filter(|&border| border > first).min().unwrap_or(self.count),
        }
    }

    /// How long each of the calls lasted.
    pub(crate) fn durations(&self) -> Durations {
        let total = nanos(self.total_duration);
        if self.count == 1 {
            // Most runs are of one call, and a division takes longer than all the rest.
            return Durations { share: total, longer_from: 1, count: 1 };
        }
        let count = u64::from(self.count).max(1);
        let longer = (total % count) as u32;
        Durations {
            share: total / count,
            longer_from: self.count.saturating_sub(longer),
            count: self.count,
        }
    }
}

/// Whether the calls of a run count for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountsAs {
    Itself,
    Nothing,
}

/// Calls of a run that are alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alike {
    pub(crate) outcome: Outcome,
    /// How long each of them lasted, in nanoseconds.
    pub(crate) nanos: u64,
    pub(crate) is_slow: bool,
    /// The index of the first one within the run.
    pub(crate) begin: u32,
    /// The index after the last one.
    pub(crate) end: u32,
}

/// Calls that are alike and mean the same to the breaker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) count: u32,
    pub(crate) nanos: u64,
    pub(crate) is_slow: bool,
    pub(crate) error_kind: Option<&'a ErrorKind<'a>>,
    pub(crate) ended_at: Time,
    /// Who vouches for them; nobody for a permit whose holder never came back.
    pub(crate) reporter: Option<ReporterId>,
}

impl Calls<'_> {
    pub(crate) fn packed(&self) -> PackedCall {
        PackedCall::new(self.outcome, self.nanos, self.is_slow)
    }
}

/// Which client process reported, as far as a breaker tells reporters apart. All that do not say
/// who they are are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReporterId(pub(crate) u64);

impl ReporterId {
    /// The reporter of this name. The number is the same in every build and on every machine,
    /// because it is stored; it is the 64-bit FNV-1a hash.
    pub fn of(name: &str) -> Self {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        match name {
            "" => Self(0),
            name => Self(name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step).max(1)),
        }
    }
}

/// How the total duration of a run is dealt out to its calls, in nanoseconds.
pub(crate) struct Durations {
    share: u64,
    /// From this call on each has one nanosecond more.
    longer_from: u32,
    count: u32,
}

impl Durations {
    /// The duration of the call at this index.
    pub(crate) const fn of(&self, index: u32) -> u64 {
        self.share + (index >= self.longer_from) as u64
    }

    /// How many calls, from the first on, lasted no longer than `limit`.
    const fn at_most(&self, limit: u64) -> u32 {
        if self.share < limit {
            self.count
        } else if self.share == limit {
            self.longer_from
        } else {
            0
        }
    }
}

/// A run together with the right under which its calls were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// The calls.
    pub run: Run<'a>,
    /// The generation the calls were admitted under; `None` if the caller does not know, which is
    /// taken as the current one.
    pub generation: Option<u64>,
    /// The permit of a probe. A run with a permit is one call.
    pub permit: Option<PermitId>,
    /// Who reports.
    pub reporter: ReporterId,
}

impl<'a> Report<'a> {
    /// Calls whose generation the caller does not know.
    pub const fn current(run: Run<'a>) -> Self {
        Self { run, generation: None, permit: None, reporter: ReporterId(0) }
    }

    /// Calls admitted under this generation.
    pub const fn admitted(run: Run<'a>, generation: u64) -> Self {
        Self { run, generation: Some(generation), permit: None, reporter: ReporterId(0) }
    }

    /// Calls of a time that is over, whichever generation they were admitted under.
    pub const fn late(run: Run<'a>) -> Self {
        Self::admitted(run, BEFORE_ALL_GENERATIONS)
    }

    /// The same, as the probe that held this permit.
    pub const fn with_permit(mut self, permit: PermitId) -> Self {
        self.permit = Some(permit);
        self
    }

    /// The same, told by this reporter.
    pub const fn by(mut self, reporter: ReporterId) -> Self {
        self.reporter = reporter;
        self
    }
}
