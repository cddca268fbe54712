//! Policies from the outside: what requests may say, what a change reaches, what a restart keeps.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use breaker_core::Time;
use breaker_proto::v1::{self, AppliedAction, Outcome, State};
use breaker_tests::{
    Clients, Daemon, Hosted, acquire, binary, create, report_of, run_of, selecting,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

fn threshold(failure_threshold: u32) -> Option<v1::BreakerConfig> {
    let failure_threshold = Some(failure_threshold);
    Some(v1::BreakerConfig { failure_threshold, ..v1::BreakerConfig::default() })
}

fn policy(name: &str, selector: &str, config: Option<v1::BreakerConfig>) -> v1::PolicySpec {
    v1::PolicySpec {
        name: name.into(),
        selector: selector.into(),
        priority: 10,
        config,
        alerts: None,
    }
}

fn creation(spec: v1::PolicySpec) -> v1::CreatePolicyRequest {
    let v1::PolicySpec { name, selector, priority, config, alerts } = spec;
    v1::CreatePolicyRequest { name, selector, priority, config, require_durable: false, alerts }
}

async fn look(clients: &mut Clients, name: &str) -> anyhow::Result<v1::Breaker> {
    let request = v1::GetBreakerRequest { name: name.into() };
    Ok(clients.admin.get_breaker(request).await?.into_inner().breaker.unwrap_or_default())
}

/// The fields that an error names.
fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn a_policy_reaches_the_breakers_that_are_there_and_those_that_come() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let mut watch = hosted.clients.breakers.watch(v1::WatchRequest::default()).await?.into_inner();
    hosted.clients.breakers.acquire(acquire("pay/visa")).await?;
    let failures = report_of("pay/visa", 0, vec![run_of(Outcome::Failure, 2)]);
    hosted.clients.breakers.report(failures).await?;
    let created = creation(policy("pay", "pay/*", threshold(3)));
    let created = hosted.clients.admin.create_policy(created).await?.into_inner();
    assert!(created.durable && created.warnings.is_empty());
    let created = created.policy.unwrap();
    assert_eq!((created.selector.as_str(), created.breaker_count), ("pay/*", 1));

    let breaker = look(&mut hosted.clients, "pay/visa").await?;
    assert_eq!(breaker.policy, "pay");
    let sources = &breaker.config_sources;
    assert_eq!(sources["failure_threshold"], v1::ConfigSource::Policy as i32);
    assert_eq!(sources["open_duration"], v1::ConfigSource::BuiltIn as i32);
    let told = loop {
        let message = watch.message().await?.unwrap();
        let with_policy =
            |state: &v1::BreakerState| state.config == breaker.state.as_ref().unwrap().config;
        if let Some(state) = message.changed.into_iter().find(with_policy) {
            break state;
        }
    };
    assert_eq!(told.name, "pay/visa");
    // The two failures from before count under the new threshold.
    let failure = report_of("pay/visa", 0, vec![run_of(Outcome::Failure, 1)]);
    hosted.clients.breakers.report(failure).await?;
    let state = look(&mut hosted.clients, "pay/visa").await?.state.unwrap();
    assert_eq!(state.state, State::Open as i32);

    let own = create("pay/own", v1::BreakerConfig { max_probes: Some(1), ..Default::default() });
    hosted.clients.admin.create_breaker(own).await?;
    let request = v1::ExplainConfigRequest { name: "pay/own".into() };
    let explained = hosted.clients.admin.explain_config(request).await?.into_inner();
    assert!(explained.exists);
    let values: BTreeMap<_, _> =
        explained.values.iter().map(|v| (v.key.as_str(), (v.value.as_str(), v.source))).collect();
    assert_eq!(values["failure_threshold"], ("3", v1::ConfigSource::Policy as i32));
    assert_eq!(values["max_probes"], ("1", v1::ConfigSource::Breaker as i32));
    assert_eq!(values["open_duration"], ("\"1m\"", v1::ConfigSource::BuiltIn as i32));

    let request = v1::UpdatePolicyRequest {
        name: "pay".into(),
        priority: Some(-1),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["config.failure_threshold".into(), "priority".into()],
        }),
        etag: created.etag.clone(),
        ..Default::default()
    };
    let updated = hosted.clients.admin.update_policy(request.clone()).await?.into_inner();
    let updated = updated.policy.unwrap();
    assert_eq!((updated.priority, updated.config), (-1, Some(v1::BreakerConfig::default())));
    assert!(updated.update_time.is_some());
    let status = hosted.clients.admin.update_policy(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "the etag is an old one");
    let request = v1::DeletePolicyRequest { name: "pay".into(), ..Default::default() };
    hosted.clients.admin.delete_policy(request.clone()).await?;
    let status = hosted.clients.admin.delete_policy(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(look(&mut hosted.clients, "pay/visa").await?.policy, "");
    hosted.stop().await
}

