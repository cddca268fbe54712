use breaker_core::{BreakerName, Time};

/// What raised an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertRule {
    /// The state of a breaker changed.
    StateChange,
    /// A breaker does not come back.
    ProlongedOutage,
    /// A breaker opens again and again.
    Flapping,
    /// An override lasts too long.
    ForcedTooLong,
    /// Nobody reports calls of a breaker any more.
    ReportersLost,
    /// The server cannot write to its database.
    StorageDegraded,
}

/// How bad it is; what is worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Medium,
    /// Somebody should look.
    High,
    /// Somebody has to act.
    Critical,
}

/// Something that people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Tells it from all others; a later one has a higher id.
    pub id: u64,
    /// Grows with each change of any alert.
    pub revision: u64,
    /// What raised it.
    pub rule: AlertRule,
    /// How bad it is.
    pub severity: Severity,
    /// The breaker that it is about; `None` where it is about the server.
    pub breaker: Option<BreakerName>,
    /// What has happened, as a sentence.
    pub summary: String,
    /// Since when it fires.
    pub started_at: Time,
    /// When it was over; `None` while it fires.
    pub ended_at: Option<Time>,
    /// When it was last told.
    pub notified_at: Time,
    /// How often it was told again.
    pub repeat_count: u32,
    /// Who has seen it.
    pub acknowledgement: Option<Acknowledgement>,
}

/// That somebody has seen an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who.
    pub actor: String,
    /// What they said of it.
    pub comment: String,
    /// When.
    pub at: Time,
}

impl AlertRule {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::StateChange,
        Self::ProlongedOutage,
        Self::Flapping,
        Self::ForcedTooLong,
        Self::ReportersLost,
        Self::StorageDegraded,
    ];

    /// As it stands in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StateChange => "state_change",
            Self::ProlongedOutage => "prolonged_outage",
            Self::Flapping => "flapping",
            Self::ForcedTooLong => "forced_too_long",
            Self::ReportersLost => "reporters_lost",
            Self::StorageDegraded => "storage_degraded",
        }
    }

    /// The rule of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == name)
    }
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Medium, Self::High, Self::Critical];

    /// As it stands in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == name)
    }
}

impl AlertRow {
    /// Whether what it tells of still holds.
    pub const fn is_firing(&self) -> bool {
        self.ended_at.is_none()
    }
}
