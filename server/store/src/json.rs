//! What has no columns of its own, as JSON: permits, the ramp, and what the rules remember.

use std::time::Duration;

use breaker_core::{
    AdaptedSnapshot, BadCallsSnapshot, CallSums, MemorySnapshot, Permit, PermitId, QuorumSnapshot,
    Ramping, Time, WindowSnapshot,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A value of the core as it is stored.
pub(crate) trait Stored: Sized {
    /// Its form in JSON.
    type Json: Serialize + DeserializeOwned;

    fn to_json(&self) -> Self::Json;
    fn from_json(json: Self::Json) -> Self;

    fn to_text(&self) -> String {
        // Neither numbers nor texts can fail to be written.
        serde_json::to_string(&self.to_json()).unwrap_or_default()
    }

    fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self::from_json)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PermitJson {
    id: u64,
    deadline: u64,
}

impl Stored for Vec<Permit> {
    type Json = Vec<PermitJson>;

    fn to_json(&self) -> Self::Json {
        let stored = |permit: &Permit| PermitJson {
            id: permit.id.as_u64(),
            deadline: permit.deadline.as_nanos(),
        };
        self.iter().map(stored).collect()
    }

    fn from_json(json: Self::Json) -> Self {
        let permit = |stored: PermitJson| Permit {
            id: PermitId::from_u64(stored.id),
            deadline: Time::from_nanos(stored.deadline),
        };
        json.into_iter().map(permit).collect()
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RampingJson {
    step: u32,
    ends_at: u64,
    credit: u32,
}

impl Stored for Ramping {
    type Json = RampingJson;

    fn to_json(&self) -> RampingJson {
        RampingJson { step: self.step, ends_at: self.ends_at.as_nanos(), credit: self.credit }
    }

    fn from_json(json: RampingJson) -> Self {
        let RampingJson { step, ends_at, credit } = json;
        Self { step, ends_at: Time::from_nanos(ends_at), credit }
    }
}

/// Calls one by one, or the index of each bucket with its calls, failures, slow calls and the
/// nanoseconds of its successes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WindowJson {
    Calls(Vec<u64>),
    Buckets { width: u64, buckets: Vec<(u64, u32, u32, u32, u64)> },
}

impl Stored for WindowSnapshot {
    type Json = WindowJson;

    fn to_json(&self) -> WindowJson {
        match self {
            Self::Calls(calls) => WindowJson::Calls(calls.clone()),
            Self::Buckets { width, buckets } => {
                let stored = |&(index, sums): &(u64, CallSums)| {
                    (index, sums.calls, sums.failures, sums.slow, sums.success_nanos)
                };
                let buckets = buckets.iter().map(stored).collect();
                WindowJson::Buckets { width: *width, buckets }
            }
        }
    }

    fn from_json(json: WindowJson) -> Self {
        match json {
            WindowJson::Calls(calls) => Self::Calls(calls),
            WindowJson::Buckets { width, buckets } => {
                let bucket = |(index, calls, failures, slow, success_nanos)| {
                    (index, CallSums { calls, failures, slow, success_nanos })
                };
                Self::Buckets { width, buckets: buckets.into_iter().map(bucket).collect() }
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MemoryJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quorum: Option<QuorumJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapted: Option<AdaptedJson>,
    level: u32,
    level_since: u64,
    reopens: u32,
}

#[derive(Serialize, Deserialize)]
struct QuorumJson {
    slots: Vec<u64>,
    crowd: u64,
    count: Vec<u32>,
    streak: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<BadCallsJson>,
}

/// Calls one by one, or the index of each bucket with its failures and slow calls by place.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BadCallsJson {
    Calls(Vec<u8>),
    Buckets { width: u64, buckets: Vec<(u64, Vec<u32>, Vec<u32>)> },
}

#[derive(Serialize, Deserialize)]
struct AdaptedJson {
    history: Vec<u64>,
    open_duration: Duration,
    base: Duration,
}

impl Stored for MemorySnapshot {
    type Json = MemoryJson;

    fn to_json(&self) -> MemoryJson {
        MemoryJson {
            window: self.window.as_ref().map(Stored::to_json),
            quorum: self.quorum.as_ref().map(|quorum| QuorumJson {
                slots: quorum.slots.clone(),
                crowd: quorum.crowd,
                count: quorum.count.clone(),
                streak: quorum.streak.clone(),
                window: quorum.window.as_ref().map(|window| match window {
                    BadCallsSnapshot::Calls(calls) => BadCallsJson::Calls(calls.clone()),
                    BadCallsSnapshot::Buckets { width, buckets } => {
                        BadCallsJson::Buckets { width: *width, buckets: buckets.clone() }
                    }
                }),
            }),
            adapted: self.adapted.as_ref().map(|adapted| AdaptedJson {
                history: adapted.history.clone(),
                open_duration: adapted.open_duration,
                base: adapted.base,
            }),
            level: self.level,
            level_since: self.level_since.as_nanos(),
            reopens: self.reopens,
        }
    }

    fn from_json(json: MemoryJson) -> Self {
        Self {
            window: json.window.map(Stored::from_json),
            quorum: json.quorum.map(|quorum| QuorumSnapshot {
                slots: quorum.slots,
                crowd: quorum.crowd,
                count: quorum.count,
                streak: quorum.streak,
                window: quorum.window.map(|window| match window {
                    BadCallsJson::Calls(calls) => BadCallsSnapshot::Calls(calls),
                    BadCallsJson::Buckets { width, buckets } => {
                        BadCallsSnapshot::Buckets { width, buckets }
                    }
                }),
            }),
            adapted: json.adapted.map(|adapted| AdaptedSnapshot {
                history: adapted.history,
                open_duration: adapted.open_duration,
                base: adapted.base,
            }),
            level: json.level,
            level_since: Time::from_nanos(json.level_since),
            reopens: json.reopens,
        }
    }
}
