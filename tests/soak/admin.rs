//! Admins: each has a connection, changes some breakers, looks around, and is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breaker_proto::v1;
use breaker_tests::{Chance, Clients, create, selecting};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::names;
use crate::tally::{Deed, Tally};

const MAX_DEEDS: u64 = 30;
const REST: Duration = Duration::from_millis(5);
const PAGE_SIZE: u32 = 30;
/// Most pages that an admin turns.
const MAX_PAGES: usize = 5;
/// How long an admin follows the transitions.
const FOLLOWED: Duration = Duration::from_millis(100);

/// One admin after another.
pub(crate) async fn come_and_go(
    address: SocketAddr,
    mut chance: Chance,
    tally: Arc<Tally>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let mut clients = Clients::of(&address.to_string())?;
        tally.count(Deed::Connection);
        for _ in 0..=chance.below(MAX_DEEDS) {
            do_something(&mut clients, &mut chance, &tally).await?;
            sleep(REST).await;
        }
    }
    Ok(())
}

async fn do_something(
    clients: &mut Clients,
    chance: &mut Chance,
    tally: &Tally,
) -> anyhow::Result<()> {
    match chance.below(16) {
        // More often than they are deleted, which also goes for breakers of the other kind.
        0..=3 => {
            let request = create(&names::made(chance), v1::BreakerConfig::default());
            tally.answer(Deed::Create, clients.admin.create_breaker(request).await)?;
        }
        4 | 5 => {
            let request =
                v1::DeleteBreakerRequest { name: names::any(chance), ..Default::default() };
            tally.answer(Deed::Delete, clients.admin.delete_breaker(request).await)?;
        }
        6..=8 => override_for_a_while(clients, chance, tally).await?,
        9 => {
            let target = selecting(&names::any(chance));
            let answer = clients.admin.trip(v1::TripRequest { target }).await;
            tally.answer(Deed::TripOrReset, answer)?;
        }
        10 => {
            let target = selecting(&names::any(chance));
            let answer = clients.admin.reset(v1::ResetRequest { target }).await;
            tally.answer(Deed::TripOrReset, answer)?;
        }
        11 | 12 => {
            let target = selecting(&names::any(chance));
            let answer = clients.admin.release(v1::ReleaseRequest { target }).await;
            tally.answer(Deed::Release, answer)?;
        }
        13 => list(clients, tally).await?,
        14 => read_history(clients, tally).await?,
        _ => follow_transitions(clients, tally).await?,
    }
    Ok(())
}

async fn override_for_a_while(
    clients: &mut Clients,
    chance: &mut Chance,
    tally: &Tally,
) -> anyhow::Result<()> {
    let target = selecting(&names::any(chance));
    let nanos = 1_000_000 * (50 + chance.below(400) as i32);
    let time_to_live = Some(prost_types::Duration { seconds: 0, nanos });
    let admin = &mut clients.admin;
    match chance.below(3) {
        0 => {
            let request = v1::ForceOpenRequest { target, time_to_live };
            tally.answer(Deed::Override, admin.force_open(request).await)?;
        }
        1 => {
            let request = v1::DisableRequest { target, time_to_live };
            tally.answer(Deed::Override, admin.disable(request).await)?;
        }
        _ => {
            let request = v1::ShadowRequest { target, time_to_live };
            tally.answer(Deed::Override, admin.shadow(request).await)?;
        }
    }
    Ok(())
}

async fn list(clients: &mut Clients, tally: &Tally) -> anyhow::Result<()> {
    let mut page_token = String::new();
    for _ in 0..MAX_PAGES {
        let request =
            v1::ListBreakersRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
        let answer = clients.admin.list_breakers(request).await;
        let Some(page) = tally.answer(Deed::List, answer)? else { return Ok(()) };
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

async fn read_history(clients: &mut Clients, tally: &Tally) -> anyhow::Result<()> {
    let mut page_token = String::new();
    for _ in 0..MAX_PAGES {
        let request =
            v1::ListTransitionsRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
        let answer = clients.admin.list_transitions(request).await;
        let Some(page) = tally.answer(Deed::History, answer)? else { return Ok(()) };
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

async fn follow_transitions(clients: &mut Clients, tally: &Tally) -> anyhow::Result<()> {
    let answer = clients.admin.watch_transitions(v1::WatchTransitionsRequest::default()).await;
    let Some(mut transitions) = tally.answer(Deed::TransitionStream, answer)? else {
        return Ok(());
    };
    let followed = async {
        while transitions.message().await?.is_some() {}
        anyhow::Ok(())
    };
    // It does not end by itself.
    match timeout(FOLLOWED, followed).await {
        Ok(ended) => {
            ended?;
            anyhow::bail!("a stream of transitions has ended by itself")
        }
        Err(_) => Ok(()),
    }
}
