use std::fmt;

use breaker_core::Time;

use crate::line::{Line, Verdict};
use crate::sample::{Counts, Sample};

/// The part of the samples that is warm-up, in percent: caches fill, and the load itself has to
/// become even.
const WARM_UP_PERCENT: usize = 25;

const MIB: f64 = (1 << 20) as f64;
/// What an allocator may keep more at the end than at the start without a leak: it fills gaps
/// between what lives longer, a little later in each arena. A run of 20 minutes sees some 200,000
/// streams, so that a hundred bytes lost with each are well beyond it.
const MEMORY_ALLOWANCE_MIB: f64 = 4.0;
/// The same in a run that is over before memory has settled: a server that begins gains some 10 MiB
/// in its first three minutes. Such a run finds what loses handles, tasks or streams, and memory
/// only where it is lost in kilobytes.
const UNSETTLED_ALLOWANCE_MIB: f64 = 16.0;
const SETTLED_AFTER_S: f64 = 600.0;
/// The threads that wait for the disk come and go, ten seconds after they were needed.
const THREADS_ALLOWANCE: f64 = 4.0;
/// How many clients are there just now wavers; that it wavers is not what is looked for.
const COUNT_ALLOWANCE_PERCENT: f64 = 10.0;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Report {
    /// Under load.
    pub(crate) samples: Vec<Sample>,
    /// At rest, before anybody came.
    pub(crate) before: Rest,
    /// At rest, after each round.
    pub(crate) rests: Vec<Rest>,
}

/// The server while nobody is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    memory_bytes: u64,
    counts: Counts,
}

impl Rest {
    pub(crate) const fn of(sample: &Sample) -> Self {
        Self { memory_bytes: sample.memory_bytes, counts: sample.counts }
    }

    /// Nothing is left of whoever was there meanwhile. Memory is another matter.
    pub(crate) const fn is_no_more_than(self, before: Self) -> bool {
        let (now, before) = (self.counts, before.counts);
        now.handles <= before.handles && now.tasks <= before.tasks && now.streams <= before.streams
    }

    fn memory_mib(self) -> f64 {
        self.memory_bytes as f64 / MIB
    }
}

/// One of the things that are sampled.
struct Series {
    name: &'static str,
    line: Line,
    verdict: Verdict,
}

impl Report {
    pub(crate) const fn new(before: Rest) -> Self {
        Self { samples: Vec::new(), before, rests: Vec::new() }
    }

    /// # Errors
    /// If something has grown.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let all = self.series();
        anyhow::ensure!(!all.is_empty(), "{} samples are too few", self.samples.len());
        let growing = all.iter().filter(|series| series.verdict == Verdict::Growing);
        let growing: Vec<_> = growing.map(|series| series.name).collect();
        anyhow::ensure!(growing.is_empty(), "GROWING: {}", growing.join(", "));
        for rest in &self.rests {
            let (now, before) = (rest.counts, self.before.counts);
            anyhow::ensure!(
                rest.is_no_more_than(self.before),
                "LEFT BEHIND: nobody is there any more, and of {before:?} it has become {now:?}"
            );
        }
        let kept = self.kept_mib();
        anyhow::ensure!(
            kept <= self.memory_allowance_mib(),
            "GROWING: the last round has left {kept:.1} MiB more than the one before it"
        );
        Ok(())
    }

    fn memory_allowance_mib(&self) -> f64 {
        match self.samples.as_slice() {
            [first, .., last] if seconds(last.at, first.at) >= SETTLED_AFTER_S => {
                MEMORY_ALLOWANCE_MIB
            }
            _ => UNSETTLED_ALLOWANCE_MIB,
        }
    }

    /// What the last round has left behind more than the one before it.
    fn kept_mib(&self) -> f64 {
        match self.rests.as_slice() {
            [.., earlier, last] => last.memory_mib() - earlier.memory_mib(),
            _ => 0.0,
        }
    }

    fn series(&self) -> Vec<Series> {
        let measured = &self.samples[self.samples.len() * WARM_UP_PERCENT / 100..];
        let Some(first) = measured.first() else { return Vec::new() };
        let series = |name, allowance: Allowance, value: fn(&Sample) -> f64| {
            let point = |sample: &Sample| (seconds(sample.at, first.at), value(sample));
            let line = Line::through(&measured.iter().map(point).collect::<Vec<_>>())?;
            let verdict = line.verdict(allowance.at(line.start));
            Some(Series { name, line, verdict })
        };
        let all = [
            series("memory, MiB", Allowance::Fixed(self.memory_allowance_mib()), |sample| {
                sample.memory_bytes as f64 / MIB
            }),
            series("handles", Allowance::Share, |sample| sample.counts.handles as f64),
            series("threads", Allowance::Fixed(THREADS_ALLOWANCE), |sample| sample.threads as f64),
            series("tasks", Allowance::Share, |sample| sample.counts.tasks as f64),
            series("streams", Allowance::Share, |sample| sample.counts.streams as f64),
        ];
        all.into_iter().flatten().collect()
    }
}

/// By how much a series may rise in all.
enum Allowance {
    Fixed(f64),
    /// Of its level.
    Share,
}

impl Allowance {
    fn at(&self, level: f64) -> f64 {
        match *self {
            Self::Fixed(allowance) => allowance,
            Self::Share => level * COUNT_ALLOWANCE_PERCENT / 100.0,
        }
    }
}

fn seconds(at: Time, since: Time) -> f64 {
    at.since(since).as_secs_f64()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>14} {:>10} {:>10} {:>12} {:>12}  under load, after {WARM_UP_PERCENT} % of warm-up",
            "", "start", "end", "per hour", "error"
        )?;
        for Series { name, line, verdict } in self.series() {
            let Line { start, end, slope_per_hour, error_per_hour } = line;
            let verdict = match verdict {
                Verdict::Flat => "FLAT",
                Verdict::Growing => "GROWING",
            };
            writeln!(
                f,
                "{name:>14} {start:>10.1} {end:>10.1} {slope_per_hour:>12.2} \
                 {error_per_hour:>12.2}  {verdict}"
            )?;
        }
        writeln!(
            f,
            "\n{:>14} {:>10} {:>10} {:>10} {:>10}  once nobody is there",
            "", "memory", "handles", "tasks", "streams"
        )?;
        let rounds = (1..).map(|round| format!("round {round}"));
        let names = std::iter::once("before".to_owned()).chain(rounds);
        for (name, rest) in names.zip(std::iter::once(&self.before).chain(&self.rests)) {
            let Counts { handles, tasks, streams } = rest.counts;
            let verdict = if rest.is_no_more_than(self.before) { "" } else { "  LEFT BEHIND" };
            let memory = rest.memory_mib();
            writeln!(
                f,
                "{name:>14} {memory:>6.1} MiB {handles:>10} {tasks:>10} {streams:>10}{verdict}"
            )?;
        }
        Ok(())
    }
}
