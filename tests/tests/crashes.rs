//! kill -9 at random moments under load, and a restart on the same database, again and again.
//!
//! `BREAKERD_CRASH_ROUNDS` says how often, for each database.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_core::Time;
use breaker_proto::v1;
use breaker_tests::load::{Load, create_lasting};
use breaker_tests::{
    Admin, Chance, Clients, Counted, Daemon, DiskProbe, Follower, Shown, Sighting, Tally, Teller,
    Witness, binary, clock, create, eventually, free_port, history_after, selecting, states_in,
};
use throwaway_postgres::Database;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Clients that repeat their reports, at a time.
const TELLERS: u64 = 2;
/// Admins at a time.
const ADMINS: u64 = 3;
/// How long the load lasts before the server is killed.
const UNDER_LOAD: (Duration, Duration) = (Duration::from_millis(60), Duration::from_millis(600));
/// Nor is it if no change of an admin was answered for so long before.
const ANSWERED: Duration = Duration::from_millis(200);
/// A breaker that nobody calls.
const MARKER: &str = "quiet/marker";
/// By the contract an automatic change that is older than this has to be on disk.
const ON_DISK_WITHIN: Duration = Duration::from_millis(50);
/// What the server, the database and the one who looks may be late in the test, where they share two
/// cores with each other and with whatever else runs, and where a transition can have to wait for
/// two other commits.
const SLACK: Duration = Duration::from_millis(200);
/// A database is well if nothing that was written beside it took longer than this to get onto the
/// disk, and it was well when a server was killed if it was for so long before.
const WELL: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(500));

/// A server that is killed and started again on the same database, at the same address.
struct Mortal {
    url: String,
    disk: DiskProbe,
    address: String,
    rounds: u32,
    chance: Chance,
}

/// A crash, and what must not be lost in it.
#[derive(Clone, Copy)]
struct Crash {
    killed_at: Time,
    /// When the server was started that lives on.
    starting_at: Time,
    /// What was seen longer before the crash has to be on disk.
    longest_unwritten: Duration,
}

/// What was learned.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    /// Changes of admins that were answered as durable, and that were not answered.
    durable: u32,
    unanswered: u32,
    transitions: usize,
    lost: usize,
    /// How long before a crash the oldest was seen that was lost in it, while the disk was well.
    oldest_lost: Duration,
    /// Crashes while storage was too slow for the contract to hold.
    unwell: u32,
    killed_while_starting: u32,
    slowest_start: Duration,
    /// Reports that were repeated after each crash: counted once, and known though their counts are
    /// lost.
    reports: Counted,
}

/// All that has to be true after the next crash.
struct Story {
    admins: Vec<Admin>,
    tellers: Vec<Teller>,
    witness: Witness,
    followers: Vec<Follower>,
    /// What was seen after the last crash, and was later than the history that was looked at then.
    pending: Vec<Sighting>,
    /// The history so far.
    history: BTreeMap<u64, v1::Transition>,
    /// What the last transitions of each breaker made of it: the one that is sure to be on disk, and
    /// those after it.
    recent: BTreeMap<String, Vec<Shown>>,
    /// The revisions that List showed.
    revisions: BTreeMap<String, u64>,
    figures: Figures,
}

fn rounds(few: u32) -> anyhow::Result<u32> {
    env::var("BREAKERD_CRASH_ROUNDS").map_or(Ok(few), |rounds| Ok(rounds.parse()?))
}

impl Mortal {
    fn arguments(&self) -> [String; 2] {
        [format!("--listen={}", self.address), "--log=warn".to_owned()]
    }

    fn start(&self) -> anyhow::Result<Daemon> {
        Daemon::start_on(&self.url, self.arguments())
    }

