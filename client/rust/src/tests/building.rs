//! What a client is built from.

use super::support::builder;
use crate::{Client, Error, Tls};

#[tokio::test]
async fn a_client_needs_addresses_and_a_bearable_id() {
    assert!(matches!(builder().build(), Err(Error::NoAddress)));
    assert!(matches!(builder().address("breakerd").build(), Err(Error::Address { .. })));
    let long = builder().address("a:1").client_id("x".repeat(181)).build();
    assert!(matches!(long, Err(Error::ClientId(181))));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_when_the_client_is_built() {
    let refused = |builder: crate::ClientBuilder| builder.address("a:1").build().unwrap_err();
    assert!(matches!(refused(builder().token("")), Error::Token));
    assert!(matches!(refused(builder().token("not a\ntoken")), Error::Token));
    let error = refused(builder().selectors(["payments/*", ""]));
    assert!(matches!(&error, Error::Selector { selector, .. } if selector.is_empty()), "{error}");
    let error = refused(builder().tls(Tls::new().identity("no certificate", "no key")));
    assert!(matches!(error, Error::Tls(_)), "{error}");
}

#[test]
fn a_client_needs_a_runtime() {
    assert!(matches!(builder().address("a:1").build(), Err(Error::NoRuntime)));
}

#[tokio::test]
async fn an_id_is_made_of_the_language_and_the_process() {
    let client = Client::new("a:1").unwrap();
    let process = format!("rust-{}-", std::process::id());
    assert!(client.client_id().starts_with(&process), "{}", client.client_id());
}
