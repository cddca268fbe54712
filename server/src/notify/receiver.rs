//! Who is told of alerts: the `[[receivers]]` of the configuration file.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use breaker_core::BreakerName;
use breaker_engine::{Selector, Selectors};
use breaker_proto::v1;
use http::Uri;
use serde::Deserialize;
use thiserror::Error;

/// How long a receiver may take to answer, unless told otherwise, and what can be told.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);
/// Most receivers: each has a task and a queue.
const MAX_RECEIVERS: usize = 20;
/// Most selectors of one receiver.
const MAX_SELECTORS: usize = 100;
/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A receiver as it stands in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiverSettings {
    name: String,
    kind: Kind,
    url: String,
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
    #[serde(default)]
    min_severity: Severity,
    #[serde(default)]
    selectors: Vec<String>,
    timeout: Option<String>,
}

/// What a receiver understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The alert as JSON, signed if there is a secret.
    Webhook,
    /// A text, as incoming webhooks of Slack take it.
    Slack,
    /// Alertmanager's API, version 2.
    Alertmanager,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    #[default]
    Medium,
    High,
    Critical,
}

/// What nobody is shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

/// A receiver that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    name: String,
    pub(super) kind: Kind,
    pub(super) url: Uri,
    pub(super) secret: Option<Secret>,
    pub(super) timeout: Duration,
    min_severity: v1::AlertSeverity,
    /// None for every breaker, and the server itself.
    selectors: Option<Selectors>,
}

/// Why receivers were refused.
#[derive(Debug, Error)]
pub enum ReceiverError {
    /// There are too many.
    #[error("{0} receivers are too many; at most {MAX_RECEIVERS} are allowed")]
    TooMany(usize),
    /// Two of one name.
    #[error("two receivers are named `{0}`; give each a name of its own")]
    Twice(String),
    /// Something about one of them.
    #[error("the receiver `{name}`: {problem}")]
    Bad {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl Secret {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Receiver {
    /// Checks the receivers of a file.
    ///
    /// # Errors
    /// What is wrong with the first that is.
    pub(crate) fn check_all(all: Vec<ReceiverSettings>) -> Result<Vec<Self>, ReceiverError> {
        if all.len() > MAX_RECEIVERS {
            return Err(ReceiverError::TooMany(all.len()));
        }
        let mut names = HashSet::new();
        for settings in &all {
            if !names.insert(settings.name.clone()) {
                return Err(ReceiverError::Twice(settings.name.clone()));
            }
        }
        all.into_iter()
            .map(|settings| {
                let name = settings.name.clone();
                Self::check(settings).map_err(|problem| ReceiverError::Bad { name, problem })
            })
            .collect()
    }

    fn check(settings: ReceiverSettings) -> Result<Self, String> {
        let ReceiverSettings { name, kind, url, secret, secret_file, min_severity, .. } = settings;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(fits) {
            return Err(format!(
                "the name must be 1 to {MAX_NAME_BYTES} letters, digits, `.`, `_` and `-`"
            ));
        }
        let url = url_of(&url, kind)?;
        let secret = secret_of(secret, secret_file)?;
        if secret.is_some() && kind != Kind::Webhook {
            return Err("only a webhook is signed; leave out its secret".into());
        }
        Ok(Self {
            timeout: timeout_of(settings.timeout.as_deref())?,
            selectors: selectors_of(&settings.selectors)?,
            min_severity: min_severity.into(),
            name,
            kind,
            url,
            secret,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the receiver wants to hear of an alert.
    pub(super) fn wants(&self, alert: &v1::Alert) -> bool {
        alert.severity >= self.min_severity.into()
            && self.selectors.as_ref().is_none_or(|selectors| {
                BreakerName::new(&alert.breaker).is_ok_and(|name| selectors.matches(&name))
            })
    }

    /// The receiver as it can be shown: of its URL only where it is, because a path can be a secret.
    pub(crate) fn shown(&self) -> String {
        let kind = match self.kind {
            Kind::Webhook => "webhook",
            Kind::Slack => "slack",
            Kind::Alertmanager => "alertmanager",
        };
        format!("{} ({kind} at {})", self.name, self.url.host().unwrap_or("nowhere"))
    }
}

impl From<Severity> for v1::AlertSeverity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
            Severity::Critical => Self::Critical,
        }
    }
}

fn url_of(text: &str, kind: Kind) -> Result<Uri, String> {
    let text = match kind {
        Kind::Webhook | Kind::Slack => text.to_owned(),
        Kind::Alertmanager => format!("{}/api/v2/alerts", text.trim_end_matches('/')),
    };
    let url: Uri = text
        .parse()
        .map_err(|error| format!("url is no URL ({error}); write `https://host/path`"))?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("url is no URL of its own; write `https://host/path`".into());
    };
    if !matches!(scheme, "http" | "https") {
        return Err(format!("url begins with `{scheme}:`; it must be http or https"));
    }
    if authority.as_str().contains('@') {
        return Err(
            "url holds a user or a password, which would not be sent; leave them out".into()
        );
    }
    Ok(url)
}

fn secret_of(secret: Option<Secret>, file: Option<PathBuf>) -> Result<Option<Secret>, String> {
    let secret = match (secret, file) {
        (Some(_), Some(_)) => return Err("secret and secret_file exclude each other".into()),
        (secret, None) => secret,
        (None, Some(path)) => {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("cannot read secret_file {}: {error}", path.display()))?;
            Some(Secret(text.trim_end().to_owned()))
        }
    };
    match secret {
        Some(Secret(text)) if text.is_empty() => Err("the secret is empty".into()),
        secret => Ok(secret),
    }
}

fn timeout_of(text: Option<&str>) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(DEFAULT_TIMEOUT) };
    breaker_wire::parse_duration(text).ok().filter(|time| TIMEOUTS.contains(time)).ok_or_else(
        || format!("timeout is `{text}`; it must be a duration from 100ms to 60s, such as 10s"),
    )
}

