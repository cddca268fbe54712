use std::time::Duration;

use crate::clock;

/// Chance that can be had again: from `BREAKERD_SEED`, or else from the clock.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The chance of a test, which says where it comes from.
    ///
    /// # Errors
    /// If `BREAKERD_SEED` is not a number.
    pub fn of_test() -> anyhow::Result<Self> {
        let seed = match std::env::var("BREAKERD_SEED") {
            Ok(seed) => seed.parse()?,
            Err(_) => clock::now().as_nanos(),
        };
        eprintln!("BREAKERD_SEED={seed}");
        Ok(Self(seed))
    }

    /// Another one, for somebody who draws at the same time.
    #[must_use]
    pub const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True once in so many times.
    pub const fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A time from `least` to `most`.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let millis = (most - least).as_millis() as u64;
        least + Duration::from_millis(self.below(millis + 1))
    }

    /// `SplitMix64`.
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
