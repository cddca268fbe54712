use breaker_core::NameGlob;
use breaker_proto::v1::State;

/// Which breakers are listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter {
    names: Names,
    pub(super) states: States,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Names {
    #[default]
    All,
    /// Those that hold this text.
    Holding(String),
    /// Those that the glob matches.
    Matching(NameGlob),
}

/// In which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum States {
    #[default]
    All,
    /// OPEN or HALF_OPEN.
    Unhealthy,
    Open,
    HalfOpen,
    Closed,
}

impl States {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::All => Self::Unhealthy,
            Self::Unhealthy => Self::Open,
            Self::Open => Self::HalfOpen,
            Self::HalfOpen => Self::Closed,
            Self::Closed => Self::All,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Unhealthy => "not closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Closed => "closed",
        }
    }

    fn holds(self, state: i32) -> bool {
        let is = |wanted: State| state == wanted as i32;
        match self {
            Self::All => true,
            Self::Unhealthy => !is(State::Closed),
            Self::Open => is(State::Open),
            Self::HalfOpen => is(State::HalfOpen),
            Self::Closed => is(State::Closed),
        }
    }
}

impl Filter {
    /// Lists only names that hold this text or, with a star in it, that it matches as a glob.
    ///
    /// # Errors
    /// What is wrong with the glob.
    pub(super) fn set_names(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim();
        self.names = if text.is_empty() {
            Names::All
        } else if NameGlob::is_glob(text) {
            Names::Matching(NameGlob::new(text).map_err(|error| format!("`{text}`: {error}"))?)
        } else {
            Names::Holding(text.to_owned())
        };
        Ok(())
    }

    /// What was typed.
    pub(super) fn names(&self) -> &str {
        match &self.names {
            Names::All => "",
            Names::Holding(text) => text,
            Names::Matching(glob) => glob.as_str(),
        }
    }

    pub(super) fn passes(&self, name: &str, state: i32) -> bool {
        let is_named = match &self.names {
            Names::All => true,
            Names::Holding(text) => name.contains(&**text),
            Names::Matching(glob) => glob.matches(name),
        };
        is_named && self.states.holds(state)
    }

    /// The same as a selector of the server, if it is one.
    pub(super) fn selector(&self) -> Option<&str> {
        match &self.names {
            Names::Matching(glob) if self.states == States::All => Some(glob.as_str()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str, states: States) -> Filter {
        let mut filter = Filter { states, ..Filter::default() };
        filter.set_names(text).unwrap();
        filter
    }

    #[test]
    fn a_filter_is_a_part_of_the_name_or_a_glob() {
        let closed = State::Closed as i32;
        for (text, name, expected) in [
            ("", "a/b", true),
            ("stripe", "payments/stripe-api", true),
            ("stripe", "search/index", false),
            ("payments/*", "payments/stripe-api", true),
            ("payments/*", "payments/eu/stripe", false),
            (" payments/** ", "payments/eu/stripe", true),
        ] {
            assert_eq!(filter(text, States::All).passes(name, closed), expected, "{text} {name}");
        }
        assert!(filter("", States::Unhealthy).passes("a/b", State::Open as i32));
        assert!(!filter("", States::Unhealthy).passes("a/b", closed));
        assert!(Filter::default().set_names("A B/*").unwrap_err().contains("A B/*"));
    }

    #[test]
    fn only_a_glob_over_all_states_is_a_selector() {
        assert_eq!(filter("a/*", States::All).selector(), Some("a/*"));
        assert_eq!(filter("a/*", States::Open).selector(), None);
        assert_eq!(filter("a", States::All).selector(), None);
        assert_eq!(Filter::default().selector(), None);
    }
}
