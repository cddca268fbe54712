//! A suite that nobody can misread or fool: what makes no sense is refused, and what is otherwise
//! than told fails with a message that says so.

use crate::driver::Program;
use crate::play::play;
use crate::scenario::{self, Scenario};

/// A scenario with these further keys and these steps.
fn scenario(keys: &str, steps: &str) -> anyhow::Result<Scenario> {
    let text = format!("[[scenario]]\nname = \"n\"\nfact = \"f\"\n{keys}\nsteps = [{steps}]");
    scenario::parse("file", &text).map(|mut scenarios| scenarios.remove(0))
}

#[test]
fn what_makes_no_sense_is_refused() {
    let clients = "clients = { a = {} }";
    let step = r#"{ client = "a", do = "flush", timeout = 1 }"#;
    assert!(scenario(clients, step).is_ok());
    for (keys, steps, complaint) in [
        (clients, r#"{ client = "b", do = "events" }"#, "\"b\" is not built yet"),
        (clients, r#"{ client = "a", do = "fly" }"#, "unknown variant `fly`"),
        (clients, r#"{ client = "a", do = "call", braker = "x/y" }"#, "unknown field `braker`"),
        (clients, r#"{ client = "a", do = "call" }"#, "missing field `breaker`"),
        (clients, r#"{ client = "a", do = "events", expect = { stats = [] } }"#, "shows `stats`"),
        (clients, r#"{ client = "a", do = "events", expect = {} }"#, "expects nothing"),
        (clients, r#"{ client = "a", do = "events", within = 5 }"#, "belongs to `eventually`"),
        (clients, r#"{ client = "a", do = "end" }"#, "has begun nothing"),
        (clients, r#"{ client = "a", do = "events", begin = true }"#, "has not ended"),
        (clients, r#"{ server = "explode" }"#, "unknown variant `explode`"),
        (clients, r#"{ server = "kill", expect = { state = "open" } }"#, "nothing is answered"),
        (clients, r#"{ server = "kill", link = "cut" }"#, "two act at once"),
        (clients, r#"{ link = "slow" }"#, "`slow` needs"),
        (clients, r#"{ server_sees = "x/y" }"#, "expects nothing"),
        (clients, r#"{ admin = "trip", breaker = "x/y", ttl = 1 }"#, "has no `ttl`"),
        (clients, r#"{ admin = "create", breaker = "x/y", config = { x = 1 } }"#, "x"),
        (clients, r#"{ wait = 1, each = 0 }"#, "`each` must be"),
        (clients, r#"{ wait = 1 }"#, "nothing is expected"),
        (clients, r#"{ breaker = "x/y" }"#, "nobody acts"),
        ("clients = { a = { adresses = [] } }", step, "`build` has no `adresses`"),
        ("breakers = { \"x/y\" = { open = 1 } }", step, "breaker \"x/y\""),
        ("clients = { a = {} }\nserver_runs = false", step, "without a server"),
        ("remark = 1", step, "unknown field `remark`"),
    ] {
        let error = scenario(keys, steps).err().map(|error| format!("{error:#}"));
        let error = error.unwrap_or_default();
        assert!(error.contains(complaint), "{keys} {steps}: {error:?} lacks {complaint:?}");
    }
}

#[test]
fn the_scenarios_of_the_suite_can_be_read() -> anyhow::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/scenarios");
    assert!(scenario::read_all(folder.as_ref())?.len() > 30);
    Ok(())
}

/// What is said of a driver, a line of shell, that is told to build a client and asked for events.
async fn told_of(driver: &str, expect: &str) -> anyhow::Result<String> {
    let steps =
        format!(r#"{{ client = "a", do = "build" }}, {{ client = "a", do = "events", {expect} }}"#);
    let told = scenario("server_runs = false", &steps)?;
    let program = Program::parse(&format!("sh=sh -c '{driver}'"))?;
    let played = play(&told, &program).await;
    Ok(played.err().map(|failure| failure.to_string()).unwrap_or_default())
}

#[tokio::test]
async fn a_driver_that_does_not_keep_to_the_protocol_is_told_of() -> anyhow::Result<()> {
    const ANSWERS: &str = r#"while read line; do echo "{\"states\": [\"ready\"]}"; done"#;
    let good = r#"expect = { states = ["ready"] }"#;
    assert_eq!(told_of(ANSWERS, good).await?, "");
    for (driver, expect, complaint) in [
        ("exit 3", good, "ended with exit status: 3"),
        ("read line; echo what?", good, "garbage: \"what?\""),
        ("read line; echo {}", good, "ended with exit status: 0"),
        (ANSWERS, r#"expect = { states = [] }"#, "states is [\"ready\"], expected a list of 0"),
        (ANSWERS, r#"expect = { states = ["stale"] }"#, "expected \"stale\""),
        (ANSWERS, r#"expect = { transitions = [] }"#, "transitions is missing"),
        (
            ANSWERS,
            r#"eventually = { transitions = [] }, within = 100"#,
            "transitions is missing, expected a list of 0 (waited 100ms)",
        ),
        (&format!("{ANSWERS}; exit 4"), good, "the driver ended with exit status: 4"),
        (&format!("{ANSWERS}; echo {{}}"), good, "said more than it was asked"),
        (&format!("{ANSWERS}; echo panic: x >&2"), good, "left an error unhandled (\"panic:\")"),
        (&format!("{ANSWERS}; sleep 100"), good, "the driver hangs at its end"),
    ] {
        let told = told_of(driver, expect).await?;
        assert!(told.contains(complaint), "{driver}: {told:?} lacks {complaint:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_expected_wrongly_of_the_server_fails() -> anyhow::Result<()> {
    let keys = r#"breakers = { "shop/cart" = { failure_threshold = 2 } }"#;
    let report = r#"{ thin = "report", breaker = "shop/cart", outcome = "failure" }"#;
    for (expect, complaint) in [
        ("{ state = \"closed\", failures = 1 }", ""),
        ("{ failures = { min = 1, max = 1 } }", ""),
        ("{ state = { one_of = [\"open\", \"closed\"] }, level = \"none\" }", ""),
        ("{ state = \"open\" }", "state is \"closed\", expected \"open\""),
        ("{ failures = { min = 2 } }", "failures is 1, expected 2 to inf"),
        ("{ state = { one_of = [\"open\"] } }", "expected one of [\"open\"]"),
        ("{ mode = \"none\" }", "mode is \"normal\", expected none"),
    ] {
        let look = format!(r#"{{ server_sees = "shop/cart", expect = {expect} }}"#);
        let told = scenario(keys, &format!("{report}, {look}"))?;
        let played = play(&told, &Program::parse("none=false")?).await;
        let said = played.err().map(|failure| failure.to_string()).unwrap_or_default();
        assert_eq!(said.is_empty(), complaint.is_empty(), "{expect}: {said}");
        assert!(said.contains(complaint), "{expect}: {said:?} lacks {complaint:?}");
        assert!(said.is_empty() || said.contains("step 2 of 2"), "{said}");
    }
    Ok(())
}
