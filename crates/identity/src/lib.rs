//! Identity: who somebody is and what they may do. Speaks the Identity API v3 (Keystone).
//!
//! Rooms: `api` parses and renders; the files named after a resource hold its rules, ask the policy and are the only
//! callers of `db`; `token` makes and validates tokens; `login` turns proofs into tokens; `effective` computes roles.
//!
//! Invariants: a token grants what the database says at this moment (a write ends every cached validation); passwords
//! and secrets are only stored hashed, credential blobs only encrypted; nobody learns why a login failed.

mod api;
mod application_credential;
mod assignment;
mod assignment_names;
mod bootstrap;
mod catalog;
mod credential;
mod db;
mod domain;
mod domain_config;
mod effective;
mod endpoint_filter;
mod family;
mod grant;
mod group;
mod input;
mod keys;
mod limit;
mod listing;
mod login;
mod neighbour;
mod passwords;
mod policy;
mod policy_document;
mod project;
mod project_tags;
mod project_tree;
mod revocation;
mod role;
mod service;
mod settings;
mod token;
mod trust;
mod user;
mod view;

pub use bootstrap::{Bootstrap, ServiceEntry};
pub use db::migration::migrations;
pub use service::IdentityService;
pub use settings::{Compliance, Settings};

/// Puts a new token signing key in front; tokens of the keys before stay valid. Works beside a running service, which
/// notices within seconds.
pub fn rotate_keys(settings: &Settings) -> sahab_contract::Result<()> {
    keys::KeyRepository::open(&settings.token_key_folder(), settings.max_active_keys)?.rotate()
}

#[cfg(test)]
mod tests;
