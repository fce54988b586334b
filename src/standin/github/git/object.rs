//! Git's objects as git itself writes them, so that their ids are the true ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What an object is called: 40 hexadecimal digits.
pub(in super::super) type Sha = String;

/// What a tree says about what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// A file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// A directory.
    Tree,
    /// A commit of another repository.
    Submodule,
}

impl Mode {
    /// As GitHub writes it.
    pub fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
            Self::Tree => "040000",
            Self::Submodule => "160000",
        }
    }

    pub(in super::super) fn parse(octal: &str) -> Option<Self> {
        [Self::File, Self::Executable, Self::Link, Self::Tree, Self::Submodule].into_iter().find(|mode| mode.octal() == octal)
    }

    pub(in super::super) fn kind(self) -> &'static str {
        match self {
            Self::File | Self::Executable | Self::Link => "blob",
            Self::Tree => "tree",
            Self::Submodule => "commit",
        }
    }
}

/// One line of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Entry {
    pub mode: Mode,
    pub name: String,
    pub sha: Sha,
}

/// Author or committer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// When, in the person's own time zone.
    pub at: DateTime<FixedOffset>,
}

impl Person {
    fn line(&self) -> String {
        let clean = |text: &str| text.replace(['<', '>', '\n'], "");
        format!("{} <{}> {} {}", clean(&self.name), clean(&self.email), self.at.timestamp(), self.at.format("%z"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Commit {
    pub sha: Sha,
    pub tree: Sha,
    pub parents: Vec<Sha>,
    pub author: Person,
    pub committer: Person,
    pub message: String,
    pub signature: Option<String>,
}

impl Commit {
    /// What a signature is over.
    pub fn payload(&self) -> String {
        self.write(None)
    }

    fn write(&self, signature: Option<&str>) -> String {
        let mut text = format!("tree {}\n", self.tree);
        for parent in &self.parents {
            text.push_str(&format!("parent {parent}\n"));
        }
        text.push_str(&format!("author {}\ncommitter {}\n", self.author.line(), self.committer.line()));
        if let Some(signature) = signature {
            text.push_str(&format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n ")));
        }
        format!("{text}\n{}", self.message)
    }

    /// Signed as GitHub signs what an App commits.
    pub fn signed(mut self) -> Self {
        self.signature = Some(signature_over(&self.payload()));
        self
    }

    pub fn is_verified(&self) -> bool {
        self.signature.as_ref().is_some_and(|signature| *signature == signature_over(&self.payload()))
    }
}

fn signature_over(payload: &str) -> String {
    let digest = STANDARD.encode(Sha256::digest(format!("signed by GitHub\n{payload}")));
    format!("-----BEGIN PGP SIGNATURE-----\n\n{digest}\n-----END PGP SIGNATURE-----\n")
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Object {
    Blob(Bytes),
    Tree(Vec<Entry>),
    Commit(Commit),
}

impl Object {
    /// A tree of these entries, in git's order.
    pub fn tree(mut entries: Vec<Entry>) -> Self {
        // A directory sorts as if its name ended with a slash.
        entries.sort_by_key(|entry| if entry.mode == Mode::Tree { format!("{}/", entry.name) } else { entry.name.clone() });
        Self::Tree(entries)
    }

    pub fn id(&self) -> Sha {
        match self {
            Self::Blob(content) => hash("blob", content),
            Self::Tree(entries) => hash("tree", &entries.iter().flat_map(line).collect::<Vec<u8>>()),
            Self::Commit(commit) => hash("commit", commit.write(commit.signature.as_deref()).as_bytes()),
        }
    }
}

fn line(entry: &Entry) -> Vec<u8> {
    let mut line = format!("{} {}\0", entry.mode.octal().trim_start_matches('0'), entry.name).into_bytes();
    line.extend(hex::decode(&entry.sha).unwrap_or_default());
    line
}

fn hash(kind: &str, content: &[u8]) -> Sha {
    let mut digest = Sha1::new();
    digest.update(format!("{kind} {}\0", content.len()));
    digest.update(content);
    hex::encode(digest.finalize())
}

pub(in super::super) fn is_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
