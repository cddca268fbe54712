use std::time::Duration;

use hdrhistogram::Histogram;

/// The duration that so many percent of them do not exceed; zero of none.
pub(crate) fn percentile(
    durations: impl IntoIterator<Item = Duration>,
    percent: f64,
) -> anyhow::Result<Duration> {
    let mut histogram = Histogram::<u64>::new(3)?;
    for duration in durations {
        histogram.record(u64::try_from(duration.as_nanos())?)?;
    }
    Ok(Duration::from_nanos(histogram.value_at_percentile(percent)))
}

/// The one in the middle; zero of none.
pub(crate) fn median(durations: &[Duration]) -> Duration {
    let mut durations = durations.to_vec();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}

/// In milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
