//! The client against a server in the same process, whose breakers are real and whose clock is
//! set by hand.

mod away;
mod calls;
mod leading;
mod reports;
mod support;
mod watching;
