//! testkit against real servers.

mod servers;
