//! The configuration of a node: defaults, then a TOML file, then the environment, then flags. Each
//! mistake is reported in one sentence, before anything is changed.

mod addresses;
mod check;
mod diagnostics;
mod error;
mod layers;
mod log_filter;
mod reference;
mod schema;
mod sections;
mod show;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;

use layers::Layers;

pub(crate) use check::{check_client_address, check_peer_address};
pub use error::ConfigError;
pub use log_filter::log_filter;
pub use reference::reference;
pub(crate) use schema::UNIX;
pub use sections::{
    Autopilot, Cluster, Connections, Limits, Listen, Node, Passwords, Runtime, Sessions, Storage,
    Timing,
};
pub use values::{Config, Overrides};

/// A configuration that was read and checked, with the origins of its values.
#[derive(Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    layers: Layers,
}

/// Reads and checks a configuration: for node `id`, or for all nodes if there is none. The directory in
/// the result is an absolute path.
///
/// # Errors
///
/// See [`ConfigError`]; each is one sentence.
pub fn load(id: Option<u64>, file: &Path, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let layers = Layers::read(file, overrides)?;
    let mut config: Config = layers
        .figment
        .extract()
        .map_err(|error| ConfigError::Malformed(diagnostics::describe(&error, &layers)))?;
    check::check(&config, id, &layers)?;
    config.storage.directory =
        layers.absolute(&["storage", "directory"], &config.storage.directory);
    Ok(Loaded { config, layers })
}

impl Loaded {
    /// Every value with its origin, in TOML: read as a file, it gives the same configuration.
    pub fn show(&self) -> String {
        show::show(&self.config, &self.layers)
    }
}
