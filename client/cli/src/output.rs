//! What breakerctl writes: results to the standard output, and what people should know besides to
//! the standard error.

use std::fmt::Display;
use std::io::{self, Write};

use breaker_proto::v1;
use comfy_table::{Table, presets};
use serde_json::Value;

use crate::words::printable;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts: an object of JSON a line.
    Json,
}

/// Writes a line, at once: a reader may be waiting for it.
pub(crate) fn line(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// The same with colours, which only a terminal gets, and not with `NO_COLOR`.
pub(crate) fn coloured_line(text: impl Display) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes objects, one a line.
pub(crate) fn objects(objects: impl IntoIterator<Item = Value>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for object in objects {
        writeln!(out, "{object}")?;
    }
    out.flush()
}

/// Writes a table under its header.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    line(table)
}

/// Tells people something beside the result. Nobody may be there to read it, which is no error.
pub(crate) fn notice(text: impl Display) {
    let _ = writeln!(io::stderr(), "breakerctl: {text}");
}

/// The same for scripts: an object.
pub(crate) fn diagnostic(object: Value) {
    let _ = writeln!(io::stderr(), "{object}");
}

/// Passes on what the server finds odd about a change.
pub(crate) fn warn(warnings: &[v1::Warning]) {
    for v1::Warning { field, description } in warnings {
        let warning = format!("{field}: {description}");
        notice(format_args!("warning: {}", printable(&warning)));
    }
}

/// Warns that a change is not on disk yet.
pub(crate) fn warn_unless_durable(durable: bool) {
    if !durable {
        notice(
            "warning: the server's database is away: the change is in force, and will be written \
             when the database is back",
        );
    }
}
