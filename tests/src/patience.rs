use std::time::Duration;

use tokio::time::sleep;

use crate::clock;

/// How often it is asked whether something has happened.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `check` says so; returns how long that took.
///
/// # Errors
/// If it does not say so in time, or fails at the end of it.
pub async fn eventually(
    what: &str,
    within: Duration,
    mut check: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    let begun = clock::now();
    loop {
        let checked = check().await;
        let took = clock::now().since(begun);
        match checked {
            Ok(true) => return Ok(took),
            Err(error) if took > within => return Err(error.context(format!("not yet: {what}"))),
            Ok(false) if took > within => anyhow::bail!("not within {within:?}: {what}"),
            Ok(false) | Err(_) => sleep(ASK_EVERY).await,
        }
    }
}
