//! Several real servers on one Postgres, of which one leads: who serves when, and what is left when
//! the lead changes hands.
//!
//! `BREAKERD_PAUSE_SECONDS` says how long a leader is stopped.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_client::{Client, OnUnavailable};
use breaker_core::Time;
use breaker_proto::leader::NotLeader;
use breaker_proto::v1;
use breaker_tests::load::{Load, create_lasting};
use breaker_tests::{
    Admin, Beat, Chance, Clients, Daemon, Follower, Link, Pulse, acquire, clock, create,
    eventually, free_port, selecting,
};
use serde_json::Value;
use throwaway_postgres::Database;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The lease, if nothing else is said.
const LEASE: Duration = Duration::from_secs(3);
/// By the contract somebody else serves so long after the death of the leader.
const TAKEOVER: Duration = Duration::from_secs(5);
/// A leader that goes by itself hands over at once. The one that stands by looks four times a
/// second; the rest is for a machine that is busy. Well below the lease, which it would take else.
const HANDOVER: Duration = Duration::from_millis(2_500);
/// How long a client may take to find out, on a machine that is busy.
const CLIENT_RESTS: Duration = Duration::from_secs(10);
/// How far the incarnation is shifted to become the first of its revisions.
const INCARNATION_SHIFT: u32 = 40;
/// What is wrong, and not each of the many changes.
const QUIETLY: &str = "--log=warn,breakerd::node=info";

fn pause() -> anyhow::Result<Duration> {
    let seconds = env::var("BREAKERD_PAUSE_SECONDS").map_or(Ok(6), |seconds| seconds.parse())?;
    Ok(Duration::from_secs(seconds))
}

fn start(url: &str) -> anyhow::Result<Daemon> {
    block_in_place(|| Daemon::start_on(url, [QUIETLY]))
}

/// The first of them leads.
fn start_all(database: &Database, count: usize) -> anyhow::Result<Vec<Daemon>> {
    (0..count).map(|_| start(&database.url)).collect()
}

fn addresses_of(daemons: &[Daemon]) -> Vec<String> {
    daemons.iter().map(|daemon| daemon.grpc.clone()).collect()
}

fn pulses_of(daemons: &[Daemon]) -> anyhow::Result<Vec<Pulse>> {
    daemons.iter().map(|daemon| Pulse::of(&daemon.grpc)).collect()
}

/// Waits until one of them serves; returns which, and how long after `begun` it was heard to.
async fn until_one_serves(
    pulses: &[Pulse],
    begun: Time,
    within: Duration,
) -> anyhow::Result<(usize, Duration)> {
    let mut first = None;
    eventually("one of the others serves", within + Duration::from_secs(5), async || {
        let serving = pulses.iter().enumerate().filter_map(|(number, pulse)| {
            pulse.serving_after(begun).map(|beat| (number, beat.answered.since(begun)))
        });
        first = serving.min_by_key(|(_, after)| *after);
        Ok(first.is_some())
    })
    .await?;
    let (number, after) = first.context("one serves")?;
    ensure!(after <= within, "it served after {after:?}, and should have within {within:?}");
    Ok((number, after))
}

/// No server said that it serves once another one had: the times at which two are sure to have
/// served do not overlap. A beat was decided on between its question and its answer.
fn check_one_at_a_time(old: &[Beat], new: &[Beat]) -> anyhow::Result<()> {
    let Some(first) = new.iter().find(|beat| beat.is_serving) else { return Ok(()) };
    let both = old.iter().find(|beat| beat.is_serving && beat.asked > first.answered);
    ensure!(both.is_none(), "the old leader served in {both:?}, and the new one in {first:?}");
    Ok(())
}

/// Admins at work on one server.
struct Admins {
    working: Vec<JoinHandle<anyhow::Result<Admin>>>,
    stop: CancellationToken,
}

impl Admins {
    fn start(address: &str, chance: &mut Chance) -> Self {
        let stop = CancellationToken::new();
        let working = [0, 1].map(|number| {
            let admin = Admin::new(number, 4, chance.fork());
            tokio::spawn(admin.work(address.to_owned(), stop.clone()))
        });
        Self { working: working.into(), stop }
    }

