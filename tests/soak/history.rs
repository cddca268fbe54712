//! A long history in the database, as a server has that has been up for a while.
//!
//! SQLite keeps up to 2 MB of pages in memory for each of its connections. With a history shorter
//! than that the caches would fill bit by bit while the server is looked at, and look like a leak.

use std::path::Path;

use breaker_proto::v1;
use breaker_tests::{Clients, Daemon};
use futures::future::try_join_all;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

/// About 4 MB.
const TRANSITIONS: u64 = 20_000;
/// As many as the connections that read.
const READERS: usize = 4;
const PAGE_SIZE: u32 = 1_000;
const MAX_PAGES: u64 = 2 * TRANSITIONS / PAGE_SIZE as u64;

/// Makes a database whose history is long.
pub(crate) async fn create(database: &Path) -> anyhow::Result<()> {
    // Makes the tables.
    Daemon::start(database)?.terminate()?;
    let url = format!("sqlite://{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await?;
    let fill = format!(
        "WITH RECURSIVE numbers (n) AS \
         (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {TRANSITIONS}) \
         INSERT INTO transitions (id, breaker, revision, generation, from_state, to_state, \
         from_mode, to_mode, cause, actor, reason, at, failure_count, consecutive_failures, \
         success_count, window_calls, window_failures) \
         SELECT n, 'soak/past/' || (n % 100), 2, 2, 'closed', 'open', 'normal', 'normal', \
         'failure_threshold', 'nobody', 'it was so', \
         (unixepoch() - 3600) * 1000000000 + n, 5, 5, 0, 100, 5 FROM numbers"
    );
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Reads all of it over every connection.
pub(crate) async fn read(clients: &Clients) -> anyhow::Result<()> {
    try_join_all((0..READERS).map(|_| read_once(clients.clone()))).await?;
    Ok(())
}

async fn read_once(mut clients: Clients) -> anyhow::Result<()> {
    let mut page_token = String::new();
    for _ in 0..MAX_PAGES {
        let request =
            v1::ListTransitionsRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
        page_token = clients.admin.list_transitions(request).await?.into_inner().next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}
