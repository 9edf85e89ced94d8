//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::Loaded;

/// A private cloud for composite container applications: OpenStack's APIs, Docker underneath, one program.
#[derive(Debug, Parser)]
#[command(name = "sahab", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the cloud: every service and this host's agent in one process
    Up {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Do not create the example networks at the first start
        #[arg(long)]
        bare: bool,
    },
    /// Print the effective settings and where each comes from; secrets are masked
    Config {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Print a commented file with the defaults instead
        #[arg(long)]
        defaults: bool,
    },
    /// Check this machine and say the remedy for each fault
    Doctor {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Print every request that the API answers, one a line: service, method, path, and who may send it
    Endpoints {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Make a new token signing key; tokens of the last keys stay valid
    FernetRotate {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Remove everything of this cloud from Docker, the kernel and the disk
    Purge {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Do it: containers, networks, database and keys are gone afterwards
        #[arg(long)]
        yes: bool,
    },
}

/// Settings that are often given by hand; every other one has an environment variable.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingsArgs {
    /// Settings file [default: /etc/sahab/sahab.toml, if it exists]
    #[arg(long, value_name = "FILE", env = "SAHAB_CONFIG")]
    pub config: Option<PathBuf>,
    /// state.dir: database, keys, credentials
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// server.listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Any other setting
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl SettingsArgs {
    pub fn load(&self) -> anyhow::Result<Loaded> {
        let usual = PathBuf::from("/etc/sahab/sahab.toml");
        let file = self.config.clone().or_else(|| usual.exists().then_some(usual));
        let mut flags: Vec<(&str, String)> = Vec::new();
        if let Some(dir) = &self.state_dir {
            flags.push(("state.dir", dir.display().to_string()));
        }
        if let Some(listen) = &self.listen {
            flags.push(("server.listen", listen.clone()));
        }
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| anyhow::anyhow!("--set {pair}: write KEY=VALUE"))?;
            flags.push((key, value.to_owned()));
        }
        Ok(Loaded::load(file.as_deref(), std::env::vars(), &flags)?)
    }
}
