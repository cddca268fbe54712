//! TLS and tokens.

use breaker_core::ConfigPatch;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::server::TestServer;
use super::support::{LONG, NAME, allowed, builder, eventually, settle};
use crate::{ClientState, Error, Tls, WatchEvent};

/// The certificate authority of a test, which knows a server and a client.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM text.
struct Pair(String, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair(certificate.pem(), key.serialize_pem())
    }

    /// A server that shows a certificate of the authority, and asks for one.
    fn server(&self) -> TestServer {
        let Pair(certificate, key) = self.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(self.pem()));
        TestServer::start_secure(tls)
    }

    /// What a client needs that the server is to trust.
    fn client(&self) -> Tls {
        let Pair(certificate, key) = self.issue("checkout", ExtendedKeyUsagePurpose::ClientAuth);
        Tls::new().ca(self.pem()).identity(certificate, key).server_name("localhost")
    }
}

#[tokio::test]
async fn a_token_goes_with_every_request_in_plain_text_too() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = builder().address(&server.address).token("secret").build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    assert!(client.ready(LONG).await);
    allowed(&breaker).await.failure("");
    assert!(client.flush(LONG).await);
    let (tokens, asked) = server.world(|world| (world.tokens.clone(), world.asked));
    assert_eq!(tokens.len(), asked as usize);
    assert!(tokens.iter().all(|token| token == "Bearer secret"), "{tokens:?}");
    assert!(!format!("{client:?}").contains("secret"));
}

#[tokio::test]
async fn a_client_with_a_certificate_is_served_and_its_token_arrives() {
    let authority = Authority::new();
    let server = authority.server();
    let client =
        builder().address(&server.address).tls(authority.client()).token("secret").build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    assert!(client.ready(LONG).await);
    allowed(&breaker).await.success();
    assert!(client.flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 0, 0, 0]);
    assert!(server.world(|world| world.tokens.iter().all(|token| token == "Bearer secret")));
}

/// Why a client that is set up so gets no stream; its calls are made all the same.
async fn refusal(server: &TestServer, tls: Tls) -> String {
    let client = builder().address(&server.address).tls(tls).build().unwrap();
    allowed(&client.breaker(NAME).unwrap()).await.success();
    let mut watch = client.watch(["**"]);
    let event = loop {
        match watch.next().await.unwrap() {
            // A server that misses a certificate says so after the handshake.
            WatchEvent::Connected => {}
            event => break event,
        }
    };
    let WatchEvent::Disconnected { error } = event else { panic!("{event:?}") };
    assert!(error.is_unavailable(), "{error}");
    settle().await;
    assert_eq!(client.state().state, ClientState::Fallback);
    allowed(&client.breaker(NAME).unwrap()).await.success();
    assert_eq!(server.asked(), 0);
    error.to_string()
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted_and_the_error_says_so() {
    let authority = Authority::new();
    let server = authority.server();
    let other = Authority::new();
    let error = refusal(&server, authority.client().ca(other.pem())).await;
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_turned_away() {
    let authority = Authority::new();
    let server = authority.server();
    let without = Tls::new().ca(authority.pem()).server_name("localhost");
    refusal(&server, without).await;
}

#[tokio::test]
async fn a_server_of_another_name_is_not_trusted() {
    let authority = Authority::new();
    let server = authority.server();
    let error = refusal(&server, authority.client().server_name("breakerd.example")).await;
    assert!(error.contains("certificate") && error.contains("breakerd.example"), "{error}");
}

#[tokio::test]
async fn an_address_that_says_https_speaks_tls_with_what_the_machine_trusts() {
    let authority = Authority::new();
    let server = authority.server();
    let client = builder().address(format!("https://{}", server.address)).build().unwrap();
    let mut watch = client.watch(["**"]);
    let Some(WatchEvent::Disconnected { error: Error::Unavailable { status, .. } }) =
        watch.next().await
    else {
        panic!("nobody trusts a test")
    };
    assert!(!status.message().is_empty());
    eventually(|| client.state().state == ClientState::Fallback).await;
}
