//! Calls of a crate that may panic on bad input.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Does something; a panic is an error, and is not told on stderr. What the call was at must be thrown away after one.
pub(super) fn guarded<T>(action: impl FnOnce() -> ::parquet::errors::Result<T>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                others(info);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    GUARDED.set(before);
    match result {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("it is damaged ({})", text.as_deref().unwrap_or("no further word")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_is_an_error() {
        let error = guarded::<()>(|| panic!("at {}", 7)).unwrap_err();
        assert_eq!(error, "it is damaged (at 7)");
        assert_eq!(guarded(|| Ok(1)), Ok(1));
    }
}
