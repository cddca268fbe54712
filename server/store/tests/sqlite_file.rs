//! What is true of a store in a file alone: who may use it, and what is wrong with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use breaker_core::{Breaker, BreakerName, ConfigPatch, Time};
use breaker_engine::{Batch, BreakerRow, Store, StoreError};
use breaker_store::{MigrationMode, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Result<Self> {
        Ok(Self(TempDir::new()?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    async fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(connect(&url(&self.path("breakerd.db"))).await?))
    }

    /// What somebody else does to the database.
    async fn execute(&self, sql: &str) -> Result<()> {
        let options = SqliteConnectOptions::new().filename(self.path("breakerd.db"));
        let mut connection =
            SqliteConnection::connect_with(&options.create_if_missing(true)).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

async fn connect(url: &str) -> Result<SqliteStore, StoreError> {
    SqliteStore::connect(url, MigrationMode::Apply).await
}

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// What keeps a server from starting on a database.
async fn refusal(path: &Path) -> Option<StoreError> {
    match connect(&url(path)).await {
        Ok(store) => store.open().await.err(),
        Err(error) => Some(error),
    }
}

/// An error unless no server starts, and says all of this.
async fn check_unusable(path: &Path, told: &[&str]) -> Result<()> {
    let refusal = refusal(path).await;
    let Some(StoreError::Unusable(message)) = refusal else {
        anyhow::bail!("{}: {refusal:?}", path.display());
    };
    for part in told {
        anyhow::ensure!(message.contains(part), "{part:?} is not in: {message}");
    }
    Ok(())
}

fn batch(names: &[&str]) -> Result<Batch> {
    let row = |name: &&str| {
        Ok(BreakerRow {
            name: BreakerName::new(name)?,
            snapshot: Breaker::new(Time::from_millis(1)).snapshot(),
            own_config: ConfigPatch::default(),
            revision: 1,
            config_revision: 1,
            created_at: Time::from_millis(1),
        })
    };
    Ok(Batch { rows: names.iter().map(row).collect::<Result<_>>()?, ..Batch::default() })
}

async fn names(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    store.load(&mut |row| names.push(row.name.to_string())).await?;
    names.sort_unstable();
    Ok(names)
}

#[tokio::test]
async fn a_second_server_is_refused_by_whichever_path_it_comes() -> Result<()> {
    let folder = Folder::new()?;
    let first = folder.store().await?;
    symlink(folder.path("breakerd.db"), folder.path("link.db"))?;
    symlink(folder.0.path(), folder.path("link"))?;
    for path in ["breakerd.db", "link.db", "link/breakerd.db", "./breakerd.db"] {
        let path = folder.path(path);
        let Some(StoreError::InUse(message)) = refusal(&path).await else {
            panic!("{} can be used by two", path.display());
        };
        let holder = format!("(process {})", std::process::id());
        assert!(message.contains(&holder), "{message}");
    }
    // Dropped without having been closed, as a process that is killed does.
    drop(first);
    assert!(refusal(&folder.path("link.db")).await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_link_to_a_file_that_is_not_there_yet_creates_the_file() -> Result<()> {
    let folder = Folder::new()?;
    symlink(folder.path("breakerd.db"), folder.path("link.db"))?;
    let _first = connect(&url(&folder.path("link.db"))).await?;
    let second = refusal(&folder.path("breakerd.db")).await;
    assert!(matches!(second, Some(StoreError::InUse(_))), "{second:?}");
    Ok(())
}

#[tokio::test]
async fn a_path_that_leads_to_no_file_is_refused() -> Result<()> {
    let folder = Folder::new()?;
    check_unusable(folder.0.path(), &["is a folder", "breakerd.db"]).await?;
    check_unusable(&folder.path("missing/breakerd.db"), &["missing does not exist"]).await?;
    assert!(!folder.path("missing").exists());
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused_and_left_as_it_is() -> Result<()> {
    let folder = Folder::new()?;
    let text = "failure_threshold = 3\n".repeat(100);
    fs::write(folder.path("breakerd.toml"), &text)?;
    let path = folder.path("breakerd.toml");
    check_unusable(&path, &["breakerd.toml", "file is not a database"]).await?;
    assert_eq!(fs::read_to_string(path)?, text);
    Ok(())
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_as_it_is() -> Result<()> {
    let folder = Folder::new()?;
    folder.execute("CREATE TABLE bookmarks (url TEXT)").await?;
    let before = fs::read(folder.path("breakerd.db"))?;
    check_unusable(&folder.path("breakerd.db"), &["another program"]).await?;
    assert_eq!(fs::read(folder.path("breakerd.db"))?, before);
    Ok(())
}

#[tokio::test]
async fn the_database_of_a_newer_server_is_refused() -> Result<()> {
    let folder = Folder::new()?;
    drop(folder.store().await?);
    folder
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'later', 1, x'00', 0)",
        )
        .await?;
    check_unusable(&folder.path("breakerd.db"), &["newer breakerd", "9999"]).await?;
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_nobody_can_write_to_is_refused() -> Result<()> {
    // Of the kernel's own folders this holds for root too.
    check_unusable(Path::new("/sys/breakerd.db"), &["/sys/breakerd.db", "writable"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused() -> Result<()> {
    let folder = Folder::new()?;
    let path = folder.path("breakerd.db");
    folder.store().await?.close().await?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444))?;
    if fs::OpenOptions::new().append(true).open(&path).is_ok() {
        // Permissions mean nothing to root: for root the file can be written.
        assert!(refusal(&path).await.is_none());
    } else {
        check_unusable(&path, &["breakerd.db", "readonly", "writable"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_url_of_another_form_is_refused_without_its_password() {
    for url in ["postgres://me:secret@host/db", "breakerd.db", "memory:secret", "sqlite:"] {
        let Err(StoreError::Unusable(message)) = connect(url).await else {
            panic!("{url} can be used");
        };
        assert!(message.contains("sqlite://") && message.contains("memory:"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

/// The trigger ends the transaction under the hands of the driver, as a full disk can.
#[tokio::test]
async fn a_commit_that_fails_leaves_nothing_and_the_next_one_works() -> Result<()> {
    let folder = Folder::new()?;
    let store = folder.store().await?;
    store.commit(&batch(&["a/before"])?).await?;
    for failure in ["ROLLBACK", "ABORT", "FAIL"] {
        folder
            .execute(&format!(
                "CREATE TRIGGER full BEFORE INSERT ON breakers WHEN new.name = 'a/last'
                 BEGIN SELECT RAISE({failure}, 'no room'); END"
            ))
            .await?;
        for _ in 0..2 {
            let failed = store.commit(&batch(&["a/first", "a/last"])?).await;
            let Err(StoreError::Unavailable(source)) = failed else {
                panic!("{failure} is not an error: {failed:?}");
            };
            assert!(source.to_string().contains("no room"), "{source}");
            assert_eq!(names(&*store).await?, ["a/before"], "{failure}");
        }
        folder.execute("DROP TRIGGER full").await?;
        store.commit(&batch(&["a/before"])?).await?;
    }
    store.commit(&batch(&["a/first", "a/last"])?).await?;
    assert_eq!(names(&*store).await?, ["a/before", "a/first", "a/last"]);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_is_given_up_halfway_leaves_all_or_nothing() -> Result<()> {
    let folder = Folder::new()?;
    let store = folder.store().await?;
    let all: Vec<String> = (0..200).map(|n| format!("a/{n:03}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let batch = batch(&all)?;
    let mut given_up = 0;
    for polls in 1..40 {
        let mut commit = store.commit(&batch);
        let mut pending = true;
        for _ in 0..polls {
            pending = futures::poll!(&mut commit).is_pending();
            if !pending {
                break;
            }
            tokio::task::yield_now().await;
        }
        given_up += usize::from(pending);
        drop(commit);
        let left = names(&*store).await?;
        assert!(left.is_empty() || left == all, "{} rows after {polls} polls", left.len());
    }
    assert!(given_up > 0, "every commit was over before it could be given up");
    store.commit(&batch).await?;
    assert_eq!(names(&*store).await?, all);
    Ok(())
}

#[tokio::test]
async fn a_value_that_nobody_wrote_is_named_by_breaker_and_column() -> Result<()> {
    for (damage, column) in [
        ("state = 'ajar'", "state"),
        ("mode = 'forced'", "mode"),
        ("own_config = '{\"failure_treshold\": 1}'", "own_config"),
        ("failure_count = -1", "failure_count"),
        ("state = 'half_open'", "permits"),
        ("mode = 'disabled'", "override_set_at"),
        ("window_calls = x'010203'", "window_calls"),
    ] {
        let folder = Folder::new()?;
        let store = folder.store().await?;
        store.commit(&batch(&["payments/stripe-api"])?).await?;
        folder.execute(&format!("UPDATE breakers SET {damage}")).await?;
        let Err(StoreError::Corrupt(message)) = names(&*store).await else {
            panic!("{damage} is understood");
        };
        assert!(message.contains("payments/stripe-api"), "{message}");
        assert!(message.contains(&format!("column {column}:")), "{damage}: {message}");
    }
    Ok(())
}
