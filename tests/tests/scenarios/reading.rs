//! A table that nobody can misread: what makes no sense in it is refused, and an expectation that
//! is wrong or that nothing shows makes its scenario fail.

use crate::model::{self, Scenario};
use crate::on_core::OnCore;
use crate::on_trace;
use crate::play::Play;

/// A scenario with these further keys and these steps.
fn scenario(keys: &str, steps: &str) -> anyhow::Result<Scenario> {
    let text = format!("[[scenario]]\nname = \"n\"\nfact = \"f\"\n{keys}\nsteps = [{steps}]");
    model::parse(&text).map(|mut scenarios| scenarios.remove(0))
}

#[test]
fn what_makes_no_sense_is_refused() {
    let step = "{ at_ms = 0, expect = { state = \"CLOSED\" } }";
    assert!(scenario("", step).is_ok());
    for (keys, steps, complaint) in [
        ("remark = 1", step, "unknown field `remark`"),
        ("differs = \"\"", step, "`differs` is empty"),
        ("config = { failure_treshold = 1 }", step, "failure_treshold"),
        ("config = { failure_threshold = 0 }", step, "nothing can trip"),
        ("", "", "nothing is expected"),
        ("", "{ at_ms = 0, call = { outcome = \"success\" } }", "nothing is expected"),
        ("", "{ at_ms = 0 }", "nothing happens"),
        ("", "{ at_ms = 0, expects = { state = \"OPEN\" } }", "unknown field `expects`"),
        ("", "{ at_ms = 0, call = { outcome = \"fine\" } }", "unknown variant `fine`"),
        ("", "{ at_ms = 0, call = { outcome = \"success\", count = 0 } }", "0 calls"),
        ("", "{ at_ms = 0, acquire = \"a\", admin = { action = \"trip\" } }", "two things"),
        (
            "",
            &format!("{step}, {{ at_ms = 0, acquire = \"a\" }}, {{ at_ms = 0, acquire = \"a\" }}"),
            "two calls are \"a\"",
        ),
        ("", "{ at_ms = 0, admin = { action = \"trip\", ttl_ms = 1 } }", "no time to live"),
        ("", &format!("{{ at_ms = 1, acquire = \"a\" }}, {step}"), "order of time"),
        (
            "",
            &format!("{step}, {{ at_ms = 0, report = {{ outcome = \"success\", of = \"a\" }} }}"),
            "no earlier call is \"a\"",
        ),
    ] {
        let error = scenario(keys, steps).err().map(|error| format!("{error:#}"));
        let error = error.unwrap_or_default();
        assert!(error.contains(complaint), "{keys} {steps}: {error:?} lacks {complaint:?}");
    }
}

#[tokio::test]
async fn what_is_expected_wrongly_or_is_not_shown_fails() -> anyhow::Result<()> {
    let steps = "{ at_ms = 7, call = { outcome = \"success\" }, \
                 expect = { state = \"OPEN\", allowed = true, refused = false } }";
    let scenario = scenario("", steps)?;
    let mut play = Play::new(&scenario, OnCore::new(&scenario)?);
    while play.next_at_ms().is_some() {
        play.go_on().await;
    }
    let expected = [
        "\"n\", step 1 at 7 ms: nothing shows `refused` here",
        "\"n\", step 1 at 7 ms: state is \"CLOSED\", expected \"OPEN\"",
    ];
    assert_eq!(play.into_problems(), expected);
    assert_eq!(on_trace::play(&scenario)?, (2, vec![expected[1].to_owned()]));
    Ok(())
}
