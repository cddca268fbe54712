//! A scenario on its way: its server, its clients, and what was answered.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use breaker_tests::clock;
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use crate::command::Command;
use crate::driver::{Driver, Program};
use crate::expectation::Expectation;
use crate::scenario::Scenario;
use crate::server::Event;
use crate::sight;
use crate::site::Site;
use crate::step::{Action, Step};
use crate::thin::Replica;

/// How long a whole scenario may take.
const SCENARIO_WITHIN: Duration = Duration::from_secs(120);

/// How long the server may take to answer an admin or another replica.
const SERVER_WITHIN: Duration = Duration::from_secs(10);

/// How soon a step is repeated that has not got the answer it waits for.
const REPEAT_AFTER: Duration = Duration::from_millis(25);

/// How much of a log is shown of a scenario that failed.
const SHOWN_LINES: usize = 30;

/// Why a scenario failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The step.
    at: String,
    problem: String,
    /// What the driver of each client has said on its standard error.
    said: Vec<(String, String)>,
    log: String,
}

/// Plays a scenario with the driver of an SDK.
///
/// # Errors
/// If anything is otherwise than it tells.
pub(crate) async fn play(scenario: &Scenario, program: &Program) -> Result<(), Box<Failure>> {
    let site =
        Site::new(&scenario.server_arguments).await.map_err(|error| Failure::before(&error))?;
    let (drivers, replica) = (BTreeMap::new(), Replica::default());
    let mut play = Play { program, site, drivers, replica, begun: BTreeMap::new() };
    let mut at = "before the first step".to_owned();
    let played = timeout(SCENARIO_WITHIN, play.steps(scenario, &mut at)).await;
    let problem = match played {
        Ok(Ok(())) => return play.end().await,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("the scenario is not over within {SCENARIO_WITHIN:?}"),
    };
    Err(Box::new(play.failure(at, problem)))
}

struct Play<'a> {
    program: &'a Program,
    site: Site,
    drivers: BTreeMap<String, Driver>,
    replica: Replica,
    /// How long that takes which a client was told to begin with.
    begun: BTreeMap<String, Duration>,
}

type Answer = Map<String, Value>;

