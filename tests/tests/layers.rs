//! Dependencies point one way. Each crate names the crates of the workspace, and of the outside,
//! that it may know.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

/// A crate, the crates of this workspace that it may know, and foreign ones that it must not.
const RULES: [(&str, &[&str], &[&str]); 8] = [
    ("breaker-core", &[], &["tokio", "tonic", "prost", "sqlx", "serde", "rand", "tracing"]),
    ("breaker-proto", &[], &["tokio", "sqlx"]),
    ("breaker-wire", &["breaker-core", "breaker-proto"], &["tokio", "sqlx"]),
    ("breaker-engine", &["breaker-core"], &["tonic", "prost", "sqlx", "axum", "rand"]),
    (
        "breaker-store",
        &["breaker-core", "breaker-engine", "breaker-proto", "breaker-wire"],
        &["tonic", "axum"],
    ),
    (
        "breakerd",
        &["breaker-core", "breaker-engine", "breaker-proto", "breaker-store", "breaker-wire"],
        &["sqlx"],
    ),
    ("breaker-client", &["breaker-core", "breaker-proto", "breaker-wire"], &["sqlx", "axum"]),
    (
        "breakerctl",
        // Its demo serves the flaky upstream that its fleet calls.
        &["breaker-client", "breaker-core", "breaker-proto", "breaker-wire"],
        &["sqlx", "breaker-store"],
    ),
];

#[test]
fn no_crate_knows_what_it_must_not() -> anyhow::Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("metadata lists packages")?;
    let ours: BTreeSet<_> =
        packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut checked = 0;
    for (name, may_know, must_not_know) in RULES {
        let package = packages.iter().find(|package| package["name"] == name);
        let package = package.with_context(|| format!("{name} is missing"))?;
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // Tests and build scripts may know more.
            let Some(known) = dependency["name"].as_str().filter(|_| dependency["kind"].is_null())
            else {
                continue;
            };
            let is_allowed = !ours.contains(known) || may_know.contains(&known);
            assert!(is_allowed, "{name} must not know {known}");
            assert!(!must_not_know.contains(&known), "{name} must not know {known}");
            checked += 1;
        }
    }
    assert!(checked > 30, "the graph was read: {checked} arrows");
    Ok(())
}
