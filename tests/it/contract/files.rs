//! How files are read and written.

use bytes::Bytes;
use serde_json::json;
use threadbox::sandbox::{SandboxError, WalkBounds};

use super::place::Thread;

pub async fn content_is_exact_to_the_byte(thread: &Thread) {
    let every: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let contents: [&[u8]; 6] = [&every, b"", b"no end", b"a\r\nb\r\n \n\n", b"\n", "ä\u{feff}".as_bytes()];
    for content in contents {
        thread.own.write("exact.bin", content).await.unwrap();
        let (read, size) = thread.own.read("exact.bin", 0, 1 << 20).await.unwrap();
        assert_eq!((&read[..], size), (content, content.len() as u64));
        let told = thread.prints("wc -c <exact.bin; cksum <exact.bin | cut -d' ' -f2").await;
        assert_eq!(told.split_whitespace().collect::<Vec<_>>(), vec![content.len().to_string(); 2]);
    }
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), &every).unwrap();
    thread.own.upload(source.path(), "up/loaded.bin").await.unwrap();
    assert_eq!(&thread.own.read("up/loaded.bin", 0, 1 << 20).await.unwrap().0[..], &every[..]);
}

pub async fn names_may_be_any_text(thread: &Thread) {
    let names = [
        "ä ö/日本 😀.txt",
        "q'u\"o$te`s`.txt",
        "-rf",
        "a\\b",
        "sp  ace ",
        "100%.txt",
        "a&b=c?d#e+f",
        "[x]*",
        "..hidden",
        "new\nline",
    ];
    for name in names {
        thread.own.write(name, name.as_bytes()).await.unwrap();
        assert_eq!(thread.content(name).await, name, "{name:?}");
        assert_eq!(thread.own.info(name).await.unwrap().size, name.len() as u64, "{name:?}");
    }
    let listed: Vec<String> = thread.own.list(".").await.unwrap().into_iter().map(|info| info.name).collect();
    let mut expected: Vec<&str> = names.map(|name| name.split('/').next().unwrap()).to_vec();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let counted =
        thread.prints("find . -type f | tr -d '\\n' | tr '\\0' '\\n' >/dev/null; find . -type f -exec printf x \\; ").await;
    assert_eq!(counted.len(), names.len());
    for name in names {
        thread.own.delete(name).await.unwrap();
        assert!(matches!(thread.own.info(name).await, Err(SandboxError::NotFound(_))), "{name:?}");
    }
}

pub async fn parts_of_a_file_are_read(thread: &Thread) {
    thread.own.write("digits", b"0123456789").await.unwrap();
    for (offset, limit, expected) in [(0, 4, "0123"), (4, 3, "456"), (8, 100, "89"), (10, 5, ""), (99, 5, ""), (3, 0, "")] {
        let (part, size) = thread.own.read("digits", offset, limit).await.unwrap();
        assert_eq!((&part[..], size), (expected.as_bytes(), 10), "{offset} {limit}");
    }
    thread.own.write("empty", b"").await.unwrap();
    let (part, size) = thread.own.read("empty", 0, 5).await.unwrap();
    assert_eq!((part.len(), size), (0, 0));
}

pub async fn big_files_are_whole(thread: &Thread) {
    let big: Vec<u8> = (0..12_u32 << 18).flat_map(|number| number.to_le_bytes()).collect();
    thread.own.write("big.bin", &big).await.unwrap();
    let (read, size) = thread.own.read("big.bin", 0, 16 << 20).await.unwrap();
    assert!(read[..] == big[..] && size == big.len() as u64, "{} bytes of {size} came back", read.len());
    let (part, _) = thread.own.read("big.bin", 7_654_321, 1000).await.unwrap();
    assert_eq!(&part[..], &big[7_654_321..7_655_321]);
    assert_eq!(thread.prints("wc -c <big.bin").await.trim(), big.len().to_string());
    thread.prints("head -c 9000000 /dev/zero >zeros").await;
    assert_eq!(thread.own.read("zeros", 8_999_990, 100).await.unwrap(), (Bytes::from(vec![0; 10]), 9_000_000));
}

