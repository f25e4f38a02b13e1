//! The rsync-dm program; all of it is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = Vec::new();
    for arg in std::env::args_os().skip(1) {
        match arg.into_string() {
            Ok(arg) => args.push(arg),
            Err(arg) => {
                common::out::eprintln(&format!("argument {:?} is not UTF-8", arg.to_string_lossy()));
                return ExitCode::from(2);
            }
        }
    }
    rsync_dm::cli::run(args)
}