impl Play<'_> {
    async fn steps(&mut self, scenario: &Scenario, at: &mut String) -> anyhow::Result<()> {
        self.prepare(scenario).await?;
        for (index, step) in scenario.steps.iter().enumerate() {
            *at = format!("step {} of {}: {}", index + 1, scenario.steps.len(), step.text);
            self.step(step).await?;
        }
        Ok(())
    }

    /// Makes the breakers, and clients that know them.
    async fn prepare(&mut self, scenario: &Scenario) -> anyhow::Result<()> {
        if !scenario.server_runs {
            return Ok(());
        }
        self.site.server.happen(Event::Start).await?;
        for (_, creation) in &scenario.breakers {
            creation.make(self.site.clients()?).await?;
        }
        for (name, build) in &scenario.clients {
            let ready = json!({"do": "ready", "timeout": SERVER_WITHIN.as_millis() as u64});
            self.told(name, build).await?;
            for (breaker, _) in &scenario.breakers {
                self.prepared(name, &json!({"do": "breaker", "breaker": breaker})).await?;
            }
            self.prepared(name, &ready).await?;
            for (breaker, _) in &scenario.breakers {
                self.learn(name, breaker).await?;
            }
        }
        Ok(())
    }

    /// Waits until the copy of a client holds a breaker.
    async fn learn(&mut self, name: &str, breaker: &str) -> anyhow::Result<()> {
        let begun = clock::now();
        loop {
            let status = json!({"do": "status", "breaker": breaker});
            let answer = self.prepared(name, &status).await?;
            if answer.get("state").is_some_and(|state| state != "unknown") {
                return Ok(());
            }
            let has_time = clock::now().since(begun) < SERVER_WITHIN;
            ensure!(has_time, "client {name:?} does not learn of {breaker}: {answer:?}");
            sleep(REPEAT_AFTER).await;
        }
    }

    /// Tells a client something that has to go well before the first step.
    async fn prepared(&mut self, name: &str, line: &Value) -> anyhow::Result<Answer> {
        let answer = self.driver(name)?.ask(line, SERVER_WITHIN).await?;
        let is_ready = answer.get("ready").is_none_or(|ready| *ready == json!(true));
        ensure!(
            is_ready && !answer.contains_key("error"),
            "to {line} client {name:?} answered {answer:?}"
        );
        Ok(answer)
    }

    /// Plays a step until its answer is as expected, or has no time left to become so.
    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        let begun = clock::now();
        let mut events = Answer::new();
        loop {
            let mut answer = self.act(&step.action).await?;
            if matches!(step.action, Action::Client { command: Command::Events {}, .. }) {
                answer = gathered(&mut events, answer);
            }
            let problems = problems(step.expectation.as_ref(), &answer);
            if problems.is_empty() {
                return Ok(());
            }
            let patience = step.expectation.as_ref().and_then(|expected| expected.patience);
            if patience.is_none_or(|patience| clock::now().since(begun) > patience) {
                let waited = patience.map(|for_| format!(" (waited {for_:?})")).unwrap_or_default();
                bail!("{}{waited}; the answer: {}", problems.join("; "), Value::Object(answer));
            }
            sleep(REPEAT_AFTER).await;
        }
    }

    /// Does what a step says; returns what was answered.
    async fn act(&mut self, action: &Action) -> anyhow::Result<Answer> {
        match action {
            Action::Client { name, command } => self.told(name, command).await,
            Action::Begin { name, command } => {
                self.begun.insert(name.clone(), command.length());
                let line = command.line(|place| self.site.address(place));
                self.driver(name)?.tell(&line).await?;
                Ok(Answer::new())
            }
            Action::End { name } => {
                let length = self.begun.remove(name).unwrap_or_default();
                self.driver(name)?.answer(length).await
            }
            Action::Thin(deed) => {
                let clients = self.site.clients()?;
                Ok(answered(self.replica.act(clients, deed)).await)
            }
            Action::Admin(change) => {
                let made = answered(async {
                    change.make(self.site.clients()?).await.map(|()| Answer::new())
                });
                Ok(made.await)
            }
            Action::Sees { breaker } => {
                Ok(answered(sight::of(self.site.clients()?, breaker)).await)
            }
            Action::Recorded => Ok(self.site.recorder.shown()),
            Action::Measure { metric } => {
                let measured = answered(async {
                    let value = self.site.server.metric(metric).await?;
                    Ok(Answer::from_iter([("value".to_owned(), json!(value))]))
                });
                Ok(measured.await)
            }
            Action::Server(event) => {
                self.site.server.happen(*event).await?;
                Ok(Answer::new())
            }
            Action::Link(mode) => {
                self.site.link.set(*mode);
                Ok(Answer::new())
            }
            Action::Wait(time) => {
                sleep(*time).await;
                Ok(Answer::new())
            }
        }
    }

    /// Tells a client something; one that is built is started first.
    async fn told(&mut self, name: &str, command: &Command) -> anyhow::Result<Answer> {
        if matches!(command, Command::Build(_)) {
            self.drivers.insert(name.to_owned(), self.program.start()?);
        }
        let line = command.line(|place| self.site.address(place));
        self.driver(name)?.ask(&line, command.length()).await
    }

    fn driver(&mut self, name: &str) -> anyhow::Result<&mut Driver> {
        self.drivers.get_mut(name).with_context(|| format!("client {name:?} was not built"))
    }

    /// Every driver has to end as it should.
    async fn end(mut self) -> Result<(), Box<Failure>> {
        while let Some((name, driver)) = self.drivers.pop_first() {
            let said = driver.said();
            if let Err(error) = driver.end().await {
                let at = format!("after the last step, client {name:?}");
                let mut failure = self.failure(at, format!("{error:#}"));
                failure.said.push((name, said));
                return Err(Box::new(failure));
            }
        }
        Ok(())
    }

    fn failure(&self, at: String, problem: String) -> Failure {
        let said = self.drivers.iter().map(|(name, driver)| (name.clone(), driver.said()));
        Failure { at, problem, said: said.collect(), log: self.site.server.log() }
    }
}

impl Failure {
    fn before(error: &anyhow::Error) -> Box<Self> {
        let (at, problem) = ("before the first step".to_owned(), format!("{error:#}"));
        Box::new(Self { at, problem, said: Vec::new(), log: String::new() })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.at)?;
        writeln!(f, "  {}", self.problem)?;
        for (client, said) in self.said.iter().filter(|(_, said)| !said.is_empty()) {
            writeln!(f, "  the driver of client {client:?} said:\n{}", tail(said))?;
        }
        if !self.log.is_empty() {
            writeln!(f, "  the server's log:\n{}", tail(&self.log))?;
        }
        Ok(())
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    shown.iter().map(|line| format!("    | {line}\n")).collect()
}

/// What is otherwise than expected; where nothing is expected, an error.
fn problems(expectation: Option<&Expectation>, answer: &Answer) -> Vec<String> {
    match (expectation, answer.get("error")) {
        (Some(expectation), _) => expectation.problems(answer),
        (None, Some(error)) => vec![format!("an error: {error}")],
        (None, None) => Vec::new(),
    }
}

/// What a server answers, an error included, within bounds.
async fn answered(asked: impl Future<Output = anyhow::Result<Answer>>) -> Answer {
    let error = match timeout(SERVER_WITHIN, asked).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("the server does not answer within {SERVER_WITHIN:?}"),
    };
    Answer::from_iter([("error".to_owned(), json!(error))])
}

/// Events come once: what was answered so far, and what has come now.
fn gathered(events: &mut Answer, answer: Answer) -> Answer {
    for (name, value) in answer {
        match (events.get_mut(&name), value) {
            (Some(Value::Array(earlier)), Value::Array(now)) => earlier.extend(now),
            (_, value) => {
                events.insert(name, value);
            }
        }
    }
    events.clone()
}
