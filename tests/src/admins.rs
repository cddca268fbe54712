//! What admins do all day, and what must be left of it.

use std::collections::BTreeMap;
use std::time::Duration;

use breaker_core::Time;
use breaker_proto::leader::NotLeader;
use breaker_proto::v1::{self, Mode};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::load::{BREAKERS, delete_fleeting, lasting};
use crate::requests::create;
use crate::{Chance, Clients, clock};

/// Breakers of one admin that nobody else touches.
const OWN: usize = 3;
/// Policies of one admin.
const POLICIES: usize = 2;
/// Most changes in one go.
const MAX_CHANGES: usize = 5_000;
/// An admin rests between two changes.
const REST: Duration = Duration::from_millis(2);
/// No change is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an admin changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    /// One of its own breakers: what it is, and whether it is.
    Own(String),
    /// One that lives by itself: only what overrides it.
    Lasting(String),
    Policy(String),
}

/// What an admin has made of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Facts {
    Gone,
    Breaker { mode: i32, reason: String, threshold: u32 },
    Policy { priority: i32, threshold: u32 },
}

/// One admin. Nobody else changes what it does.
#[derive(Debug)]
pub struct Admin {
    name: String,
    chance: Chance,
    /// What each thing may be after a crash of the server, the latest last: that is what it was
    /// made. What was answered to be durable leaves nothing before it.
    possible: BTreeMap<Thing, Vec<Facts>>,
    serial: u32,
    /// The breaker that it last wanted to change durably, and got no answer.
    unanswered: Option<String>,
    /// What became of its changes.
    pub tally: Tally,
    /// When it asked for the last change that was answered as durable.
    pub last_durable: Time,
}

/// What became of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answered as durable.
    pub durable: u32,
    /// Answered as not durable.
    pub not_durable: u32,
    /// Had to be durable, were made, and were answered as not durable: storage failed after the
    /// change was written and before its transition was.
    pub half_durable: u32,
    /// Not made because they could not be durable.
    pub refused: u32,
    /// Not answered, or nobody knows what became of them.
    pub open: u32,
}

/// How a change was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Durable,
    Whatever,
}

impl Admin {
    /// An admin that has made nothing yet. Of several, each has a number and knows how many they
    /// are.
    pub fn new(number: u64, count: u64, chance: Chance) -> Self {
        let name = format!("admin-{number}");
        let mut possible = BTreeMap::new();
        for own in 0..OWN {
            possible.insert(Thing::Own(format!("{name}/{own}")), vec![Facts::Gone]);
        }
        for policy in 0..POLICIES {
            possible.insert(Thing::Policy(format!("{name}-{policy}")), vec![Facts::Gone]);
        }
        for lasting in (0..BREAKERS).filter(|breaker| breaker % count == number).map(lasting) {
            possible.insert(Thing::Lasting(lasting), vec![untouched()]);
        }
        Self {
            name,
            chance,
            possible,
            serial: 0,
            unanswered: None,
            tally: Tally::default(),
            last_durable: Time::EPOCH,
        }
    }

    /// Makes changes until told to stop, or until one is not answered, after which nobody knows
    /// what is.
    ///
    /// # Errors
    /// If a change was refused that should not have been.
    pub async fn work(mut self, address: String, stop: CancellationToken) -> anyhow::Result<Self> {
        let mut clients = Clients::of(&address)?;
        for _ in 0..MAX_CHANGES {
            if stop.is_cancelled() {
                break;
            }
            if self.chance.one_in(20) {
                // The end of the server is noticed at the next change.
                let _ = delete_fleeting(&mut clients, &mut self.chance).await;
            }
            if !self.change(&mut clients).await? {
                break;
            }
            sleep(REST).await;
        }
        Ok(self)
    }