    /// Kills a server at some moment of its start.
    fn kill_while_starting(&mut self) -> anyhow::Result<()> {
        let mut child = Command::new(binary("breakerd")?)
            .args(["--database", &self.url, "--http-listen=127.0.0.1:0"])
            .args(self.arguments())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(self.chance.between(Duration::ZERO, Duration::from_millis(120)));
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    async fn live_through_all(mut self) -> anyhow::Result<Figures> {
        let mut daemon = self.start()?;
        let mut clients = daemon.clients()?;
        create_lasting(&mut clients).await?;
        clients.admin.create_breaker(create(MARKER, v1::BreakerConfig::default())).await?;
        let addresses = [self.address.clone()];
        let tellers = (0..TELLERS).map(|number| Teller::new(number, self.chance.fork()));
        let tellers = tellers.collect();
        let admins = (0..ADMINS).map(|number| Admin::new(number, ADMINS, self.chance.fork()));
        let mut story = Story {
            admins: admins.collect(),
            tellers,
            witness: Witness::start(&addresses)?,
            followers: vec![Follower::start(&addresses)?, Follower::start(&addresses)?],
            pending: Vec::new(),
            history: BTreeMap::new(),
            recent: BTreeMap::new(),
            revisions: BTreeMap::new(),
            figures: Figures::default(),
        };
        for round in 1..=self.rounds {
            let load = Load::start(&addresses, &mut self.chance)?;
            let stop = CancellationToken::new();
            let mut working = JoinSet::new();
            for admin in story.admins.drain(..) {
                working.spawn(admin.work(self.address.clone(), stop.clone()));
            }
            let mut telling = JoinSet::new();
            for teller in story.tellers.drain(..) {
                telling.spawn(teller.work(self.address.clone(), stop.clone()));
            }
            sleep(self.chance.between(UNDER_LOAD.0, UNDER_LOAD.1)).await;
            let killed_at = clock::now();
            let log = daemon.log();
            daemon.kill()?;
            stop.cancel();
            drop(load);
            while let Some(admin) = working.join_next().await {
                story.admins.push(admin??);
            }
            while let Some(teller) = telling.join_next().await {
                story.tellers.push(teller??);
            }
            if self.chance.one_in(5) {
                self.kill_while_starting()?;
                story.figures.killed_while_starting += 1;
            }
            let starting_at = clock::now();
            daemon = self.start()?;
            let start = clock::now().since(starting_at);
            story.figures.slowest_start = story.figures.slowest_start.max(start);
            let last_durable = story.admins.iter().map(|admin| admin.last_durable).max();
            let is_well = self.disk.slowest(killed_at - WELL.1, killed_at) <= WELL.0
                && last_durable.is_some_and(|asked_at| killed_at.since(asked_at) <= ANSWERED);
            story.figures.unwell += u32::from(!is_well);
            let longest_unwritten = if is_well { ON_DISK_WITHIN + SLACK } else { Duration::MAX };
            let crash = Crash { killed_at, starting_at, longest_unwritten };
            let checked = story.check(&mut daemon.clients()?, crash).await;
            checked.with_context(|| {
                let after = daemon.log();
                format!("after crash {round}; the log before:\n{log}and after it:\n{after}")
            })?;
        }
        // The database was well all the time.
        for Tally { not_durable, half_durable, refused, .. } in story.admins.iter().map(|a| a.tally)
        {
            ensure!((not_durable, half_durable, refused) == (0, 0, 0), "a change was not durable");
        }
        Ok(Figures {
            durable: story.admins.iter().map(|admin| admin.tally.durable).sum(),
            unanswered: story.admins.iter().map(|admin| admin.tally.open).sum(),
            ..story.figures
        })
    }
}

impl Story {
    async fn check(&mut self, clients: &mut Clients, crash: Crash) -> anyhow::Result<()> {
        for admin in &mut self.admins {
            admin.check_possible(clients).await?;
        }
        self.check_reports(clients).await?;
        let untold = self.admins.iter_mut().filter_map(Admin::take_unanswered).collect();
        self.check_states(clients, crash, &untold).await?;
        self.check_seen(crash).await?;
        for follower in &mut self.followers {
            follower.until_equal(clients).await?;
        }
        until_written(clients).await
    }

    /// No report counts twice, however often it is repeated.
    async fn check_reports(&mut self, clients: &mut Clients) -> anyhow::Result<()> {
        self.figures.reports = Counted::default();
        for teller in &mut self.tellers {
            teller.check(clients).await?;
            teller.repeat(clients).await?;
            let Counted { once, lost } = teller.check(clients).await?;
            self.figures.reports.once += once;
            self.figures.reports.lost += lost;
        }
        Ok(())
    }

    /// What was seen long enough before the crash is in the history, and just as it was seen.
    async fn check_seen(&mut self, crash: Crash) -> anyhow::Result<()> {
        let Crash { killed_at, starting_at, longest_unwritten } = crash;
        let seen = self.witness.take().await?;
        self.figures.transitions += seen.len();
        let last = self.history.keys().next_back().copied().unwrap_or_default();
        for sighting in std::mem::take(&mut self.pending).into_iter().chain(seen) {
            let Sighting { at, transition } = &sighting;
            if let Some(kept) = self.history.get(&transition.id) {
                ensure!(kept == transition, "{transition:?} was seen, and {kept:?} is kept");
            } else if *at > starting_at && transition.id > last {
                self.pending.push(sighting);
            } else {
                let age = killed_at.since(*at);
                self.figures.lost += 1;
                if longest_unwritten < Duration::MAX {
                    self.figures.oldest_lost = self.figures.oldest_lost.max(age);
                }
                ensure!(
                    age <= longest_unwritten,
                    "{transition:?} was seen {age:?} before the crash, and is lost"
                );
            }
        }
        Ok(())
    }

