use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: &Args) -> Result<ExitCode> {
    crate::setup::ensure()?;
    Ok(ExitCode::SUCCESS)
}
