//! The digest that replaces a password everywhere outside of this process.

use sha2::{Digest, Sha256};

/// Lower-case hexadecimal SHA-256 of the password's UTF-8.
pub(crate) fn digest(password: &str) -> String {
    let digest = Sha256::digest(password.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn digest_is_lower_case_hex() {
        // FIPS 180-2's example.
        assert_eq!(
            super::digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
