//! Who may lead, decided without I/O: when a server that stands by may take the lead, and how long
//! one that leads may believe that it still does.
//!
//! Three rules keep two servers from leading at once, although no clock is compared with another.
//! Whoever leads gives up after a while without a beat that reached the database. Whoever stands by
//! waits longer than that, and only counts time in which the database answered: a database that is
//! away takes nobody's lead. And before it takes the lead it asks the one who leads: a server that
//! is cut off from the database, but not from those who stand by, goes on leading as long as all of
//! them have heard from it. Whoever stands by and may not be known to it yet asks for longer, in vain.

use std::collections::HashMap;
use std::time::Duration;

use breaker_core::Time;

use crate::lease::{LeaseView, Member, Standby};

/// What of the lease's time a server that leads counts on: clocks run at slightly different
/// speeds, and those who stand by may be a little late to ask.
const SAFE_PERCENT: u32 = 85;
/// Servers that stand by and have given no beat for so many times the lease's duration are gone.
const GONE_AFTER: u32 = 4;
/// Most servers that a leader knows of. One more hears that it does not lead, which is always safe
/// to say.
const MAX_KNOWN: usize = 1_000;

/// After so many beats the one who leads knows of a server that stands by: the first may have been
/// on its way when that began to.
const KNOWN_AFTER: u32 = 2;

/// A server that stands by, and what it knows of the one that leads.
#[derive(Debug)]
pub struct Candidate {
    me: Member,
    lease: Duration,
    /// The lease as it was seen last, and since when it has looked like that.
    seen: Option<(LeaseView, Time)>,
    last_look: Time,
    last_look_failed: bool,
    /// Beats of the one who leads since this server stands by, as far as they were seen.
    beats: u32,
    /// Since when nobody has answered when asked.
    asked_in_vain_since: Option<Time>,
    /// The one who leads has said so: until then its lead is not touched.
    heard_until: Time,
}

impl Candidate {
    /// A server that has seen nothing yet. A lease without a beat lasts `lease`.
    pub const fn new(me: Member, lease: Duration) -> Self {
        Self {
            me,
            lease,
            seen: None,
            last_look: Time::EPOCH,
            last_look_failed: false,
            beats: 0,
            asked_in_vain_since: None,
            heard_until: Time::EPOCH,
        }
    }

    /// Notes what a look has shown; `None` if the database did not answer.
    pub fn looked(&mut self, view: Option<LeaseView>, now: Time) {
        let is_continuous = now.since(self.last_look) <= self.lease / 2;
        self.last_look = now;
        self.last_look_failed = view.is_none();
        match (&mut self.seen, view) {
            (Some((seen, _)), Some(view)) if *seen == view && is_continuous => {}
            (seen, Some(view)) => {
                match seen {
                    Some((old, _)) if old.fence == view.fence => {
                        self.beats = self.beats.saturating_add(u32::from(old.beat != view.beat));
                    }
                    _ => self.beats = 0,
                }
                *seen = Some((view, now));
            }
            // The one who leads could not give a beat either: its time begins afresh.
            (Some((_, since)), None) => *since = now,
            (None, None) => {}
        }
        if self.to_ask(now).is_none() {
            self.asked_in_vain_since = None;
        }
    }

    /// Who leads, as far as is known.
    pub fn leader(&self) -> Option<&Member> {
        let (view, _) = self.seen.as_ref()?;
        view.holder.as_ref().filter(|holder| holder.id != self.me.id)
    }

    /// The fencing number that was seen last; 0 before the first look.
    pub fn fence(&self) -> u64 {
        self.seen.as_ref().map_or(0, |(view, _)| view.fence)
    }

    /// Whom to ask, before anything is taken, whether it still leads.
    pub fn to_ask(&self, now: Time) -> Option<&Member> {
        let (_, since) = self.seen.as_ref()?;
        let is_silent = now.since(*since) >= self.lease / 2;
        self.leader().filter(|_| is_silent || self.last_look_failed)
    }

