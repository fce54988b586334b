//! Git's objects as far as landing needs them: what a file and a tree are called, computed here so that what GitHub made can be
//! compared with what was meant.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a path of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link; its content is where it leads.
    Link,
    /// A commit of another repository.
    Submodule,
}

impl Mode {
    /// As trees write it.
    pub fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
            Self::Submodule => "160000",
        }
    }

    /// As trees write it; none for directories and for what git does not know. Old trees hold `100664`.
    pub fn parse(octal: &str) -> Option<Self> {
        Some(match octal {
            "100644" | "100664" => Self::File,
            "100755" => Self::Executable,
            "120000" => Self::Link,
            "160000" => Self::Submodule,
            _ => return None,
        })
    }
}

/// A path of a tree: what it is and the name of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What it is.
    pub mode: Mode,
    /// The object's name, 40 hexadecimal digits.
    pub sha: String,
}

/// Every path below a root, directories left out.
pub type Tree = BTreeMap<String, Node>;

/// What happens to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It becomes this.
    Put {
        /// What it is.
        mode: Mode,
        /// Its exact bytes; where a link leads.
        content: Bytes,
    },
    /// It goes.
    Delete,
}

impl Change {
    /// What the path is afterwards.
    pub fn node(&self) -> Option<Node> {
        match self {
            Self::Put { mode, content } => Some(Node { mode: *mode, sha: blob_sha(content) }),
            Self::Delete => None,
        }
    }

    /// Bytes it brings.
    pub fn size(&self) -> usize {
        match self {
            Self::Put { content, .. } => content.len(),
            Self::Delete => 0,
        }
    }
}

/// Changes by path.
pub type Changes = BTreeMap<String, Change>;

/// The tree with the changes in it.
pub fn changed(tree: &Tree, changes: &Changes) -> Tree {
    let mut tree = tree.clone();
    for (path, change) in changes {
        match change.node() {
            Some(node) => tree.insert(path.clone(), node),
            None => tree.remove(path),
        };
    }
    tree
}

/// The name of a file's content.
pub fn blob_sha(content: &[u8]) -> String {
    hex::encode(object("blob", content))
}

/// The name of the whole tree.
pub fn tree_sha(tree: &Tree) -> String {
    let entries: Vec<(&str, &Node)> = tree.iter().map(|(path, node)| (path.as_str(), node)).collect();
    hex::encode(directory(&entries))
}

/// The entries of one directory, in the order of their whole paths: those of a subdirectory are neighbours.
fn directory(entries: &[(&str, &Node)]) -> Vec<u8> {
    let mut lines: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut rest = entries;
    while let Some((path, node)) = rest.first() {
        match path.split_once('/') {
            None => {
                lines
                    .push((path.as_bytes().to_vec(), line(node.mode.octal(), path, &hex::decode(&node.sha).unwrap_or_default())));
                rest = &rest[1..];
            }
            Some((name, _)) => {
                let below = |(path, _): &&(&str, &Node)| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
                let count = rest.iter().take_while(below).count();
                let inside: Vec<(&str, &Node)> =
                    rest[..count].iter().map(|(path, node)| (&path[name.len() + 1..], *node)).collect();
                // Git orders a directory as if its name ended with a slash.
                lines.push((format!("{name}/").into_bytes(), line("40000", name, &directory(&inside))));
                rest = &rest[count..];
            }
        }
    }
    lines.sort();
    object("tree", &lines.into_iter().flat_map(|(_, line)| line).collect::<Vec<u8>>())
}

fn line(mode: &str, name: &str, sha: &[u8]) -> Vec<u8> {
    [mode.as_bytes(), b" ", name.as_bytes(), b"\0", sha].concat()
}

fn object(kind: &str, content: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(format!("{kind} {}\0", content.len()).as_bytes());
    context.update(content);
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn node(mode: Mode, content: &str) -> Node {
        Node { mode, sha: blob_sha(content.as_bytes()) }
    }

    /// Compared with what `git` itself says, where it is there.
    fn git_says(tree: &[(&str, Mode, &str)]) -> Option<String> {
        use std::process::Command;
        let directory = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let done = Command::new("git")
                .args(arguments)
                .current_dir(directory.path())
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .output()
                .ok()?;
            done.status.success().then(|| String::from_utf8(done.stdout).unwrap().trim().to_owned())
        };
        git(&["init", "-q"])?;
        for (path, mode, content) in tree {
            std::fs::write(directory.path().join("content"), content).unwrap();
            let sha = git(&["hash-object", "-w", "--no-filters", "content"])?;
            git(&["update-index", "--add", "--cacheinfo", &format!("{},{sha},{path}", mode.octal())])?;
        }
        git(&["write-tree"])
    }

    #[test]
    fn names_are_those_git_gives() {
        assert_eq!(blob_sha(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(tree_sha(&Tree::new()), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        let files = [
            ("a", Mode::File, "1"),
            ("a-b/x", Mode::File, "2"),
            ("a.b", Mode::Executable, "3"),
            ("a/b/c", Mode::File, "4"),
            ("a0", Mode::Link, "a"),
            ("ü b", Mode::File, "\0\n"),
        ];
        // A file and a directory of one name cannot be together.
        let files = &files[1..];
        let tree: Tree = files.iter().map(|(path, mode, content)| ((*path).to_owned(), node(*mode, content))).collect();
        if let Some(said) = git_says(files) {
            assert_eq!(tree_sha(&tree), said);
        }
        assert_eq!(tree_sha(&tree).len(), 40);
    }

    #[test]
    fn changes_make_a_tree() {
        let tree: Tree = [("a", "1"), ("b", "2")].map(|(path, text)| (path.to_owned(), node(Mode::File, text))).into();
        let changes = Changes::from([
            ("a".to_owned(), Change::Delete),
            ("c".to_owned(), Change::Put { mode: Mode::Link, content: Bytes::from_static(b"b") }),
        ]);
        let wanted: Tree = [("b".to_owned(), node(Mode::File, "2")), ("c".to_owned(), node(Mode::Link, "b"))].into();
        assert_eq!(changed(&tree, &changes), wanted);
    }
}
