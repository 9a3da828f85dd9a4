//! Writes the generated half of `chat-proto` and `chat-replication-proto` from `proto/`, without a
//! system `protoc`.
//!
//! `codegen` writes, `codegen --check` only compares and names the command that repairs.
//! It is a separate package because the protobuf compiler is far heavier than the rest of xtask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use anyhow::{Context, Result, bail};

/// Packages whose `bytes` fields become `bytes::Bytes`, because their payloads are passed on
/// without being looked at and must not be copied on the way.
const ZERO_COPY_PACKAGES: [&str; 3] = [".replication.v1", ".storage.v1", ".forwarded.v1"];

/// What clients may call, as servers report it by reflection: a set of descriptors.
const CLIENT_DESCRIPTORS: &str = "client.binpb";
const CLIENT_PROTOS: [&str; 2] = ["chat/v1/chat.proto", "cluster/v1/cluster.proto"];

const CHAT_FOLDER: &str = "crates/chat-proto/src/generated";
/// In a crate of its own, because other services depend on it.
const REPLICATION_FOLDER: &str = "crates/chat-replication-proto/src/generated";
const REPLICATION: &str = "replication.v1.rs";

const FIRST_LINE: &str = "// Generated from proto/: do not edit, run `cargo xtask codegen`.\n";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = repository_root()?;
    match arguments[..] {
        [] => write(&root),
        ["--check"] => check(&root),
        _ => bail!("usage: codegen [--check]"),
    }
}

fn write(root: &Path) -> Result<()> {
    let wanted = generate(root)?;
    for path in committed(root)?.into_keys() {
        if !wanted.contains_key(&path) {
            fs::remove_file(root.join(&path))
                .with_context(|| format!("removing {}", path.display()))?;
        }
    }
    for (path, content) in &wanted {
        let path = root.join(path);
        // An unchanged file keeps its time, so that nothing is built again for it.
        if fs::read(&path).ok().as_ref() != Some(content) {
            fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}

fn check(root: &Path) -> Result<()> {
    let wanted = generate(root)?;
    let committed = committed(root)?;
    let stale: Vec<String> = wanted
        .keys()
        .chain(committed.keys().filter(|path| !wanted.contains_key(*path)))
        .filter(|path| wanted.get(*path) != committed.get(*path))
        .map(|path| path.display().to_string())
        .collect();
    if !stale.is_empty() {
        bail!(
            "generated code differs from proto/ ({}); run `cargo xtask codegen`",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Where a generated file belongs.
fn folder_of(name: &str) -> &'static Path {
    let folder = if name == REPLICATION {
        REPLICATION_FOLDER
    } else {
        CHAT_FOLDER
    };
    Path::new(folder)
}

/// All generated files that there are, by their paths in the repository.
fn committed(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for folder in [CHAT_FOLDER, REPLICATION_FOLDER] {
        let sources = read_sources(&root.join(folder))?;
        files.extend(
            sources
                .into_iter()
                .map(|(name, content)| (Path::new(folder).join(name), content)),
        );
    }
    Ok(files)
}

/// What there should be: paths in the repository and content.
fn generate(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let proto = root.join("proto");
    let mut sources = Vec::new();
    find_protos(&proto, &mut sources)?;
    sources.sort();
    let descriptors = protox::compile(&sources, [&proto]).context("compiling proto/")?;

    let scratch = root.join(format!("target/codegen-{}", process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("creating {}", scratch.display()))?;
    let mut builder = tonic_prost_build::configure().out_dir(&scratch);
    for package in ZERO_COPY_PACKAGES {
        builder = builder.bytes(package);
    }
    let generated = builder
        .compile_fds(descriptors)
        .context("generating Rust from proto/")
        .and_then(|()| read_sources(&scratch));
    fs::remove_dir_all(&scratch).with_context(|| format!("removing {}", scratch.display()))?;
    let sources = generated?.into_iter();
    let sources = sources.map(|(name, text)| (name, [FIRST_LINE.as_bytes(), &text].concat()));
    let descriptors = (CLIENT_DESCRIPTORS.to_owned(), client_descriptors(&proto)?);
    let files = sources.chain([descriptors]);
    Ok(files
        .map(|(name, content)| (folder_of(&name).join(name), content))
        .collect())
}

fn client_descriptors(proto: &Path) -> Result<Vec<u8>> {
    let mut compiler = protox::Compiler::new([proto]).context("reading proto/")?;
    // Comments are for readers of the files.
    compiler.include_source_info(false).include_imports(true);
    for file in CLIENT_PROTOS {
        compiler
            .open_file(file)
            .with_context(|| format!("compiling {file}"))?;
    }
    Ok(compiler.encode_file_descriptor_set())
}

/// The generated files of one folder; none when there is no such folder.
fn read_sources(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut sources = BTreeMap::new();
    if !folder.exists() {
        return Ok(sources);
    }
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "binpb")
        {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            sources.insert(name, content);
        }
    }
    Ok(sources)
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
    Ok(())
}

fn repository_root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .context("the codegen package is two folders below the repository root")
}
