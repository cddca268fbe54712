//! What is true of a store in a file alone: who may use it, and what is wrong with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use breaker_core::{AlertPatch, Attribution, Breaker, BreakerName, Config, ConfigPatch, Time};
use breaker_engine::{
    Batch, BreakerRow, Damage, DamagedRow, HistoryRange, HistoryScope, Loaded, Member, Moment,
    PolicyName, PolicyRow, PolicySpec, ReporterRow, Selector, Store, StoreError, TransitionPage,
    TransitionRecord,
};
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
            used_at: None,
        })
    };
    Ok(Batch { rows: names.iter().map(row).collect::<Result<_>>()?, ..Batch::default() })
}

/// The names of the breakers that can be read, and the damaged rows.
async fn load(store: &dyn Store) -> Result<(Vec<String>, Vec<DamagedRow>), StoreError> {
    let (mut names, mut damaged) = (Vec::new(), Vec::new());
    store
        .load(&mut |loaded| match loaded {
            Loaded::Breaker(row) => names.push(row.name.to_string()),
            Loaded::Damaged(row) => damaged.push(row),
        })
        .await?;
    names.sort_unstable();
    Ok((names, damaged))
}

async fn names(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    load(store).await.map(|(names, _)| names)
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
    let me = Member { id: "me".to_owned(), address: "127.0.0.1:1".to_owned() };
    for url in ["mysql://me:secret@host/db", "breakerd.db", "memory:secret", "sqlite:"] {
        let connected = breaker_store::connect(url, me.clone(), MigrationMode::Apply).await;
        let Err(StoreError::Unusable(message)) = connected else {
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

/// The rows that are left, and the one that is damaged by these assignments.
async fn damaged_by(damage: &str) -> Result<(Vec<String>, DamagedRow)> {
    let folder = Folder::new()?;
    let store = folder.store().await?;
    let mut batch = batch(&["a/well", "payments/stripe-api", "z/well"])?;
    for row in &mut batch.rows {
        row.own_config = ConfigPatch { failure_threshold: Some(9), ..ConfigPatch::default() };
        (row.revision, row.config_revision) = (7, 3);
        row.snapshot.generation = 5;
    }
    store.commit(&batch).await?;
    let whose = "name = 'payments/stripe-api'";
    folder.execute(&format!("UPDATE breakers SET {damage} WHERE {whose}")).await?;
    let (names, mut damaged) = load(&*store).await?;
    let damaged_row = damaged.pop();
    anyhow::ensure!(damaged.is_empty(), "{damaged:?}");
    Ok((names, damaged_row.ok_or_else(|| anyhow::anyhow!("{damage} is understood"))?))
}

#[tokio::test]
async fn a_value_that_nobody_wrote_is_told_and_every_other_row_is_read() -> Result<()> {
    for (damage, column) in [
        ("state = 'ajar'", "state"),
        ("state = CAST(x'ff' AS TEXT)", "state"),
        ("mode = 'forced'", "mode"),
        ("own_config = '{\"failure_treshold\": 1}'", "own_config"),
        ("own_config = '{\"failure_thre'", "own_config"),
        ("failure_count = -1", "failure_count"),
        ("consecutive_failures = 99999999999", "consecutive_failures"),
        ("state = 'half_open'", "permits"),
        ("state = 'half_open', permits = '[{\"id\": 1'", "permits"),
        ("state = 'half_open', permits = '[]'", "probe_successes"),
        ("mode = 'disabled'", "override_set_at"),
        ("mode = 'disabled', override_set_at = 1", "override_actor"),
        ("window_calls = x'010203'", "window_calls"),
        ("window_calls = x'', window_buckets = '{'", "window_buckets"),
        ("window_calls = x'', recent_calls = -1", "recent_calls"),
        (
            "window_calls = x'', last_failure_at = 1, last_failure_kind = '\u{7}'",
            "last_failure_kind",
        ),
        ("memory = '{\"level\": 1'", "memory"),
    ] {
        let (names, row) = damaged_by(damage).await?;
        assert_eq!(names, ["a/well", "z/well"], "{damage}");
        assert_eq!(row.damage.column, column, "{damage}: {row:?}");
        assert!(!row.damage.problem.is_empty(), "{damage}");
        assert_eq!(row.name, Some(BreakerName::new("payments/stripe-api")?), "{damage}");
        let own_config = ConfigPatch { failure_threshold: Some(9), ..ConfigPatch::default() };
        assert_eq!(row.own_config, (column != "own_config").then_some(own_config), "{damage}");
        assert_eq!((row.revision, row.config_revision), (Some(7), Some(3)), "{damage}");
        assert_eq!(row.generation, Some(5), "{damage}");
        assert_eq!(row.created_at, Some(Time::from_millis(1)), "{damage}");
    }
    Ok(())
}

#[tokio::test]
async fn a_row_without_a_legible_name_is_told_as_one_of_nobody() -> Result<()> {
    for damage in ["name = ''", "name = 'Payments!'", "name = CAST(x'612fff' AS TEXT)"] {
        let (names, row) = damaged_by(damage).await?;
        assert_eq!(names, ["a/well", "z/well"], "{damage}");
        assert_eq!((row.name, row.damage.column), (None, "name".to_owned()), "{damage}");
    }
    Ok(())
}

#[tokio::test]
async fn a_damaged_policy_is_told_and_replaced_by_one_of_its_name() -> Result<()> {
    let folder = Folder::new()?;
    let store = folder.store().await?;
    let policy = |name: &str| {
        let selector = Selector::parse("a/*").map_err(|refused| anyhow::anyhow!(refused))?;
        Ok(PolicyRow {
            name: PolicyName::new(name)?,
            spec: PolicySpec {
                selector,
                priority: 0,
                config: ConfigPatch::default(),
                alerts: AlertPatch::default(),
            },
            revision: 2,
            created_at: Time::from_millis(1),
            updated_at: None,
        })
    };
    let policies = ["a", "b"].map(policy).into_iter().collect::<Result<Vec<_>>>()?;
    store.commit(&Batch { policies: policies.clone(), ..Batch::default() }).await?;
    for (damage, column) in [
        ("config = '{\"failure_thre'", "config"),
        ("config = '{\"failure_treshold\": 1}'", "config"),
        ("selector = 'A//'", "selector"),
        ("priority = 99999999999", "priority"),
        ("revision = -1", "revision"),
    ] {
        folder.execute(&format!("UPDATE policies SET {damage} WHERE name = 'b'")).await?;
        let stored = store.policies().await?;
        assert_eq!(stored.rows, policies[..1], "{damage}");
        let [(name, told)] = &stored.damaged[..] else { panic!("{damage}: {stored:?}") };
        assert_eq!((name.as_str(), told.column.as_str()), ("b", column), "{damage}");
        store.commit(&Batch { policies: policies.clone(), ..Batch::default() }).await?;
        assert_eq!(store.policies().await?.rows.len(), 2, "{damage} is gone");
    }
    Ok(())
}

#[tokio::test]
async fn damaged_reporters_are_told_and_keep_no_other_from_being_read() -> Result<()> {
    let folder = Folder::new()?;
    let store = folder.store().await?;
    let reporter = |id: &str| ReporterRow {
        id: id.into(),
        highest: 3,
        recent: 0b101,
        heard_at: Time::from_millis(1),
    };
    let reporters = vec![reporter("a"), reporter("b")];
    for (damage, column) in [
        ("highest = 0", "highest"),
        ("recent = x'0102'", "recent"),
        ("recent = zeroblob(16)", "recent"),
        ("id = x'62ff'", "id"),
    ] {
        store.commit(&Batch { reporters: reporters.clone(), ..Batch::default() }).await?;
        folder.execute(&format!("UPDATE reporters SET {damage} WHERE id = x'62'")).await?;
        let (mut read, mut damaged) = (Vec::new(), Vec::new());
        let take = &mut |loaded| match loaded {
            Ok(row) => read.push(row),
            Err((id, Damage { column, .. })) => damaged.push((id, column)),
        };
        store.reporters(10, take).await?;
        assert_eq!(read, reporters[..1], "{damage}");
        let [(id, told)] = &damaged[..] else { panic!("{damage}: {damaged:?}") };
        assert!(id.starts_with('b') && told == column, "{damage}: {damaged:?}");
    }
    Ok(())
}

fn transition(id: u64) -> Result<Arc<TransitionRecord>> {
    let mut breaker = Breaker::new(Time::from_millis(1));
    let by = Attribution::default();
    let transition = breaker.trip(&Config::default(), by, Time::from_millis(2)).remove(0);
    let breaker = BreakerName::new("a/b")?;
    Ok(Arc::new(TransitionRecord { id, breaker, revision: id, transition }))
}

#[tokio::test]
async fn damaged_transitions_are_told_and_pages_go_on_behind_them() -> Result<()> {
    let folder = Folder::new()?;
    let store = folder.store().await?;
    let transitions = (1..=6).map(transition).collect::<Result<_>>()?;
    store.commit(&Batch { transitions, ..Batch::default() }).await?;
    folder.execute("UPDATE transitions SET cause = 'whim' WHERE id IN (2, 3, 6)").await?;
    // Ids that no server gives out, and would not find the end of.
    folder
        .execute(
            "CREATE TEMP TABLE copy AS SELECT * FROM transitions WHERE id = 1;
             UPDATE copy SET id = -1; INSERT INTO transitions SELECT * FROM copy;
             UPDATE copy SET id = 9223372036854775807; INSERT INTO transitions SELECT * FROM copy;",
        )
        .await?;
    let told = |page: TransitionPage| {
        let records: Vec<_> = page.records.iter().map(|record| record.id).collect();
        let damaged: Vec<_> = page.damaged.iter().map(|(id, _)| *id).collect();
        assert!(page.damaged.iter().all(|(_, damage)| damage.column == "cause"));
        (records, damaged, page.last.map(|last| last.id))
    };
    let name = BreakerName::new("a/b")?;
    for scope in [HistoryScope::All, HistoryScope::Breaker(name)] {
        let before = async |id| {
            // They all took effect at one time.
            let before = Moment { at: Time::from_millis(2), id };
            let scope = scope.clone();
            let range = HistoryRange { scope, before, ..HistoryRange::everything() };
            store.history(&range, 2).await
        };
        assert_eq!(told(before(7).await?), (vec![5], vec![6], Some(5)));
        assert_eq!(told(before(4).await?), (vec![], vec![3, 2], Some(2)));
        assert_eq!(told(before(2).await?), (vec![1], vec![], Some(1)));
        assert_eq!(told(before(1).await?), (vec![], vec![], None));
    }
    let after = |id| store.transitions_after(id, 2);
    assert_eq!(told(after(0).await?), (vec![1], vec![2], Some(2)));
    assert_eq!(told(after(1).await?), (vec![], vec![2, 3], Some(3)));
    assert_eq!(told(after(3).await?), (vec![4, 5], vec![], Some(5)));
    assert_eq!(store.open().await?.last_transition_id, 6);
    Ok(())
}

/// Rows are read many at a time, between separators.
#[tokio::test]
async fn a_row_that_holds_separators_is_read_by_itself() -> Result<()> {
    let folder = Folder::new()?;
    let store = folder.store().await?;
    let odd = ["a/first", "a/row", "a/value", "a/zero", "a/long", "a/last"];
    store.commit(&batch(&odd)?).await?;
    folder
        .execute(
            "UPDATE breakers SET own_config = '{}' || char(30) || '+b/made' WHERE name = 'a/row';
             UPDATE breakers SET own_config = '{}' || char(31) || '+9' WHERE name = 'a/value';
             UPDATE breakers SET own_config = '{}' || char(0) || '!' WHERE name = 'a/zero';
             UPDATE breakers SET window_calls = zeroblob(4104) WHERE name = 'a/long';",
        )
        .await?;
    let mut whole = Vec::new();
    let mut damaged = Vec::new();
    store
        .load(&mut |loaded| match loaded {
            Loaded::Breaker(row) => whole.push((row.name.to_string(), row.revision)),
            Loaded::Damaged(row) => {
                damaged.push((row.name.map(|name| name.to_string()), row.damage.column));
            }
        })
        .await?;
    whole.sort();
    damaged.sort();
    let expected = ["a/first", "a/last", "a/long"].map(|name| (name.to_owned(), 1));
    assert_eq!(whole, expected);
    let expected =
        ["a/row", "a/value", "a/zero"].map(|name| (Some(name.to_owned()), "own_config".to_owned()));
    assert_eq!(damaged, expected);
    Ok(())
}
