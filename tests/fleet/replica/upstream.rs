use axum::body::Bytes;
use axum::http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The upstream, as a replica calls it. Cheap to clone; connections are kept.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, Empty<Bytes>>,
    work: Uri,
}

impl Upstream {
    pub(crate) fn new(address: &str) -> anyhow::Result<Self> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, work: format!("http://{address}/work").parse()? })
    }

    /// Makes a call and tells the upstream under which generation of the breaker, so that it can
    /// count the probes apart.
    ///
    /// # Errors
    /// The kind of the error: `http.503`, `connection`.
    pub(crate) async fn call(&self, generation: u64) -> Result<(), String> {
        let request = Request::get(self.work.clone())
            .header("x-generation", generation)
            .body(Empty::new())
            .map_err(|_| "request".to_owned())?;
        let response = self.client.request(request).await.map_err(|_| "connection".to_owned())?;
        let status = response.status();
        response.into_body().collect().await.map_err(|_| "connection".to_owned())?;
        if status.is_success() { Ok(()) } else { Err(format!("http.{}", status.as_u16())) }
    }
}
