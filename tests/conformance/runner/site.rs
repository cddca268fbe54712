//! Where a scenario plays: a server, a link to it, and addresses of other kinds.

use breaker_tests::{Clients, free_port};
use serde::{Deserialize, Serialize};

use crate::host;
use crate::link::Link;
use crate::recorder::Recorder;
use crate::server::Server;

/// Something that a client can be built with the address of.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    Server,
    /// The way to the server that the scenario can cut.
    Link,
    /// Where nobody listens.
    Dead,
    /// A server that knows nobody and notes who asks.
    Recorder,
    /// A server that stands by, and names the server as the leader.
    Standby,
}

/// All that a scenario needs beside its clients.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) link: Link,
    pub(crate) recorder: Recorder,
    standby: Recorder,
    dead: String,
}

impl Site {
    /// Makes it, with a server that does not run yet and is given further arguments.
    ///
    /// # Errors
    /// If there are no ports left.
    pub(crate) async fn new(arguments: &[String]) -> anyhow::Result<Self> {
        let host = host::next();
        let server = Server::new(host, arguments)?;
        let link = Link::to(server.address.clone(), host).await?;
        let recorder = Recorder::start().await?;
        let standby = Recorder::standing_by(&server.address).await?;
        Ok(Self { server, link, recorder, standby, dead: format!("{host}:{}", free_port()?) })
    }

    /// The address of a place.
    pub(crate) fn address(&self, place: Place) -> String {
        match place {
            Place::Server => self.server.address.clone(),
            Place::Link => self.link.address.clone(),
            Place::Dead => self.dead.clone(),
            Place::Recorder => self.recorder.address.clone(),
            Place::Standby => self.standby.address.clone(),
        }
    }

    /// New connections to the server, past the link: an older one may be of an earlier life.
    ///
    /// # Errors
    /// Never with an address of a server.
    pub(crate) fn clients(&self) -> anyhow::Result<Clients> {
        Clients::of(&self.server.address)
    }
}
