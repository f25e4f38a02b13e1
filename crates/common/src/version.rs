//! What the programs say of themselves.

/// Version of this workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The release version in PingCAP's form, such as `v0.1.0`.
pub const RELEASE: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The commit, or `None` in text when the build did not know it.
pub const GIT_HASH: &str = text(option_env!("RMT_GIT_HASH"));
/// The branch.
pub const GIT_BRANCH: &str = text(option_env!("RMT_GIT_BRANCH"));
/// When it was built, in UTC.
pub const BUILD_TIME: &str = text(option_env!("RMT_BUILD_TIME"));
/// The compiler.
pub const COMPILER: &str = text(option_env!("RMT_RUSTC_VERSION"));

const fn text(value: Option<&'static str>) -> &'static str {
    match value {
        Some(value) => value,
        None => "None",
    }
}

/// The block that `-V` and `--version` print, in the form of the Go tools.
pub fn block() -> String {
    format!(
        "Release Version: {RELEASE}\nGit Commit Hash: {GIT_HASH}\nGit Branch: {GIT_BRANCH}\n\
         UTC Build Time: {BUILD_TIME}\nRust Version: {COMPILER}\n"
    )
}