pub async fn many_files_go_together(thread: &Thread) {
    let files: Vec<(String, Bytes)> =
        (0..30).map(|number| (format!("d{}/f {number}.ä", number % 3), Bytes::from(format!("{number}\0")))).collect();
    thread.own.write_many(&files).await.unwrap();
    let mut paths: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
    paths.insert(5, "missing".to_owned());
    paths.insert(9, "d1".to_owned());
    let read = thread.own.read_many(&paths, 10).await.unwrap();
    assert_eq!(read.len(), 32);
    assert!(matches!(&read[5], Err(SandboxError::NotFound(_))), "{:?}", read[5]);
    assert!(matches!(&read[9], Err(SandboxError::Invalid(_))), "{:?}", read[9]);
    let whole: Vec<&Bytes> = read.iter().filter_map(|file| file.as_ref().ok()).collect();
    assert_eq!(whole, files.iter().map(|(_, content)| content).collect::<Vec<_>>());
    let short = thread.own.read_many(&paths[..1], 1).await.unwrap();
    assert!(matches!(&short[0], Err(SandboxError::Invalid(why)) if why.contains("d0/f 0.ä")), "{short:?}");
    thread.own.write_many(&[]).await.unwrap();
    assert!(thread.own.write_many(&[("../../x".to_owned(), Bytes::new())]).await.is_err());
}

pub async fn nothing_outside_is_reached(thread: &Thread) {
    thread.own.write("in/side.txt", b"inside").await.unwrap();
    let up = "../".repeat(12);
    for outside in [
        "/etc/hostname".to_owned(),
        format!("{up}etc/hostname"),
        format!("in/{up}etc/hostname"),
        format!("{}/{up}etc/hostname", thread.own.workspace()),
        format!("{}-x/a", thread.own.workspace()),
        "/".to_owned(),
    ] {
        let path = outside.as_str();
        let refused = |what: &str, result: Result<(), SandboxError>| match result {
            Err(SandboxError::Invalid(why)) => {
                assert!(why.contains(path) && why.contains(thread.own.workspace()), "{what} {path}: {why}")
            }
            other => panic!("{what} {path}: {other:?}"),
        };
        refused("read", thread.own.read(path, 0, 10).await.map(drop));
        refused("write", thread.own.write(path, b"x").await);
        refused("info", thread.own.info(path).await.map(drop));
        refused("list", thread.own.list(path).await.map(drop));
        refused("walk", thread.own.walk(path, WalkBounds { depth: 2, entries: 9, skip: &[] }).await.map(drop));
        refused("delete", thread.own.delete(path).await);
        refused("create", thread.own.create_directory(path).await);
    }
    // What comes back inside is inside.
    for inside in [
        "in/../in/./side.txt".to_owned(),
        thread.path("in/side.txt"),
        format!(
            "{}/../{}/in/side.txt",
            thread.own.workspace(),
            thread.own.workspace().trim_start_matches('/').rsplit('/').next().unwrap()
        ),
    ] {
        assert_eq!(thread.content(&inside).await, "inside", "{inside}");
    }
    // A link leads nowhere else either.
    thread.prints("ln -s /etc escape; ln -s /etc/passwd passwd; ln -s in/side.txt link").await;
    assert_eq!(thread.content("link").await, "inside");
    // Where the sandbox is a machine of its own, what a program inside may read may be read.
    let inside = thread.prints("cat /etc/passwd").await;
    for path in ["passwd", "escape/passwd"] {
        match thread.own.read(path, 0, 1 << 20).await {
            Ok((read, _)) => assert!(read == inside, "{path} is not the sandbox's own"),
            Err(error) => assert!(matches!(error, SandboxError::Invalid(_)), "{error:?}"),
        }
    }
    assert!(thread.own.write("escape/new", b"x").await.is_err());
    thread.own.delete("escape").await.unwrap();
    assert_eq!(thread.prints("test -e /etc/passwd && echo there").await, "there\n");
}

pub async fn temporary_files_are_the_same_for_all(thread: &Thread) {
    let name = format!("/tmp/{}", thread.name);
    thread.own.write(&format!("{name}-a"), b"from a tool").await.unwrap();
    assert_eq!(thread.prints(&format!("cat {name}-a; echo -n from a command >{name}-b")).await, "from a tool");
    assert_eq!(thread.content(&format!("{name}-b")).await, "from a command");
    let told = thread.good("runCode", json!({ "code": format!("print(open('{name}-b').read())") })).await;
    assert_eq!(told["stdout"], "from a command\n");
    thread.own.delete(&format!("{name}-a")).await.unwrap();
    assert_eq!(thread.prints(&format!("test -e {name}-a || echo gone")).await, "gone\n");
}

