//! What operators do with tasks while they run.

#[allow(unused_imports)]
use super::*;
