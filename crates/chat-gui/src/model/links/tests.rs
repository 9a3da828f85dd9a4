//! The finder of links against examples, and against any text.

use proptest::prelude::*;

use super::{LINK_BYTES_MAX, LINKS_MAX, Link, find};

/// The addresses that are found in a text, as written.
fn check(text: &str, expected: &[&str]) {
    let found = find(text);
    let written: Vec<&str> = found.iter().map(|found| found.link.written()).collect();
    assert_eq!(written, expected, "in {text:?}");
    for found in &found {
        assert_eq!(&text[found.range.clone()], found.link.written());
    }
}

#[test]
fn links_end_where_the_sentence_goes_on() {
    check("See https://example.org.", &["https://example.org"]);
    check("(https://example.org)", &["https://example.org"]);
    check(
        "[a](https://example.org/a), “https://example.org/b”!",
        &["https://example.org/a", "https://example.org/b"],
    );
    check(
        "https://example.org/Foo_(bar) (see https://example.org/Foo_(bar)).",
        &[
            "https://example.org/Foo_(bar)",
            "https://example.org/Foo_(bar)",
        ],
    );
    check(
        "<http://example.org/?a=1&b=[2]#c>",
        &["http://example.org/?a=1&b=[2]#c"],
    );
    check("看https://例え.jp/道。", &["https://例え.jp/道"]);
    check(
        "a link:http://example.org:8080/",
        &["http://example.org:8080/"],
    );
    check("HTTPS://EXAMPLE.ORG/", &["HTTPS://EXAMPLE.ORG/"]);
    check(
        "http://127.0.0.1:7401 http://[::1]/x http://localhost",
        &[
            "http://127.0.0.1:7401",
            "http://[::1]/x",
            "http://localhost",
        ],
    );
}

#[test]
fn other_schemes_and_broken_addresses_are_no_links() {
    for text in [
        "ftp://example.org",
        "javascript://example.org/%0aalert(1)",
        "file:///etc/passwd",
        "mailto:someone@example.org",
        "git+https://example.org",
        "xhttp://example.org",
        "data:text/html,x",
        "example.org",
        "www.example.org",
        "http://",
        "https:// example.org",
        "https://.",
        "http:///example.org",
        "http://example.org:99999/",
        "/https://example.org",
    ] {
        check(text, &[]);
    }
}

#[test]
fn direction_marks_and_invisible_characters_end_a_link() {
    check(
        "https://example.org/\u{202E}gpj.exe",
        &["https://example.org/"],
    );
    check("https://exam\u{200B}ple.org", &["https://exam"]);
    check(
        "https://good.example\\@bad.example",
        &["https://good.example"],
    );
}

#[test]
fn host_is_what_a_browser_goes_to() {
    let host = |text: &str| {
        let link = Link::parse(text).unwrap();
        (
            link.host().to_owned(),
            link.host_in_letters(),
            link.has_user(),
        )
    };
    let plain = |host: &str| (host.to_owned(), None, false);
    assert_eq!(host("https://Example.ORG/a"), plain("example.org"));
    assert_eq!(host("http://2130706433/"), plain("127.0.0.1"));
    assert_eq!(
        host("https://bank.example@other.example/"),
        ("other.example".to_owned(), None, true)
    );
    let letters = Some("bücher.example".to_owned());
    let punycode = ("xn--bcher-kva.example".to_owned(), letters, false);
    assert_eq!(host("https://bücher.example/"), punycode);
    assert_eq!(host("https://xn--bcher-kva.example/"), punycode);
}

#[test]
fn only_so_many_and_so_long_links_are_found() {
    let many = "https://example.org/ ".repeat(LINKS_MAX + 10);
    assert_eq!(find(&many).len(), LINKS_MAX);
    let address = |length: usize| format!("https://example.org/{}", "a".repeat(length - 20));
    assert_eq!(find(&address(LINK_BYTES_MAX)).len(), 1);
    assert!(find(&address(LINK_BYTES_MAX + 1)).is_empty());
    let after = format!("{} https://example.org", address(LINK_BYTES_MAX + 1));
    check(&after, &["https://example.org"]);
}

#[test]
fn link_is_shortened_for_a_menu() {
    let link = Link::parse("https://example.org/abcdef").unwrap();
    assert_eq!(link.shortened(40), "example.org/abcdef");
    assert_eq!(link.shortened(13), "example.org/a…");
}

/// Text that has much in it that links are made of.
fn tricky_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("http://".to_owned()),
        Just("HTTPS://".to_owned()),
        Just("://".to_owned()),
        Just("example.org".to_owned()),
        Just("[::1]".to_owned()),
        "[()\\[\\].,:/@%#? \\\\]{0,3}",
        "\\PC{0,6}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn found_links_are_whole_and_in_order(text in tricky_text()) {
        let mut from = 0;
        for found in find(&text) {
            prop_assert!(from <= found.range.start);
            from = found.range.end;
            let link = found.link;
            prop_assert_eq!(&text[found.range], link.written());
            prop_assert!(link.written().len() <= LINK_BYTES_MAX);
            prop_assert!(link.address().is_ascii());
            prop_assert!(!link.host().is_empty());
            let scheme = link.address().split("://").next();
            prop_assert!(matches!(scheme, Some("http" | "https")));
            prop_assert!(!link.written().contains(char::is_whitespace));
            prop_assert_eq!(Link::parse(link.written()), Some(link));
        }
    }

    #[test]
    fn address_is_found_in_any_sentence(
        path in "[a-z0-9]{0,10}(/[a-z0-9_~-]{1,8}[a-z0-9]){0,3}",
        before in "|[(\\[\"“„«<' ]{1,3}|[a-z]{1,8}[ :\n]",
        after in "|[.,;:!?)\\]>\"”»' ]{1,4}|[ \n][a-z]{1,8}",
    ) {
        let address = format!("https://example.org/{path}");
        check(&format!("{before}{address}{after}"), &[&address]);
    }
}

/// A person may send any text: finding its links takes about as long as reading it.
#[test]
fn brackets_without_end_take_no_time() {
    let begun = std::time::Instant::now();
    for marks in [")", "]", "(", ").", "http://", "a://"] {
        let text = format!("http://a{}", marks.repeat(16_384 / marks.len()));
        assert!(find(&text).len() <= LINKS_MAX, "{marks}");
    }
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
}
