//! The servers of a fleet, and which of them is asked.
//!
//! Of several servers on one database one leads. All requests go to the same server until it is
//! away or says that it stands by; then the one that it names as the leader is asked, or else the
//! next one in the list. A request makes one [`Round`]: it asks no server twice, so that two
//! servers that take each other for the leader cannot send it to and fro.
//!
//! [`Client`](crate::Client) does this by itself. The module is public for tools that speak
//! another service of the same servers, as breakerctl does.

use std::time::Duration;

use breaker_proto::leader::NotLeader;
use parking_lot::Mutex;
use tonic::transport::Channel;

pub use crate::address::Address;
use crate::error::Error;
use crate::transport::{Bearer, Service, Transport};

/// How many leaders that are not in the list one round asks at most. More than one, because the
/// leader known from before may name the new one.
const MAX_LEARNED_A_ROUND: usize = 2;

/// The servers, and which of them is asked first.
#[derive(Debug)]
pub struct Servers {
    /// In the order in which they were named. Never empty.
    configured: Vec<Server>,
    /// Asked first. May be a leader that is not in the list; it is forgotten once it is away.
    first: Mutex<Server>,
    transport: Transport,
}

/// One of the servers. A connection is made at the first request and made again after a cut.
#[derive(Clone, Debug)]
pub struct Server {
    address: Address,
    channel: Channel,
    bearer: Bearer,
}

/// How a request, or the opening of a stream, went about the servers so far.
#[derive(Debug)]
pub struct Round {
    server: Server,
    /// Those that were asked before, the learned ones included.
    asked: Vec<Address>,
    /// How many of `asked` and `server` are not in the list.
    learned: usize,
}

/// Who comes after a server that did not serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The one that was named as the leader.
    Leader,
    /// The next one in the list.
    Next,
    /// Nobody: all were asked. The next round begins with another server than this one ended with.
    Over,
}

impl Servers {
    /// Connects to none of them yet. Needs a Tokio runtime. Speaks TLS to all of them if one of the
    /// addresses is an `https://`.
    ///
    /// # Errors
    /// If there is no address.
    pub fn new(
        addresses: impl IntoIterator<Item = Address>,
        connect_timeout: Duration,
    ) -> Result<Self, Error> {
        Self::over(Transport::plain(connect_timeout), addresses.into_iter().collect())
    }

    /// The same over connections that are made so.
    pub(crate) fn over(transport: Transport, addresses: Vec<Address>) -> Result<Self, Error> {
        let transport = transport.for_addresses(&addresses);
        let configured = addresses.into_iter().map(|address| Server::new(address, &transport));
        let configured = configured.collect::<Result<Vec<_>, _>>()?;
        let first = Mutex::new(configured.first().ok_or(Error::NoAddress)?.clone());
        Ok(Self { configured, first, transport })
    }

    /// Begins a round.
    pub fn begin(&self) -> Round {
        let server = self.first.lock().clone();
        let learned = usize::from(self.place(&server.address).is_none());
        Round { server, asked: Vec::new(), learned }
    }

    /// Moves a round on from a server that was away, or that answered that it does not lead.
    ///
    /// Later rounds begin with the server that this one moves to, unless another round has already
    /// moved them on.
    pub fn advance(&self, round: &mut Round, not_leader: Option<&NotLeader>) -> Step {
        round.asked.push(round.server.address.clone());
        let named = not_leader.and_then(|not_leader| not_leader.leader.as_deref());
        let leader = named.and_then(|address| self.leader(round, address));
        let (step, server) = match leader {
            Some(leader) => (Step::Leader, leader),
            None => self.next(round),
        };
        let failed = std::mem::replace(&mut round.server, server.clone());
        let mut first = self.first.lock();
        if first.address == failed.address {
            *first = server;
        }
        step
    }

    /// Lets later rounds begin with the server that has answered this one.
    pub fn settle(&self, round: &Round) {
        // The first server of a round was asked because it is the first: there is no news in it.
        if !round.asked.is_empty() {
            *self.first.lock() = round.server.clone();
        }
    }

    /// The server that was named as the leader, if this round may ask it.
    fn leader(&self, round: &mut Round, address: &str) -> Option<Server> {
        let address = Address::parse(address).ok()?;
        if round.asked.contains(&address) {
            return None;
        }
        if let Some(place) = self.place(&address) {
            return Some(self.configured[place].clone());
        }
        if round.learned == MAX_LEARNED_A_ROUND {
            return None;
        }
        round.learned += 1;
        // Many calls are told of it at once, and share one connection.
        let known = Some(self.first.lock().clone()).filter(|first| first.address == address);
        known.or_else(|| Server::new(address, &self.transport).ok())
    }

    /// The next one in the list that this round has not asked. If it has asked all of them, the
    /// next one all the same, for another round to begin with.
    fn next(&self, round: &Round) -> (Step, Server) {
        // After a learned server, the list goes on after the one that it was learned from.
        let last = round.asked.iter().rev().find_map(|address| self.place(address));
        let from = last.map_or(0, |last| last + 1);
        let count = self.configured.len();
        let mut in_turn = (from..from + count).map(|place| &self.configured[place % count]);
        match in_turn.clone().find(|server| !round.asked.contains(&server.address)) {
            Some(server) => (Step::Next, server.clone()),
            None => (Step::Over, in_turn.next().unwrap_or(&round.server).clone()),
        }
    }

    fn place(&self, address: &Address) -> Option<usize> {
        self.configured.iter().position(|server| server.address == *address)
    }
}

impl Server {
    fn new(address: Address, transport: &Transport) -> Result<Self, Error> {
        let channel = transport.channel(&address)?;
        Ok(Self { address, channel, bearer: transport.bearer() })
    }

    /// Where it listens.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The connection, with what every request over it carries.
    pub(crate) fn service(&self) -> Service {
        Service::new(self.channel.clone(), self.bearer.clone())
    }

    /// The connection, to make a client of any service with.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

impl Round {
    /// The server to ask now.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Begins afresh with this server, because its stream is alive.
    pub fn renew(&mut self) {
        self.asked.clear();
        self.learned = 0;
    }
}

#[cfg(test)]
mod tests;
