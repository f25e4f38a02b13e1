//! Placeholder root; the modules land next.
pub mod proto;