fn selectors_of(texts: &[String]) -> Result<Option<Selectors>, String> {
    if texts.len() > MAX_SELECTORS {
        return Err(format!("{} selectors; at most {MAX_SELECTORS} are allowed", texts.len()));
    }
    let parse =
        |text: &String| Selector::parse(text).map_err(|error| format!("selectors: {error}"));
    let selectors = texts.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok((!selectors.is_empty()).then(|| Selectors::new(selectors)))
}

#[cfg(test)]
impl Receiver {
    /// From a table of a file.
    pub(super) fn from_toml(text: &str) -> Result<Self, String> {
        let settings = toml::from_str(text).map_err(|error| error.to_string())?;
        Self::check_all(vec![settings])
            .map_err(|error| error.to_string())
            .map(|mut all| all.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = 'ops'\nkind = 'webhook'\nurl = 'https://example.com/hook?key=1'";

    #[test]
    fn what_is_wrong_with_a_receiver_is_told() {
        assert!(Receiver::from_toml(GOOD).is_ok());
        for (change, told) in [
            (("'ops'", "'o ps'"), "the name must be"),
            (("https:", "ftp:"), "must be http or https"),
            (("'https://example.com/hook?key=1'", "'x'"), "url is no URL"),
            (("https://", "https://me:secret@"), "a user or a password"),
            (("'webhook'", "'pager'"), "unknown variant `pager`"),
            (("kind", "secret = ''\nkind"), "the secret is empty"),
            (("kind", "secret = 'a'\nsecret_file = 'b'\nkind"), "exclude each other"),
            (("kind", "secret_file = '/nowhere/at/all'\nkind"), "cannot read secret_file"),
            (("kind", "timeout = '1h'\nkind"), "100ms to 60s"),
            (("kind", "selectors = ['A/*']\nkind"), "selectors:"),
            (("kind", "min_severity = 'low'\nkind"), "unknown variant `low`"),
            (("kind", "colour = 'red'\nkind"), "unknown field `colour`"),
        ] {
            let text = GOOD.replacen(change.0, change.1, 1);
            let error = Receiver::from_toml(&text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let twice = toml::from_str::<ReceiverSettings>(GOOD).unwrap();
        let error = Receiver::check_all(vec![twice.clone(), twice]).unwrap_err();
        assert!(error.to_string().contains("two receivers are named `ops`"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let receiver = Receiver::from_toml(&format!("secret = 'hush'\n{GOOD}")).unwrap();
        let shown = format!("{} {:?}", receiver.shown(), receiver.secret);
        assert!(!shown.contains("hush") && !shown.contains("key=1"), "{shown}");
        assert_eq!(receiver.shown(), "ops (webhook at example.com)");
    }

    #[test]
    fn a_receiver_hears_of_what_it_asked_for() {
        let receiver = format!("min_severity = 'high'\nselectors = ['payments/*']\n{GOOD}");
        let receiver = Receiver::from_toml(&receiver).unwrap();
        let alert = |severity: v1::AlertSeverity, breaker: &str| v1::Alert {
            severity: severity.into(),
            breaker: breaker.into(),
            ..Default::default()
        };
        assert!(receiver.wants(&alert(v1::AlertSeverity::High, "payments/stripe")));
        assert!(receiver.wants(&alert(v1::AlertSeverity::Critical, "payments/stripe")));
        assert!(!receiver.wants(&alert(v1::AlertSeverity::Medium, "payments/stripe")));
        assert!(!receiver.wants(&alert(v1::AlertSeverity::High, "orders/db")));
        assert!(!receiver.wants(&alert(v1::AlertSeverity::Critical, "")));
        let everything = Receiver::from_toml(GOOD).unwrap();
        assert!(everything.wants(&alert(v1::AlertSeverity::Critical, "")));
    }
}
