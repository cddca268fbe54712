use tokio::time::Instant;

use super::streams::Sighting;

/// Which streams have got a change. A stream can have it before the change is answered, and with
/// that, before anybody knows its revision.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// By stream: whether it is to get the change, and has not.
    is_awaited: Vec<bool>,
    awaited: usize,
    /// How many were awaited at first.
    expected: usize,
    revision: Option<u64>,
    /// What was seen before the revision was known.
    early: Vec<Sighting>,
    /// When each stream that has got it did.
    times: Vec<Instant>,
}

impl Arrivals {
    /// Of so many streams, awaits these.
    pub(super) fn new(streams: usize, awaited: impl Iterator<Item = usize>) -> Self {
        let mut arrivals = Self {
            is_awaited: vec![false; streams],
            awaited: 0,
            expected: 0,
            revision: None,
            early: Vec::new(),
            times: Vec::new(),
        };
        for stream in awaited {
            if let Some(is_awaited) = arrivals.is_awaited.get_mut(stream) {
                arrivals.awaited += usize::from(!*is_awaited);
                *is_awaited = true;
            }
        }
        arrivals.expected = arrivals.awaited;
        arrivals
    }

    /// The change was answered: the breaker has this revision with it.
    pub(super) fn answered(&mut self, revision: u64) {
        self.revision = Some(revision);
        for sighting in std::mem::take(&mut self.early) {
            self.take(sighting);
        }
    }

    /// A stream has got a state. A later one than the change's will do: the change is in it.
    pub(super) fn take(&mut self, sighting: Sighting) {
        match self.revision {
            None => self.early.push(sighting),
            Some(revision) if sighting.revision >= revision => {
                if self.leave(sighting.stream) {
                    self.times.push(sighting.at);
                }
            }
            Some(_) => {}
        }
    }

    /// A stream has ended, and gets nothing any more. What it got before counts.
    pub(super) fn cut(&mut self, stream: usize) {
        if !self.early.iter().any(|sighting| sighting.stream == stream) {
            self.leave(stream);
        }
    }

    /// Whether nothing is awaited any more.
    pub(super) const fn is_complete(&self) -> bool {
        self.revision.is_some() && self.awaited == 0
    }

    pub(super) fn times(&self) -> &[Instant] {
        &self.times
    }

    /// How many of the streams have not got it.
    pub(super) const fn missed(&self) -> u64 {
        self.expected.saturating_sub(self.times.len()) as u64
    }

    fn leave(&mut self, stream: usize) -> bool {
        let was_awaited = self.is_awaited.get_mut(stream).is_some_and(std::mem::take);
        self.awaited -= usize::from(was_awaited);
        was_awaited
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    struct Story {
        begin: Instant,
        arrivals: Arrivals,
    }

    impl Story {
        fn of(streams: usize) -> Self {
            Self { begin: clock::now(), arrivals: Arrivals::new(streams, 0..streams) }
        }

        fn see(&mut self, stream: usize, revision: u64, millis: u64) {
            let at = self.begin + Duration::from_millis(millis);
            self.arrivals.take(Sighting { stream, revision, at });
        }

        fn millis(&self) -> Vec<u128> {
            let since = |at: &Instant| at.duration_since(self.begin).as_millis();
            self.arrivals.times().iter().map(since).collect()
        }
    }

    #[test]
    fn a_stream_counts_once_whether_it_is_before_the_answer_or_after() {
        let mut story = Story::of(3);
        story.see(0, 7, 1);
        story.see(1, 6, 2);
        story.arrivals.answered(7);
        story.see(1, 7, 3);
        story.see(1, 8, 4);
        assert!(!story.arrivals.is_complete());
        story.see(2, 9, 5);
        assert!(story.arrivals.is_complete());
        assert_eq!(story.millis(), [1, 3, 5], "the last one came with a later change in it");
    }

    #[test]
    fn nothing_is_complete_before_the_answer() {
        let mut story = Story::of(1);
        story.see(0, 7, 1);
        assert!(!story.arrivals.is_complete());
        story.arrivals.answered(7);
        assert!(story.arrivals.is_complete());
    }

    #[test]
    fn a_stream_that_is_cut_is_not_waited_for() {
        let mut story = Story::of(3);
        story.see(0, 7, 1);
        (0..2).for_each(|stream| story.arrivals.cut(stream));
        story.arrivals.answered(7);
        story.see(1, 7, 2);
        assert!(!story.arrivals.is_complete());
        story.arrivals.cut(2);
        story.arrivals.cut(2);
        assert!(story.arrivals.is_complete());
        assert_eq!(story.millis(), [1]);
        assert_eq!(story.arrivals.missed(), 2);
    }

    #[test]
    fn streams_that_watch_something_else_are_not_awaited() {
        let mut story = Story::of(3);
        story.arrivals = Arrivals::new(3, [1, 1, 99].into_iter());
        story.arrivals.answered(5);
        story.see(0, 5, 1);
        assert!(!story.arrivals.is_complete());
        story.see(1, 5, 2);
        assert!(story.arrivals.is_complete());
        assert_eq!(story.millis(), [2]);
    }
}
