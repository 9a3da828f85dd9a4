//! Which file is which module of a crate, and which modules each file imports from.
//!
//! Built on the scanner of `rust_text`: it reads `mod`, `use` and paths that begin with `crate`,
//! `super`, `self` or a child module, and knows no types, macros or conditional compilation but
//! `#[cfg(test)]`.

use std::collections::BTreeMap;

use super::rust_text;

/// What the scanner reads from one file.
#[derive(Default)]
pub(super) struct ModuleFile {
    /// Modules in files of their own, with the inline modules around them and the `path` attribute.
    pub(super) children: Vec<Child>,
    /// What each `use` outside of tests makes available, `pub use` included.
    pub(super) imports: Vec<Import>,
    /// Other paths outside of tests whose first segment may be a module.
    pub(super) mentions: Vec<Mention>,
}

pub(super) struct Child {
    pub(super) inline_modules: Vec<String>,
    pub(super) name: String,
    pub(super) file_name: Option<String>,
}

pub(super) struct Import {
    pub(super) inline_modules: Vec<String>,
    pub(super) is_public: bool,
    /// The name that the import has here; `*` for everything.
    pub(super) name: String,
    pub(super) path: Vec<String>,
}

pub(super) struct Mention {
    pub(super) inline_modules: Vec<String>,
    pub(super) path: Vec<String>,
}

/// Reads a Rust file.
pub(super) fn read(text: &str) -> ModuleFile {
    let tokens = tokens(text);
    let mut reader = Reader {
        tokens: &tokens,
        lines: text.lines().collect(),
        position: 0,
        blocks: Vec::new(),
        file: ModuleFile::default(),
    };
    while reader.position < reader.tokens.len() {
        reader.step();
    }
    reader.file
}

struct Token {
    /// An identifier, `::`, or one other character.
    text: String,
    /// Counted from 0.
    line: usize,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (line, code) in rust_text::code_only(text).lines().enumerate() {
        let mut rest = code.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name_character(first) {
                rest.find(|character| !is_name_character(character))
                    .unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            tokens.push(Token {
                text: token.to_owned(),
                line,
            });
            rest = after.trim_start();
        }
    }
    tokens
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

struct Reader<'a> {
    tokens: &'a [Token],
    lines: Vec<&'a str>,
    position: usize,
    /// The open braces; with a name where they are those of an inline module.
    blocks: Vec<Option<String>>,
    file: ModuleFile,
}

