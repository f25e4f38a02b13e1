//! The rsync-dm program; all of it is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match common::args::utf8() {
        Ok(args) => rsync_dm::cli::run(args),
        Err(text) => {
            common::out::eprintln(&text);
            ExitCode::from(2)
        }
    }
}
