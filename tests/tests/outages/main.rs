//! A Postgres that goes away under load, in every way, and comes back: nobody who calls notices.
//!
//! `BREAKERD_OUTAGE_SECONDS` says how long it is away.

mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_core::Time;
use breaker_proto::v1::{self, Mode, State};
use breaker_tests::load::{Load, create_lasting, p99};
use breaker_tests::{
    Admin, Chance, Clients, Daemon, Follower, Pulse, Shown, Witness, clock, create, eventually,
    history_after, is_refused_for_storage, selecting, states_in,
};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use place::{Outage, Place};

/// They measure, and do so one after another.
static ALONE: Mutex<()> = Mutex::const_new(());

/// How long the load is measured before the outage.
const BEFORE: Duration = Duration::from_millis(1_500);
/// Calls may take twice as long as before. Less than this is no delay but the noise of a machine
/// whose two cores are shared by server, database, callers and other tests: a call that waited for
/// the database would wait for as long as that is away.
const NOISE: Duration = Duration::from_millis(250);
/// How long a server needs to see that the database is back: the writer's longest pause, the end of
/// a commit that was given up, and writing all that waits.
const RECOVERY: Duration = Duration::from_secs(20);
/// The lease of servers that share a database, if nothing else is said.
const LEASE: Duration = Duration::from_secs(3);
/// What is wrong, and not each of the many changes.
const ARGUMENTS: [&str; 1] = ["--log=warn"];

fn outage_seconds() -> anyhow::Result<Duration> {
    let seconds = env::var("BREAKERD_OUTAGE_SECONDS").map_or(Ok(4), |seconds| seconds.parse())?;
    Ok(Duration::from_secs(seconds))
}

/// An answer, and when it came.
type Answered<T> = JoinHandle<(Time, Result<T, Status>)>;

/// What admins ask for while the database is away.
struct Requests {
    /// To force `quiet/one` open; whether it was durable.
    preferred: Answered<bool>,
    /// To force `quiet/two` closed, durably.
    required: Answered<()>,
    /// To create `quiet/new`, durably.
    creation: Answered<()>,
}

impl Requests {
    fn send(clients: &Clients) -> Self {
        let (mut one, mut two, mut new) = (clients.clone(), clients.clone(), clients.clone());
        let preferred = tokio::spawn(async move {
            let request =
                v1::ForceOpenRequest { target: selecting("quiet/one"), time_to_live: None };
            let answer = one.admin.force_open(request).await;
            let durable = answer.map(|a| a.into_inner().result.is_some_and(|r| r.durable));
            (clock::now(), durable)
        });
        let required = tokio::spawn(async move {
            let target = selecting("quiet/two");
            let target = target.map(|target| v1::ChangeTarget { require_durable: true, ..target });
            let request = v1::ForceCloseRequest { target, time_to_live: None };
            let answer = two.admin.force_close(request).await;
            (clock::now(), answer.map(drop))
        });
        let creation = tokio::spawn(async move {
            let config = v1::BreakerConfig::default();
            let request =
                v1::CreateBreakerRequest { require_durable: true, ..create("quiet/new", config) };
            let answer = new.admin.create_breaker(request).await;
            (clock::now(), answer.map(drop))
        });
        Self { preferred, required, creation }
    }

    /// Whoever was answered while the database was away was told so, and what had to be durable and
    /// is not was not made.
    async fn check(self, outage: Outage, clients: &mut Clients, ended: Time) -> anyhow::Result<()> {
        let (at, durable) = self.preferred.await?;
        let may_be_durable = at >= ended || !outage.is_total();
        ensure!(may_be_durable || !durable?, "it was durable while the database was away");
        // A database that hangs may answer later.
        let in_time = at < ended || outage == Outage::Paused;
        ensure!(in_time, "an admin who need not wait for the database waited for it");
        ensure!(
            look(clients, "quiet/one")
                .await?
                .is_some_and(|one| one.mode == Mode::ForcedOpen as i32)
        );

        let (at, answer) = self.required.await?;
        let is_made = look(clients, "quiet/two").await?.context("it was there")?.mode
            == Mode::ForcedClosed as i32;
        check_required(outage, at, answer, ended, is_made)?;
        let (at, answer) = self.creation.await?;
        let is_made = look(clients, "quiet/new").await?.is_some();
        check_required(outage, at, answer, ended, is_made)
    }
}

fn check_required(
    outage: Outage,
    at: Time,
    answer: Result<(), Status>,
    ended: Time,
    is_made: bool,
) -> anyhow::Result<()> {
    ensure!(at < ended || outage == Outage::Paused, "who had to be refused waited: {answer:?}");
    let may_be_durable = at >= ended || !outage.is_total();
    ensure!(may_be_durable || answer.is_err(), "it cannot be durable while the database is away");
    ensure!(answer.is_ok() == is_made, "made: {is_made}, and answered: {answer:?}");
    answer.or_else(|status| {
        ensure!(is_refused_for_storage(&status), "{status}");
        Ok(())
    })
}

