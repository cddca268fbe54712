use crate::time::Time;

/// The id of a permit, unique within one breaker for as long as anybody can remember it: the
/// generation of the HALF_OPEN that handed it out in the upper half, a serial number below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermitId(u64);

const SERIAL_BITS: u32 = 32;

impl PermitId {
    /// An id as it came over the wire or from storage.
    pub const fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// The id as it goes over the wire; never 0.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    const fn new(generation: u64, serial: u32) -> Self {
        Self((generation << SERIAL_BITS) | serial as u64)
    }

    const fn generation(self) -> u64 {
        self.0 >> SERIAL_BITS
    }

    const fn serial(self) -> u32 {
        self.0 as u32
    }
}

/// Leave to make one probe call in HALF_OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// What the outcome of the probe is reported under.
    pub id: PermitId,
    /// The last instant at which the outcome counts as itself; past it, as a TIMEOUT.
    pub deadline: Time,
}

/// The probes of one HALF_OPEN: the permits that are out, and how many have succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Ordered by deadline as long as `call_timeout` does not change; never more than `max_probes`.
    out: Vec<Permit>,
    successes: u32,
    failures: u32,
    next_serial: u32,
}

impl Probes {
    pub(crate) const fn new() -> Self {
        Self { out: Vec::new(), successes: 0, failures: 0, next_serial: 1 }
    }

    /// Probes as they were stored. Serials jump ahead, because the permits handed out after the
    /// snapshot and before a crash are unknown and must not be handed out again.
    pub(crate) fn restored(
        out: Vec<Permit>,
        (successes, failures): (u32, u32),
        next_serial: u32,
    ) -> Self {
        const UNKNOWN_PERMITS: u32 = 1 << 16;
        let next_serial = next_serial.saturating_add(UNKNOWN_PERMITS);
        Self { out, successes, failures, next_serial }
    }

    /// The permits that are out.
    pub fn out(&self) -> &[Permit] {
        &self.out
    }

    /// How many probes have succeeded.
    pub const fn successes(&self) -> u32 {
        self.successes
    }

    /// How many probes have failed: at most those that `probe_calls` judges together.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether one more probe may be made.
    pub(crate) fn has_room(&self, max_probes: u32, judged_together: Option<u32>) -> bool {
        let out = self.out.len() as u64;
        let in_all = out + u64::from(self.successes) + u64::from(self.failures);
        // Where a changed configuration judges fewer than are in already, one more has to bring
        // the verdict about.
        let is_wanted = |most: u32| out == 0 || in_all < u64::from(most);
        out < u64::from(max_probes) && judged_together.is_none_or(is_wanted)
    }

    pub(crate) const fn next_serial(&self) -> u32 {
        self.next_serial
    }

    pub(crate) fn hand_out(&mut self, generation: u64, deadline: Time) -> Permit {
        let permit = Permit { id: PermitId::new(generation, self.next_serial), deadline };
        self.next_serial = self.next_serial.wrapping_add(1).max(1);
        self.out.push(permit);
        permit
    }

    /// Takes a permit back; whether it was out.
    pub(crate) fn take_back(&mut self, id: PermitId) -> bool {
        let position = self.out.iter().position(|permit| permit.id == id);
        position.map(|position| self.out.swap_remove(position)).is_some()
    }

    pub(crate) fn succeed(&mut self) {
        self.successes = self.successes.saturating_add(1);
    }

    pub(crate) fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The permit whose deadline comes first.
    pub(crate) fn first_to_expire(&self) -> Option<Permit> {
        self.out.iter().copied().min_by_key(|permit| (permit.deadline, permit.id))
    }
}

/// Whether a breaker can have handed out this permit: one that it never did is a caller's mistake,
/// while one that was taken back since is just late.
pub(crate) fn was_handed_out(id: PermitId, generation: u64, probes: Option<&Probes>) -> bool {
    let generation = PermitId::new(generation, 0).generation();
    if id.serial() == 0 || id.generation() == 0 {
        return false;
    }
    match probes {
        Some(probes) if id.generation() == generation => id.serial() < probes.next_serial,
        _ => id.generation() < generation,
    }
}