impl Reader<'_> {
    fn token(&self, position: usize) -> &str {
        self.tokens
            .get(position)
            .map_or("", |token| token.text.as_str())
    }

    fn follows(&self, expected: &[&str]) -> bool {
        let matches = |(offset, text): (usize, &&str)| self.token(self.position + offset) == *text;
        expected.iter().enumerate().all(matches)
    }

    fn previous(&self, back: usize) -> &str {
        self.position
            .checked_sub(back)
            .map_or("", |position| self.token(position))
    }

    fn step(&mut self) {
        if self.follows(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            self.position += 7;
            self.skip_item();
            return;
        }
        match self.token(self.position) {
            "mod" if is_name(self.token(self.position + 1)) => self.read_module(),
            "use" if matches!(self.previous(1), "" | ";" | "}" | "{" | "]" | ")" | "pub") => {
                self.read_use();
            }
            "{" => {
                self.blocks.push(None);
                self.position += 1;
            }
            "}" => {
                self.blocks.pop();
                self.position += 1;
            }
            first if is_name(first) && self.token(self.position + 1) == "::" => self.read_mention(),
            _ => self.position += 1,
        }
    }

    /// Passes the item after an attribute: to the `;` or `}` that ends it.
    fn skip_item(&mut self) {
        let mut depth = 0_usize;
        while self.position < self.tokens.len() {
            let token = self.token(self.position);
            // A test module in a file of its own is one more file of the crate.
            if depth == 0 && token == "mod" && self.token(self.position + 2) == ";" {
                return;
            }
            self.position += 1;
            match self.previous(1) {
                "{" | "(" | "[" => depth += 1,
                "}" if depth <= 1 => return,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => return,
                _ => {}
            }
        }
    }

    fn read_module(&mut self) {
        let name = self.token(self.position + 1).to_owned();
        match self.token(self.position + 2) {
            "{" => self.blocks.push(Some(name)),
            ";" => {
                let line = self.tokens[self.position].line;
                self.file.children.push(Child {
                    inline_modules: self.inline_modules(),
                    name,
                    file_name: line
                        .checked_sub(1)
                        .and_then(|above| path_attribute(self.lines[above])),
                });
            }
            _ => {}
        }
        self.position += 3;
    }

    fn read_use(&mut self) {
        let is_public = self.previous(1) == "pub"
            || (self.previous(1) == ")" && (2..8).any(|back| self.previous(back) == "pub"));
        self.position += 1;
        let mut leaves = Vec::new();
        self.read_use_tree(&[], &mut leaves);
        let inline_modules = self.inline_modules();
        for (name, path) in leaves {
            self.file.imports.push(Import {
                inline_modules: inline_modules.clone(),
                is_public,
                name,
                path,
            });
        }
    }

    fn read_use_tree(&mut self, prefix: &[String], leaves: &mut Vec<(String, Vec<String>)>) {
        let mut path = prefix.to_vec();
        loop {
            match self.token(self.position) {
                "{" => {
                    self.position += 1;
                    while !matches!(self.token(self.position), "}" | "") {
                        self.read_use_tree(&path, leaves);
                        if self.token(self.position) == "," {
                            self.position += 1;
                        }
                    }
                    self.position += 1;
                    return;
                }
                "*" => {
                    self.position += 1;
                    leaves.push(("*".to_owned(), path));
                    return;
                }
                "as" => {
                    let name = self.token(self.position + 1).to_owned();
                    self.position += 2;
                    leaves.push((name, path));
                    return;
                }
                "::" => self.position += 1,
                // `a::{self}` imports `a`.
                "self" if !path.is_empty() => self.position += 1,
                name if is_name(name) => {
                    path.push(name.to_owned());
                    self.position += 1;
                }
                _ => {
                    let name = path.last().cloned().unwrap_or_default();
                    leaves.push((name, path));
                    // Never the same token twice, whatever the file contains.
                    if !matches!(self.token(self.position), "," | "}" | ";" | "") {
                        self.position += 1;
                    }
                    return;
                }
            }
        }
    }

    fn read_mention(&mut self) {
        // `x.y::<T>()` and `$crate::x` begin elsewhere; `pub(in crate::x)` states visibility.
        let begins = !matches!(self.previous(1), "::" | "." | "$" | "'");
        let is_visibility = self.previous(1) == "in" && self.previous(3) == "pub";
        let mut path = vec![self.token(self.position).to_owned()];
        self.position += 1;
        while self.token(self.position) == "::" && is_name(self.token(self.position + 1)) {
            path.push(self.token(self.position + 1).to_owned());
            self.position += 2;
        }
        if begins && !is_visibility {
            let inline_modules = self.inline_modules();
            self.file.mentions.push(Mention {
                inline_modules,
                path,
            });
        }
    }

    fn inline_modules(&self) -> Vec<String> {
        self.blocks.iter().flatten().cloned().collect()
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(is_name_character)
}

/// The file that `#[path = "a.rs"]` names.
fn path_attribute(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("#[path = \"")?;
    rest.split('"').next().map(str::to_owned)
}

/// The modules of one crate with the files that define them; the crate's root is the empty path.
pub(super) type Modules<'a> = BTreeMap<Vec<String>, &'a str>;

/// Every crate among the files: a root is a file that no other declares.
pub(super) fn crates<'a>(files: &'a BTreeMap<&str, ModuleFile>) -> Vec<Modules<'a>> {
    let declared: Vec<&str> = files
        .iter()
        .flat_map(|(path, file)| {
            file.children
                .iter()
                .filter_map(|child| child_file(files, path, child))
        })
        .collect();
    files
        .keys()
        .filter(|path| !declared.contains(path))
        .map(|root| {
            let mut modules = Modules::new();
            add_modules(files, root, Vec::new(), &mut modules);
            modules
        })
        .collect()
}