#[tokio::test]
async fn every_bad_field_is_named() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let bad = creation(policy("Pay", "pay/[ab]", threshold(0)));
    let status = hosted.clients.admin.create_policy(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["name", "selector", "config.failure_threshold"]);
    for selector in ["", "one-part", "a//b", "pay/?", "Pay/*", "pay/*/\u{e9}"] {
        let bad = creation(policy("a", selector, None));
        let status = hosted.clients.admin.create_policy(bad).await.unwrap_err();
        assert_eq!(fields(&status), ["selector"], "{selector:?}");
    }
    let paths = ["config.failure_treshold", "name", "selector"].map(str::to_owned).to_vec();
    let bad = v1::UpdatePolicyRequest {
        name: "a".into(),
        update_mask: Some(prost_types::FieldMask { paths }),
        etag: "e1".into(),
        ..Default::default()
    };
    let status = hosted.clients.admin.update_policy(bad).await.unwrap_err();
    let expected = ["etag", "update_mask.paths[0]", "update_mask.paths[1]", "selector"];
    assert_eq!(fields(&status), expected);

    let negative = prost_types::Duration { seconds: -1, nanos: 0 };
    let negative = v1::BreakerConfig { open_duration: Some(negative), ..Default::default() };
    let breaker = |name: &str, config| v1::BreakerSpec { name: name.into(), config };
    let bad = v1::ApplyRequest {
        policies: vec![
            policy("a", "a/*", threshold(3)),
            policy("a", "b/*", None),
            policy("b/c", "nothing", Some(negative)),
            policy("d", "d/*", threshold(2_000_000)),
        ],
        breakers: vec![breaker("x/y", None), breaker("one", None), breaker("x/z", threshold(0))],
        reason: "x".repeat(2_000),
        ..Default::default()
    };
    let status = hosted.clients.admin.apply(bad).await.unwrap_err();
    let expected = [
        "reason",
        "policies[1].name",
        "policies[2].name",
        "policies[2].selector",
        "policies[2].config.open_duration",
        "breakers[1].name",
        "policies[3].config.failure_threshold",
        "breakers[2].config.failure_threshold",
    ];
    assert_eq!(fields(&status), expected);
    let many = (0..10_000).map(|index| policy(&format!("p{index}"), "**", None)).collect();
    let many = v1::ApplyRequest { policies: many, ..Default::default() };
    let status = hosted.clients.admin.apply(many).await.unwrap_err();
    assert_eq!(fields(&status), ["policies"]);
    let names = states_and_policies(&mut hosted.clients).await?;
    assert_eq!(names, (0, 0), "nothing was changed");
    hosted.stop().await
}

/// How many breakers and how many policies there are.
async fn states_and_policies(clients: &mut Clients) -> anyhow::Result<(usize, usize)> {
    let breakers = breaker_tests::states_in(&mut clients.admin).await?.len();
    let request = v1::ListPoliciesRequest { page_size: 1_000, ..Default::default() };
    let policies = clients.admin.list_policies(request).await?.into_inner().policies;
    Ok((breakers, policies.len()))
}

