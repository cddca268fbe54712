//! The core's types in their outside forms: protobuf, TOML and JSON
