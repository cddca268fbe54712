//! The breakers of a load, from their making to their deletion.

use std::cell::Cell;

use breaker_proto::v1;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::Code;

use super::interrupt::Interrupt;
use crate::connection::Connection;
use crate::error::Error;
use crate::output::notice;

/// How many are made or deleted at a time.
const AT_ONCE: usize = 64;
const PAGE_SIZE: u32 = 1_000;
/// How often it is looked whether any are left: a call that was given up may have made one again.
const MAX_ROUNDS: u32 = 3;

/// What tells the breakers of one load from those of all others.
#[derive(Clone, Debug)]
pub(super) struct RunId(String);

impl RunId {
    /// `number` is one that no other run has.
    pub(super) fn new(number: u64) -> Self {
        Self(format!("{number:016x}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a breaker of this load.
    pub(super) fn breaker(&self, number: u64) -> String {
        format!("bench/{}/{number}", self.0)
    }

    /// The name of the breaker in a namespace of its own.
    pub(super) fn breaker_apart(&self, number: u64) -> String {
        format!("bench/{}/{number}/breaker", self.0)
    }

    /// A glob that matches that breaker, and none of another namespace.
    pub(super) fn namespace(&self, number: u64) -> String {
        format!("bench/{}/{number}/*", self.0)
    }

    /// A glob that matches all breakers of this load.
    pub(super) fn all(&self) -> String {
        format!("bench/{}/**", self.0)
    }
}

/// Makes breakers without a configuration of their own. Where that is not allowed, the server makes
/// them at their first use.
pub(super) async fn make(connection: &Connection, names: &[String]) -> Result<(), Error> {
    let made = stream::iter(names).map(Ok).try_for_each_concurrent(AT_ONCE, async |name| {
        let request = v1::CreateBreakerRequest { name: name.clone(), ..Default::default() };
        connection
            .admin(&request, async |mut admin, request| admin.create_breaker(request).await)
            .await
            .map(drop)
    });
    match made.await {
        Err(Error::Refused(status))
            if matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated) =>
        {
            notice("warning: the breakers may not be made beforehand: the server makes them");
            Ok(())
        }
        made => made,
    }
}

/// Deletes all breakers of a load, unless it is interrupted a second time. Says how many are left,
/// or `None` if nobody knows; and tells people.
pub(super) async fn delete(
    connection: &Connection,
    run_id: &RunId,
    interrupt: &Interrupt,
) -> Option<u64> {
    let outcome = tokio::select! {
        outcome = delete_all(connection, run_id) => outcome,
        () = interrupt.second() => Err("interrupted".to_owned()),
    };
    let glob = run_id.all();
    match outcome {
        Ok(0) => Some(0),
        Ok(left) => {
            notice(format_args!("warning: {left} breakers are left: `breakerctl list '{glob}'`"));
            Some(left)
        }
        Err(reason) => {
            notice(format_args!(
                "warning: breakers may be left, see `breakerctl list '{glob}'`: {reason}"
            ));
            None
        }
    }
}

async fn delete_all(connection: &Connection, run_id: &RunId) -> Result<u64, String> {
    for _ in 0..MAX_ROUNDS {
        let names = list(connection, run_id).await.map_err(|error| error.to_string())?;
        if names.is_empty() {
            return Ok(0);
        }
        let refusal = Cell::new(None);
        stream::iter(names)
            .for_each_concurrent(AT_ONCE, async |name| {
                let request = v1::DeleteBreakerRequest { name, ..Default::default() };
                let answer = connection
                    .admin(&request, async |mut admin, request| admin.delete_breaker(request).await)
                    .await;
                match answer {
                    Ok(_) | Err(Error::NotFound(_)) => {}
                    Err(error) => refusal.set(Some(error)),
                }
            })
            .await;
        if let Some(error) = refusal.into_inner() {
            return Err(error.to_string());
        }
    }
    let left = list(connection, run_id).await.map_err(|error| error.to_string())?;
    Ok(left.len() as u64)
}

async fn list(connection: &Connection, run_id: &RunId) -> Result<Vec<String>, Error> {
    let mut request = v1::ListBreakersRequest {
        page_size: PAGE_SIZE,
        selector: run_id.all(),
        ..Default::default()
    };
    let mut names = Vec::new();
    loop {
        let page = connection
            .admin(&request, async |mut admin, request| admin.list_breakers(request).await)
            .await?;
        names.extend(page.breakers.into_iter().map(|breaker| breaker.name));
        if page.next_page_token.is_empty() {
            return Ok(names);
        }
        request.page_token = page.next_page_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_run_lie_under_its_id() {
        let run_id = RunId::new(0xab);
        assert_eq!(run_id.breaker(7), "bench/00000000000000ab/7");
        assert_eq!(run_id.breaker_apart(7), "bench/00000000000000ab/7/breaker");
        assert_eq!(run_id.namespace(7), "bench/00000000000000ab/7/*");
        assert_eq!(run_id.all(), "bench/00000000000000ab/**");
    }
}
