//! The breakerd protocol, `breaker.v1`: messages, clients and services.

/// Messages and clients, generated from `breaker/v1/*.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("breaker.v1");
}

/// The services to implement. They differ from those in [`v1`] in three places: Watch answers with
/// [`encoded::EncodedWatchResponse`], Report takes a [`reported::ReportRequest`], and messages go
/// through a [`codec::SmallCodec`].
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod server {
    include!(concat!(env!("OUT_DIR"), "/server/breaker.v1.rs"));
}

pub mod codec;
pub mod encoded;
pub mod leader;
pub mod reported;

/// The descriptors of the protocol with everything it imports, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
