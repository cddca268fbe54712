//! The breakerd server: gRPC, HTTP, configuration and lifecycle around the engine
