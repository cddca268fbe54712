use anyhow::{Result, anyhow};
use breaker_core::{AlertPatch, AlertRules, ConfigPatch, Time};
use breaker_engine::{
    Batch, MAX_POLICIES, PolicyDeletion, PolicyName, PolicyRow, PolicySpec, Selector, Store,
    StoredPolicies,
};

use crate::databases::Database;
use crate::samples::full_config;

fn policy(name: &str, revision: u64) -> Result<PolicyRow> {
    Ok(PolicyRow {
        name: PolicyName::new(name)?,
        spec: PolicySpec {
            selector: Selector::parse("payments/*").map_err(|refused| anyhow!(refused))?,
            priority: 10,
            config: ConfigPatch::default(),
            alerts: AlertPatch::default(),
        },
        revision,
        created_at: Time::from_millis(7),
        updated_at: None,
    })
}

fn deletion(name: &str, revision: u64) -> Result<PolicyDeletion> {
    Ok(PolicyDeletion { name: PolicyName::new(name)?, revision })
}

fn written(policies: Vec<PolicyRow>) -> Batch {
    Batch { policies, ..Batch::default() }
}

/// Every policy of a store, by name.
async fn load(store: &dyn Store) -> Result<Vec<PolicyRow>> {
    let StoredPolicies { rows: mut policies, damaged } = store.policies().await?;
    anyhow::ensure!(damaged.is_empty(), "{damaged:?}");
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(policies)
}

pub(crate) async fn every_field_survives(database: impl Database) -> Result<()> {
    let mut full = policy("full", (5 << 40) + 17)?;
    full.spec.priority = i32::MIN;
    full.spec.config = full_config();
    full.spec.alerts = AlertRules::default().to_patch();
    full.created_at = Time::from_nanos(1_700_000_000_123_456_789);
    full.updated_at = Some(Time::from_nanos(u64::MAX));
    let mut of_one = policy("of-one", 1)?;
    of_one.spec.selector =
        Selector::parse("payments/stripe-api").map_err(|refused| anyhow!(refused))?;
    let rows = vec![full, of_one];
    let store = database.connect().await?;
    store.commit(&written(rows.clone())).await?;
    drop(store);
    assert_eq!(load(&*database.connect().await?).await?, rows);
    Ok(())
}

pub(crate) async fn a_later_row_replaces_an_earlier_one(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    let mut earlier = policy("a", 1)?;
    earlier.spec.config = full_config();
    store.commit(&written(vec![earlier])).await?;
    let later = policy("a", 2)?;
    store.commit(&written(vec![later.clone()])).await?;
    assert_eq!(load(&*store).await?, [later]);
    Ok(())
}

pub(crate) async fn a_deletion_takes_a_policy_up_to_its_revision(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let again = policy("created-again", 11)?;
    store.commit(&written(vec![policy("a", 9)?, again.clone()])).await?;
    let names = ["a", "created-again", "never-there"];
    let policy_deletions =
        names.map(|name| deletion(name, 10)).into_iter().collect::<Result<_>>()?;
    store.commit(&Batch { policy_deletions, ..Batch::default() }).await?;
    assert_eq!(load(&*store).await?, [again]);
    Ok(())
}

pub(crate) async fn the_floor_is_that_of_all_deleted_policies(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let highest = (7 << 40) + 1;
    for revisions in [&[2, highest][..], &[3]] {
        let deletions = revisions.iter().map(|&revision| deletion("a", revision));
        let policy_deletions = deletions.collect::<Result<_>>()?;
        store.commit(&Batch { policy_deletions, ..Batch::default() }).await?;
    }
    drop(store);
    let opened = database.connect().await?.open().await?;
    assert_eq!((opened.policy_revision_floor, opened.revision_floor), (highest, 0));
    Ok(())
}

pub(crate) async fn as_many_as_there_may_be_are_written_at_once(
    database: impl Database,
) -> Result<()> {
    let row = |index| policy(&format!("p{index:04}"), index);
    let rows = (0..MAX_POLICIES as u64).map(row).collect::<Result<Vec<_>>>()?;
    let store = database.connect().await?;
    store.commit(&written(rows.clone())).await?;
    assert_eq!(load(&*store).await?, rows);
    Ok(())
}
