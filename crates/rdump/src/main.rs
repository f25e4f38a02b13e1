//! The rdump program; all of it is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match common::args::utf8() {
        Ok(args) => rdump::run(&args).into(),
        Err(text) => {
            common::out::println(&text);
            ExitCode::from(2)
        }
    }
}
