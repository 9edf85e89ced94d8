//! The program: command line, settings, and the one list that names every service.

mod credentials;
mod logging;
mod settings;
mod state;
mod tls;

fn main() {}
