//! Fault injection at durable steps: the place where a kill test wants the program to die, or to fail.
//!
//! In builds with debug assertions the environment variable `FAILPOINTS` arms points by name, in the language of the
//! crate `fail`: `NAME=return` dies at the first pass, `NAME=3*off->return` at the fourth, `NAME=return(text)` hands a
//! text to [`value`], `NAME=pause` and `NAME=sleep(100)` wait. In release builds a point is nothing.

/// Dies as by `kill -9` when the point is armed with `return`.
#[inline]
pub fn hit(name: &str) {
    #[cfg(debug_assertions)]
    if armed::value(name).is_some() {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// The text that the point is armed with, empty for a bare `return`; `None` when it is not armed.
#[inline]
pub fn value(name: &str) -> Option<String> {
    #[cfg(debug_assertions)]
    return armed::value(name);
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        None
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;

    /// Whether the environment arms any point.
    static ARMED: OnceLock<bool> = OnceLock::new();

    pub(super) fn value(name: &str) -> Option<String> {
        let armed = ARMED.get_or_init(|| {
            let asked = std::env::var_os("FAILPOINTS").is_some_and(|text| !text.is_empty());
            if asked {
                // Its drop would disarm the points.
                std::mem::forget(fail::FailScenario::setup());
            }
            asked
        });
        if *armed { fail::eval(name, |text| text.unwrap_or_default()) } else { None }
    }
}
