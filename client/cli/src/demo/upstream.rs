//! The flaky upstream: an HTTP server that answers as the story has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cast::DEPENDENCIES;
use super::speed::Speed;

/// How a dependency is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weather {
    pub(super) failing_percent: u8,
    /// How long an answer takes on average, at the usual speed.
    pub(super) delay: Duration,
}

/// How each dependency is doing just now. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Skies(Arc<Mutex<Sky>>);

#[derive(Debug)]
struct Sky {
    weather: HashMap<&'static str, Weather>,
    rng: Xoshiro256PlusPlus,
}

/// What becomes of one call.
#[derive(Debug, PartialEq)]
struct Fate {
    fails: bool,
    takes: Duration,
}

impl Skies {
    /// A good day. Chance begins at the seed.
    pub(super) fn fair(seed: u64) -> Self {
        let weather = DEPENDENCIES.iter().map(|dependency| {
            let &super::cast::Dependency { name, delay, failing_percent, .. } = dependency;
            (name, Weather { failing_percent, delay })
        });
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self(Arc::new(Mutex::new(Sky { weather: weather.collect(), rng })))
    }

    /// Changes how a dependency is doing, until it is changed again.
    pub(super) fn set(&self, dependency: &'static str, weather: Weather) {
        self.0.lock().weather.insert(dependency, weather);
    }

    /// What becomes of a call that begins now; `None` if nobody has heard of the dependency.
    fn fate(&self, dependency: &str) -> Option<Fate> {
        let mut sky = self.0.lock();
        let Weather { failing_percent, delay } = *sky.weather.get(dependency)?;
        let fails = sky.rng.random_range(0..100) < failing_percent;
        let takes = delay.mul_f64(sky.rng.random_range(0.7..1.3));
        Some(Fate { fails, takes })
    }
}

/// Serves on a free port of this machine, as a task of the set; where.
pub(super) async fn serve(
    skies: Skies,
    speed: Speed,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<String> {
    let answer = async move |Path((namespace, name)): Path<(String, String)>,
                             State(skies): State<Skies>| {
        let Some(fate) = skies.fate(&format!("{namespace}/{name}")) else {
            return StatusCode::NOT_FOUND;
        };
        sleep(speed.hastened(fate.takes)).await;
        if fate.fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the upstream")?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/{namespace}/{name}", get(answer)).with_state(skies);
    tasks.spawn(async move {
        // It never ends by itself.
        let _ = axum::serve(listener, router).await;
    });
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures_of(skies: &Skies, calls: u32) -> u32 {
        (0..calls).map(|_| u32::from(skies.fate("payments/stripe-api").unwrap().fails)).sum()
    }

    #[test]
    fn a_dependency_does_as_it_is_told_and_the_others_do_not_mind() {
        let skies = Skies::fair(1);
        assert!(failures_of(&skies, 200) < 20);
        let out = Weather { failing_percent: 100, delay: Duration::from_millis(100) };
        skies.set("payments/stripe-api", out);
        assert_eq!(failures_of(&skies, 50), 50);
        let fate = skies.fate("payments/stripe-api").unwrap();
        assert!((70..130).contains(&fate.takes.as_millis()), "{fate:?}");
        assert!(skies.fate("payments/ledger").unwrap().takes < Duration::from_millis(30));
        assert_eq!(skies.fate("nobody/knows"), None);
    }

    #[test]
    fn the_same_seed_has_the_same_fates() {
        let fates = |seed| {
            let skies = Skies::fair(seed);
            (0..20).map(|_| skies.fate("search/index").unwrap().takes).collect::<Vec<_>>()
        };
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }
}
