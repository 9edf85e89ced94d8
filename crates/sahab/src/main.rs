//! The program: command line, settings, and the one list that names every service.

mod cli;
mod cloud;
mod credentials;
mod doctor;
mod endpoints;
mod examples;
mod first_start;
mod host;
mod logging;
mod purge;
mod settings;
mod state;
mod tls;
mod up;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Keys, the database and sockets are for the owner; who needs another mode sets it.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let code = runtime.block_on(run(cli)).unwrap_or_else(|error| fail(&error));
    // A blocked thread (a hash, a namespace) must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    code
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Up { settings, bare } => {
            let loaded = settings.load()?;
            logging::start(&loaded.settings.log)?;
            up::run(loaded, bare).await?;
        }
        Command::Config { settings, defaults } => {
            let text = if defaults { settings::DEFAULTS.to_owned() } else { settings.load()?.render() };
            io::stdout().write_all(text.as_bytes())?;
        }
        Command::Doctor { settings } => {
            let settings = settings.load()?.settings;
            let folder = std::env::temp_dir();
            let docker = cloud::docker(&settings, &folder, "doctor");
            if !doctor::run(&settings, &docker).await? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Endpoints { settings } => {
            io::stdout().write_all(endpoints::table(settings.load()?.settings).await?.as_bytes())?;
        }
        Command::FernetRotate { settings } => {
            let settings = settings.load()?.settings;
            sahab_identity::rotate_keys(&cloud::identity_settings(&settings)).map_err(cloud::fault)?;
            io::stdout().write_all(b"a new key signs tokens now; earlier tokens stay valid until they expire\n")?;
        }
        Command::Purge { settings, yes } => purge::run(&settings.load()?.settings, yes).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "sahab: {error:#}");
    ExitCode::FAILURE
}
