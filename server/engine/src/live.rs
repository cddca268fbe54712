//! One breaker as it lives in the server: the core's state machine with what the server knows
//! about it. Whoever changes it holds its shard of the map, and every change passes through
//! [`Live::change`], which stamps it and marks the breaker for those who work behind.

use breaker_core::{
    AlertRules, Breaker, BreakerName, Config, ConfigPatch, Sources, Time, Transition,
};
use thin_vec::ThinVec;

use crate::defaults::{Configured, Defaults};
use crate::idle::LastUse;
use crate::monitor::{Heard, Standing};
use crate::policy::{Policy, PolicyName};
use crate::signals::Signals;
use crate::store::{BreakerRow, Deletion};

/// Transitions of one breaker that can wait for the recorder. It empties the list within
/// microseconds; if it ever falls behind so far, the oldest are dropped and counted.
pub(crate) const MAX_UNRECORDED: usize = 256;

/// After everything that a breaker waits for.
pub(crate) const NEVER: Time = Time::from_nanos(u64::MAX);

/// A transition with the revision it was stamped with.
#[derive(Clone, Debug)]
pub(crate) struct Stamped {
    pub(crate) revision: u64,
    pub(crate) transition: Transition,
}

#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) breaker: Breaker,
    pub(crate) configured: Configured,
    pub(crate) revision: u64,
    pub(crate) config_revision: u64,
    pub(crate) created_at: Time,
    /// `None` once an admin has created or configured the breaker, which stays then however long
    /// nobody uses it.
    pub(crate) last_use: Option<LastUse>,
    /// When calls were last reported, since the server leads; the epoch before the first report. Read it
    /// by `last_report_at`.
    pub(crate) last_report: Time,
    /// Who reported them; `None` while nobody has for long.
    pub(crate) heard: Option<Box<Heard>>,
    pub(crate) marks: Marks,
}

/// What a breaker does not leave to its policy and the defaults.
#[derive(Clone, Debug)]
pub(crate) struct OwnConfig {
    pub(crate) patch: ConfigPatch,
    /// Where the effective values come from.
    pub(crate) sources: Sources,
    /// Whether the patch is in force. One from storage that does not go with the layers below any
    /// more is kept and left out.
    pub(crate) is_in_force: bool,
}

/// How far those who work behind have come with this breaker.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// Waiting for the recorder; bounded by `MAX_UNRECORDED`.
    pub(crate) unrecorded: ThinVec<Stamped>,
    /// In the recorder's queue.
    pub(crate) to_record: bool,
    /// In the writer's queue.
    pub(crate) to_write: bool,
    /// In the queue of breakers of which only counters changed.
    pub(crate) touched: bool,
    /// The alert task knows that it is reported for.
    pub(crate) is_report_told: bool,
    /// The number of its entry in the sampler's queue; 0 while it is not there.
    pub(crate) ticket: u64,
    /// When the deadline task will look at it, or [`NEVER`].
    pub(crate) deadline: Time,
    /// The revision up to which the recorder has recorded.
    pub(crate) recorded: u64,
    /// The revision up to which everything is on disk.
    pub(crate) durable: u64,
    /// The place in the watch log; 0 before the first.
    pub(crate) position: u64,
}

impl Marks {
    const NONE: Self = Self {
        unrecorded: ThinVec::new(),
        to_record: false,
        to_write: false,
        touched: false,
        is_report_told: false,
        ticket: 0,
        deadline: NEVER,
        recorded: 0,
        durable: 0,
        position: 0,
    };
}

impl Live {
    pub(crate) fn new(
        breaker: Breaker,
        revision: u64,
        created_at: Time,
        configured: Configured,
    ) -> Self {
        Self {
            breaker,
            configured,
            revision,
            config_revision: revision,
            created_at,
            last_use: None,
            last_report: Time::EPOCH,
            heard: None,
            marks: Marks::NONE,
        }
    }

    /// Lets the core change the breaker. All that a change entails happens here: each transition
    /// gets the next revision, as does a change of what clients see that is none, the recorder is
    /// told, and the deadline task if it has to look earlier than it meant to. What is kept of all
    /// breakers is changed with it, and the sampler hears of one that has counted something.
    pub(crate) fn change<R>(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        act: impl FnOnce(&mut Breaker, &Config) -> (R, Vec<Transition>),
    ) -> R {
        let result = self.step(name, signals, act);
        self.schedule(name, signals);
        result
    }

    /// The same for changes that are made one after another: each is stamped as if it were alone.
    pub(crate) fn change_in_turn<T>(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        turns: impl IntoIterator<Item = T>,
        mut act: impl FnMut(&mut Breaker, &Config, T) -> Vec<Transition>,
    ) {
        for turn in turns {
            self.step(name, signals, |breaker, config| ((), act(breaker, config, turn)));
        }
        self.schedule(name, signals);
    }

    fn step<R>(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        act: impl FnOnce(&mut Breaker, &Config) -> (R, Vec<Transition>),
    ) -> R {
        let aspect = self.breaker.aspect(&self.configured.config);
        let (standing, totals) = (Standing::of(&self.breaker), self.totals_before());
        let (result, transitions) = act(&mut self.breaker, &self.configured.config);
        signals.moved(name, standing, Standing::of(&self.breaker));
        self.note_counted(name, signals, totals);
        if !transitions.is_empty() {
            self.stamp(name, signals, transitions);
        } else if aspect != self.breaker.aspect(&self.configured.config) {
            self.revision += 1;
            self.announce(name, signals);
        }
        result
    }