    /// Makes one change; `false` if it was not answered.
    ///
    /// # Errors
    /// If it was refused and should not have been.
    pub async fn change(&mut self, clients: &mut Clients) -> anyhow::Result<bool> {
        let which = self.chance.below(self.possible.len() as u64) as usize;
        let Some((thing, possible)) = self.possible.iter().nth(which) else { return Ok(true) };
        let (thing, now) = (thing.clone(), possible.last().cloned().unwrap_or(Facts::Gone));
        self.serial += 1;
        let ask = if self.chance.one_in(2) { Ask::Durable } else { Ask::Whatever };
        let asked_at = clock::now();
        let (next, answer) = {
            let making = self.make(clients, &thing, &now, ask);
            match timeout(PATIENCE, making).await {
                Ok(made) => made,
                Err(_) => anyhow::bail!("no answer within {PATIENCE:?} to a change of {thing:?}"),
            }
        };
        let possible = self.possible.entry(thing.clone()).or_default();
        match answer {
            Ok(true) => {
                self.tally.durable += 1;
                self.last_durable = asked_at;
                *possible = vec![next];
            }
            Ok(false) => {
                match ask {
                    Ask::Whatever => self.tally.not_durable += 1,
                    Ask::Durable => self.tally.half_durable += 1,
                }
                possible.push(next);
            }
            // It has changed nothing, and the server goes on.
            Err(status) if is_refused_for_storage(&status) => {
                self.tally.refused += 1;
                anyhow::ensure!(ask == Ask::Durable, "{thing:?} need not be durable: {status}");
            }
            Err(status) if NotLeader::of(&status).is_some() => return Ok(false),
            Err(status) if is_lost(&status) => {
                self.tally.open += 1;
                possible.push(next);
                if let (Ask::Durable, Thing::Own(name) | Thing::Lasting(name)) = (ask, thing) {
                    self.unanswered = Some(name);
                }
                return Ok(false);
            }
            Err(status) => anyhow::bail!("a change of {thing:?}, {now:?}: {status}"),
        }
        Ok(true)
    }

    /// The breaker of the change with `require_durable` that was not answered, if there was one
    /// since this was last asked. Such a change is written before it is made, and its transition
    /// after that: a crash in between leaves a change that the history does not know.
    pub const fn take_unanswered(&mut self) -> Option<String> {
        self.unanswered.take()
    }

    /// Looks whether everything is one of what it may be; that is what is from now on.
    ///
    /// # Errors
    /// If something is not.
    pub async fn check_possible(&mut self, clients: &mut Clients) -> anyhow::Result<()> {
        for (thing, possible) in &mut self.possible {
            let is = look(clients, thing).await?;
            anyhow::ensure!(
                possible.contains(&is),
                "{thing:?} is {is:?}, which is none of {possible:?}"
            );
            *possible = vec![is];
        }
        Ok(())
    }

    /// Looks whether everything is what it was made.
    ///
    /// # Errors
    /// If something is not.
    pub async fn check_latest(&self, clients: &mut Clients) -> anyhow::Result<()> {
        for (thing, possible) in &self.possible {
            let (is, latest) = (look(clients, thing).await?, possible.last());
            anyhow::ensure!(Some(&is) == latest, "{thing:?} is {is:?} and not {latest:?}");
        }
        Ok(())
    }

    /// Changes a thing that is like `now`; returns what it becomes, and whether that is durable.
    async fn make(
        &mut self,
        clients: &mut Clients,
        thing: &Thing,
        now: &Facts,
        ask: Ask,
    ) -> (Facts, Result<bool, Status>) {
        let require_durable = ask == Ask::Durable;
        match (thing, now) {
            (Thing::Policy(name), now) => {
                self.edit_policy(clients, name, now, require_durable).await
            }
            (Thing::Own(name) | Thing::Lasting(name), Facts::Breaker { .. }) => {
                let is_own = matches!(thing, Thing::Own(_));
                match self.chance.below(if is_own { 8 } else { 5 }) {
                    0..=3 => self.override_breaker(clients, name, now, require_durable).await,
                    4 => self.release(clients, name, now, require_durable).await,
                    5 | 6 => self.update(clients, name, now, require_durable).await,
                    _ => delete(clients, name, require_durable).await,
                }
            }
            (Thing::Own(name) | Thing::Lasting(name), _) => {
                let threshold = 1 + self.serial;
                let config =
                    v1::BreakerConfig { failure_threshold: Some(threshold), ..Default::default() };
                let request = v1::CreateBreakerRequest { require_durable, ..create(name, config) };
                let next =
                    Facts::Breaker { mode: Mode::Normal as i32, reason: String::new(), threshold };
                let answer = clients.admin.create_breaker(request).await;
                (next, answer.map(|answer| answer.get_ref().durable))
            }
        }
    }

