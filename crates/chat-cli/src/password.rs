//! Asking people: passwords without echo on a terminal, else lines of standard input; and whether
//! they mean it.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;
use crate::output::harmless;

/// Where passwords come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    interactive: bool,
}

impl Source {
    /// A terminal, unless there is none or `stdin` is wanted.
    pub(crate) fn new(stdin: bool) -> Self {
        Self {
            interactive: !stdin && io::stdin().is_terminal(),
        }
    }

    /// A password that the account has.
    pub(crate) fn present_one(self, text: &str) -> Result<String, Failure> {
        if self.interactive {
            prompt(text)
        } else {
            next_line(io::stdin().lock())
        }
    }

    /// A password that the account will have. On a terminal it is asked for twice, since a typing
    /// error would lock its owner out.
    pub(crate) fn new_one(self, text: &str) -> Result<String, Failure> {
        let password = self.present_one(text)?;
        if self.interactive && prompt("The same again: ")? != password {
            return Err(Failure::Usage(
                "these were two different passwords".to_owned(),
            ));
        }
        Ok(password)
    }
}

/// Lets somebody type the name of what is about to be deleted.
pub(crate) fn confirm(name: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("--yes is needed to delete it".to_owned()));
    }
    let name_shown = harmless(name);
    let mut terminal = io::stderr().lock();
    let asked = write!(
        terminal,
        "This deletes {name_shown} with all messages in the inbox, for good.\n\
         Type the name to go on: "
    );
    let typed = asked
        .and_then(|()| terminal.flush())
        .map_err(|error| unreadable(&error))
        .and_then(|()| next_line(io::stdin().lock()))?;
    if typed == name {
        Ok(())
    } else {
        Err(Failure::Usage("nothing was deleted".to_owned()))
    }
}

fn prompt(text: &str) -> Result<String, Failure> {
    let text = harmless(text);
    let password = rpassword::prompt_password(text).map_err(|error| unreadable(&error))?;
    checked(password)
}

fn next_line(mut input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| unreadable(&error))?;
    checked(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn checked(answer: String) -> Result<String, Failure> {
    if answer.is_empty() {
        return Err(Failure::Usage("a password is needed".to_owned()));
    }
    Ok(answer)
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::Usage(format!("the answer cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::next_line;

    #[test]
    fn each_line_is_a_password() {
        let mut input = "a b \r\nmore\n".as_bytes();
        assert_eq!(next_line(&mut input).unwrap(), "a b ");
        assert_eq!(next_line(&mut input).unwrap(), "more");
        assert!(next_line(&mut input).is_err());
        assert_eq!(next_line("x".as_bytes()).unwrap(), "x");
        assert!(next_line("\n".as_bytes()).is_err());
    }
}
