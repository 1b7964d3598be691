//! Rules for the text of sources, manifests and pages.

/// What must not be in any source, in two halves so that this file does not contain it either, and why.
const FORBIDDEN: [([&str; 2], &str); 8] = [
    (["to", "do!("], "unfinished"),
    (["unimple", "mented!("], "unfinished"),
    (["dbg", "!("], "left over from debugging"),
    (["FIX", "ME"], "fix it or write an issue"),
    (["#[ign", "ore"], "a test that does not run is no test"),
    (["/ho", "me/"], "a path of one machine"),
    (["/ro", "ot/"], "a path of one machine"),
    (["/wo", "rk/"], "a path of one machine"),
];

/// The complaints about one file; `name` is its path from the top.
pub(super) fn check(name: &str, content: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if name.ends_with(".rs") && !content.starts_with("//! ") {
        complaints.push(format!("{name}:1: opens without a `//!` line that says what the file is for"));
    }
    if !content.is_empty() && !content.ends_with('\n') {
        complaints.push(format!("{name}: the last line has no end"));
    }
    for (number, line) in (1..).zip(content.split('\n')) {
        if line.ends_with([' ', '\t', '\r']) {
            complaints.push(format!("{name}:{number}: white space at the end of the line"));
        }
        if line.contains('\t') {
            complaints.push(format!("{name}:{number}: a tab"));
        }
        for (halves, why) in FORBIDDEN {
            let word = halves.concat();
            if line.contains(&word) {
                complaints.push(format!("{name}:{number}: `{word}`: {why}"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_file_passes() {
        assert_eq!(check("a.rs", "//! What it is for.\n\nfn main() {}\n"), [""; 0]);
        assert_eq!(check("a.md", "# Title\n"), [""; 0]);
    }

    #[test]
    fn each_rule_can_fail() {
        let first = |name: &str, content: &str| check(name, content).into_iter().next().unwrap_or_default();
        assert!(first("a.rs", "fn main() {}\n").contains("opens without"));
        assert!(first("a.rs", "//!\n").contains("opens without"));
        assert!(first("a.md", "no end").contains("the last line"));
        assert!(first("a.md", "one\ntwo \n").starts_with("a.md:2: white space"));
        assert!(first("a.md", "one\r\ntwo\n").starts_with("a.md:1: white space"));
        assert!(first("a.toml", "a\tb\n").starts_with("a.toml:1: a tab"));
        for (halves, why) in FORBIDDEN {
            assert!(first("a.md", &format!("x {}y\n", halves.concat())).contains(why));
        }
    }
}