    async fn override_breaker(
        &mut self,
        clients: &mut Clients,
        name: &str,
        now: &Facts,
        require_durable: bool,
    ) -> (Facts, Result<bool, Status>) {
        let reason = format!("reason {}", self.serial);
        let target = self.target(name, &reason, require_durable);
        let admin = &mut clients.admin;
        let (mode, result) = match self.chance.below(4) {
            0 => {
                let request = v1::ForceOpenRequest { target, time_to_live: None };
                (Mode::ForcedOpen, admin.force_open(request).await.map(|a| a.into_inner().result))
            }
            1 => {
                let request = v1::ForceCloseRequest { target, time_to_live: None };
                (
                    Mode::ForcedClosed,
                    admin.force_close(request).await.map(|a| a.into_inner().result),
                )
            }
            2 => {
                let request = v1::DisableRequest { target, time_to_live: None };
                (Mode::Disabled, admin.disable(request).await.map(|a| a.into_inner().result))
            }
            _ => {
                let request = v1::ShadowRequest { target, time_to_live: None };
                (Mode::Shadow, admin.shadow(request).await.map(|a| a.into_inner().result))
            }
        };
        let next = Facts::Breaker { mode: mode as i32, reason, threshold: threshold_of(now) };
        (next, result.map(|result| result.is_some_and(|result| result.durable)))
    }

    /// Ends an override; where there is none, the breaker is tripped or reset, which leaves nothing
    /// that lasts.
    async fn release(
        &mut self,
        clients: &mut Clients,
        name: &str,
        now: &Facts,
        require_durable: bool,
    ) -> (Facts, Result<bool, Status>) {
        let target = self.target(name, "it is over", require_durable);
        let admin = &mut clients.admin;
        let is_normal = matches!(now, Facts::Breaker { mode, .. } if *mode == Mode::Normal as i32);
        let result = if !is_normal {
            let request = v1::ReleaseRequest { target };
            admin.release(request).await.map(|answer| answer.into_inner().result)
        } else if self.chance.one_in(2) {
            let request = v1::TripRequest { target };
            admin.trip(request).await.map(|answer| answer.into_inner().result)
        } else {
            let request = v1::ResetRequest { target };
            admin.reset(request).await.map(|answer| answer.into_inner().result)
        };
        let (mode, reason) = (Mode::Normal as i32, String::new());
        let next = Facts::Breaker { mode, reason, threshold: threshold_of(now) };
        (next, result.map(|result| result.is_some_and(|result| result.durable)))
    }

    async fn update(
        &self,
        clients: &mut Clients,
        name: &str,
        now: &Facts,
        require_durable: bool,
    ) -> (Facts, Result<bool, Status>) {
        let new = 1 + self.serial;
        let config = v1::BreakerConfig { failure_threshold: Some(new), ..Default::default() };
        let request = v1::UpdateBreakerRequest {
            name: name.into(),
            config: Some(config),
            require_durable,
            ..Default::default()
        };
        let answer = clients.admin.update_breaker(request).await;
        let mut next = now.clone();
        if let Facts::Breaker { threshold, .. } = &mut next {
            *threshold = new;
        }
        (next, answer.map(|answer| answer.get_ref().durable))
    }

