//! Numbers as text for Prometheus.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Family, Format, Kind, Value};

/// Writes them all down.
pub(super) fn encode(families: Vec<Family>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Read { families, format }));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

#[derive(Debug)]
struct Read {
    families: Vec<Family>,
    format: Format,
}

impl Collector for Read {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A family without numbers is not a line.
        let mut families = self.families.iter().filter(|family| !family.points.is_empty());
        families.try_for_each(|family| encode_family(family, self.format, &mut encoder))
    }
}

fn encode_family(
    family: &Family,
    format: Format,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    // A counter is called the same in both formats, but OpenMetrics describes it without its ending.
    let has_ending = family.kind == Kind::Counter && format == Format::Classic;
    let name = if has_ending { format!("{}_total", family.name) } else { family.name.clone() };
    let mut encoder = encoder.encode_descriptor(&name, family.help, None, kind)?;
    for point in &family.points {
        let labels: Vec<_> =
            point.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // What has no labels has no braces either.
        if labels.is_empty() {
            encode_value(&point.value, has_ending, &mut encoder)?;
        } else {
            encode_value(&point.value, has_ending, &mut encoder.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn encode_value(value: &Value, has_ending: bool, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match value {
        // As a gauge it gets no ending.
        Value::Count(count) if has_ending => encoder.encode_gauge(count),
        Value::Count(count) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
        Value::Level(level) => encoder.encode_gauge(level),
        Value::Spread { buckets, sum } => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Point;
    use super::*;

    #[test]
    fn a_counter_is_called_the_same_in_both_formats() {
        let labels = vec![("breaker", "a/b".to_owned()), ("outcome", "success".to_owned())];
        let family = Family {
            name: "breakerd_calls".to_owned(),
            help: "Calls",
            kind: Kind::Counter,
            points: vec![Point { labels, value: Value::Count(7) }],
        };
        let line = "breakerd_calls_total{breaker=\"a/b\",outcome=\"success\"} 7\n# EOF\n";
        let classic = encode(vec![family.clone()], Format::Classic).unwrap();
        let described = "# HELP breakerd_calls_total Calls\n# TYPE breakerd_calls_total counter\n";
        assert_eq!(classic, format!("{described}{line}"));
        let open = encode(vec![family], Format::OpenMetrics).unwrap();
        let described = "# HELP breakerd_calls Calls\n# TYPE breakerd_calls counter\n";
        assert_eq!(open, format!("{described}{line}"));
    }

    #[test]
    fn what_has_no_numbers_is_not_described() {
        let kind = Kind::Histogram;
        let family = Family { name: "a".to_owned(), help: "b", kind, points: Vec::new() };
        assert_eq!(encode(vec![family], Format::Classic).unwrap(), "# EOF\n");
    }
}
