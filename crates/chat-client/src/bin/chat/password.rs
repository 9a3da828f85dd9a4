//! Asking for a password: without echo on a terminal, else one line of standard input.

use std::io::{self, BufRead, IsTerminal};

use crate::arguments::Person;
use crate::failure::Failure;

/// Asks for the password of an account that exists.
pub(crate) fn ask(person: &Person) -> Result<String, Failure> {
    if interactive(person) {
        prompt(&format!("Password of {}: ", person.name))
    } else {
        first_line(io::stdin().lock())
    }
}

/// Asks for the password of an account that does not exist yet: twice, since a typing error would
/// lock its owner out.
pub(crate) fn ask_new(person: &Person) -> Result<String, Failure> {
    let password = ask(person)?;
    if interactive(person) && prompt("The same again: ")? != password {
        return Err(Failure::Usage(
            "these were two different passwords".to_owned(),
        ));
    }
    Ok(password)
}

fn interactive(person: &Person) -> bool {
    !person.password_stdin && io::stdin().is_terminal()
}

fn prompt(text: &str) -> Result<String, Failure> {
    let password = rpassword::prompt_password(text).map_err(|error| unreadable(&error))?;
    checked(password)
}

fn first_line(mut input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| unreadable(&error))?;
    checked(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn checked(password: String) -> Result<String, Failure> {
    if password.is_empty() {
        return Err(Failure::Usage("a password is needed".to_owned()));
    }
    Ok(password)
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::Usage(format!("the password cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn one_line_is_the_password() {
        assert_eq!(first_line("a b \r\nmore".as_bytes()).unwrap(), "a b ");
        assert_eq!(first_line("x".as_bytes()).unwrap(), "x");
        assert!(first_line("\n".as_bytes()).is_err());
        assert!(first_line("".as_bytes()).is_err());
    }
}