    async fn edit_policy(
        &mut self,
        clients: &mut Clients,
        name: &str,
        now: &Facts,
        require_durable: bool,
    ) -> (Facts, Result<bool, Status>) {
        let name = name.to_owned();
        let (priority, threshold) = (self.serial as i32, 1 + self.serial % 3);
        let config = v1::BreakerConfig { success_threshold: Some(threshold), ..Default::default() };
        let config = Some(config);
        let next = Facts::Policy { priority, threshold };
        if *now == Facts::Gone {
            let selector = "auto/*".to_owned();
            let request = v1::CreatePolicyRequest {
                name,
                selector,
                priority,
                config,
                alerts: None,
                require_durable,
            };
            let answer = clients.admin.create_policy(request).await;
            (next, answer.map(|answer| answer.get_ref().durable))
        } else if self.chance.one_in(4) {
            let etag = String::new();
            let request = v1::DeletePolicyRequest { name, etag, require_durable };
            let answer = clients.admin.delete_policy(request).await;
            (Facts::Gone, answer.map(|answer| answer.get_ref().durable))
        } else {
            let priority = Some(priority);
            let request = v1::UpdatePolicyRequest {
                name,
                priority,
                config,
                require_durable,
                ..Default::default()
            };
            let answer = clients.admin.update_policy(request).await;
            (next, answer.map(|answer| answer.get_ref().durable))
        }
    }

    fn target(&self, name: &str, reason: &str, require_durable: bool) -> Option<v1::ChangeTarget> {
        Some(v1::ChangeTarget {
            selector: name.into(),
            actor: self.name.clone(),
            reason: reason.into(),
            require_durable,
        })
    }
}

/// A breaker that lives by itself, before anybody overrides it.
fn untouched() -> Facts {
    Facts::Breaker { mode: Mode::Normal as i32, reason: String::new(), threshold: 3 }
}

const fn threshold_of(facts: &Facts) -> u32 {
    match facts {
        Facts::Breaker { threshold, .. } => *threshold,
        Facts::Gone | Facts::Policy { .. } => 0,
    }
}

async fn delete(
    clients: &mut Clients,
    name: &str,
    require_durable: bool,
) -> (Facts, Result<bool, Status>) {
    let request =
        v1::DeleteBreakerRequest { name: name.into(), require_durable, ..Default::default() };
    let answer = clients.admin.delete_breaker(request).await;
    (Facts::Gone, answer.map(|answer| answer.get_ref().durable))
}

async fn look(clients: &mut Clients, thing: &Thing) -> anyhow::Result<Facts> {
    let found = match thing {
        Thing::Own(name) | Thing::Lasting(name) => {
            let request = v1::GetBreakerRequest { name: name.clone() };
            clients.admin.get_breaker(request).await.map(|answer| {
                let breaker = answer.into_inner().breaker.unwrap_or_default();
                let mode = breaker.state.map_or(0, |state| state.mode);
                let reason = breaker.r#override.map_or(String::new(), |is| is.reason);
                let own = breaker.own_config.unwrap_or_default();
                Facts::Breaker { mode, reason, threshold: own.failure_threshold.unwrap_or(0) }
            })
        }
        Thing::Policy(name) => {
            let request = v1::GetPolicyRequest { name: name.clone() };
            clients.admin.get_policy(request).await.map(|answer| {
                let policy = answer.into_inner().policy.unwrap_or_default();
                let threshold = policy.config.and_then(|config| config.success_threshold);
                Facts::Policy { priority: policy.priority, threshold: threshold.unwrap_or(0) }
            })
        }
    };
    match found {
        Err(status) if status.code() == Code::NotFound => Ok(Facts::Gone),
        found => Ok(found?),
    }
}

/// The server says that the change cannot be durable, and so was not made.
pub fn is_refused_for_storage(status: &Status) -> bool {
    use tonic_types::StatusExt;
    let details = status.get_error_details();
    status.code() == Code::Unavailable
        && details.error_info().is_some_and(|info| info.reason == "STORAGE_UNAVAILABLE")
}

/// The server has gone before it answered.
fn is_lost(status: &Status) -> bool {
    [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal].contains(&status.code())
}