    /// No breaker is in a state that it never was in: each is where its last transitions have brought
    /// it, each of its transitions begins where one before it ended, and its revisions rise.
    async fn check_states(
        &mut self,
        clients: &mut Clients,
        crash: Crash,
        untold: &BTreeSet<String>,
    ) -> anyhow::Result<()> {
        let checked = self.history.keys().next_back().copied().unwrap_or_default();
        let (mut before, mut history) = (BTreeMap::new(), BTreeMap::new());
        // Those that are OPEN half-open meanwhile, and expired probes open again: until a moment
        // without anything of that.
        let all_at_rest =
            eventually("breakers rest for a moment", Duration::from_secs(10), async || {
                before = states_in(&mut clients.admin).await?;
                history = history_after(clients, checked).await?;
                Ok(states_in(&mut clients.admin).await? == before)
            });
        all_at_rest.await?;
        for (id, transition) in history {
            let name = &transition.breaker;
            let after = Shown {
                state: transition.to_state,
                mode: transition.to_mode,
                generation: transition.generation,
                revision: transition.revision,
            };
            let recent = self.recent.entry(name.clone()).or_default();
            if let Some(last) = recent.last() {
                ensure!(last.revision < transition.revision, "{last:?}, then {transition:?}");
                let from = (transition.from_state, transition.from_mode);
                let follows = recent.iter().any(|shown| (shown.state, shown.mode) == from);
                ensure!(follows || !is_told(name, untold), "{recent:?}, then {transition:?}");
            }
            // A younger one can be on disk, and the state that it led to not yet.
            if crash.killed_at.since(time_of(&transition)) > ON_DISK_WITHIN + SLACK {
                recent.clear();
            }
            recent.push(after);
            self.history.insert(id, transition);
        }
        for (name, shown) in &before {
            let revision = self.revisions.entry(name.clone()).or_default();
            ensure!(*revision <= shown.revision, "{name}: {shown:?} after revision {revision}");
            *revision = shown.revision;
            let recent = self.recent.insert(name.clone(), vec![*shown]).unwrap_or_default();
            let is_one_of_them = recent.iter().any(|known| {
                let Shown { state, mode, generation, .. } = *known;
                (state, mode, generation) == (shown.state, shown.mode, shown.generation)
            });
            ensure!(
                recent.is_empty() || is_one_of_them || !is_told(name, untold),
                "{name}: {shown:?} after {recent:?}"
            );
        }
        Ok(())
    }
}

/// When it was, by the clock of the server, which is that of this machine.
fn time_of(transition: &v1::Transition) -> Time {
    let time = transition.time.unwrap_or_default();
    Time::EPOCH + Duration::new(time.seconds.cast_unsigned(), time.nanos.cast_unsigned())
}

/// Waits until all that has happened so far is on disk, and will be there after the next crash.
async fn until_written(clients: &mut Clients) -> anyhow::Result<()> {
    // It is written after what was waiting before it.
    let request = v1::ResetRequest { target: selecting(MARKER) };
    let result = clients.admin.reset(request).await?.into_inner().result.unwrap_or_default();
    ensure!(result.durable, "it is not durable");
    Ok(())
}

/// Whether the history tells of all that happened to a breaker. It does not of deletions.
fn is_told(name: &str, untold: &BTreeSet<String>) -> bool {
    name.starts_with("auto/") && !untold.contains(name)
}

async fn nothing_is_lost_over_crashes(
    url: String,
    folder: &Path,
    rounds: u32,
) -> anyhow::Result<()> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let mortal = Mortal {
        url,
        disk: DiskProbe::in_folder(folder)?,
        address,
        rounds,
        chance: Chance::of_test()?,
    };
    let begun = clock::now();
    let figures = mortal.live_through_all().await?;
    let took = clock::now().since(begun);
    eprintln!("{rounds} rounds in {took:.1?}: {figures:.1?}");
    // Otherwise there was no load, and nothing to lose.
    ensure!(figures.transitions > 5 * rounds as usize, "{figures:?}");
    ensure!(figures.unwell < rounds, "storage was too slow all the time: {figures:?}");
    ensure!(figures.reports.once > 5 * u64::from(rounds), "{figures:?}");
    ensure!(figures.durable > rounds && figures.unanswered > 0, "{figures:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_on_sqlite_over_crashes_under_load() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("breakers.db").display());
    nothing_is_lost_over_crashes(url, folder.path(), rounds(25)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_on_postgres_over_crashes_under_load() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    nothing_is_lost_over_crashes(database.url, &env::temp_dir(), rounds(15)?).await
}