fn add_modules<'a>(
    files: &'a BTreeMap<&str, ModuleFile>,
    path: &'a str,
    module: Vec<String>,
    modules: &mut Modules<'a>,
) {
    let Some(file) = files.get(path) else { return };
    if modules.contains_key(&module) {
        return;
    }
    modules.insert(module.clone(), path);
    for child in &file.children {
        if let Some(child_path) = child_file(files, path, child) {
            let mut child_module = module.clone();
            child_module.extend(child.inline_modules.iter().cloned());
            child_module.push(child.name.clone());
            add_modules(files, child_path, child_module, modules);
        }
    }
}

/// The file of a child module: beside a crate's root, else in the folder of the parent's name.
fn child_file<'a>(
    files: &'a BTreeMap<&str, ModuleFile>,
    parent: &str,
    child: &Child,
) -> Option<&'a str> {
    let (folder, name) = parent.rsplit_once('/').unwrap_or(("", parent));
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    let inside = child
        .inline_modules
        .iter()
        .fold(String::new(), |inside, module| inside + module + "/");
    let candidates = if let Some(file_name) = &child.file_name {
        vec![format!("{folder}/{file_name}")]
    } else {
        let beside = format!("{folder}/{inside}{}.rs", child.name);
        let below = format!("{folder}/{stem}/{inside}{}.rs", child.name);
        vec![below, beside]
    };
    candidates.iter().find_map(|candidate| {
        files
            .get_key_value(normalized(candidate).as_str())
            .map(|(path, _)| *path)
    })
}

/// The path without `..`.
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::read;

    #[track_caller]
    fn check_imports(text: &str, expected: &[&str]) {
        let file = read(text);
        let lines: Vec<String> = file
            .imports
            .iter()
            .map(|import| format!("{} = {}", import.name, import.path.join("::")))
            .collect();
        assert_eq!(lines, expected);
    }

    #[track_caller]
    fn check_mentions(text: &str, expected: &[&str]) {
        let file = read(text);
        let lines: Vec<String> = file
            .mentions
            .iter()
            .map(|mention| mention.path.join("::"))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn use_trees_are_expanded() {
        check_imports(
            "use crate::a::{self, B, c::{D as E, *}};",
            &[
                "a = crate::a",
                "B = crate::a::B",
                "E = crate::a::c::D",
                "* = crate::a::c",
            ],
        );
        check_imports("pub(crate) use super::A;\n", &["A = super::A"]);
        check_imports("fn f<T>() -> impl A + use<T> {}", &[]);
    }

    #[test]
    fn inline_tests_are_not_read() {
        check_imports(
            "#[cfg(test)]\nmod tests {\n use crate::a::B;\n}\nuse crate::c::D;",
            &["D = crate::c::D"],
        );
        check_imports("#[cfg(test)]\nuse crate::a::B;\n", &[]);
        assert_eq!(read("#[cfg(test)]\nmod tests;\n").children.len(), 1);
    }

    #[test]
    fn paths_in_code_are_mentions() {
        check_mentions(
            "pub(in crate::a) fn f(x: crate::b::C) { super::g::<u8>(x); x.h::<u8>() }",
            &["crate::b::C", "super::g"],
        );
    }

    #[test]
    fn child_may_name_its_file() {
        let file = read("mod a;\n#[path = \"c/d.rs\"]\nmod b;\nmod e { mod f; }\n");
        let children: Vec<_> = file
            .children
            .iter()
            .map(|child| {
                let file_name = child.file_name.as_deref();
                (child.inline_modules.len(), child.name.as_str(), file_name)
            })
            .collect();
        assert_eq!(
            children,
            [(0, "a", None), (0, "b", Some("c/d.rs")), (1, "f", None)]
        );
    }
}
