//! The breakers of a load, from their making to their deletion.

use std::cell::Cell;

use breaker_proto::v1;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::Code;

use super::interrupt::Interrupt;
use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::Error;
use crate::output::notice;

/// How many are made or deleted at a time.
const AT_ONCE: usize = 64;
const PAGE_SIZE: u32 = 1_000;
/// How often it is looked whether any are left: a call that was given up may have made one again, and
/// a server may be away for a moment.
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

/// Makes breakers without a configuration of their own, until it is interrupted. Where that is not
/// allowed, the server makes them at their first use.
pub(super) async fn make(
    connection: &Connection,
    names: &[String],
    interrupt: &Interrupt,
) -> Result<(), Error> {
    // Requests that have begun are waited for: a server ends a connection on which many are given up
    // at once.
    let names = stream::iter(names).take_until(Box::pin(interrupt.first()));
    let made = names.map(Ok).try_for_each_concurrent(AT_ONCE, async |name| {
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
    let left = tokio::select! {
        left = delete_all(connection, run_id) => left,
        () = interrupt.second() => Err("interrupted".to_owned()),
    };
    let glob = run_id.all();
    match &left {
        Ok(0) => {}
        Ok(count) => {
            notice(format_args!("warning: {count} breakers are left: `breakerctl list '{glob}'`"));
        }
        Err(reason) => {
            notice(format_args!(
                "warning: breakers may be left, see `breakerctl list '{glob}'`: {reason}"
            ));
        }
    }
    left.ok()
}

/// How many are left in the end.
async fn delete_all(connection: &Connection, run_id: &RunId) -> Result<u64, String> {
    let mut backoff = Backoff::default();
    let mut refusal = None;
    for _ in 0..MAX_ROUNDS {
        match list(connection, run_id).await {
            Ok(names) if names.is_empty() => return Ok(0),
            Ok(names) => refusal = delete_each(connection, names).await,
            Err(error) => refusal = Some(error),
        }
        if refusal.is_some() {
            backoff.wait().await;
        }
    }
    match refusal {
        Some(error) => Err(error.to_string()),
        None => list(connection, run_id)
            .await
            .map(|names| names.len() as u64)
            .map_err(|error| error.to_string()),
    }
}

/// The last error, if there was one.
async fn delete_each(connection: &Connection, names: Vec<String>) -> Option<Error> {
    let refusal = Cell::new(None);
    let deleted = stream::iter(names).for_each_concurrent(AT_ONCE, async |name| {
        let request = v1::DeleteBreakerRequest { name, ..Default::default() };
        let answer = connection
            .admin(&request, async |mut admin, request| admin.delete_breaker(request).await)
            .await;
        match answer {
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => refusal.set(Some(error)),
        }
    });
    deleted.await;
    refusal.into_inner()
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
