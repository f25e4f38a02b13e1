//! Placeholder root; the modules land next.
pub mod ctl;
pub mod proto;
