/// A line through what was measured over time, by least squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// At the first time.
    pub(crate) start: f64,
    /// At the last time.
    pub(crate) end: f64,
    pub(crate) slope_per_hour: f64,
    /// The standard error of the slope.
    pub(crate) error_per_hour: f64,
}

/// Whether something has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Flat,
    Growing,
}

/// What is measured in one second is much like what was measured in the one before, as if it were
/// known twice; the means of so many parts of the time hardly depend on each other.
const PARTS: usize = 20;
/// With that many parts chance alone exceeds so many standard errors once in some thousand times.
const ERRORS: f64 = 4.0;
const SECONDS_PER_HOUR: f64 = 3_600.0;

impl Line {
    /// The line through points, each a time in seconds and a value; none if they are too few.
    pub(crate) fn through(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < PARTS {
            return None;
        }
        let parts: Vec<_> = (0..PARTS)
            .map(|part| {
                let (from, to) = (part * points.len() / PARTS, (part + 1) * points.len() / PARTS);
                mean(&points[from..to])
            })
            .collect();
        let (middle, level) = mean(&parts);
        let spread: f64 = parts.iter().map(|(time, _)| (time - middle).powi(2)).sum();
        let product: f64 =
            parts.iter().map(|(time, value)| (time - middle) * (value - level)).sum();
        let slope = product / spread;
        let at = |time: f64| level + slope * (time - middle);
        let residuals: f64 = parts.iter().map(|(time, value)| (value - at(*time)).powi(2)).sum();
        let error = (residuals / (PARTS - 2) as f64 / spread).sqrt();
        let ((first, _), (last, _)) = (points.first()?, points.last()?);
        Some(Self {
            start: at(*first),
            end: at(*last),
            slope_per_hour: slope * SECONDS_PER_HOUR,
            error_per_hour: error * SECONDS_PER_HOUR,
        })
    }

    /// GROWING if it rises by more than chance, and in all by more than `allowance`.
    pub(crate) fn verdict(&self, allowance: f64) -> Verdict {
        let is_beyond_chance = self.slope_per_hour > ERRORS * self.error_per_hour;
        if is_beyond_chance && self.end - self.start > allowance {
            Verdict::Growing
        } else {
            Verdict::Flat
        }
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let (times, values) =
        points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (times / count, values / count)
}

#[cfg(test)]
mod tests {
    use breaker_tests::Chance;

    use super::{Line, Verdict};

    /// 15 minutes of a value that rises evenly, with so much noise in both directions.
    fn line(rise: f64, noise: u64) -> Line {
        let mut chance = Chance::of_test().unwrap();
        let mut point = |second: u32| {
            let noise = chance.below(2 * noise + 1) as f64 - noise as f64;
            (f64::from(second), 100.0 + rise * f64::from(second) / 900.0 + noise)
        };
        Line::through(&(0..=900).map(&mut point).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_line_without_noise_is_found_exactly() {
        let line = line(9.0, 0);
        for (found, true_value) in
            [(line.start, 100.0), (line.end, 109.0), (line.slope_per_hour, 36.0)]
        {
            assert!((found - true_value).abs() < 1e-6, "{line:?}");
        }
        assert!(line.error_per_hour < 1e-6, "{line:?}");
    }

    #[test]
    fn what_rises_beyond_noise_and_allowance_is_growing() {
        assert_eq!(line(20.0, 10).verdict(5.0), Verdict::Growing);
    }

    #[test]
    fn what_rises_by_less_than_the_allowance_is_flat() {
        assert_eq!(line(4.0, 0).verdict(5.0), Verdict::Flat);
    }

    #[test]
    fn noise_alone_is_flat() {
        assert_eq!(line(0.0, 50).verdict(0.5), Verdict::Flat);
    }

    #[test]
    fn what_falls_is_flat() {
        assert_eq!(line(-20.0, 1).verdict(5.0), Verdict::Flat);
    }

    #[test]
    fn a_few_points_are_no_line() {
        assert!(Line::through(&[(0.0, 1.0), (1.0, 1.0)]).is_none());
    }
}
