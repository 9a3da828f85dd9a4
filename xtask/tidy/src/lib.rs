//! `cargo xtask tidy`: what the repository promises about itself, one function a rule.
//!
//! The rules look at text only and build nothing, so they are a unit test too. Whether generated
//! code is fresh needs the protobuf compiler; `xtask` checks it beside them.

use std::path::Path;

use anyhow::{Result, bail};

use repository::{Finding, Repository, Rule};

mod crate_graph;
mod dialect;
mod import_circles;
mod manifest;
mod manifests;
mod markdown;
mod repository;
mod rule_citations;
mod rust_files;
mod rust_modules;
mod rust_text;

const RULES: [Rule; 19] = [
    crate_graph::graph_is_the_one_in_architecture,
    manifests::every_member_is_listed,
    manifests::members_take_the_lint_table,
    manifests::versions_live_in_the_root_manifest,
    manifests::named_paths_exist,
    manifests::toolchain_is_the_rust_version,
    manifests::core_depends_on_little,
    rust_files::core_is_no_std,
    rust_files::files_open_with_a_sentence,
    rust_files::files_are_short,
    rust_files::names_say_what_a_file_is_about,
    rust_files::banned_code_is_absent,
    rust_files::tests_do_not_sleep,
    markdown::pages_have_one_title,
    markdown::named_paths_exist,
    markdown::no_machine_paths,
    dialect::words_are_those_of_the_field,
    import_circles::files_import_in_no_circle,
    rule_citations::every_rule_is_cited_by_a_test,
];

/// Checks every rule and prints each finding to standard error.
///
/// # Errors
///
/// A file cannot be read, or a rule is broken.
pub fn run(root: &Path) -> Result<()> {
    let findings = check(&Repository::read(root)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy found {} broken rules", findings.len());
    }
    Ok(())
}

fn check(repository: &Repository) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(repository)).collect()
}

#[cfg(test)]
mod tests {
    use super::repository::Repository;

    #[test]
    fn repository_is_tidy() {
        let repository = Repository::read(&workspace::root()).expect("the repository is readable");
        let findings = super::check(&repository);
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }
}
