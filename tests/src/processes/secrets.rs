//! Looking for what must not be anywhere: in every file of a folder, in each form it could take.

use std::fs;
use std::path::{Path, PathBuf};

/// Something that is looked for.
#[derive(Clone, Debug)]
pub struct Secret {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    /// A text, which is looked for as it is.
    pub fn text(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            forms: vec![text.as_bytes().to_vec()],
        }
    }

    /// Bytes in hexadecimal digits, which are looked for in either case, and as bytes.
    ///
    /// # Panics
    ///
    /// When these are no digits of whole bytes.
    pub fn hexadecimal(name: &str, digits: &str) -> Self {
        let byte = |place| u8::from_str_radix(&digits[place..place + 2], 16);
        let bytes: Result<Vec<u8>, _> = (0..digits.len()).step_by(2).map(byte).collect();
        Self {
            name: name.to_owned(),
            forms: vec![
                digits.to_lowercase().into_bytes(),
                digits.to_uppercase().into_bytes(),
                bytes.expect("these are hexadecimal digits"),
            ],
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is there in any form.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| contains(bytes, form))
    }
}

/// Every file of a folder and of those in it.
///
/// # Panics
///
/// When one cannot be listed.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries {
        let path = entry.expect("an open folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let (first, rest) = wanted.split_first().expect("nothing is in everything");
    let mut left = bytes;
    while let Some(place) = left.iter().position(|byte| byte == first) {
        left = &left[place + 1..];
        if left.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Secret, files};

    #[test]
    fn secret_is_found_at_every_position() {
        let secret = Secret::text("password", "aab");
        for there in ["aab", "aaab", "xaab", "aabx", "aaaab"] {
            assert!(secret.is_in(there.as_bytes()), "{there}");
        }
        for not_there in ["", "a", "aa", "aaxb", "baa", "aAb"] {
            assert!(!secret.is_in(not_there.as_bytes()), "{not_there}");
        }
    }

    #[test]
    fn hexadecimal_is_found_in_every_form() {
        let secret = Secret::hexadecimal("token", "0aff");
        for there in [b"x0aff".as_slice(), b"0AFF", b"\n\xff", b"  \n\xff "] {
            assert!(secret.is_in(there), "{there:?}");
        }
        assert!(!secret.is_in(b"0afe"));
    }

    #[test]
    fn files_in_folders_are_found() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        for file in [home.path().join("c"), folder.join("d")] {
            fs::write(file, "").unwrap();
        }
        assert_eq!(
            files(home.path()),
            [folder.join("d"), home.path().join("c")]
        );
    }
}
