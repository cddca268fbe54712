//! Three lines of blocks over the time of the story: the dependency, the shared breaker as the
//! replicas meet it, and how many of the local breakers refuse. The higher, the more is refused.

use std::io::{self, Write};

use breaker_core::Time;

use super::Comparison;
use super::tally::COLUMNS;
use crate::simulate::chart::Colours;
use crate::simulate::story::Story;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LABEL_WIDTH: usize = 12;

/// Draws the chart.
pub(super) fn write(
    out: &mut impl Write,
    story: &Story,
    comparison: &Comparison,
    colours: Colours,
) -> io::Result<()> {
    let illness = (0..COLUMNS).map(|index| {
        let (start, end) = column(story, index);
        f64::from(u8::from(story.is_ill_within(start, end)))
    });
    writeln!(out)?;
    write_line(out, "dependency", illness, colours)?;
    write_line(out, "shared", comparison.shared.columns.iter().copied(), colours)?;
    write_line(out, "local", comparison.local.columns.iter().copied(), colours)?;
    let end = format!("{} s", story.end().as_nanos() as f64 / 1e9);
    writeln!(out, "{:LABEL_WIDTH$}0 s{end:>width$}", "", width = COLUMNS as usize - 3)?;
    writeln!(
        out,
        "dependency: ▁ well   █ ill\n\
         shared:     ▁ closed   ▄ half_open   █ open\n\
         local:      ▁ all closed   █ all open; between them the share that is open, half_open \
         counting half"
    )
}

/// From when to when a column lasts.
pub(super) fn column(story: &Story, index: u64) -> (Time, Time) {
    let at = |index: u64| Time::from_nanos(story.end().as_nanos() / COLUMNS * index);
    (at(index), at(index + 1))
}

fn write_line(
    out: &mut impl Write,
    label: &str,
    shares: impl Iterator<Item = f64>,
    colours: Colours,
) -> io::Result<()> {
    write!(out, "{label:LABEL_WIDTH$}")?;
    for share in shares {
        colours.paint(out, block(share), colour(share))?;
    }
    writeln!(out)
}

/// Half is `▄`, and nothing but nothing is `▁`.
pub(super) fn block(share: f64) -> char {
    let highest = BLOCKS.len() - 1;
    let height = (share * highest as f64).floor() as usize;
    BLOCKS[if share > 0.0 { height.clamp(1, highest) } else { 0 }]
}

fn colour(share: f64) -> u8 {
    match share {
        0.0 => 32,
        1.0.. => 31,
        _ => 33,
    }
}
