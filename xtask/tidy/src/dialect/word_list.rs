//! The list of refused words, and where a text or a path contains one.

use std::collections::{BTreeMap, BTreeSet};

use super::content_lines::content_lines;
use crate::rust_text;

const DECLARING: [&str; 9] = [
    "const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union",
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit<'a> {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) entry: &'a str,
    pub(super) instead: &'a str,
}

/// The list: each map leads from what is searched for to what to write instead.
#[derive(Default)]
pub(super) struct WordList<'a> {
    /// By their first word: all words of the entry, then the entry.
    words: BTreeMap<&'a str, Vec<(Vec<&'a str>, Entry<'a>)>>,
    names: BTreeMap<&'a str, Entry<'a>>,
    declarations: BTreeMap<&'a str, Vec<(Option<&'a str>, Entry<'a>)>>,
    files: Vec<Entry<'a>>,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    entry: &'a str,
    instead: &'a str,
}

impl<'a> Entry<'a> {
    fn at(self, line: usize) -> Hit<'a> {
        let Self { entry, instead } = self;
        Hit {
            line,
            entry,
            instead,
        }
    }
}

impl<'a> WordList<'a> {
    pub(super) fn parse(list: &'a str) -> Self {
        let mut word_list = Self::default();
        let mut section = "";
        for line in content_lines(list).map(|(_, line)| line) {
            if line.starts_with('[') {
                section = line;
                continue;
            }
            let (entries, instead) = line.split_once(" = ").unwrap_or((line, "another word"));
            for (entry, instead) in pairs(section, entries, instead) {
                word_list.add(section, Entry { entry, instead });
            }
        }
        word_list
    }

    fn add(&mut self, section: &str, entry: Entry<'a>) {
        match section {
            "[words]" => self.add_phrase(entry),
            "[names]" => {
                self.names.insert(entry.entry, entry);
            }
            "[declarations]" => {
                let (keyword, name) = match entry.entry.split_once(' ') {
                    Some((keyword, name)) => (Some(keyword), name),
                    None => (None, entry.entry),
                };
                let declared = self.declarations.entry(name).or_default();
                declared.push((keyword, entry));
            }
            "[files]" => self.files.push(entry),
            _ => {}
        }
    }

    fn add_phrase(&mut self, entry: Entry<'a>) {
        let words: Vec<&str> = entry.entry.split(' ').collect();
        if let Some(first) = words.first() {
            self.words.entry(first).or_default().push((words, entry));
        }
    }

    pub(super) fn in_path(&self, path: &str) -> Vec<Hit<'a>> {
        let is_it = |file: &&Entry<'_>| {
            path.strip_suffix(file.entry)
                .is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
        };
        let mut hits: Vec<Hit<'_>> = self
            .files
            .iter()
            .filter(is_it)
            .map(|file| file.at(1))
            .collect();
        hits.extend(self.phrases(path));
        hits
    }

    pub(super) fn in_text(&self, path: &str, text: &str) -> BTreeSet<Hit<'a>> {
        let mut hits: BTreeSet<Hit<'_>> = self.phrases(text).collect();
        for (number, line) in text.lines().enumerate() {
            let plain = line.split(|character| !is_name_character(character));
            let hyphenated =
                line.split(|character| character != '-' && !is_name_character(character));
            let found = plain
                .chain(hyphenated)
                .filter_map(|name| self.names.get(name));
            hits.extend(found.map(|entry| entry.at(number + 1)));
        }
        if path.ends_with(".rs") {
            hits.extend(self.declared(text));
        }
        hits
    }

    /// Where Rust code declares a name of the list.
    pub(super) fn declared(&self, text: &str) -> Vec<Hit<'a>> {
        let code = rust_text::code_only(text);
        let mut hits = Vec::new();
        for (number, line) in code.lines().enumerate() {
            let names: Vec<&str> = line
                .split(|character| !is_name_character(character))
                .filter(|name| !name.is_empty())
                .collect();
            for pair in names.windows(2) {
                let [keyword, name] = pair else { continue };
                if !DECLARING.contains(keyword) {
                    continue;
                }
                let declared = self.declarations.get(name).into_iter().flatten();
                let fits =
                    declared.filter(|(wanted, _)| wanted.is_none_or(|wanted| wanted == *keyword));
                hits.extend(fits.map(|(_, entry)| entry.at(number + 1)));
            }
        }
        hits
    }

    /// Where the text has all words of an entry, one after the other.
    fn phrases(&self, text: &str) -> impl Iterator<Item = Hit<'a>> {
        let words = words(text);
        let mut hits = Vec::new();
        for position in 0..words.len() {
            let here = &words[position..];
            for (phrase, entry) in self.words.get(here[0].text.as_str()).into_iter().flatten() {
                let continues = |(offset, word): (usize, &&str)| {
                    here.get(offset).is_some_and(|found| {
                        found.text == *word && (offset == 0 || found.continues)
                    })
                };
                if phrase.iter().enumerate().all(continues) {
                    hits.push(entry.at(here[0].line));
                }
            }
        }
        hits.into_iter()
    }
}

struct Word {
    /// In small letters.
    text: String,
    /// Counted from 1.
    line: usize,
    /// Whether nothing but spaces, a line break or a comment's beginning separates it from the word
    /// before it.
    continues: bool,
}

/// The words of a text; `twoWords` and `two_words` are two each.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut line = 1;
    let mut continues = false;
    let mut breaks = 0;
    let mut before = ' ';
    for character in text.chars() {
        if character.is_alphabetic() {
            let begins =
                !before.is_alphabetic() || (before.is_lowercase() && character.is_uppercase());
            if begins {
                words.push(Word {
                    text: String::new(),
                    line,
                    continues: continues && breaks <= 1,
                });
                continues = true;
                breaks = 0;
            }
            if let Some(word) = words.last_mut() {
                word.text.extend(character.to_lowercase());
            }
        } else if character == '\n' {
            line += 1;
            breaks += 1;
        } else if !character.is_whitespace() && !"_-/!#*>+".contains(character) {
            continues = false;
        }
        before = character;
    }
    words
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Each entry of a line with what to write instead: of names as many as entries, in their order.
fn pairs<'a>(section: &str, entries: &'a str, instead: &'a str) -> Vec<(&'a str, &'a str)> {
    let entries: Vec<&str> = entries.split(',').map(str::trim).collect();
    let substitutes: Vec<&str> = instead.split(',').map(str::trim).collect();
    if section != "[words]" && entries.len() == substitutes.len() {
        return entries.into_iter().zip(substitutes).collect();
    }
    entries.into_iter().map(|entry| (entry, instead)).collect()
}
