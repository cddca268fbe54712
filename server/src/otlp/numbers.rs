//! The numbers of `/metrics`, as messages of OTLP.

use std::sync::Arc;
use std::time::Duration;

use breaker_engine::Clock;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AttributeValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::http::{Family, Kind, Pages, Point, Value, read_numbers};

/// How often they are sent.
const EVERY: Duration = Duration::from_secs(15);

/// Sends the numbers every so often, and once more at the end.
pub(super) async fn tell(
    pages: Pages,
    clock: Arc<dyn Clock>,
    channel: Channel,
    instance: String,
    stop: CancellationToken,
) {
    let mut client = MetricsServiceClient::new(channel);
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_heard = true;
    loop {
        let is_last = tokio::select! {
            _ = turns.tick() => false,
            () = stop.cancelled() => true,
        };
        let span = Span { from: pages.started_at().as_nanos(), until: clock.now().as_nanos() };
        let request = request(read_numbers(&pages), span, &instance);
        match client.export(request).await {
            Ok(_) => is_heard = true,
            // Once is enough: it is told again for as long as it lasts.
            Err(status) if is_heard => {
                is_heard = false;
                tracing::warn!(%status, "the collector (`otlp_endpoint`) does not take the numbers");
            }
            Err(_) => {}
        }
        if is_last {
            return;
        }
    }
}

/// The time that numbers are about, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Span {
    from: u64,
    until: u64,
}

fn request(families: Vec<Family>, span: Span, instance: &str) -> ExportMetricsServiceRequest {
    let metrics = families.into_iter().filter(|family| !family.points.is_empty());
    let metrics = metrics.map(|family| metric(family, span)).collect();
    let attributes = vec![
        attribute("service.name", "breakerd"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", instance),
    ];
    let scope = InstrumentationScope {
        name: "breakerd".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(family: Family, span: Span) -> Metric {
    let Family { name, help, kind, points } = family;
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = match kind {
        Kind::Counter => Data::Sum(Sum {
            data_points: points.into_iter().map(|point| number(point, span)).collect(),
            aggregation_temporality,
            is_monotonic: true,
        }),
        Kind::Gauge => Data::Gauge(Gauge {
            data_points: points.into_iter().map(|point| number(point, span)).collect(),
        }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: points.into_iter().map(|point| histogram(point, span)).collect(),
            aggregation_temporality,
        }),
    };
    let unit = if name.ends_with("_seconds") { "s" } else { "" };
    Metric {
        name,
        description: help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(point: Point, span: Span) -> NumberDataPoint {
    let value = match point.value {
        Value::Count(count) => Number::AsInt(i64::try_from(count).unwrap_or(i64::MAX)),
        Value::Level(level) => Number::AsDouble(level),
        Value::Spread { sum, .. } => Number::AsDouble(sum),
    };
    NumberDataPoint {
        attributes: attributes(point.labels),
        start_time_unix_nano: span.from,
        time_unix_nano: span.until,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram(point: Point, span: Span) -> HistogramDataPoint {
    let (buckets, sum) = match point.value {
        Value::Spread { buckets, sum } => (buckets, sum),
        Value::Count(_) | Value::Level(_) => (Vec::new(), 0.0),
    };
    let bucket_counts: Vec<_> = buckets.iter().map(|(_, count)| *count).collect();
    let bounds = buckets.iter().map(|(bound, _)| *bound).filter(|bound| *bound < f64::MAX);
    HistogramDataPoint {
        attributes: attributes(point.labels),
        start_time_unix_nano: span.from,
        time_unix_nano: span.until,
        count: bucket_counts.iter().sum(),
        sum: Some(sum),
        explicit_bounds: bounds.collect(),
        bucket_counts,
        ..HistogramDataPoint::default()
    }
}

fn attributes(labels: Vec<(&'static str, String)>) -> Vec<KeyValue> {
    labels.into_iter().map(|(name, value)| attribute(name, &value)).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AttributeValue::StringValue(value.to_owned()));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_one_more_count_than_bounds() {
        let buckets = vec![(0.1, 2), (1.0, 3), (f64::MAX, 4)];
        let value = Value::Spread { buckets, sum: 9.5 };
        let labels = vec![("method", "Acquire".to_owned())];
        let point = histogram(Point { labels, value }, Span { from: 1, until: 2 });
        assert_eq!((point.count, point.sum), (9, Some(9.5)));
        assert_eq!((point.explicit_bounds, point.bucket_counts), (vec![0.1, 1.0], vec![2, 3, 4]));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
        assert_eq!(point.attributes[0].key, "method");
    }
}
