//! Knows a finding again: by its rule and the code it is about, wherever that has moved and however it is indented.

use sha2::{Digest, Sha256};

/// Code with fewer letters and digits is found everywhere.
const LEAST: usize = 3;
const LONGEST_RULE: usize = 80;

/// The code by which a finding is known: the lines that change, when they say enough, else the whole passage.
pub fn code<'a>(changed: &'a str, passage: &'a str) -> &'a str {
    let says = changed.chars().filter(|c| c.is_alphanumeric()).count();
    if says >= LEAST { changed } else { passage }
}

/// Names a finding among those of a pull request, its path aside: a file may be renamed between two reviews.
pub fn fingerprint(rule: &str, code: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(rule_name(rule));
    hash.update([0]);
    hash.update(normal(code).join("\n"));
    hex::encode(&hash.finalize()[..16])
}

/// A rule in one spelling: lower case, words joined by `-`.
pub fn rule_name(rule: &str) -> String {
    let words = rule.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    let name: String = name.chars().take(LONGEST_RULE).collect();
    if name.is_empty() { "finding".to_owned() } else { name }
}

/// True when the code still stands in a file.
pub fn occurs(code: &str, file: &str) -> bool {
    let (code, file) = (normal(code), normal(file));
    !code.is_empty() && file.windows(code.len()).any(|window| window == code)
}

/// The lines that are not blank, with one blank between words.
fn normal(code: &str) -> Vec<String> {
    let lines = code.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_known_wherever_it_moves() {
        let one = fingerprint("SQL injection", "  let a = 1;\n\n  run(a)\r\n");
        assert_eq!(one, fingerprint("sql-injection", "let  a = 1;\nrun(a)"));
        assert_ne!(one, fingerprint("sql-injection", "let a = 2;\nrun(a)"));
        assert_ne!(one, fingerprint("other", "let a = 1;\nrun(a)"));
        assert_eq!(rule_name(" ?! "), "finding");
    }

    #[test]
    fn code_that_changed_is_no_longer_there() {
        assert!(occurs("a(1)\nb(2)", "x\n\ta(1)\n\n\tb(2)\ny\n"));
        assert!(!occurs("a(1)\nb(2)", "a(1)\nc\nb(2)\n"));
        assert!(!occurs(" \n", "a\n"));
        assert_eq!(code("}\n", "a();\n}\n"), "a();\n}\n");
        assert_eq!(code("abc\n", "abc\n}\n"), "abc\n");
    }
}