#[tokio::test]
async fn a_thousand_policies_are_listed_page_by_page_and_one_more_is_refused() -> anyhow::Result<()>
{
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    hosted.clients.breakers.acquire(acquire("a/b")).await?;
    let policies: Vec<_> =
        (0..1_000).map(|index| policy(&format!("p{index:03}"), "**", threshold(3))).collect();
    let request = v1::ApplyRequest { policies, prune: true, ..Default::default() };
    let answer = hosted.clients.admin.apply(request).await?.into_inner();
    assert_eq!(answer.changes.len(), 1_000);
    assert!((1..=20).contains(&answer.warnings.len()), "ties are told, not all half a million");
    assert_eq!(answer.warnings[0].field, "policies[0].priority");
    assert_eq!(look(&mut hosted.clients, "a/b").await?.policy, "p000");
    let mut request = v1::ListPoliciesRequest { page_size: 300, ..Default::default() };
    let mut names = Vec::new();
    loop {
        let page = hosted.clients.admin.list_policies(request.clone()).await?.into_inner();
        names.extend(page.policies.into_iter().map(|policy| policy.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert!(names.len() == 1_000 && names.is_sorted());
    let one_more = creation(policy("one-more", "**", None));
    let status = hosted.clients.admin.create_policy(one_more).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    hosted.stop().await
}

#[tokio::test]
async fn a_policy_deleted_while_another_file_is_applied_is_there_or_not_as_a_whole()
-> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    for _ in 0..20 {
        let request = v1::ApplyRequest {
            policies: vec![policy("a", "a/*", threshold(3)), policy("b", "b/*", threshold(4))],
            ..Default::default()
        };
        let (mut applying, mut deleting) =
            (hosted.clients.admin.clone(), hosted.clients.admin.clone());
        let delete = v1::DeletePolicyRequest { name: "a".into(), ..Default::default() };
        let (applied, deleted) =
            tokio::join!(applying.apply(request), deleting.delete_policy(delete));
        assert_eq!(applied?.into_inner().changes.len(), 2);
        if let Err(status) = deleted {
            assert_eq!(status.code(), Code::NotFound);
        }
        let request = v1::GetPolicyRequest { name: "b".into() };
        hosted.clients.admin.get_policy(request).await?;
    }
    hosted.stop().await
}

fn breakerctl(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(binary("breakerctl")?);
    Ok(command.args(["--address", &daemon.grpc]).args(arguments).output()?)
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    texts.concat()
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().ok_or_else(|| anyhow::anyhow!("{} is not UTF-8", path.display()))
}

const FILE: &str = r#"
[[policy]]
name = "payments"
match = "payments/*"
priority = 10
[policy.config]
failure_threshold = 3

[[policy]]
name = "everything"
match = "**"
[policy.config]
open_duration = "20s"

[[breaker]]
name = "payments/stripe-api"
[breaker.config]
open_duration = "30s"
"#;

#[tokio::test]
async fn a_file_is_applied_survives_kill_9_and_is_exported_as_it_was() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let file = folder.path().join("breakers.toml");
    fs::write(&file, FILE)?;
    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let trip = v1::TripRequest { target: selecting("payments/visa") };
    clients.breakers.acquire(acquire("payments/visa")).await?;
    clients.admin.trip(trip).await?;

    let apply = ["apply", "-f", text(&file)?, "--require-durable"];
    let dry = breakerctl(&daemon, &[&apply[..], &["--dry-run"]].concat())?;
    assert!(said(&dry).contains("dry run, nothing was changed: 3 created"), "{}", said(&dry));
    assert!(!said(&dry).contains('\u{1b}'), "no colours in a pipe");
    let applied = breakerctl(&daemon, &apply)?;
    assert!(applied.status.success(), "{}", said(&applied));
    assert!(
        said(&applied).contains("+ breaker payments/stripe-api\n    + open_duration = \"30s\"")
    );
    let request = v1::GetPolicyRequest { name: "payments".into() };
    let etag_of = |answer: v1::GetPolicyResponse| answer.policy.unwrap().etag.parse::<u64>();
    let etag = etag_of(clients.admin.get_policy(request.clone()).await?.into_inner())?;
    daemon.kill()?;

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    assert_eq!(etag_of(clients.admin.get_policy(request.clone()).await?.into_inner())?, etag);
    let breaker = look(&mut clients, "payments/stripe-api").await?;
    assert_eq!(breaker.policy, "payments");
    let config = breaker.state.unwrap().config.unwrap();
    assert_eq!((config.failure_threshold, config.open_duration.unwrap().seconds), (Some(3), 30));

    for syntax in ["toml", "yaml"] {
        let exported = breakerctl(&daemon, &["export", "--syntax", syntax])?;
        assert!(exported.status.success(), "{}", said(&exported));
        let export = folder.path().join(format!("export.{syntax}"));
        fs::write(&export, &exported.stdout)?;
        let again = breakerctl(&daemon, &["apply", "-f", text(&export)?, "--prune"])?;
        let expected = "0 created, 0 updated, 0 deleted, 3 unchanged\n";
        assert_eq!(said(&again), expected, "{}", said(&exported));
    }

    fs::write(&file, FILE.split("[[policy]]\nname = \"everything\"").next().unwrap_or_default())?;
    let pruned = breakerctl(&daemon, &["apply", "-f", text(&file)?, "--prune", "-o", "json"])?;
    let answer: serde_json::Value = serde_json::from_slice(&pruned.stdout)?;
    let actions: Vec<_> =
        answer["changes"].as_array().unwrap().iter().map(|change| &change["action"]).collect();
    assert_eq!(actions, ["deleted", "unchanged", "updated"], "{answer}");
    assert_eq!(answer["changes"][2]["values"][0]["old"], "30s");
    let visa = look(&mut clients, "payments/visa").await?;
    assert_eq!(visa.state.unwrap().state, State::Open as i32, "state is not the file's to forget");
    daemon.kill()?;

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    assert_eq!(states_and_policies(&mut clients).await?, (2, 1));
    let stripe = look(&mut clients, "payments/stripe-api").await?;
    assert_eq!(stripe.own_config, Some(v1::BreakerConfig::default()));
    let again = creation(policy("again", "x/*", None));
    let again = clients.admin.create_policy(again).await?.into_inner().policy.unwrap();
    assert!(again.etag.parse::<u64>()? > etag, "etags never run backwards");
    Ok(())
}

#[tokio::test]
async fn a_bad_file_is_refused_with_the_place_of_every_bad_key() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&folder.path().join("breakers.db"))?;
    let file = folder.path().join("breakers.yaml");
    fs::write(&file, "policy: [{name: a, match: 'a/*', config: {failure_treshold: 3}}, {}]")?;
    let refused = breakerctl(&daemon, &["apply", "-f", text(&file)?])?;
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    for place in ["policy[0].config.failure_treshold: ", "policy[1].name: ", "policy[1].match: "] {
        assert!(said(&refused).contains(place), "{place} is not in {}", said(&refused));
    }
    fs::write(&file, "policy: [{name: a, match: 'a/*', config: {failure_threshold: 0}}]")?;
    let refused = breakerctl(&daemon, &["apply", "-f", text(&file)?])?;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("policies[0].config.failure_threshold: "));
    fs::write(&file, "\n")?;
    let empty = breakerctl(&daemon, &["apply", "-f", text(&file)?, "--prune"])?;
    assert_eq!(empty.status.code(), Some(2), "{}", said(&empty));
    Ok(())
}

#[tokio::test]
async fn what_is_applied_twice_changes_nothing() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let breaker = v1::BreakerSpec { name: "a/b".into(), config: threshold(4) };
    let request = v1::ApplyRequest {
        policies: vec![policy("a", "a/*", threshold(3))],
        breakers: vec![breaker],
        ..Default::default()
    };
    let validated = v1::ApplyRequest { validate_only: true, ..request.clone() };
    let planned = hosted.clients.admin.apply(validated).await?.into_inner();
    assert!(!planned.durable);
    assert_eq!(states_and_policies(&mut hosted.clients).await?, (0, 0));
    let first = hosted.clients.admin.apply(request.clone()).await?.into_inner();
    assert_eq!(first.changes, planned.changes);
    let revision = look(&mut hosted.clients, "a/b").await?.state.unwrap().revision;
    let second = hosted.clients.admin.apply(request).await?.into_inner();
    let is_unchanged = |c: &v1::AppliedChange| c.action() == AppliedAction::Unchanged;
    assert!(second.durable && second.changes.iter().all(is_unchanged));
    assert_eq!(look(&mut hosted.clients, "a/b").await?.state.unwrap().revision, revision);
    hosted.stop().await
}