    /// Notes whether the one who was asked has said that it leads.
    pub fn asked(&mut self, leads: bool, now: Time) {
        if leads {
            self.heard_until = now + self.lease;
            self.asked_in_vain_since = None;
        } else {
            self.asked_in_vain_since.get_or_insert(now);
        }
    }

    /// The lease that may be taken, if it still is as it was seen.
    pub fn to_take(&self, now: Time) -> Option<&LeaseView> {
        let (view, since) = self.seen.as_ref()?;
        if self.last_look_failed {
            return None;
        }
        // Without one who leads, or if this server did before its restart, there is nobody to wait
        // for: it listens where the holder did, so the holder is gone.
        let is_free = self.leader().is_none();
        let is_silent = now.since(*since) >= self.lease && now >= self.heard_until;
        // One that is not known yet is not waited for by the one who leads, if that is cut off.
        let is_gone = self.beats >= KNOWN_AFTER
            || self.asked_in_vain_since.is_some_and(|asked| now.since(asked) >= self.lease);
        (is_free || (is_silent && is_gone)).then_some(view)
    }
}

/// A server that leads, and how long it may believe so.
#[derive(Debug)]
pub struct Tenure {
    lease: Duration,
    /// When the last beat that reached the database was sent.
    renewed_at: Time,
    /// Those who stand by; `None` before the first beat has shown them.
    known: Option<HashMap<String, Known>>,
}

/// A server that stands by, as the one that leads knows it.
#[derive(Debug)]
struct Known {
    beat: u64,
    /// When its beat was seen to rise.
    alive_at: Time,
    /// When it last asked whether this server leads, and was told so.
    told_at: Time,
}

impl Tenure {
    /// Begins with the taking of the lease, as of when the database was asked for it.
    pub fn new(lease: Duration, asked_at: Time) -> Self {
        Self { lease, renewed_at: asked_at, known: None }
    }

    /// Notes a beat that was sent at `sent_at` and has reached the database, and who stood by then.
    pub fn renewed(&mut self, sent_at: Time, standbys: &[Standby]) {
        self.renewed_at = self.renewed_at.max(sent_at);
        let all = self.known.get_or_insert_default();
        for Standby { member, beat } in standbys {
            let known = all.entry(member.id.clone()).or_insert_with(|| Known {
                beat: *beat,
                alive_at: sent_at,
                told_at: Time::EPOCH,
            });
            if known.beat != *beat {
                (known.beat, known.alive_at) = (*beat, sent_at);
            }
        }
    }

    /// Answers a server that stands by and asks whether this one leads. It will not touch the lead
    /// for as long as a lease lasts after it has heard `true`.
    pub fn asked_by(&mut self, id: &str, now: Time) -> bool {
        if !self.leads(now) {
            return false;
        }
        // Before the first beat nobody is known, and nobody needs to be: the lead then ends by itself.
        let Some(all) = &mut self.known else { return true };
        if all.len() >= MAX_KNOWN && !all.contains_key(id) {
            let gone_before = now - self.lease * GONE_AFTER;
            all.retain(|_, one| one.alive_at.max(one.told_at) > gone_before);
            if all.len() >= MAX_KNOWN {
                return false;
            }
        }
        let known = Known { beat: 0, alive_at: now, told_at: now };
        all.entry(id.to_owned()).or_insert(known).told_at = now;
        true
    }

    /// Until when this server may believe that it leads; `None` if there is nobody who could take
    /// the lead.
    pub fn until(&self) -> Option<Time> {
        let safe = self.lease * SAFE_PERCENT / 100;
        let Some(known) = &self.known else { return Some(self.renewed_at + safe) };
        let gone_before = self.renewed_at - self.lease * GONE_AFTER;
        let alive = known.values().filter(|one| one.alive_at.max(one.told_at) > gone_before);
        let told_at = alive.map(|one| one.told_at).min()?;
        Some(self.renewed_at.max(told_at) + safe)
    }

    /// Whether this server may believe that it leads.
    pub fn leads(&self, now: Time) -> bool {
        self.until().is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests;
