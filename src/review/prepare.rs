//! From what the model proposes to a finding that stands somewhere; what can be said before anything is run.

use super::anchor::{Unfit, block};
use super::diff::{Hunk, number, unified};
use super::edit::intended;
use super::finding::{Kept, Proof, Severity, Standing};
use super::fingerprint::{code, rule_name};
use super::lines::lines;
use super::place::{Found, Lost, find};
use crate::agent::tools::Finding;

/// Bytes of the words of a finding that are kept.
const MOST_WORDS: usize = 8_000;
const MOST_CODE: usize = 16_000;
const MOST_DIFF: usize = 24_000;

/// A finding with the file it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// As it is kept when nothing speaks against it.
    pub kept: Kept,
    /// The whole file it intends; none for a remark.
    pub intended: Option<String>,
}

/// Why a finding is given back to the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The passage is not there, or not there once.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The replacement is what stands there.
    #[error("`replacement` makes no difference to the file")]
    Same,
    /// There is nothing to read.
    #[error("`body` is empty; say what is wrong and why")]
    Wordless,
}

/// Finds the passage in the reviewed file and the lines of the diff it can stand at.
///
/// # Errors
/// What the model has to do differently.
pub fn prepare(finding: &Finding, file: &str, hunks: &[Hunk]) -> Result<Prepared, Unusable> {
    if finding.body.trim().is_empty() {
        return Err(Unusable::Wordless);
    }
    let old = lines(file);
    let found = find(&old, &finding.original, finding.line)?;
    let (first, last) = (number(found.lines.start), number(found.lines.end) - 1);
    let passage = old[found.lines.clone()].concat();
    let kept = |standing, about: &str, diff| Kept {
        path: finding.path.clone(),
        rule: rule_name(&finding.rule),
        severity: Severity::of(&finding.severity),
        body: cut(&finding.body, MOST_WORDS),
        code: cut(about, MOST_CODE),
        first,
        last,
        diff,
        standing,
    };
    let Some(replacement) = &finding.replacement else {
        return Ok(Prepared { kept: kept(remark(first, last, hunks), &passage, String::new()), intended: None });
    };
    let new = intended(&old, &found, &finding.original, replacement);
    let wanted = new.concat();
    let diff = cut(&unified(&finding.path, file, &wanted), MOST_DIFF);
    let about = about(&old, &new, &found);
    let standing = match block(&old, &new, &found.lines, hunks) {
        Ok(block) => Standing::Suggested { block, proof: Proof::default() },
        Err(Unfit::Same) => return Err(Unusable::Same),
        Err(Unfit::OffDiff) => Standing::OffDiff,
        Err(why) => Standing::Demoted { why: why.to_string() },
    };
    Ok(Prepared { kept: kept(standing, code(&about, &passage), diff), intended: Some(wanted) })
}

/// The lines of the passage that do not stay.
fn about(old: &[&str], new: &[String], found: &Found) -> String {
    let head = old.iter().zip(new).take_while(|(old, new)| *old == new).count().min(found.lines.end);
    let most = old.len().min(new.len()) - head.min(new.len());
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| *old == new).count();
    old[head..(old.len() - tail).max(head)].concat()
}

/// A remark stands at the part of its passage that is in one hunk: the first such part.
fn remark(first: u32, last: u32, hunks: &[Hunk]) -> Standing {
    let part = hunks.iter().map(|hunk| (hunk.first.max(first), hunk.last.min(last))).find(|(first, last)| first <= last);
    part.map_or(Standing::OffDiff, |(first, last)| Standing::Remark { first, last })
}

/// The beginning of a text, at most `limit` bytes.
fn cut(text: &str, limit: usize) -> String {
    text[..text.floor_char_boundary(limit)].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::apply::Block;
    use super::*;

    const FILE: &str = "fn a() {\n    one();\n    two();\n}\n\nfn b() {\n    three();\n}\n";

    fn finding(original: &str, replacement: Option<&str>) -> Finding {
        Finding {
            path: "src/a.rs".into(),
            original: original.into(),
            replacement: replacement.map(str::to_owned),
            body: "Wrong.".into(),
            rule: "Call order".into(),
            severity: "important".into(),
            line: None,
        }
    }

    #[test]
    fn a_finding_gets_its_place() {
        let hunks = [Hunk { first: 1, last: 4 }];
        let kept = prepare(&finding("    one();\n    two();", Some("    two();\n    one();")), FILE, &hunks).unwrap();
        let block = Block { first: 2, last: 3, text: "    two();\n    one();\n".into() };
        assert_eq!(kept.kept.block(), Some(&block));
        assert_eq!(kept.intended.unwrap(), "fn a() {\n    two();\n    one();\n}\n\nfn b() {\n    three();\n}\n");
        assert_eq!((kept.kept.rule.as_str(), kept.kept.code.as_str()), ("call-order", "    one();\n    two();\n"));
        let off = prepare(&finding("three", Some("four")), FILE, &hunks).unwrap();
        assert_eq!(off.kept.standing, Standing::OffDiff);
        assert!(off.kept.diff.contains("-    three();\n+    four();"));
        let remark = prepare(&finding("}\n\nfn b() {", None), FILE, &hunks).unwrap();
        assert_eq!(remark.kept.standing, Standing::Remark { first: 4, last: 4 });
        assert_eq!(prepare(&finding("    one();", Some("    one();")), FILE, &hunks), Err(Unusable::Same));
    }
}
