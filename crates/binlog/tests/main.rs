//! The decoder against the logs of real servers.

mod charsets;
mod events;
mod fuzz;
mod support;
mod zoo;