    /// Lets pass what is due.
    pub(crate) fn advance(&mut self, name: &BreakerName, signals: &Signals, now: Time) {
        self.change(name, signals, |breaker, config| ((), breaker.advance(config, now)));
    }

    /// Takes over a configuration of its own, and stays from now on. Gets a revision like any other
    /// change.
    pub(crate) fn reconfigure(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        configured: Configured,
        now: Time,
    ) {
        self.run_on(name, signals, configured, now);
        self.last_use = None;
        self.revision += 1;
        self.config_revision = self.revision;
        self.announce(name, signals);
    }

    /// Takes over what a change of policies has made of its configuration. Nobody hears of a
    /// change that leaves every value as it is.
    pub(crate) fn follow_policy(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        configured: Configured,
        now: Time,
    ) {
        if configured.config == self.configured.config {
            // The layers that the values come from can be others all the same.
            self.configured = configured;
            return;
        }
        self.run_on(name, signals, configured, now);
        self.revision += 1;
        self.announce(name, signals);
    }

    fn run_on(&mut self, name: &BreakerName, signals: &Signals, configured: Configured, now: Time) {
        // What is due was due under the configuration so far.
        self.advance(name, signals, now);
        self.configured = configured;
        self.breaker.reconfigure(&self.configured.config);
        self.schedule(name, signals);
    }

    /// Makes sure that its revision is not below one that storage has seen under its name: its
    /// deletion would leave that row.
    pub(crate) fn outlive(&mut self, name: &BreakerName, signals: &Signals, revision: u64) {
        if self.revision < revision {
            self.revision = revision;
            self.announce(name, signals);
        }
    }

    /// Tells the recorder that something of this breaker is new.
    pub(crate) fn announce(&mut self, name: &BreakerName, signals: &Signals) {
        if !self.marks.to_record {
            self.marks.to_record = true;
            signals.changed(name.clone());
        }
    }

    /// Notes that somebody uses the breaker.
    pub(crate) fn note_use(&mut self, name: &BreakerName, signals: &Signals, now: Time) {
        let Some(earlier) = self.last_use else { return };
        let used = LastUse::at(now).max(earlier);
        if used == earlier {
            return;
        }
        self.last_use = Some(used);
        if used.is_worth_writing_after(earlier) {
            self.touch(name, signals);
        }
    }

    /// Tells the alert task that calls of the breaker were reported, where a rule asks for that: once,
    /// and it looks for itself from then on.
    pub(crate) fn tell_report(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        defaults: &Defaults,
    ) {
        if !self.marks.is_report_told && self.alert_rules(defaults).reporters_lost.is_some() {
            self.marks.is_report_told = true;
            signals.reported.push(name.clone());
        }
    }

    /// The rules of alerts about the breaker.
    pub(crate) fn alert_rules<'a>(&'a self, defaults: &'a Defaults) -> &'a AlertRules {
        self.configured.policy.as_deref().map_or(defaults.alert_rules(), |policy| &policy.alerts)
    }

    /// Tells the writer that a counter has changed, which can wait for seconds.
    pub(crate) fn touch(&mut self, name: &BreakerName, signals: &Signals) {
        if !self.marks.touched {
            self.marks.touched = true;
            signals.touched.push(name.clone());
        }
    }

    /// Tells the writer that it has to write this breaker.
    pub(crate) fn mark_for_writing(&mut self, name: &BreakerName, signals: &Signals) {
        if !self.marks.to_write {
            self.marks.to_write = true;
            signals.to_write.push(name.clone());
        }
    }

    /// Tells the deadline task about a deadline that is earlier than what it waits for.
    pub(crate) fn schedule(&mut self, name: &BreakerName, signals: &Signals) {
        let Some(next) = self.breaker.next_deadline(&self.configured.config) else { return };
        if next < self.marks.deadline {
            self.marks.deadline = next;
            signals.deadlines.push((next, name.clone()));
        }
    }

    /// The breaker as it is stored.
    pub(crate) fn row(&self, name: &BreakerName) -> BreakerRow {
        BreakerRow {
            name: name.clone(),
            snapshot: self.breaker.snapshot(),
            own_config: self.own_patch().cloned().unwrap_or_default(),
            revision: self.revision,
            config_revision: self.config_revision,
            created_at: self.created_at,
            used_at: self.last_use.map(LastUse::time),
        }
    }

    /// What is left of the breaker when it is deleted.
    pub(crate) fn deletion(&self, name: &BreakerName) -> Deletion {
        let (revision, generation) = (self.revision, self.breaker.generation());
        Deletion { name: name.clone(), revision, generation }
    }

    /// Whether what is the breaker's own is on disk as it is.
    pub(crate) const fn is_own_durable(&self) -> bool {
        self.marks.durable >= self.config_revision
    }

    pub(crate) fn own_patch(&self) -> Option<&ConfigPatch> {
        self.configured.own.as_deref().map(|own| &own.patch)
    }

    pub(crate) fn policy_name(&self) -> Option<&PolicyName> {
        self.configured.policy.as_deref().map(Policy::name)
    }

    fn stamp(&mut self, name: &BreakerName, signals: &Signals, transitions: Vec<Transition>) {
        for transition in transitions {
            self.revision += 1;
            signals.stats.count_transition(&transition);
            if self.marks.unrecorded.len() == MAX_UNRECORDED {
                self.marks.unrecorded.remove(0);
                signals.stats.count_dropped_transitions(1);
            }
            self.marks.unrecorded.push(Stamped { revision: self.revision, transition });
        }
        self.announce(name, signals);
    }
}
