#![allow(clippy::unwrap_used)]

use super::path::{BadPath, CleanPath, Semantics, check_name, link_stays_inside, member_names};

const UNIX: Semantics = Semantics::Unix;
const WINDOWS: Semantics = Semantics::Windows;

#[test]
fn nasty_unix_paths_are_refused() {
    let long_name = format!("/{}", "n".repeat(256));
    let long_umlauts = format!("/{}", "ä".repeat(128));
    let long_path = "/abc".repeat(1025);
    let deep = "/a".repeat(129);
    let nasty = [
        "",
        " ",
        ".",
        "..",
        "a",
        "a/b",
        "./a",
        "../a",
        "~",
        "~/a",
        "~root/.ssh",
        "\\a",
        "C:\\a",
        "file:///etc/passwd",
        "\0",
        "/\0",
        "/a\0",
        "/a\0/../b",
        "/etc/passwd\0.png",
        "//",
        "//a",
        "///a",
        "/a/",
        "/a//b",
        "/a//",
        "/.",
        "/..",
        "/./a",
        "/../a",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b",
        "/a/../../etc/shadow",
        "/a/b/../../..",
        "/../../../../etc/shadow",
        "/tmp/../etc/passwd",
        "/tmp/..",
        "/tmp/.",
        &long_name,
        &long_umlauts,
        &long_path,
        &deep,
    ];
    for path in nasty {
        assert!(CleanPath::parse(path, UNIX).is_err(), "{path:?}");
    }
}

#[test]
fn unusual_unix_paths_that_are_plain_names_are_taken() {
    let longest = format!("/{}", "n".repeat(255));
    let usual = [
        "/",
        "/a",
        "/etc/passwd",
        "/...",
        "/..a",
        "/a..",
        "/.hidden",
        "/a b",
        "/ ",
        "/-rf",
        "/*",
        "/a:b",
        "/C:",
        "/CON",
        "/nul.txt",
        "/a\\b",
        "/..\\..\\etc",
        "/%2e%2e",
        "/a\nb",
        "/\u{202e}x",
        "/ä",
        "/a.gururmm-part",
        &longest,
    ];
    for path in usual {
        let clean = CleanPath::parse(path, UNIX).unwrap();
        assert_eq!(clean.to_string(), path);
    }
}

#[test]
fn nasty_windows_paths_are_refused() {
    let long_name = format!("C:\\{}", "n".repeat(256));
    let nasty = [
        "",
        "a",
        "\\a",
        "/a",
        "C:",
        "C:a",
        "1:\\a",
        "CC:\\a",
        "\\\\server\\share\\a",
        "//server/share",
        "\\\\?\\C:\\a",
        "\\\\.\\C:",
        "\\\\.\\PhysicalDrive0",
        "\\??\\C:\\a",
        "//./pipe/x",
        "C:\\..",
        "C:\\a\\..\\b",
        "C:\\a/../b",
        "C:/..",
        "C:\\.",
        "C:\\a\\\\b",
        "C:\\a\\",
        "C:\\a//b",
        "C:\\CON",
        "C:\\con",
        "C:\\a\\NUL",
        "C:\\nul.txt",
        "C:\\NUL .txt",
        "C:\\aux.tar.gz",
        "C:\\PRN",
        "C:\\COM1",
        "C:\\com9.log",
        "C:\\COM¹",
        "C:\\LPT1",
        "C:\\lpt³.x",
        "C:\\LPT0",
        "C:\\CONIN$",
        "C:\\conout$",
        "C:\\CLOCK$",
        "C:\\COM1:",
        "C:\\NUL::$DATA",
        "C:\\a:stream",
        "C:\\a.txt::$DATA",
        "C:\\a::$INDEX_ALLOCATION",
        "C:\\a:b\\c",
        "C:\\a.",
        "C:\\a ",
        "C:\\a. .",
        "C:\\a\\b.\\c",
        "C:\\a<b",
        "C:\\a>b",
        "C:\\a|b",
        "C:\\a?",
        "C:\\*",
        "C:\\a\"b",
        "C:\\a\tb",
        "C:\\a\u{1}",
        "C:\\a\0b",
        "C:\\...",
        &long_name,
    ];
    for path in nasty {
        assert!(CleanPath::parse(path, WINDOWS).is_err(), "{path:?}");
    }
}

