//! What is measured, a module a row.

pub(crate) mod acquire;
pub(crate) mod many_breakers;
pub(crate) mod one_breaker;
pub(crate) mod outcomes;
pub(crate) mod overload;
pub(crate) mod start;
pub(crate) mod viewers;
