//! Placeholder root; the modules land next.
