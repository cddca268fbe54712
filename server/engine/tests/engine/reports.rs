//! Which reports count, and for what.

use std::sync::Arc;

use breaker_core::{Adaptive, ConfigPatch, Outcome, Run, StateKind, Totals};
use breaker_engine::{
    Admitted, BreakerReport, BreakerView, Durability, Engine, EngineError, Reported,
};

use crate::flaky::{Flaky, name, start};

fn five_failures(admitted: Admitted) -> [BreakerReport<'static>; 1] {
    let runs = vec![(Run::new(Outcome::Failure, 5), None)];
    [BreakerReport { breaker: name("a/b"), admitted, runs }]
}

fn totals(view: &BreakerView) -> Totals {
    *view.breaker.metrics().unwrap().totals()
}

fn look(engine: &Arc<Engine>) -> BreakerView {
    engine.get(&name("a/b")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_history_count_as_late_and_move_nothing() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    let report = |admitted| engine.report("", 0, &five_failures(admitted));
    assert_eq!(report(Admitted::Late(Some(1))).unwrap(), Reported::Counted(Vec::new()));
    assert!(engine.get(&name("a/b")).is_err(), "it was deleted while the calls were in flight");
    assert_eq!(report(Admitted::Late(None)).unwrap(), Reported::Counted(Vec::new()));
    assert_eq!(report(Admitted::Late(Some(1))).unwrap(), Reported::Counted(Vec::new()));
    let view = look(&engine);
    assert_eq!((view.status.state, totals(&view).late), (StateKind::Closed, 10));
    let unreached = report(Admitted::Late(Some(2)));
    assert!(matches!(unreached, Err(EngineError::Invalid(_))), "{unreached:?}");
    report(Admitted::Generation(1)).unwrap();
    let view = look(&engine);
    assert_eq!((view.status.state, totals(&view).late), (StateKind::Open, 10));
    let Reported::Counted(moved) = report(Admitted::Late(Some(1))).unwrap() else {
        panic!("it was not sent before");
    };
    assert_eq!(moved.len(), 1, "the reporter does not know that it is open");
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn runs_of_one_report_move_a_breaker_as_if_each_had_come_by_itself() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    // The threshold follows the last four calls, which is a change that is no transition.
    let adaptive = Adaptive { window: 4, ..Adaptive::default() };
    let config = ConfigPatch { adaptive: Some(Some(adaptive)), ..ConfigPatch::default() };
    for breaker in ["a/together", "a/apart"] {
        engine.create(name(breaker), config.clone(), Durability::Preferred).await.unwrap();
    }
    let run = |outcome| (Run::new(outcome, 1), None);
    let successes = std::iter::repeat_n(run(Outcome::Success), 9);
    let runs: Vec<_> = successes.chain(std::iter::repeat_n(run(Outcome::Failure), 9)).collect();
    let admitted = Admitted::Current;
    for run in &runs {
        let runs = vec![run.clone()];
        engine
            .report("", 0, &[BreakerReport { breaker: name("a/apart"), admitted, runs }])
            .unwrap();
    }
    let breaker = name("a/together");
    let created = engine.get(&breaker).unwrap().status.revision;
    engine.report("", 0, &[BreakerReport { breaker, admitted, runs }]).unwrap();

    let look = |text: &str| engine.get(&name(text)).unwrap();
    let (together, apart) = (look("a/together"), look("a/apart"));
    assert_eq!(together.breaker, apart.breaker);
    assert_eq!(together.status.state, StateKind::Open);
    assert_eq!(together.status.revision, apart.status.revision);
    assert!(
        together.status.revision > created + 2,
        "the threshold was raised and lowered, and it opened"
    );
    tasks.shut_down().await.unwrap();
}
