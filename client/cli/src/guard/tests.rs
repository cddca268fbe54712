use clap::Parser;

use super::ending::{End, Ending};
use super::*;
use crate::test_server::{TestServer, asked, context, stands_by};
use crate::{Arguments, Command as Subcommand};

fn parse(line: &str) -> RunArguments {
    let words = ["breakerctl", "run"].into_iter().chain(line.split(' '));
    match Arguments::try_parse_from(words).unwrap().command {
        Subcommand::Run(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_follows_the_dashes_is_the_command_with_its_own_arguments() {
    let run = parse("a/b --fallback true -- curl -o json --timeout 3");
    assert_eq!(run.command, ["curl", "-o", "json", "--timeout", "3"]);
    assert_eq!((run.name.as_str(), run.fallback.as_deref()), ("a/b", Some("true")));
    assert!(Arguments::try_parse_from(["breakerctl", "run", "a/b"]).is_err());
}

#[test]
fn without_a_server_the_command_runs_unless_it_is_told_not_to() {
    let away = Error::Unavailable {
        address: "127.0.0.1:7420".into(),
        status: Box::new(tonic::Status::unavailable("refused")),
    };
    assert_eq!(parse("a/b -- true").without_server(&away), Answer::Unguarded);
    let strict = parse("a/b --on-unavailable deny -- true").without_server(&away);
    assert!(matches!(strict, Answer::Denied(_)));
}

#[test]
fn a_server_in_trouble_does_not_stop_the_command_but_a_wrong_question_does() {
    let refused = |code| Error::Refused(Box::new(tonic::Status::new(code, "so")));
    for code in [Code::ResourceExhausted, Code::DataLoss, Code::Internal] {
        assert!(!is_a_wrong_question(&refused(code)), "{code:?}");
    }
    for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unauthenticated] {
        assert!(is_a_wrong_question(&refused(code)), "{code:?}");
    }
    let unknown = Error::NotFound(Box::new(tonic::Status::not_found("so")));
    assert!(is_a_wrong_question(&unknown));
}

#[test]
fn a_denial_says_the_state_and_when_to_ask_again() {
    let answer = v1::AcquireResponse {
        reason: v1::AcquireReason::Open.into(),
        state: v1::State::Open.into(),
        retry_after: Some(prost_types::Duration { seconds: 42, nanos: 0 }),
        ..Default::default()
    };
    let denial = Denial {
        reason: "open".into(),
        state: Some("open".into()),
        retry_after: Some("42s".into()),
    };
    assert_eq!(denial.text(), "the breaker is open (reason: open), retry after 42s");
    assert_eq!(Answer::from(answer), Answer::Denied(denial));
}

#[test]
fn a_probe_is_reported_with_its_permit_and_the_same_sequence_each_time() {
    let answer = v1::AcquireResponse {
        allowed: true,
        generation: 4,
        permit: Some(v1::Permit { id: 9, time_left: None }),
        settings: Some(v1::ClientSettings {
            call_timeout: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let Answer::Allowed(admission) = Answer::from(answer) else { panic!("allowed") };
    assert_eq!(admission.call_timeout, Some(Duration::from_secs(10)));

    let duration = Duration::from_millis(1500);
    let ending = Ending { end: End::Exited(3), duration, at: clock::now() };
    let report = report::of("a/b", &admission, &ending);
    let [first, second] =
        [0, 2].map(|age| report::request("me", report.clone(), Duration::from_secs(age)));
    assert_eq!((first.sequence, second.sequence), (1, 1));
    let run = &second.reports[0].runs[0];
    assert_eq!(second.reports[0].generation, 4);
    assert_eq!((run.permit_id, run.count, run.error_kind.as_str()), (9, 1, "exit.3"));
    assert_eq!(run.total_duration, Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }));
    assert_eq!(run.age, Some(prost_types::Duration { seconds: 2, nanos: 0 }));
}

#[tokio::test]
async fn a_command_does_not_wait_for_a_leader() {
    let (first, second) = (TestServer::start().await, TestServer::start().await);
    first.stand_by(None);
    second.stand_by(Some(&first));
    let context = context(&[&first.address, &second.address], Duration::from_secs(10));
    let answer = parse("a/b -- true").ask(&context, "me").await.unwrap();
    assert_eq!(answer, Answer::Unguarded);
    assert_eq!(asked([&first, &second]), [1, 1]);
}

#[tokio::test]
async fn an_outcome_is_reported_to_the_leader_that_took_over_under_the_same_number() {
    let (old, new) = (TestServer::start().await, TestServer::start().await);
    let context = context(&[&old.address, &new.address], Duration::from_secs(10));
    let answer = parse("a/b -- true").ask(&context, "me").await.unwrap();
    let Answer::Allowed(admission) = answer else { panic!("{answer:?}") };

    old.stand_by(None);
    new.world().refusals = vec![stands_by(Some(&old)), stands_by(None)].into();
    let ending = Ending { end: End::Exited(0), duration: Duration::ZERO, at: clock::now() };
    let report = report::of("a/b", &admission, &ending);
    report::send(&context.connection, "me", &report, &ending).await;
    let reports = std::mem::take(&mut new.world().reports);
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].reporter_id.as_str(), reports[0].sequence), ("me", 1));
    assert!(old.world().reports.is_empty());
}
