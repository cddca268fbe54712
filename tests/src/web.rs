//! A server over HTTP, as curl, scripts and browsers see it.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

/// How long an event may take to come. Signs of life come more often.
const PATIENCE: Duration = Duration::from_secs(20);

/// The JSON API of one server.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client,
    address: String,
}

/// A stream of server-sent events.
#[derive(Debug)]
pub struct Events {
    response: Response,
    text: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name; `message` if it has none.
    pub name: String,
    /// Its data.
    pub data: Value,
}

impl Web {
    /// The API of the server at an address.
    pub fn of(address: &str) -> Self {
        // No address here has TLS, and every client asks for it. A second choice changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { client: Client::new(), address: address.to_owned() }
    }

    /// A request to a path below `/api/v1/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}/api/v1/{path}", self.address))
    }

    /// A request to a path.
    pub fn page(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }

    /// What GET answers.
    ///
    /// # Errors
    /// If the server does not answer, or not with JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        answer(self.request(Method::GET, path)).await
    }

    /// What is answered to a body.
    ///
    /// # Errors
    /// If the server does not answer, or not with JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let request = self.request(method, path).header("content-type", "application/json");
        answer(request.body(body.to_string())).await
    }

    /// The same by POST, which has to succeed.
    ///
    /// # Errors
    /// If it does not; the error holds the answer.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let (code, answer) = self.send(Method::POST, path, body).await?;
        ensure!(code == 200, "{path} was answered with {code}: {answer}");
        Ok(answer)
    }

    /// A stream.
    ///
    /// # Errors
    /// If there is none.
    pub async fn events(&self, path: &str) -> anyhow::Result<Events> {
        let response = self.request(Method::GET, path).send().await?;
        ensure!(response.status() == 200, "{path}: {}", response.status());
        ensure!(response.headers()["content-type"] == "text/event-stream", "{path} is no stream");
        Ok(Events { response, text: String::new() })
    }
}

/// Sends a request, and reads the answer as JSON.
///
/// # Errors
/// If there is none.
pub async fn answer(request: RequestBuilder) -> anyhow::Result<(u16, Value)> {
    let response = request.send().await?;
    let code = response.status().as_u16();
    let text = response.text().await?;
    let json = serde_json::from_str(&text).with_context(|| format!("{code} {text:?}"))?;
    Ok((code, json))
}

impl Events {
    /// The next event; `None` at the end of the stream.
    ///
    /// # Errors
    /// If nothing comes, or what comes is no event.
    pub async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = event_of(block)?;
                self.text = rest.to_owned();
                match event {
                    Some(event) => return Ok(Some(event)),
                    // A comment, to show that the stream is alive.
                    None => continue,
                }
            }
            match timeout(PATIENCE, self.response.chunk()).await.context("nothing comes")?? {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk)?),
                None => return Ok(None),
            }
        }
    }

    /// The next event with this name.
    ///
    /// # Errors
    /// If the stream ends before.
    pub async fn named(&mut self, name: &str) -> anyhow::Result<Value> {
        loop {
            let event = self.next().await?.with_context(|| format!("no more {name} comes"))?;
            if event.name == name {
                return Ok(event.data);
            }
        }
    }
}

fn event_of(block: &str) -> anyhow::Result<Option<Event>> {
    let (mut name, mut data) = ("message".to_owned(), None);
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("event", word)) => name = word.to_owned(),
            Some(("data", text)) => data = Some(serde_json::from_str(text)?),
            _ => ensure!(line.starts_with(':'), "a line of an event is {line:?}"),
        }
    }
    Ok(data.map(|data| Event { name, data }))
}
