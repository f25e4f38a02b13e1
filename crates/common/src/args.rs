//! The arguments of a process.

/// The arguments after the program's name.
///
/// # Errors
/// Names the first one that is not UTF-8.
pub fn utf8() -> Result<Vec<String>, String> {
    let text = |arg: std::ffi::OsString| {
        arg.into_string().map_err(|arg| format!("argument {:?} is not UTF-8", arg.to_string_lossy()))
    };
    std::env::args_os().skip(1).map(text).collect()
}