pub async fn directories_are_listed_and_walked(thread: &Thread) {
    for path in ["b.txt", "a/x.txt", "a/deep/er/y.txt", "skipped/z.txt"] {
        thread.own.write(path, path.as_bytes()).await.unwrap();
    }
    thread.own.create_directory("empty").await.unwrap();
    thread.own.create_directory("empty").await.unwrap();
    thread.prints("ln -s a linked; ln -s nowhere broken; chmod 750 b.txt").await;
    let listed = thread.own.list(".").await.unwrap();
    let shape: Vec<_> = listed
        .iter()
        .filter(|info| info.name != "linked" && info.name != "broken")
        .map(|info| (info.name.as_str(), info.is_dir))
        .collect();
    assert_eq!(shape, [("a", true), ("b.txt", false), ("empty", true), ("skipped", true)]);
    let info = thread.own.info("b.txt").await.unwrap();
    assert_eq!(
        (info.name.as_str(), info.is_dir, info.size, info.mode & 0o777, info.mode & libc::S_IFMT),
        ("b.txt", false, 5, 0o750, libc::S_IFREG)
    );
    let age = chrono::Utc::now() - info.modified;
    assert!(age.num_seconds().abs() < 300, "{age}");
    let info = thread.own.info("a").await.unwrap();
    assert_eq!((info.name.as_str(), info.is_dir, info.mode & libc::S_IFMT), ("a", true, libc::S_IFDIR));

    let names = |walked: threadbox::sandbox::Walked| {
        let paths = walked.entries.into_iter().map(|(path, _)| path);
        (paths.filter(|path| path != "linked" && path != "broken").collect::<Vec<_>>().join(" "), walked.complete)
    };
    let bounds = WalkBounds { depth: 9, entries: 100, skip: &["skipped"] };
    let all = "a a/deep a/deep/er a/deep/er/y.txt a/x.txt b.txt empty skipped";
    assert_eq!(names(thread.own.walk(".", bounds).await.unwrap()), (all.to_owned(), true));
    assert_eq!(names(thread.own.walk("a", bounds).await.unwrap()), ("deep deep/er deep/er/y.txt x.txt".to_owned(), true));
    assert_eq!(names(thread.own.walk(".", WalkBounds { depth: 1, ..bounds }).await.unwrap()).0, "a b.txt empty skipped");
    assert!(!thread.own.walk(".", WalkBounds { entries: 3, ..bounds }).await.unwrap().complete);
    assert_eq!(names(thread.own.walk("empty", bounds).await.unwrap()), (String::new(), true));
}

pub async fn what_is_in_the_way_is_said(thread: &Thread) {
    thread.own.write("file", b"x").await.unwrap();
    thread.own.create_directory("dir").await.unwrap();
    let not_found = |result: Result<(), SandboxError>| matches!(result, Err(SandboxError::NotFound(_)));
    assert!(not_found(thread.own.read("missing", 0, 1).await.map(drop)));
    assert!(not_found(thread.own.list("missing").await.map(drop)));
    assert!(not_found(thread.own.info("dir/missing").await.map(drop)));
    assert!(not_found(thread.own.delete("missing").await));
    assert!(not_found(thread.own.walk("missing", WalkBounds { depth: 1, entries: 9, skip: &[] }).await.map(drop)));
    let invalid = |result: Result<(), SandboxError>, path: &str| match result {
        Err(SandboxError::Invalid(why)) => assert!(why.contains(path), "{why}"),
        other => panic!("{path}: {other:?}"),
    };
    invalid(thread.own.read("dir", 0, 1).await.map(drop), "dir");
    invalid(thread.own.write("dir", b"x").await, "dir");
    invalid(thread.own.write("file/below", b"x").await, "file/below");
    invalid(thread.own.list("file").await.map(drop), "file");
    invalid(thread.own.create_directory("file").await, "file");
    invalid(thread.own.delete(".").await, ".");
    assert_eq!(thread.content("file").await, "x");
}

pub async fn what_is_deleted_is_gone(thread: &Thread) {
    for path in ["tree/a", "tree/deep/b", "tree/deep/er/c", "kept"] {
        thread.own.write(path, b"x").await.unwrap();
    }
    thread.prints("ln -s ../kept tree/link").await;
    thread.own.delete("tree").await.unwrap();
    assert!(matches!(thread.own.info("tree").await, Err(SandboxError::NotFound(_))));
    assert_eq!(thread.prints("ls -A").await, "kept\n");
}
