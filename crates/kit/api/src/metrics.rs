//! Request counters and latencies at `/metrics`.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    service: &'static str,
    method: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ServiceLabel {
    service: &'static str,
}

pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<ServiceLabel, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("sahab");
        let requests = Family::<Labels, Counter>::default();
        let seconds = Family::<ServiceLabel, Histogram>::new_with_constructor(|| {
            Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
        });
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_seconds", "Time to answer", seconds.clone());
        Metrics { registry, requests, seconds }
    }
}

impl Metrics {
    pub(crate) fn observe(&self, service: &'static str, method: &http::Method, status: u16, elapsed: Duration) {
        // An unknown method must not make a new series.
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
            _ => "other".to_owned(),
        };
        self.requests.get_or_create(&Labels { service, method, status }).inc();
        self.seconds.get_or_create(&ServiceLabel { service }).observe(elapsed.as_secs_f64());
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
