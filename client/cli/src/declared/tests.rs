use super::*;

const TOML: &str = r#"
[[policy]]
name = "payments"
match = "payments/*"
priority = 10
[policy.config]
failure_threshold = 3
window = { calls = 20 }

[[policy]]
name = "all"
match = "**"

[[breaker]]
name = "payments/stripe-api"
[breaker.config]
open_duration = "30s"
ignored_errors = ["http.404"]
"#;

const YAML: &str = r#"
policy:
  - name: payments
    match: payments/*
    priority: 10
    config:
      failure_threshold: 3
      window: {calls: 20}
  - {name: all, match: "**"}
breaker:
  - name: payments/stripe-api
    config:
      open_duration: 30s
      ignored_errors: [http.404]
"#;

fn refused(text: &str, syntax: Syntax) -> Vec<String> {
    match Declared::parse(text, syntax).unwrap_err() {
        Error::Configuration(violations) => violations.into_iter().map(|v| v.field).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn toml_and_yaml_say_the_same() {
    let declared = Declared::parse(TOML, Syntax::Toml).unwrap();
    assert_eq!(declared, Declared::parse(YAML, Syntax::Yaml).unwrap());
    assert_eq!(declared.policies[0].selector, "payments/*");
    assert_eq!(declared.policies[0].config.as_ref().unwrap().failure_threshold, Some(3));
    assert_eq!((declared.policies[1].priority, &declared.policies[1].config), (0, &None));
    let open = declared.breakers[0].config.as_ref().unwrap().open_duration.unwrap();
    assert_eq!(open.seconds, 30);
}

#[test]
fn what_is_written_is_read_back() {
    let mut declared = Declared::parse(TOML, Syntax::Toml).unwrap();
    declared.policies[1].config = Some(v1::BreakerConfig::default());
    declared.policies[1].priority = -7;
    for syntax in [Syntax::Toml, Syntax::Yaml] {
        let text = declared.to_text(syntax).unwrap();
        assert_eq!(Declared::parse(&text, syntax).unwrap(), declared, "{text}");
        let nothing = Declared::default().to_text(syntax).unwrap();
        assert_eq!(Declared::parse(&nothing, syntax).unwrap(), Declared::default(), "{nothing:?}");
    }
    let json = declared.to_value().unwrap().to_string();
    assert_eq!(Declared::parse(&json, Syntax::of(Path::new("a.json"))).unwrap(), declared);
}

#[test]
fn every_bad_key_is_named_with_its_place() {
    let bad = r#"
        policies = []
        [[policy]]
        name = 3
        priority = 4000000000
        [policy.config]
        failure_treshold = 3
        open_duration = 60
        [[policy]]
        name = "a"
        match = "a/*"
        glob = "a/*"
        [[breaker]]
        config = "none"
    "#;
    let mut fields = refused(bad, Syntax::Toml);
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "breaker[0].config.config",
            "breaker[0].name",
            "policies",
            "policy[0].config.failure_treshold",
            "policy[0].config.open_duration",
            "policy[0].match",
            "policy[0].name",
            "policy[0].priority",
            "policy[1].glob",
        ]
    );
    assert_eq!(refused("policy = 3", Syntax::Toml), ["policy"]);
    assert_eq!(refused("- a", Syntax::Yaml), ["file"]);
    assert_eq!(refused("policy: [a]", Syntax::Yaml), ["policy[0]"]);
}

#[test]
fn text_that_cannot_be_read_says_where() {
    let toml = Declared::parse("[[policy]\n", Syntax::Toml).unwrap_err();
    assert!(matches!(&toml, Error::Usage(text) if text.contains("line 1")), "{toml}");
    let yaml = Declared::parse("policy: [\n", Syntax::Yaml).unwrap_err();
    assert!(matches!(&yaml, Error::Usage(text) if text.contains("line 2")), "{yaml}");
}
