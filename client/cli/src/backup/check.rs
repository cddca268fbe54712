//! Whether a file is a whole backup: that each line is JSON of a known kind, and that the last one
//! counts those before it. What the lines say is the server's to check.

use std::fmt;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The version of the format that is known.
const VERSION: u64 = 1;
/// Longest line that a server reads.
const MAX_LINE_BYTES: usize = 16 << 20;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) created_at: String,
    pub(super) server_version: String,
    pub(super) counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Counts {
    pub(super) policies: u64,
    pub(super) breakers: u64,
    pub(super) transitions: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policies, breakers, transitions } = self;
        write!(f, "policies: {policies}, breakers: {breakers}, transitions: {transitions}")
    }
}

#[derive(Deserialize)]
struct Header {
    breakerd_backup: u64,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    server_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Policy(IgnoredAny),
    Breaker(IgnoredAny),
    Transition(IgnoredAny),
    End(Counts),
}

/// Looks through a backup that comes in pieces.
#[derive(Default)]
pub(super) struct Checker {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    line: u64,
    header: Option<Header>,
    counts: Counts,
    has_ended: bool,
}

impl Checker {
    pub(super) fn read(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            self.line += 1;
            let mut whole = std::mem::take(&mut self.begun);
            let line = if whole.is_empty() {
                line
            } else {
                whole.extend_from_slice(line);
                &whole
            };
            self.check(line).with_context(|| format!("line {}", self.line))?;
        }
        let length = self.begun.len() + rest.len();
        ensure!(length <= MAX_LINE_BYTES, "line {}: it is too long", self.line + 1);
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<Summary> {
        let Some(header) = self.header else { bail!("there is nothing in it") };
        ensure!(
            self.has_ended && self.begun.is_empty(),
            "it was cut off after {} lines: the last one, with the counts, is missing",
            self.line
        );
        let Header { created_at, server_version, .. } = header;
        Ok(Summary { created_at, server_version, counts: self.counts })
    }

    fn check(&mut self, line: &[u8]) -> anyhow::Result<()> {
        if self.header.is_none() {
            let header: Result<Header, _> = serde_json::from_slice(line);
            let header = header.map_err(|_| anyhow!("this is no backup of breakerd"))?;
            let version = header.breakerd_backup;
            ensure!(
                version == VERSION,
                "the backup has the format {version}, and this breakerctl knows {VERSION}; use the \
                 version that wrote it, or a later one"
            );
            self.header = Some(header);
            return Ok(());
        }
        ensure!(!self.has_ended, "there is more after the line with the counts");
        match serde_json::from_slice(line)? {
            Line::Policy(_) => self.counts.policies += 1,
            Line::Breaker(_) => self.counts.breakers += 1,
            Line::Transition(_) => self.counts.transitions += 1,
            Line::End(counts) => {
                let found = self.counts;
                ensure!(counts == found, "it holds {found}, and should hold {counts}");
                self.has_ended = true;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"breakerd_backup":1,"server_version":"9","created_at":"today"}
{"policy":{"name":"p"}}
{"breaker":{"name":"a/b"}}
{"breaker":{"name":"a/c"}}
{"transition":{"id":1}}
{"end":{"policies":1,"breakers":2,"transitions":1}}
"#;

    fn check(text: &str, piece_bytes: usize) -> Result<Summary, String> {
        let mut checker = Checker::default();
        let told = |error: anyhow::Error| format!("{error:#}");
        for piece in text.as_bytes().chunks(piece_bytes) {
            checker.read(piece).map_err(told)?;
        }
        checker.finish().map_err(told)
    }

    #[test]
    fn a_whole_backup_passes_however_it_is_cut() {
        let counts = Counts { policies: 1, breakers: 2, transitions: 1 };
        let summary = Summary { created_at: "today".into(), server_version: "9".into(), counts };
        for piece_bytes in [1, 7, 100, 10_000] {
            assert_eq!(check(WHOLE, piece_bytes), Ok(summary.clone()));
        }
    }

    #[test]
    fn a_backup_that_was_cut_off_anywhere_is_noticed() {
        for end in 0..WHOLE.len() {
            assert!(check(&WHOLE[..end], 50).is_err(), "{end}");
        }
    }

    #[test]
    fn what_was_altered_is_named_with_its_line() {
        for (from, to, told) in [
            (
                r#""breakerd_backup":1"#,
                r#""breakerd_backup":2"#,
                "line 1: the backup has the format 2",
            ),
            ("breakerd_backup", "other", "line 1: this is no backup of breakerd"),
            (r#"{"name":"a/b"}}"#, r#"{"name":"a/b""#, "line 3: "),
            (r#"{"transition""#, r#"{"whim""#, "line 5: unknown variant `whim`"),
            ("{\"policy\":{\"name\":\"p\"}}\n", "", "line 5: it holds policies: 0,"),
        ] {
            let altered = WHOLE.replacen(from, to, 1);
            let error = check(&altered, 50).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let error = check(&format!("{WHOLE}{{}}\n"), 50).unwrap_err();
        assert!(error.starts_with("line 7: there is more"), "{error}");
    }
}
