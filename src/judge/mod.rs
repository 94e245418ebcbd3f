//! How sure may we be of a revision, given what its rounds did?
//!
//! Takes decided rounds and counts, gives decisions, evidence and intervals. Pure functions and values:
//! nothing here does I/O, reads a clock or draws a random number, so that a verdict can be repeated from its
//! record. What a round *is*, and when it is void, is settled before it comes here. The unit is always the
//! round and never the socket: failures inside one round are almost one event, and counting them apart would
//! make ten sockets look like ten trials.

mod beta;
pub mod sequential;
pub mod statistics;
