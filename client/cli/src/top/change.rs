//! The dialog in which a change is made: what, of which breakers, why, for how long, and whether
//! that is meant.

use std::sync::Arc;

use breaker_wire::parse_duration;
use crossterm::event::{KeyCode, KeyEvent};

use super::input::Input;

/// Most breakers that are changed by name, each with a request of its own.
pub(super) const MAX_TARGETS: usize = 1_000;
/// Most bytes of a reason that the server takes.
const MAX_REASON_BYTES: usize = 1_000;
/// What is typed to change several.
const YES: &str = "yes";

/// What is done to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    ForceOpen,
    ForceClose,
    Release,
    Trip,
    Reset,
}

impl Action {
    /// By the key that asks for it.
    pub(super) const fn of(key: char) -> Option<Self> {
        Some(match key {
            'f' => Self::ForceOpen,
            'c' => Self::ForceClose,
            'r' => Self::Release,
            't' => Self::Trip,
            'x' => Self::Reset,
            _ => return None,
        })
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::ForceOpen => "force open",
            Self::ForceClose => "force close",
            Self::Release => "release",
            Self::Trip => "trip",
            Self::Reset => "reset",
        }
    }

    /// What comes of it.
    pub(super) const fn consequence(self) -> &'static str {
        match self {
            Self::ForceOpen => {
                "Every call is denied until release, or the end of the time to live."
            }
            Self::ForceClose => {
                "Every call is allowed until release, or the end of the time to live."
            }
            Self::Release => "Its override ends: forced open it probes first, else it is closed.",
            Self::Trip => "It opens now for open_duration; its automatic life goes on.",
            Self::Reset => "It closes now with fresh counters; its automatic life goes on.",
        }
    }

    pub(super) const fn has_time_to_live(self) -> bool {
        matches!(self, Self::ForceOpen | Self::ForceClose)
    }
}

/// Which breakers are changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    One(Arc<str>),
    /// All that a glob matches, and how many are listed.
    Glob {
        selector: String,
        count: usize,
    },
    /// Those that are listed.
    Listed(Vec<Arc<str>>),
}

impl Target {
    pub(super) fn text(&self) -> String {
        match self {
            Self::One(name) => name.to_string(),
            Self::Glob { selector, count } => format!("all {count} of {selector}"),
            Self::Listed(names) => format!("the {} listed breakers", names.len()),
        }
    }

    /// What the server is asked for, one after another.
    pub(super) fn selectors(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.to_string()],
            Self::Glob { selector, .. } => vec![selector.clone()],
            Self::Listed(names) => names.iter().map(|name| name.to_string()).collect(),
        }
    }

    const fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

/// A change that is meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) action: Action,
    pub(super) target: Target,
    pub(super) reason: String,
    /// `None`: until release.
    pub(super) time_to_live: Option<std::time::Duration>,
}

/// What is being typed.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) action: Action,
    /// The breaker that was selected, and then what the filter lists, if that is more.
    targets: Vec<Target>,
    target: usize,
    pub(super) reason: Input,
    pub(super) time_to_live: Input,
    pub(super) confirmation: Input,
    pub(super) field: Field,
    /// What is wrong with what was typed.
    pub(super) error: Option<String>,
}

/// Where the next letter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Reason,
    TimeToLive,
    Confirmation,
}

/// What came of a key.
#[derive(Debug, PartialEq)]
pub(super) enum Typed {
    GoesOn,
    GivenUp,
    Ordered(Order),
}

impl Dialog {
    /// Begins with the first target. There has to be one.
    pub(super) fn new(action: Action, first: Target, others: Option<Target>) -> Self {
        Self {
            action,
            targets: std::iter::once(first).chain(others).collect(),
            target: 0,
            reason: Input::new(MAX_REASON_BYTES),
            time_to_live: Input::new(32),
            confirmation: Input::new(YES.len()),
            field: Field::Reason,
            error: None,
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.targets[self.target]
    }

    pub(super) const fn has_other_target(&self) -> bool {
        self.targets.len() > 1
    }

    /// What has to be done for the change to be made.
    pub(super) fn question(&self) -> String {
        let (action, target) = (self.action.word(), self.target().text());
        if self.target().is_one() {
            format!("Enter: {action} {target}")
        } else {
            format!("Type `{YES}` to {action} {target}")
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Typed {
        self.error = None;
        match key.code {
            KeyCode::Esc => return Typed::GivenUp,
            KeyCode::Tab => {
                self.target = (self.target + 1) % self.targets.len();
                self.confirmation.clear();
            }
            KeyCode::Down => self.field = self.next_field().unwrap_or(self.field),
            KeyCode::Up => self.field = self.field_before(),
            KeyCode::Enter => match self.next_field() {
                Some(next) => self.field = next,
                None => match self.order() {
                    Ok(order) => return Typed::Ordered(order),
                    Err(error) => self.error = Some(error),
                },
            },
            _ => match self.field {
                Field::Reason => self.reason.key(key),
                Field::TimeToLive => self.time_to_live.key(key),
                Field::Confirmation => self.confirmation.key(key),
            },
        }
        Typed::GoesOn
    }

    fn next_field(&self) -> Option<Field> {
        match self.field {
            Field::Reason if self.action.has_time_to_live() => Some(Field::TimeToLive),
            Field::Reason | Field::TimeToLive => Some(Field::Confirmation),
            Field::Confirmation => None,
        }
    }

    const fn field_before(&self) -> Field {
        match self.field {
            Field::Confirmation if self.action.has_time_to_live() => Field::TimeToLive,
            Field::Reason | Field::TimeToLive | Field::Confirmation => Field::Reason,
        }
    }

    fn order(&self) -> Result<Order, String> {
        if !self.target().is_one() && self.confirmation.text() != YES {
            return Err(format!("type `{YES}`, or press Esc to change nothing"));
        }
        let time_to_live = match self.time_to_live.text().trim() {
            "" => None,
            text => match parse_duration(text) {
                Ok(long) if !long.is_zero() => Some(long),
                Ok(_) => return Err("time to live: it must be longer than 0".to_owned()),
                Err(error) => return Err(format!("time to live: {error}")),
            },
        };
        Ok(Order {
            action: self.action,
            target: self.target().clone(),
            reason: self.reason.text().trim().to_owned(),
            time_to_live,
        })
    }
}
