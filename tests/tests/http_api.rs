//! The JSON API from the outside: what it takes, what it refuses, and what it tells as it happens.

use std::time::Duration;

use anyhow::Context;
use breaker_tests::web::{Web, answer};
use breaker_tests::{Daemon, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(arguments: &[&str]) -> anyhow::Result<(Daemon, Web)> {
    let server = Daemon::start_on("memory:", arguments)?;
    let web = Web::of(&server.http);
    Ok((server, web))
}

fn force(selector: &str) -> Value {
    json!({
        "target": { "selector": selector, "actor": "ann", "reason": "it burns" },
        "time_to_live": "600s",
    })
}

/// The fields that an error names.
fn fields(error: &Value) -> Vec<&str> {
    let details = error["error"]["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let violations = details.iter().filter_map(|detail| detail["field_violations"].as_array());
    violations.flatten().filter_map(|violation| violation["field"].as_str()).collect()
}

#[tokio::test]
async fn a_breaker_lives_its_whole_life_over_http() -> anyhow::Result<()> {
    let (server, web) = start(&[])?;
    let allowed = web.post("acquire", &json!({ "breaker": "pay/visa" })).await?;
    assert_eq!((&allowed["allowed"], &allowed["state"]), (&json!(true), &json!("STATE_CLOSED")));
    assert_eq!(allowed["generation"], "1", "numbers of 64 bits are text");
    let runs = json!([{ "outcome": "OUTCOME_FAILURE", "count": 5, "total_duration": "0.250s" }]);
    let report = json!({ "reports": [{ "breaker": "pay/visa", "runs": runs }] });
    let reported = web.post("report", &report).await?;
    assert_eq!(reported["states"][0]["state"], "STATE_OPEN");
    assert_eq!(reported["duplicate"], false, "what is false is written");

    let config = json!({ "failure_threshold": 9, "open_duration": "30s" });
    let created = json!({ "name": "pay/card/own", "config": config });
    web.post("breakers", &created).await?;
    let (code, got) = web.get("breakers/pay/card/own").await?;
    assert_eq!((code, &got["breaker"]["own_config"]["open_duration"]), (200, &json!("30s")));
    assert_eq!(got["breaker"].get("override"), None, "what is not set is left out");
    let (_, escaped) = web.get("breakers/pay%2Fcard%2Fown").await?;
    assert_eq!(escaped["breaker"]["name"], "pay/card/own");

    let etag = &got["breaker"]["etag"];
    let patch = json!({ "config": { "failure_threshold": 3 }, "etag": etag });
    let path = "breakers/pay/card/own?update_mask=failure_threshold,open_duration";
    let (code, patched) = web.send(Method::PATCH, path, &patch).await?;
    let own = &patched["breaker"]["own_config"];
    assert_eq!((code, &own["failure_threshold"]), (200, &json!(3)));
    assert_eq!(own.get("open_duration"), None, "named and not set: back to the default");
    let (code, error) = web.send(Method::PATCH, path, &patch).await?;
    assert_eq!((code, &error["error"]["status"]), (409, &json!("ABORTED")));

    let forced = web.post("breakers:forceOpen", &force("pay/**")).await?;
    assert_eq!(forced["result"]["matched_count"], 2);
    let (_, list) = web.get("breakers?selector=pay/*&modes=forced_open&page_size=10").await?;
    assert_eq!(list["breakers"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["next_page_token"], "");
    let (_, history) =
        web.get("transitions?selector=pay/visa&causes=forced_open&actor=ann").await?;
    let told = &history["transitions"][0];
    assert_eq!(
        (&told["reason"], &told["to_mode"]),
        (&json!("it burns"), &json!("MODE_FORCED_OPEN"))
    );
    for verb in ["release", "trip", "reset", "disable", "shadow", "forceClose"] {
        let target = json!({ "target": { "selector": "pay/visa" } });
        web.post(&format!("breakers:{verb}"), &target).await?;
    }
    let names = json!({ "names": ["pay/visa", "pay/nobody"] });
    let some = web.post("breakers:batchGet", &names).await?;
    assert_eq!(some["breakers"].as_array().map(Vec::len), Some(1));

    let (code, _) =
        answer(web.request(Method::DELETE, "breakers/pay/visa?require_durable=false")).await?;
    assert_eq!(code, 200);
    let (code, error) = web.get("breakers/pay/visa").await?;
    assert_eq!((code, &error["error"]["status"]), (404, &json!("NOT_FOUND")));
    assert!(server.terminate()?.success());
    Ok(())
}

#[tokio::test]
async fn policies_are_kept_and_explained_over_http() -> anyhow::Result<()> {
    let (_server, web) = start(&[])?;
    let policy = json!({ "name": "pay", "selector": "pay/*", "config": { "max_probes": 2 } });
    web.post("policies", &policy).await?;
    let (code, _) = web.send(Method::POST, "policies", &policy).await?;
    assert_eq!(code, 409);
    let raise = json!({ "priority": 5 });
    let (code, raised) = web.send(Method::PATCH, "policies/pay", &raise).await?;
    assert_eq!((code, &raised["policy"]["priority"]), (200, &json!(5)));
    let (_, explained) = web.get("config/pay/visa").await?;
    assert_eq!((&explained["exists"], &explained["policy"]), (&json!(false), &json!("pay")));
    let apply = json!({
        "policies": [{ "name": "new", "selector": "new/*" }],
        "prune": true,
        "validate_only": true,
    });
    let applied = web.post("apply", &apply).await?;
    assert_eq!(applied["changes"].as_array().map(Vec::len), Some(2));
    let (_, list) = web.get("policies").await?;
    assert_eq!(list["policies"].as_array().map(Vec::len), Some(1));
    let (code, _) = answer(web.request(Method::DELETE, "policies/pay")).await?;
    assert_eq!(code, 200);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_place() -> anyhow::Result<()> {
    let (_server, web) = start(&[])?;
    for (path, body, field) in [
        ("acquire", json!({ "braker": "a/b" }), "braker"),
        ("acquire", json!({ "breaker": 7 }), "breaker"),
        ("breakers", json!({ "config": { "window": { "cals": 5 } } }), "config.window.cals"),
        ("acquire", json!([]), "body"),
        (
            "report",
            json!({ "reports": [{ "runs": [{}, { "count": -1 }] }] }),
            "reports[0].runs[1].count",
        ),
        ("breakers", json!({ "name": "A/b", "config": { "open_duration": "30s" } }), "name"),
        (
            "breakers",
            json!({ "name": "a/b", "config": { "open_duration": "30" } }),
            "config.open_duration",
        ),
        ("breakers", json!({ "name": "a/b", "config": { "failure_threshold": 0 } }), "config"),
        ("breakers:trip?target=x", json!({}), "target"),
    ] {
        let (code, error) = web.send(Method::POST, path, &body).await?;
        assert_eq!((code, &error["error"]["code"]), (400, &json!(400)), "{path} {body}: {error}");
        assert_eq!(error["error"]["status"], "INVALID_ARGUMENT", "{path} {body}: {error}");
        assert!(
            fields(&error).iter().any(|named| named.starts_with(field)),
            "{path} {body}: {error}"
        );
    }
    for (path, field) in [
        ("breakers?page_sice=5", "page_sice"),
        ("breakers?page_size=five", "page_size"),
        ("breakers?states=ajar", "states"),
        ("transitions?start_time=now", "start_time"),
        ("breakers/Nobody", "name"),
    ] {
        let (code, error) = web.get(path).await?;
        assert_eq!((code, fields(&error)), (400, vec![field]), "{path}: {error}");
    }
    let cut = web.request(Method::POST, "acquire").header("content-type", "application/json");
    let (code, error) = answer(cut.body("{\"breaker\":")).await?;
    let said = error["error"]["message"].as_str().unwrap_or_default();
    assert!(code == 400 && said.contains("line 1 column"), "{error}");
    let large = web.request(Method::POST, "acquire").header("content-type", "application/json");
    let (code, _) =
        answer(large.body(format!("{{\"breaker\":\"{}\"}}", "a".repeat(5 << 20)))).await?;
    assert_eq!(code, 413);
    let deep = web.request(Method::POST, "acquire").header("content-type", "application/json");
    let (code, _) = answer(deep.body("[".repeat(100_000))).await?;
    assert_eq!(code, 400);
    let (code, error) = web.get("nothing").await?;
    assert_eq!((code, &error["error"]["status"]), (404, &json!("NOT_FOUND")));
    let put = web.request(Method::PUT, "breakers/a/b").header("content-type", "application/json");
    let response = put.send().await?;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, PATCH, DELETE");
    Ok(())
}

#[tokio::test]
async fn a_server_that_may_only_be_looked_at_changes_nothing() -> anyhow::Result<()> {
    let (_server, web) = start(&["--http-access=read"])?;
    let (_, about) = web.get("server").await?;
    assert_eq!((&about["writable"], &about["leading"]), (&json!(false), &json!(true)));
    for (method, path, body) in [
        (Method::POST, "acquire", json!({ "breaker": "a/b" })),
        (Method::POST, "breakers:forceOpen", force("**")),
        (Method::PATCH, "policies/a", json!({})),
        (Method::DELETE, "breakers/a/b", json!({})),
    ] {
        let (code, error) = web.send(method, path, &body).await?;
        assert_eq!((code, &error["error"]["status"]), (403, &json!("PERMISSION_DENIED")), "{path}");
    }
    let (code, list) = web.get("breakers").await?;
    assert_eq!((code, &list["breakers"]), (200, &json!([])), "nothing came to be");
    let none = web.post("breakers:batchGet", &json!({ "names": ["a/b"] })).await?;
    assert_eq!(none["breakers"], json!([]), "to look at some is no change");
    Ok(())
}

#[tokio::test]
async fn no_other_sites_page_can_use_somebodys_browser() -> anyhow::Result<()> {
    let (_server, web) = start(&["--http-host=breakers.example.com"])?;
    let trip = |headers: &[(&str, &str)]| {
        let request = web.request(Method::POST, "acquire").body("{\"breaker\":\"a/b\"}");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        async { anyhow::Ok(request.send().await?.status().as_u16()) }
    };
    let json = ("content-type", "application/json");
    assert_eq!(trip(&[json]).await?, 200);
    assert_eq!(trip(&[("content-type", "text/plain")]).await?, 415, "a form can send that");
    assert_eq!(trip(&[json, ("origin", "https://evil.example.com")]).await?, 403);
    assert_eq!(trip(&[json, ("host", "evil.example.com")]).await?, 403);
    let proxied = [("host", "breakers.example.com"), ("origin", "https://breakers.example.com")];
    assert_eq!(trip(&[json, proxied[0], proxied[1]]).await?, 200);
    for path in ["/", "/metrics", "/api/v1/breakers", "/api/v1/nothing", "/nothing"] {
        let response = web.page(path).send().await?;
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str()?;
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert!(headers.contains_key("cache-control"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn streams_tell_what_happens_and_end_with_the_server() -> anyhow::Result<()> {
    let (server, web) = start(&[])?;
    web.post("breakers", &json!({ "name": "a/b" })).await?;
    let mut watch = web.events("watch?selectors=a/*").await?;
    let mut history = web.events("transitions:watch?selector=a/*").await?;
    assert_eq!(server.gauge("breakerd_watch_streams")?, 1.0);
    let snapshot = watch.named("message").await?;
    assert_eq!(snapshot["changed"][0]["name"], "a/b");
    web.post("breakers:forceOpen", &force("a/b")).await?;
    let change = watch.named("message").await?;
    assert_eq!(change["changed"][0]["mode"], "MODE_FORCED_OPEN");
    let told = history.named("message").await?;
    assert_eq!(told["transitions"][0]["actor"], "ann");
    let position = told["position"].as_str().context("a position is text")?;
    let mut again = web.events(&format!("transitions:watch?after={position}")).await?;

    let ending = tokio::task::spawn_blocking(move || server.terminate());
    for stream in [&mut watch, &mut history, &mut again] {
        let end = stream.named("error").await?;
        assert_eq!(end["error"]["status"], "UNAVAILABLE");
        assert!(end.to_string().contains("DRAINING"), "{end}");
        assert_eq!(stream.next().await?, None);
    }
    assert!(ending.await??.success());
    Ok(())
}

#[tokio::test]
async fn a_dashboard_hears_of_every_change_within_a_moment() -> anyhow::Result<()> {
    let (server, web) = start(&[])?;
    web.post("breakers", &json!({ "name": "old/one" })).await?;
    let mut first = web.events("events").await?;
    let mut second = web.events("events").await?;
    // What it is told comes in between, so that it listens for nothing else.
    let mut third = web.events("events").await?;
    for viewer in [&mut first, &mut second] {
        let hello = viewer.next().await?.context("a stream begins with hello")?;
        assert_eq!(hello.name, "hello");
        assert_eq!(hello.data["writable"], true);
    }
    web.post("breakers", &json!({ "name": "new/one" })).await?;
    web.post("breakers:forceOpen", &force("new/one")).await?;
    for viewer in [&mut first, &mut second] {
        loop {
            let changes = viewer.named("changes").await?;
            let breaker = &changes["breakers"][0];
            assert_eq!(breaker["name"], "new/one", "what was there before is not told: {changes}");
            assert_eq!(
                breaker["state"].get("config"),
                None,
                "what a list does not show: {changes}"
            );
            if breaker["state"]["mode"] == "MODE_FORCED_OPEN" {
                break;
            }
        }
    }
    loop {
        let dashboard = first.named("dashboard").await?;
        if dashboard["summary"]["open"] == "1" {
            assert_eq!(dashboard["unhealthy"][0]["breaker"], "new/one");
            let health = first.named("health").await?;
            assert_eq!(health["namespaces"][0]["namespace"], "new");
            assert_eq!(health["namespace_count"], 2);
            break;
        }
    }
    let alerts = third.named("alerts").await?;
    assert_eq!(alerts["alerts"][0]["breaker"], "new/one");
    drop(third);
    answer(web.request(Method::DELETE, "breakers/new/one")).await?;
    loop {
        let deleted = first.named("changes").await?["deleted"].take();
        if deleted != json!([]) {
            assert_eq!(deleted, json!(["new/one"]));
            break;
        }
    }
    eventually("there are two viewers", PATIENCE, async || {
        Ok(server.gauge("breakerd_dashboard_viewers")? == 2.0)
    })
    .await?;
    drop((first, second));
    eventually("nobody looks any more", PATIENCE, async || {
        Ok(server.gauge("breakerd_dashboard_viewers")? == 0.0)
    })
    .await?;
    let mut again = web.events("events").await?;
    let ending = tokio::task::spawn_blocking(move || server.terminate());
    assert!(again.named("error").await?.to_string().contains("DRAINING"));
    assert!(ending.await??.success());
    Ok(())
}

#[tokio::test]
async fn a_flood_of_changes_is_told_as_such() -> anyhow::Result<()> {
    let (_server, web) = start(&[])?;
    let mut viewer = web.events("events").await?;
    viewer.named("hello").await?;
    let breakers: Vec<_> = (0..5_000)
        .map(|number| json!({ "name": format!("many/{number}"), "config": {} }))
        .collect();
    web.post("apply", &json!({ "breakers": breakers })).await?;
    viewer.named("resync").await?;
    web.post("breakers", &json!({ "name": "one/more" })).await?;
    loop {
        let event = viewer.next().await?.context("the stream goes on")?;
        if event.name == "changes" && event.data["breakers"][0]["name"] == "one/more" {
            return Ok(());
        }
        assert_ne!(event.name, "error");
        web.post("breakers:trip", &json!({ "target": { "selector": "one/more" } })).await?;
    }
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() -> anyhow::Result<()> {
    let (server, web) = start(&[])?;
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        silent.push(tokio::net::TcpStream::connect(&server.http).await?);
    }
    eventually("one too many is refused", PATIENCE, async || {
        let mut extra = tokio::net::TcpStream::connect(&server.http).await?;
        let mut said = String::new();
        use tokio::io::AsyncReadExt as _;
        let read = tokio::time::timeout(Duration::from_secs(1), extra.read_to_string(&mut said));
        Ok(read.await.is_ok_and(|read| read.is_ok()) && said.starts_with("HTTP/1.1 503"))
    })
    .await?;
    drop(silent);
    eventually("there is room again", PATIENCE, async || {
        Ok(web.get("server").await.is_ok_and(|(code, _)| code == 200))
    })
    .await?;
    assert!(server.terminate()?.success());
    Ok(())
}
