//! Every rule of the state machine as a story.

mod admin;
mod closed;
mod generations;
mod half_open;
mod metrics;
mod open;
mod outcomes;
mod overrides;
mod reconfigured;
mod runs;
mod stored;
