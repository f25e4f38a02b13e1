//! See [`rlightning::main`].
//!
//! The system's allocator on purpose: statements live in a pool, so there is little left to win, and mimalloc kept twice the memory
//! with 16 connections (200 MB instead of 100), a stock for each of the many threads that read files.

fn main() -> std::process::ExitCode {
    rlightning::main()
}
