//! All scenarios with all drivers, some at a time.

use std::sync::Arc;
use std::time::Duration;

use breaker_tests::clock;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::driver::Program;
use crate::play::{Failure, play};
use crate::scenario::Scenario;

/// What is to be played.
pub(crate) struct Suite {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) programs: Vec<Program>,
    /// How many scenarios are played at once.
    pub(crate) jobs: usize,
}

struct Played {
    title: String,
    outcome: Result<(), Box<Failure>>,
    took: Duration,
}

impl Suite {
    /// Plays everything and says how it went; whether all went well.
    pub(crate) async fn play(self) -> bool {
        let (turns, mut plays) = (Arc::new(Semaphore::new(self.jobs)), JoinSet::new());
        for program in &self.programs {
            for scenario in &self.scenarios {
                let (program, scenario) = (program.clone(), scenario.clone());
                plays.spawn(in_turn(Arc::clone(&turns), program, scenario));
            }
        }
        let (total, mut failed) = (plays.len(), Vec::new());
        while let Some(played) = plays.join_next().await {
            match played {
                Ok(played) => {
                    played.tell();
                    failed.extend(played.outcome.is_err().then_some(played.title));
                }
                Err(error) => {
                    println!("FAILED  the runner itself: {error}");
                    failed.push("the runner itself".to_owned());
                }
            }
        }
        println!("{} of {total} as told", total - failed.len());
        failed.iter().for_each(|title| println!("FAILED  {title}"));
        failed.is_empty()
    }
}

async fn in_turn(turns: Arc<Semaphore>, program: Program, scenario: Scenario) -> Played {
    // The semaphore is never closed; without a turn a scenario would be played all the same.
    let _turn = turns.acquire().await;
    let begun = clock::now();
    let outcome = play(&scenario, &program).await;
    let title = format!("{}  {}", program.name, scenario.id);
    Played { title, outcome, took: clock::now().since(begun) }
}

impl Played {
    fn tell(&self) {
        let (title, seconds) = (&self.title, self.took.as_secs_f64());
        match &self.outcome {
            Ok(()) => println!("ok      {title}  {seconds:.1} s"),
            Err(failure) => println!("FAILED  {title}  {seconds:.1} s\n{failure}"),
        }
    }
}
