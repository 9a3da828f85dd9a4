//! Prompts: passwords, without echo on a terminal, else from lines of standard input; and the
//! confirmation before a deletion.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;
use crate::output::harmless;

/// The source of passwords.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    interactive: bool,
}

impl Source {
    /// The terminal, unless there is none or `stdin` is set.
    pub(crate) fn new(stdin: bool) -> Self {
        Self {
            interactive: !stdin && io::stdin().is_terminal(),
        }
    }

    /// The current password of an account.
    pub(crate) fn current_password(self, text: &str) -> Result<String, Failure> {
        if self.interactive {
            prompt(text)
        } else {
            next_line(io::stdin().lock())
        }
    }

    /// A new password for an account. On a terminal it must be typed twice, because a typing error
    /// would lock its owner out.
    pub(crate) fn new_password(self, text: &str) -> Result<String, Failure> {
        let password = self.current_password(text)?;
        if self.interactive && prompt("Repeat the password: ")? != password {
            return Err(Failure::Usage("the two passwords are different".to_owned()));
        }
        Ok(password)
    }
}

/// Requires the person to type the name of the account that will be deleted.
pub(crate) fn confirm(name: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "without a terminal, deletion needs --yes".to_owned(),
        ));
    }
    let name_shown = harmless(name);
    let mut terminal = io::stderr().lock();
    let prompted = write!(
        terminal,
        "This deletes {name_shown} and all messages in the inbox. It cannot be undone.\n\
         Type the name to continue: "
    );
    let typed = prompted
        .and_then(|()| terminal.flush())
        .map_err(|error| read_failed(&error))
        .and_then(|()| next_line(io::stdin().lock()))?;
    if typed == name {
        Ok(())
    } else {
        Err(Failure::Usage("nothing was deleted".to_owned()))
    }
}

fn prompt(text: &str) -> Result<String, Failure> {
    let text = harmless(text);
    let password = rpassword::prompt_password(text).map_err(|error| read_failed(&error))?;
    nonempty(password)
}

fn next_line(mut input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| read_failed(&error))?;
    nonempty(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn nonempty(answer: String) -> Result<String, Failure> {
    if answer.is_empty() {
        return Err(Failure::Usage("a password is needed".to_owned()));
    }
    Ok(answer)
}

fn read_failed(error: &io::Error) -> Failure {
    Failure::Usage(format!("cannot read the answer: {error}"))
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
