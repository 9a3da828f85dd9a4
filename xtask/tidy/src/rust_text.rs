//! Rust text with the words taken out: what remains is code, at the same lines and columns.
//!
//! Rules that look for a word must not find it in a comment or a string. This is a scanner,
//! not a parser: it knows comments, strings, raw strings and characters, and nothing else.

/// The text with every comment, string and character literal blanked; line breaks stay.
pub(super) fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut position = 0;
    while position < characters.len() {
        let length = literal_length(&characters, position);
        if length == 0 {
            code.push(characters[position]);
            position += 1;
        } else {
            let literal = &characters[position..(position + length).min(characters.len())];
            code.extend(
                literal
                    .iter()
                    .map(|&character| if character == '\n' { '\n' } else { ' ' }),
            );
            position += length;
        }
    }
    code
}

/// How many characters from here on are no code; 0 when the one here is.
fn literal_length(text: &[char], at: usize) -> usize {
    let rest = &text[at..];
    let after_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match rest {
        ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment_length(rest),
        ['"', ..] => quoted_length(rest, '"'),
        ['r', ..] if !after_word => raw_string_length(rest, 1),
        ['b', 'r', ..] if !after_word => raw_string_length(rest, 2),
        ['\'', '\\', ..] => quoted_length(rest, '\''),
        // A lifetime has no closing quote two characters on.
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn block_comment_length(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut position = 0;
    while position < rest.len() {
        match rest[position..] {
            ['/', '*', ..] => {
                depth += 1;
                position += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                position += 2;
                if depth == 0 {
                    return position;
                }
            }
            _ => position += 1,
        }
    }
    rest.len()
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut position = 1;
    while position < rest.len() {
        match rest[position] {
            '\\' => position += 2,
            character if character == quote => return position + 1,
            _ => position += 1,
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[char], prefix: usize) -> usize {
    let hashes = rest[prefix..]
        .iter()
        .take_while(|&&character| character == '#')
        .count();
    if rest.get(prefix + hashes) != Some(&'"') {
        return 0;
    }
    let mut position = prefix + hashes + 1;
    while position < rest.len() {
        let closes = rest[position] == '"'
            && rest.len() > position + hashes
            && rest[position + 1..=position + hashes]
                .iter()
                .all(|&character| character == '#');
        if closes {
            return position + 1 + hashes;
        }
        position += 1;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::code_only;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(code_only(text), expected);
    }

    #[test]
    fn comments_are_blanked_and_lines_stay() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c\n */ d */ e", "a          \n         e");
    }

    #[test]
    fn strings_and_characters_are_blanked() {
        check(r#"f("a\"b") + c"#, "f(      ) + c");
        check(r##"f(r#"a"b"#) + c"##, "f(        ) + c");
        check("'a' '\\'' '\"' x", "             x");
    }

    #[test]
    fn lifetimes_and_names_stay() {
        check(
            "fn f<'a>(r: &'a str) { for_r\"x\" }",
            "fn f<'a>(r: &'a str) { for_r    }",
        );
    }
}