async fn look(clients: &mut Clients, name: &str) -> anyhow::Result<Option<Shown>> {
    let request = v1::GetBreakerRequest { name: name.into() };
    match clients.admin.get_breaker(request).await {
        Ok(answer) => {
            let state = answer.into_inner().breaker.and_then(|breaker| breaker.state);
            Ok(state.as_ref().map(Shown::of))
        }
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

/// Whether the page for readiness tells of a database that is away, and since when.
fn is_degraded(daemon: &Daemon) -> anyhow::Result<bool> {
    let (code, page) = block_in_place(|| daemon.answer("/readyz"))?;
    ensure!(code == 200, "a server without its database takes calls: {code} {page}");
    let page: Value = serde_json::from_str(&page)?;
    let since = page["storage"]["since"].as_str().unwrap_or_default();
    ensure!((page["status"] == "degraded") != since.is_empty(), "{page}");
    Ok(page["status"] == "degraded")
}

async fn goes_on_without(outage: Outage) -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let length = outage_seconds()?;
    let mut chance = Chance::of_test()?;
    let place = block_in_place(|| Place::for_an(outage))?;
    let daemon = block_in_place(|| Daemon::start_on(&place.database.url, ARGUMENTS))?;
    let addresses = [daemon.grpc.clone()];
    let mut clients = daemon.clients()?;
    create_lasting(&mut clients).await?;
    for name in ["quiet/one", "quiet/two"] {
        clients.admin.create_breaker(create(name, v1::BreakerConfig::default())).await?;
    }
    let mut follower = Follower::start(&addresses)?;
    let mut witness = Witness::start(&addresses)?;
    let load = Load::start(&addresses, &mut chance)?;
    let stop = CancellationToken::new();
    // Of four admins two are there: half of the breakers are left to themselves.
    let admins = [0, 1].map(|number| {
        let admin = Admin::new(number, 4, chance.fork());
        tokio::spawn(admin.work(daemon.grpc.clone(), stop.clone()))
    });
    sleep(BEFORE / 2).await;
    let measured_from = clock::now();
    sleep(BEFORE).await;

    let begun = clock::now();
    block_in_place(|| place.begin(outage))?;
    let told = eventually("/readyz tells of it", length, async || is_degraded(&daemon)).await?;
    let requests = Requests::send(&clients);
    let shown = eventually("the watch shows a change", Duration::from_secs(10), async || {
        Ok(follower.shown("quiet/one").is_some_and(|shown| shown.mode == Mode::ForcedOpen as i32))
    });
    shown.await?;
    while clock::now().since(begun) < length {
        let is_told = is_degraded(&daemon)?;
        ensure!(is_told || !outage.is_total(), "it seemed to be over; the log: {}", daemon.log());
        sleep(Duration::from_millis(100)).await;
    }
    let ended = clock::now();
    block_in_place(|| place.end(outage))?;
    let back = eventually("/readyz says ready", RECOVERY, async || Ok(!is_degraded(&daemon)?));
    let back = back.await.with_context(|| daemon.log())?;

    let (before, during) = (load.calls(measured_from, begun), load.calls(begun, ended));
    let all = load.calls(measured_from, clock::now());
    drop(load);
    let failed: Vec<_> = all.iter().filter(|call| call.error.is_some()).take(3).collect();
    ensure!(failed.is_empty(), "calls failed: {failed:?}");
    let slowest = during.iter().map(|call| call.took).max().unwrap_or_default();
    let (p99_before, p99_during) = (p99(&before), p99(&during));
    eprintln!(
        "{outage:?} for {length:?}: told after {told:.1?}, back after {back:.1?}; p99 of {} calls \
         {p99_before:.1?} before, of {} calls {p99_during:.1?} during, the slowest {slowest:.1?}",
        before.len(),
        during.len(),
    );
    ensure!(p99_during <= (2 * p99_before).max(NOISE), "p99 {p99_before:?} → {p99_during:?}");
    ensure!(before.len() > 100 && during.len() > 100, "there was hardly any load");

    requests.check(outage, &mut clients, ended).await?;
    stop.cancel();
    for admin in admins {
        let admin = admin.await??;
        eprintln!("{:?}", admin.tally);
        let was_told = admin.tally.not_durable + admin.tally.refused > 0;
        // One that hangs is waited for.
        ensure!(was_told || outage == Outage::Paused, "{:?}", admin.tally);
        ensure!(admin.tally.open == 0);
        admin.check_latest(&mut clients).await?;
    }
    everything_is_in(&place, &mut clients).await?;
    follower.until_equal(&mut clients).await?;
    nothing_is_missing(&place, &mut clients, &mut witness).await
}

/// The history tells of all that was seen, and so does the database.
async fn nothing_is_missing(
    place: &Place,
    clients: &mut Clients,
    witness: &mut Witness,
) -> anyhow::Result<()> {
    let (mut seen, mut kept, mut rows) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    // A breaker that an admin tripped half-opens at any time.
    let equal = eventually("all three are equal", Duration::from_secs(20), async || {
        let new = witness.take().await?.into_iter();
        seen.extend(new.map(|sighting| (sighting.transition.id, sighting.transition)));
        kept = history_after(clients, 0).await?;
        let ids = block_in_place(|| place.database.query("SELECT id FROM transitions"))?;
        rows = ids.lines().map(str::parse).collect::<Result<BTreeSet<u64>, _>>()?;
        Ok(seen == kept && rows.iter().eq(kept.keys()))
    });
    equal.await.with_context(|| {
        let ids = |all: &BTreeMap<u64, _>| all.keys().copied().collect::<BTreeSet<_>>();
        let (seen, kept) = (ids(&seen), ids(&kept));
        let missing = (&seen - &kept, &seen - &rows, &rows - &seen);
        format!("of {} seen (history and database miss, database has): {missing:?}", seen.len())
    })?;
    ensure!(seen.len() > 20, "hardly anything happened: {}", seen.len());
    Ok(())
}

/// Waits until the rows of the database are what List shows, at a moment without changes.
async fn everything_is_in(place: &Place, clients: &mut Clients) -> anyhow::Result<()> {
    let mut last = (BTreeMap::new(), BTreeMap::new());
    let equal = eventually("the database is like List", RECOVERY, async || {
        let rows = block_in_place(|| {
            place.database.query("SELECT name, state, generation, revision, mode FROM breakers")
        })?;
        let rows = rows.lines().map(read).collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        last = (states_in(&mut clients.admin).await?, rows);
        Ok(last.0 == last.1)
    });
    equal.await.map(drop).with_context(|| format!("{last:?}"))
}

fn read(row: &str) -> anyhow::Result<(String, Shown)> {
    let cells: Vec<_> = row.split('|').collect();
    let [name, state, generation, revision, mode] = cells[..] else { anyhow::bail!("{row}") };
    let word = |prefix: &str, word: &str| format!("{prefix}_{}", word.to_uppercase());
    let state = State::from_str_name(&word("STATE", state)).context("a state")? as i32;
    let mode = Mode::from_str_name(&word("MODE", mode)).context("a mode")? as i32;
    let shown = Shown { state, mode, generation: generation.parse()?, revision: revision.parse()? };
    Ok((name.to_owned(), shown))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_the_database_hangs() -> anyhow::Result<()> {
    goes_on_without(Outage::Paused).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_the_database_was_killed() -> anyhow::Result<()> {
    goes_on_without(Outage::Killed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_the_database_was_shut_down() -> anyhow::Result<()> {
    goes_on_without(Outage::Stopped).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_the_database_is_read_only() -> anyhow::Result<()> {
    goes_on_without(Outage::ReadOnly).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_the_disk_of_the_database_is_full() -> anyhow::Result<()> {
    goes_on_without(Outage::DiskFull).await
}

/// Nobody takes over from a leader that the others hear from, be the database away or not.
async fn the_leader_goes_on_without(outage: Outage) -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let length = outage_seconds()?.max(LEASE + Duration::from_secs(1));
    let mut chance = Chance::of_test()?;
    let place = block_in_place(|| Place::for_an(outage))?;
    let leader = block_in_place(|| Daemon::start_on(&place.database.url, ARGUMENTS))?;
    let standby = block_in_place(|| Daemon::start_on(&place.database.url, ARGUMENTS))?;
    let mut clients = leader.clients()?;
    create_lasting(&mut clients).await?;
    // Longer than a lease, so that the leader knows of the one that stands by.
    sleep(LEASE + Duration::from_secs(1)).await;
    let lease = "SELECT fence, holder, address FROM lease";
    let held = place.database.query(lease)?;
    let (of_leader, of_standby) = (Pulse::of(&leader.grpc)?, Pulse::of(&standby.grpc)?);
    let load = Load::start(std::slice::from_ref(&leader.grpc), &mut chance)?;
    let begun = clock::now();
    block_in_place(|| place.begin(outage))?;
    sleep(length).await;
    block_in_place(|| place.end(outage))?;
    let back = eventually("/readyz says ready", RECOVERY, async || Ok(!is_degraded(&leader)?));
    back.await.with_context(|| leader.log())?;
    // Whoever wanted to take over would have by then.
    sleep(LEASE * 2).await;
    let calls = load.calls(begun, clock::now());
    drop(load);
    let failed: Vec<_> = calls.iter().filter(|call| call.error.is_some()).take(3).collect();
    ensure!(failed.is_empty(), "calls failed: {failed:?}; {}", leader.log());
    ensure!(calls.len() > 100, "there was hardly any load");
    let (beats, others) = (of_leader.beats(), of_standby.beats());
    ensure!(beats.len() > 100 && beats.iter().all(|beat| beat.is_serving), "the leader gave up");
    ensure!(others.len() > 100 && others.iter().all(|beat| !beat.is_serving), "it was taken over");
    ensure!(place.database.query(lease)? == held, "the lead has changed hands");
    everything_is_in(&place, &mut clients).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_servers_the_leader_goes_on_while_the_database_hangs() -> anyhow::Result<()> {
    the_leader_goes_on_without(Outage::Paused).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_servers_the_leader_goes_on_while_the_database_is_down() -> anyhow::Result<()> {
    the_leader_goes_on_without(Outage::Killed).await
}