#[test]
fn usual_windows_paths_are_taken_with_either_slash() {
    for (path, clean) in [
        ("C:\\", "C:\\"),
        ("c:/Users/ada", "C:\\Users\\ada"),
        ("D:\\a.b\\c d", "D:\\a.b\\c d"),
        ("C:\\CONSOLE", "C:\\CONSOLE"),
        ("C:\\COM10", "C:\\COM10"),
        ("C:\\nullable.txt", "C:\\nullable.txt"),
        ("C:\\.git", "C:\\.git"),
        ("C:\\ä", "C:\\ä"),
    ] {
        assert_eq!(CleanPath::parse(path, WINDOWS).unwrap().to_string(), clean);
    }
}

#[test]
fn the_text_says_what_is_wrong() {
    let text = |path, semantics| CleanPath::parse(path, semantics).unwrap_err().to_string();
    assert!(text("a", UNIX).contains("not absolute"));
    assert!(text("/a/../b", UNIX).contains("\"..\" is not allowed"));
    assert!(text("C:\\a:b", WINDOWS).contains("alternate stream"));
    assert!(text("C:\\NUL.txt", WINDOWS).contains("device"));
}

#[test]
fn a_path_is_below_a_root_by_whole_names() {
    let parse = |path| CleanPath::parse(path, UNIX).unwrap();
    let root = parse("/srv/data");
    assert_eq!(parse("/srv/data/a").below(&root).unwrap(), ["a"]);
    assert!(parse("/srv/data").below(&root).unwrap().is_empty());
    for outside in ["/srv/database", "/srv", "/", "/srv/Data/a"] {
        assert_eq!(parse(outside).below(&root), None, "{outside}");
    }
    let windows = |path| CleanPath::parse(path, WINDOWS).unwrap();
    assert!(windows("c:\\SRV\\a").below(&windows("C:\\srv")).is_some());
    assert!(windows("d:\\srv\\a").below(&windows("C:\\srv")).is_none());
}

#[test]
fn members_of_an_archive_are_relative_and_clean() {
    for (name, names) in [
        ("a", vec!["a"]),
        ("a/b", vec!["a", "b"]),
        ("./a/", vec!["a"]),
        (".", vec![]),
        ("./", vec![]),
    ] {
        assert_eq!(member_names(name, UNIX).unwrap(), names, "{name}");
    }
    for nasty in [
        "", "/", "/a", "//a", "..", "../a", "a/..", "a/../b", "a/./b", "a//b", "././a", "./..",
        "a//", "./../a", ".//a", "a\0b", "a/\0",
    ] {
        assert!(member_names(nasty, UNIX).is_err(), "{nasty:?}");
    }
    for nasty in ["a\\b", "..\\a", "C:\\a", "C:a", "CON", "a:b", "a."] {
        assert!(member_names(nasty, WINDOWS).is_err(), "{nasty:?}");
    }
}

#[test]
fn links_of_an_archive_stay_inside() {
    for (target, depth) in [
        ("a", 0),
        ("./a", 0),
        ("a/b", 0),
        ("../a", 1),
        ("../../a/b", 2),
        ("..", 1),
        (".", 0),
    ] {
        assert!(link_stays_inside(target, depth, UNIX), "{target}");
    }
    for (target, depth) in [
        ("", 0),
        ("/", 0),
        ("/etc/passwd", 3),
        ("..", 0),
        ("../a", 0),
        ("../../a", 1),
        ("a/../b", 1),
        ("a/..", 0),
        ("./../a", 0),
        ("a/../../b", 1),
        ("a\0", 0),
        ("a//b", 0),
        ("../..//a", 2),
    ] {
        assert!(!link_stays_inside(target, depth, UNIX), "{target:?}");
    }
}

#[test]
fn a_name_is_never_a_path() {
    assert_eq!(check_name("a/b", UNIX), Err(BadPath::Forbidden('/')));
    assert!(check_name("a\\b", WINDOWS).is_err());
}
