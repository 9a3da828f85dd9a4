//! What can be typed after `chat-gui`, and what follows from it and from the environment: which
//! servers, which folder, which local cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chat_client::NodeList;
use chat_gui::backend::{ClusterPlace, Options};
use chat_gui::demo::DemoOptions;
use clap::Parser;
use directories::ProjectDirs;

const DEFAULT_PROFILE: &str = "default";
/// Names a folder, so a short one.
const PROFILE_CHARACTERS_MAX: usize = 64;

const PLACES: &str = "\
The servers are those of --servers or of the file --config, else those in CHAT_NODES, else those
that were used last. Without any, the window asks for them. It offers the cluster of `cargo xtask
cluster up` in .cluster, in this folder or a folder above, if no other user can have written it.";

/// The window of the chat.
#[derive(Debug, Parser)]
#[command(name = "chat-gui", version, after_help = PLACES)]
pub(crate) struct Arguments {
    /// Client addresses of the servers, such as 127.0.0.1:7401,127.0.0.1:7402
    #[arg(long, value_name = "ADDRESSES", visible_alias = "nodes")]
    servers: Option<String>,
    /// A file that names the servers, such as they have themselves
    #[arg(long, value_name = "FILE", conflicts_with = "servers")]
    config: Option<PathBuf>,
    /// Where drafts, unsent messages and preferences are kept; the platform's folder if not given
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Keeps a second window's data apart from the first's, for another account
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PROFILE)]
    profile: String,
    /// The demo.
    #[command(flatten)]
    pub(crate) demo: DemoOptions,
}

/// What the backend needs to know.
pub(crate) fn options(arguments: &Arguments) -> Result<Options> {
    let named = NodeList::named(arguments.servers.as_deref(), arguments.config.as_deref())?;
    let servers = named.unwrap_or_default().into_iter();
    Ok(Options {
        folder: Some(folder(arguments)?),
        addresses: servers.map(|node| node.client_address).collect(),
        local_cluster: local_cluster(arguments.config.as_deref()),
    })
}

fn folder(arguments: &Arguments) -> Result<PathBuf> {
    let profile = &arguments.profile;
    let is_plain = |character: char| character.is_alphanumeric() || "-_".contains(character);
    let length = profile.chars().count();
    if !profile.chars().all(is_plain) || !(1..=PROFILE_CHARACTERS_MAX).contains(&length) {
        bail!("a profile's name has letters, digits, `-` and `_` only");
    }
    let home = match &arguments.data {
        Some(data) => data.clone(),
        None => ProjectDirs::from("", "", "chat")
            .context("there is no home folder; `--data FOLDER` names another one")?
            .data_local_dir()
            .join("window"),
    };
    Ok(home.join(profile))
}

/// Beside the configuration, or of this folder or one above.
fn local_cluster(config: Option<&Path>) -> ClusterPlace {
    match config {
        Some(config) => ClusterPlace::Beside(config.to_owned()),
        None => ClusterPlace::Nearest(std::env::current_dir().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::Parser;

    use super::{Arguments, ClusterPlace, options};

    fn parse(arguments: &[&str]) -> Arguments {
        Arguments::parse_from([&["chat-gui"], arguments].concat())
    }

    #[test]
    fn servers_are_read_from_a_list_or_a_file() {
        let found = options(&parse(&["--servers", "a:1, b:2,", "--data", "/d"])).unwrap();
        assert_eq!(found.addresses, ["a:1", "b:2"]);
        assert_eq!(found.folder.as_deref(), Some(Path::new("/d/default")));
        assert!(options(&parse(&["--servers", " ,", "--data", "/d"])).is_err());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cluster.toml");
        let name = file.to_str().unwrap();
        assert!(options(&parse(&["--config", name, "--data", "/d"])).is_err());
        fs::write(&file, "[[nodes]]\nid = 1\nclient_address = \"c:3\"\n").unwrap();
        let found = options(&parse(&["--config", name, "--data", "/d"])).unwrap();
        assert_eq!(found.addresses, ["c:3"]);
        assert_eq!(found.local_cluster, ClusterPlace::Beside(file));
    }

    #[test]
    fn profile_name_selects_one_folder_and_no_path() {
        let found = options(&parse(&["--data", "/d", "--profile", "bob"])).unwrap();
        assert_eq!(found.folder.as_deref(), Some(Path::new("/d/bob")));
        for wrong in ["", "..", "a/b", "a b"] {
            assert!(
                options(&parse(&["--data", "/d", "--profile", wrong])).is_err(),
                "{wrong}"
            );
        }
    }
}