    /// Everything that was answered as durable is there; what was not answered may be.
    async fn check(self, clients: &mut Clients) -> anyhow::Result<()> {
        self.stop.cancel();
        for admin in self.working {
            let mut admin = admin.await??;
            ensure!(admin.tally.durable > 10, "{:?}", admin.tally);
            admin.check_possible(clients).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_stand_by_say_so_and_who_leads() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let daemons = start_all(&database, 3)?;
    let pulses = pulses_of(&daemons)?;
    let [leader, standbys @ ..] = &daemons[..] else { anyhow::bail!("three were started") };
    leader.clients()?.breakers.acquire(acquire("a/b")).await?;
    ensure!(block_in_place(|| leader.answer("/readyz"))?.0 == 200);
    for standby in standbys {
        let mut clients = standby.clients()?;
        let mut refusals = vec![
            clients.breakers.acquire(acquire("a/b")).await.unwrap_err(),
            clients.breakers.report(v1::ReportRequest::default()).await.unwrap_err(),
            clients.admin.list_breakers(v1::ListBreakersRequest::default()).await.unwrap_err(),
            clients
                .admin
                .create_breaker(create("c/d", v1::BreakerConfig::default()))
                .await
                .unwrap_err(),
        ];
        match clients.breakers.watch(v1::WatchRequest::default()).await {
            Ok(stream) => refusals.push(stream.into_inner().message().await.unwrap_err()),
            Err(refused) => refusals.push(refused),
        }
        for refusal in refusals {
            let not_leader = NotLeader::of(&refusal).with_context(|| format!("{refusal:?}"))?;
            ensure!(not_leader.leader.as_ref() == Some(&leader.grpc), "{not_leader:?}");
            ensure!(not_leader.retry_delay.is_some());
        }
        let (code, page) = block_in_place(|| standby.answer("/readyz"))?;
        let page: Value = serde_json::from_str(&page)?;
        ensure!((code, &page["status"]) == (503, &"standing_by".into()), "{code} {page}");
        ensure!(page["leader"] == leader.grpc.as_str(), "{page}");
        ensure!(block_in_place(|| standby.answer("/healthz"))?.0 == 200);
    }
    let begun = clock::now();
    eventually("all were asked", TAKEOVER, async || {
        Ok(pulses.iter().all(|pulse| pulse.since(begun).is_some()))
    })
    .await?;
    let serving: Vec<_> = pulses.iter().map(|pulse| pulse.since(begun)).collect();
    ensure!(serving == [Some(true), Some(false), Some(false)], "{serving:?}");
    Ok(())
}

async fn a_leader_is_killed(count: usize) -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let mut chance = Chance::of_test()?;
    let mut daemons = start_all(&database, count)?;
    let addresses = addresses_of(&daemons);
    let leader = daemons.remove(0);
    create_lasting(&mut leader.clients()?).await?;
    let mut follower = Follower::start(&addresses)?;
    let pulses = pulses_of(&daemons)?;
    let load = Load::start(&addresses, &mut chance)?;
    let admins = Admins::start(&leader.grpc, &mut chance);
    sleep(Duration::from_secs(2)).await;

    let killed_at = clock::now();
    block_in_place(|| leader.kill())?;
    let (new, after) = until_one_serves(&pulses, killed_at, TAKEOVER).await?;
    eprintln!("of {count}, number {new} of the others serves {after:.1?} after kill -9");
    sleep(Duration::from_secs(1)).await;
    let served = load.calls(killed_at + after, clock::now());
    ensure!(served.iter().any(|call| call.error.is_none()), "nobody was served since");
    drop(load);
    let mut clients = daemons[new].clients()?;
    admins.check(&mut clients).await?;
    // It has seen every revision, and none that ran backwards, through the takeover.
    follower.until_equal(&mut clients).await?;
    let serving = pulses.iter().filter(|pulse| pulse.since(killed_at + after) == Some(true));
    ensure!(serving.count() == 1, "one leads");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_the_other_one_takes_over_from_a_leader_that_was_killed() -> anyhow::Result<()> {
    a_leader_is_killed(2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_three_one_takes_over_from_a_leader_that_was_killed() -> anyhow::Result<()> {
    a_leader_is_killed(3).await
}

/// The client of the crate, which gets every answer from whoever leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_client_of_both_works_through_a_takeover() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let mut daemons = start_all(&database, 2)?;
    let client = Client::builder()
        .addresses(addresses_of(&daemons))
        .on_unavailable(OnUnavailable::Allow)
        // It is the servers that are looked at, not how long a client rests.
        .backoff(Duration::from_millis(50), Duration::from_millis(500))
        .build()?;
    let breaker = client.breaker("a/b")?;
    for _ in 0..20 {
        breaker.call(async { Ok::<_, std::io::Error>(()) }).await?;
    }
    let leader = daemons.remove(0);
    block_in_place(|| leader.kill())?;
    // No guarded call fails or waits for a leader.
    let failed = AtomicU32::new(0);
    let back = eventually("it is served again", TAKEOVER + CLIENT_RESTS, async || {
        let called = breaker.call(async { Ok::<_, std::io::Error>(()) }).await;
        failed.fetch_add(u32::from(called.is_err()), Ordering::Relaxed);
        Ok(client.flush(Duration::from_millis(100)).await)
    });
    let back = back.await?;
    eprintln!("served again after {back:.1?}");
    ensure!(failed.load(Ordering::Relaxed) == 0, "guarded calls were denied");
    client.shutdown().await?;
    Ok(())
}

/// Notes in a table who writes what, and under which fencing number. Each server comes as a user of
/// its own.
const NOTES: &str = "
    CREATE TABLE notes (
        number BIGINT GENERATED ALWAYS AS IDENTITY, transaction BIGINT, who TEXT, fence BIGINT,
        relation TEXT, written JSONB
    );
    CREATE FUNCTION note() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO notes (transaction, who, fence, relation, written)
        SELECT txid_current(), session_user, fence, TG_TABLE_NAME, to_jsonb(NEW) FROM lease;
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON breakers
        FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON transitions
        FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON policies
        FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON server
        FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON lease
        FOR EACH ROW EXECUTE FUNCTION note();";

/// The same database as a user that is made for it.
fn as_user(database: &Database, user: &str) -> anyhow::Result<String> {
    database.query(&format!("CREATE ROLE {user} LOGIN SUPERUSER"))?;
    Ok(database.url.replacen("postgres://postgres@", &format!("postgres://{user}@"), 1))
}

/// A leader that is stopped, as a machine that hangs for a while does, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_of_a_leader_that_was_stopped_lands_after_the_takeover() -> anyhow::Result<()> {
    let length = pause()?;
    let database = Database::in_shared_cluster()?;
    let mut chance = Chance::of_test()?;
    // The names of users are those of a whole cluster.
    let suffix = database.query("SELECT current_database()")?;
    let (alpha, beta) = (format!("alpha_{suffix}"), format!("beta_{suffix}"));
    let old = start(&as_user(&database, &alpha)?)?;
    let new = start(&as_user(&database, &beta)?)?;
    database.query(NOTES)?;
    let addresses = [old.grpc.clone(), new.grpc.clone()];
    let mut clients = old.clients()?;
    create_lasting(&mut clients).await?;
    let mut follower = Follower::start(&addresses)?;
    let (of_old, of_new) = (Pulse::of(&old.grpc)?, Pulse::of(&new.grpc)?);
    let load = Load::start(&addresses, &mut chance)?;
    let admins = Admins::start(&old.grpc, &mut chance);
    sleep(Duration::from_secs(2)).await;

    let fence: u64 = database.query("SELECT fence FROM lease")?.parse()?;
    let stopped_at = clock::now();
    old.signal("STOP")?;
    let takeover = until_one_serves(std::slice::from_ref(&of_new), stopped_at, TAKEOVER).await;
    let (_, after) = takeover.with_context(|| new.log())?;
    let rest = length.saturating_sub(clock::now().since(stopped_at));
    sleep(rest).await;
    let taken_at = database.query(
        "SELECT min(number) FROM notes WHERE relation = 'lease' AND \
                                   (written->>'fence')::bigint > (SELECT min(fence) FROM notes)",
    )?;
    old.signal("CONT")?;
    eprintln!("served {after:.1?} after the leader was stopped for {length:?}");
    // What the old leader still has to write it tries to write now.
    sleep(LEASE).await;
    drop(load);
    // A question that was asked before the stop may have been decided on before it, too.
    let late = of_old.beats().into_iter().filter(|beat| beat.asked > stopped_at);
    let late: Vec<_> = late.collect();
    ensure!(late.len() > 10, "the old leader was not asked");
    let wrong = late.iter().find(|beat| beat.is_serving && beat.answered > stopped_at + length);
    ensure!(wrong.is_none(), "the old leader still serves: {wrong:?}");
    check_one_at_a_time(&of_old.beats(), &of_new.beats())?;

    let count = |condition: &str| -> anyhow::Result<u64> {
        Ok(database.query(&format!("SELECT count(*) FROM notes WHERE {condition}"))?.parse()?)
    };
    ensure!(count(&format!("who = '{alpha}' AND relation = 'breakers'"))? > 10, "a busy leader");
    ensure!(count(&format!("who = '{beta}' AND relation = 'breakers'"))? > 10, "a busy successor");
    ensure!(
        count(&format!("who = '{alpha}' AND number > {taken_at}"))? == 0,
        "something of the old leader landed: {}",
        database
            .query(&format!("SELECT * FROM notes WHERE who = '{alpha}' AND number > {taken_at}"))?
    );
    ensure!(count(&format!("number > {taken_at} AND fence <> {}", fence + 1))? == 0);
    let holder = database.query("SELECT fence, address FROM lease")?;
    ensure!(holder == format!("{}|{}", fence + 1, new.grpc), "{holder}");
    let older = format!(
        "number > {taken_at} AND relation IN ('breakers', 'transitions') AND written IS NOT NULL \
         AND (written->>'revision')::bigint >> {INCARNATION_SHIFT} <> \
         (SELECT incarnation FROM server)"
    );
    ensure!(count(&older)? == 0, "rows of an older incarnation were written");

    let mut clients = new.clients()?;
    admins.check(&mut clients).await?;
    follower.until_equal(&mut clients).await?;
    let refusal = old.clients()?.breakers.acquire(acquire("a/b")).await.unwrap_err();
    let leader = NotLeader::of(&refusal).and_then(|it| it.leader);
    ensure!(leader.as_ref() == Some(&new.grpc), "{refusal:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_goes_by_itself_hands_over_at_once() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let mut chance = Chance::of_test()?;
    let mut daemons = start_all(&database, 2)?;
    let addresses = addresses_of(&daemons);
    let leader = daemons.remove(0);
    create_lasting(&mut leader.clients()?).await?;
    let mut follower = Follower::start(&addresses)?;
    let (of_old, of_new) = (Pulse::of(&leader.grpc)?, pulses_of(&daemons)?);
    let load = Load::start(&addresses, &mut chance)?;
    let admins = Admins::start(&leader.grpc, &mut chance);
    sleep(Duration::from_secs(2)).await;

    let asked_at = clock::now();
    leader.signal("TERM")?;
    let (_, after) = until_one_serves(&of_new, asked_at, HANDOVER).await?;
    eprintln!("served {after:.1?} after SIGTERM");
    check_one_at_a_time(&of_old.beats(), &of_new[0].beats())?;
    drop(load);
    let mut clients = daemons[0].clients()?;
    admins.check(&mut clients).await?;
    follower.until_equal(&mut clients).await
}

/// Two servers of which the leader reaches the database, and the other one the leader, over links
/// that can be cut.
struct Linked {
    database: Database,
    to_database: Link,
    to_leader: Link,
    leader: Daemon,
    standby: Daemon,
    /// Where the leader's socket of the database lies.
    _folder: tempfile::TempDir,
}

impl Linked {
    async fn start() -> anyhow::Result<Self> {
        let database = Database::in_shared_cluster()?;
        let folder = tempfile::tempdir()?;
        let (place, real) = database.url.split_once("?host=").context("a socket")?;
        let to_database = Link::to_postgres(real.as_ref(), folder.path())?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let (to_leader, advertised) = Link::to_address(listen.clone()).await?;
        let url = format!("{place}?host={}", folder.path().display());
        let arguments =
            [format!("--listen={listen}"), format!("--advertise={advertised}"), QUIETLY.into()];
        let leader = block_in_place(|| Daemon::start_on(&url, arguments))?;
        let standby = start(&database.url)?;
        create_lasting(&mut leader.clients()?).await?;
        // Longer than a lease, so that the leader knows of the one that stands by.
        sleep(LEASE + Duration::from_secs(1)).await;
        Ok(Self { database, to_database, to_leader, leader, standby, _folder: folder })
    }

    fn fence(&self) -> anyhow::Result<String> {
        self.database.query("SELECT fence, address FROM lease")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_is_cut_off_from_the_database_alone_goes_on() -> anyhow::Result<()> {
    let linked = Linked::start().await?;
    let mut clients = linked.leader.clients()?;
    let fence = linked.fence()?;
    let (of_leader, of_standby) =
        (Pulse::of(&linked.leader.grpc)?, Pulse::of(&linked.standby.grpc)?);
    linked.to_database.cut();
    sleep(LEASE * 3).await;
    let request = v1::ForceOpenRequest { target: selecting("auto/00"), time_to_live: None };
    let forced = clients.admin.force_open(request).await?.into_inner().result.unwrap_or_default();
    ensure!(!forced.durable, "it cannot be");
    let (code, page) = block_in_place(|| linked.leader.answer("/readyz"))?;
    ensure!(code == 200 && page.contains("degraded"), "{page}");
    linked.to_database.mend();
    eventually("all is written", Duration::from_secs(10), async || {
        let mode = "SELECT mode FROM breakers WHERE name = 'auto/00'";
        Ok(linked.database.query(mode)? == "forced_open")
    })
    .await
    .with_context(|| linked.leader.log())?;
    sleep(LEASE * 2).await;
    let (beats, others) = (of_leader.beats(), of_standby.beats());
    ensure!(beats.len() > 100 && beats.iter().all(|beat| beat.is_serving), "the leader gave up");
    ensure!(others.len() > 100 && others.iter().all(|beat| !beat.is_serving), "it was taken over");
    ensure!(linked.fence()? == fence, "the lead has changed hands");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_is_cut_off_from_everybody_gives_up_before_it_is_taken_over()
-> anyhow::Result<()> {
    let linked = Linked::start().await?;
    let (of_leader, of_standby) =
        (Pulse::of(&linked.leader.grpc)?, Pulse::of(&linked.standby.grpc)?);
    sleep(Duration::from_millis(200)).await;
    let cut_at = clock::now();
    linked.to_database.cut();
    linked.to_leader.cut();
    let within = TAKEOVER + LEASE;
    let (_, after) = until_one_serves(std::slice::from_ref(&of_standby), cut_at, within).await?;
    let beats = of_leader.beats();
    let last = beats.iter().rfind(|beat| beat.is_serving).context("it served before")?;
    eprintln!(
        "the last to serve at {:.1?}, the next from {after:.1?}",
        last.answered.since(cut_at)
    );
    check_one_at_a_time(&beats, &of_standby.beats())?;
    ensure!(of_leader.since(cut_at) == Some(false), "the old leader goes on");
    // It learns of it, and stands by.
    linked.to_database.mend();
    linked.to_leader.mend();
    sleep(LEASE).await;
    ensure!(of_leader.since(cut_at) == Some(false) && of_standby.since(cut_at) == Some(true));
    let mut clients = linked.leader.clients()?;
    let refusal = clients.breakers.acquire(acquire("a/b")).await.unwrap_err();
    let leader = NotLeader::of(&refusal).and_then(|it| it.leader);
    ensure!(leader.as_ref() == Some(&linked.standby.grpc), "{refusal:?}");
    Ok(())
}
