use std::fmt;

use breaker_engine::{BreakerRow, Damage, Loaded, PolicyRow, TransitionRecord};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::line::{Row, RowOf};
use super::{BadLine, Counts, Header, MAX_LINE_BYTES, VERSION};
use crate::rows::{BREAKERS, POLICIES, TRANSITIONS, load_breaker, load_policy, load_transition};

/// What a line holds.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are breakers, and each is passed on")]
pub enum Item {
    /// The first line.
    Header(Header),
    /// A policy.
    Policy(PolicyRow),
    /// A breaker.
    Breaker(BreakerRow),
    /// A transition.
    Transition(TransitionRecord),
}

/// Reads the lines of a backup that comes in pieces, however they are cut.
#[derive(Debug)]
pub struct Reader {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    line: u64,
    stage: Stage,
    counts: Counts,
}

/// What has come last. The lines of a backup come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Nothing,
    Header,
    Policies,
    Breakers,
    Transitions,
    Footer,
}

impl Default for Reader {
    fn default() -> Self {
        Self { begun: Vec::new(), line: 0, stage: Stage::Nothing, counts: Counts::default() }
    }
}

impl Reader {
    /// Reads on; hands what each line holds to `take`, with the number of the line.
    ///
    /// # Errors
    /// The first line that cannot be understood, or what `take` has returned.
    pub fn read<E: From<BadLine>>(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(u64, Item) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            self.line += 1;
            let item = if self.begun.is_empty() {
                self.item(line)
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(line);
                self.item(&whole)
            };
            if let Some(item) = item.map_err(|problem| self.bad(self.line, problem))? {
                take(self.line, item)?;
            }
        }
        if self.begun.len() + rest.len() > MAX_LINE_BYTES {
            let problem = format!("it has more than {MAX_LINE_BYTES} bytes");
            return Err(self.bad(self.line + 1, problem).into());
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the reading; returns how many rows there were.
    ///
    /// # Errors
    /// If the backup was cut off.
    pub fn finish(self) -> Result<Counts, BadLine> {
        if self.stage == Stage::Footer && self.begun.is_empty() {
            return Ok(self.counts);
        }
        let problem = "the backup was cut off: its last line, with the counts, is missing";
        Err(self.bad(self.line + 1, problem.to_owned()))
    }

    /// What a line holds; nothing for the last one.
    fn item(&mut self, line: &[u8]) -> Result<Option<Item>, String> {
        if self.stage == Stage::Nothing {
            self.stage = Stage::Header;
            return header(line).map(|header| Some(Item::Header(header)));
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| without_place(&error))?;
        let (stage, count, item) = match line {
            Line::Policy(row) => (
                Stage::Policies,
                &mut self.counts.policies,
                Item::Policy(load_policy(&row).map_err(told)?),
            ),
            Line::Breaker(row) => match load_breaker(&row) {
                Loaded::Breaker(row) => {
                    (Stage::Breakers, &mut self.counts.breakers, Item::Breaker(row))
                }
                Loaded::Damaged(row) => return Err(told(row.damage)),
            },
            Line::Transition(row) => (
                Stage::Transitions,
                &mut self.counts.transitions,
                Item::Transition(load_transition(&row).map_err(told)?),
            ),
            Line::End(counts) => {
                self.end(counts)?;
                return Ok(None);
            }
        };
        if stage < self.stage {
            return Err(match self.stage {
                Stage::Footer => "there is more after the line with the counts".to_owned(),
                _ => "policies come first, then breakers, then transitions".to_owned(),
            });
        }
        *count += 1;
        self.stage = stage;
        Ok(Some(item))
    }

    fn end(&mut self, counts: Counts) -> Result<(), String> {
        if self.stage == Stage::Footer {
            return Err("there is more after the line with the counts".to_owned());
        }
        self.stage = Stage::Footer;
        if counts == self.counts {
            return Ok(());
        }
        let told = |Counts { policies, breakers, transitions }| {
            format!("{policies} policies, {breakers} breakers and {transitions} transitions")
        };
        Err(format!(
            "the backup has {}, and should have {}: something of it is missing",
            told(self.counts),
            told(counts)
        ))
    }

    const fn bad(&self, line: u64, problem: String) -> BadLine {
        BadLine { line, problem }
    }
}

fn header(line: &[u8]) -> Result<Header, String> {
    let value: Option<Value> = serde_json::from_slice(line).ok();
    match value.as_ref().and_then(|value| value.get("breakerd_backup")).and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(version) => {
            return Err(format!(
                "the backup has the format {version}, and this breakerd reads {VERSION}; restore \
                 with the version of breakerd that wrote it, or a later one"
            ));
        }
        None => {
            return Err("this is no backup of breakerd, which begins with its format".to_owned());
        }
    }
    serde_json::from_slice(line).map_err(|error| without_place(&error))
}

fn told(damage: Damage) -> String {
    damage.to_string()
}

/// An error of serde ends with a line, which is always the first, and a column, which is none of
/// a table.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.is_data() {
        true => text.rsplit_once(" at line ").map_or(text.clone(), |(told, _)| told.to_owned()),
        false => format!("it is not JSON: {}", text.replace(" at line 1 column ", " at byte ")),
    }
}

/// A line but for the first.
enum Line {
    Policy(Row),
    Breaker(Row),
    Transition(Row),
    End(Counts),
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one member: `policy`, `breaker`, `transition` or `end`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Line, A::Error> {
        let kind: Option<String> = members.next_key()?;
        let line = match kind.as_deref() {
            Some("policy") => Line::Policy(members.next_value_seed(RowOf(POLICIES.columns))?),
            Some("breaker") => Line::Breaker(members.next_value_seed(RowOf(BREAKERS.columns))?),
            Some("transition") => {
                Line::Transition(members.next_value_seed(RowOf(TRANSITIONS.columns))?)
            }
            Some("end") => Line::End(members.next_value()?),
            Some(kind) => {
                return Err(A::Error::custom(format_args!(
                    "`{}` is not known; restore with a breakerd that is not older than the one that \
                     wrote the backup",
                    kind.escape_debug()
                )));
            }
            None => return Err(A::Error::custom("the object is empty")),
        };
        match members.next_key::<String>()? {
            None => Ok(line),
            Some(_) => Err(A::Error::custom("the object has more than one member")),
        }
    }
}
