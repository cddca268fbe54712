//! Every rule of the state machine as a story.

mod adaptive;
mod admin;
mod backoff;
mod closed;
mod generations;
mod half_open;
mod levels;
mod metrics;
mod open;
mod outcomes;
mod overrides;
mod probe_calls;
mod quorum;
mod ramp;
mod rates;
mod reconfigured;
mod runs;
mod slow_calls;
mod stored;
mod time_windows;
