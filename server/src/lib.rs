//! The breakerd server: gRPC, HTTP, configuration and lifecycle around the engine.
//!
//! [`run`] is the whole program; [`Server`] is a server within another process, with a clock of
//! the caller's choice.

mod chance;
mod grpc;
mod http;
mod identity;
mod logging;
mod node;
mod notify;
mod otlp;
mod overload;
mod program;
mod rpcs;
mod seat;
mod server;
mod settings;
mod shutdown;
mod transport;

pub use http::ProtocolError;
pub use node::NodeError;
pub use otlp::{Otlp, OtlpError};
pub use program::run;
pub use server::{Server, StartError};
pub use settings::{Arguments, Settings, SettingsError};
