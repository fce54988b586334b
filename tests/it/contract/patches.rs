//! `applyPatch` in a workspace.

use serde_json::json;
use threadbox::sandbox::SandboxError;

use super::place::Thread;

pub async fn a_patch_changes_adds_deletes_and_renames(thread: &Thread) {
    thread.own.write("src/a.py", b"def f():\n    return 1\n\n\ndef g():\n    return 1\n").await.unwrap();
    thread.own.write("gone.txt", b"x\n").await.unwrap();
    thread.own.write("old ä.bin", b"\0\x01").await.unwrap();
    thread.own.write("run.sh", b"echo 1\n").await.unwrap();
    thread.prints("chmod 755 run.sh").await;
    let patch = "diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n@@ -5,2 +5,3 @@\n def g():\n-    return 1\n+    x = 2\n+    return x\n\
                 diff --git a/new/dir/b.txt b/new/dir/b.txt\nnew file mode 100755\n--- /dev/null\n+++ b/new/dir/b.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n\
                 diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
                 diff --git a/old ä.bin b/moved/ä.bin\nsimilarity index 100%\nrename from old ä.bin\nrename to moved/ä.bin\n\
                 diff --git a/run.sh b/run.sh\n--- a/run.sh\n+++ b/run.sh\n@@ -9,1 +9,1 @@\n-echo 1\n+echo 2\n";
    let applied = thread.good("applyPatch", json!({ "patch": patch })).await;
    assert_eq!(
        applied,
        json!({
            "success": true,
            "files": [
                { "path": "src/a.py", "action": "changed" },
                { "path": "new/dir/b.txt", "action": "added" },
                { "path": "gone.txt", "action": "deleted" },
                { "path": "moved/ä.bin", "action": "renamed", "from": "old ä.bin" },
                { "path": "run.sh", "action": "changed" },
            ],
            "notes": [
                "new/dir/b.txt: its mode was not changed; use runCommand with chmod",
                "run.sh: hunk 1 was found at line 1, not at line 9",
            ]
        })
    );
    assert_eq!(thread.content("src/a.py").await, "def f():\n    return 1\n\n\ndef g():\n    x = 2\n    return x\n");
    assert_eq!(thread.content("new/dir/b.txt").await, "one\ntwo");
    assert_eq!(&thread.own.read("moved/ä.bin", 0, 9).await.unwrap().0[..], b"\0\x01");
    assert_eq!(
        thread.prints("sh run.sh; find . -type f | sort").await,
        "2\n./moved/ä.bin\n./new/dir/b.txt\n./run.sh\n./src/a.py\n"
    );
    // A second time it does not fit, and says that it is done already.
    let again = thread.bad("applyPatch", json!({ "patch": &patch[..patch.find("diff --git a/new").unwrap()] })).await;
    assert!(again.contains("Nothing was changed") && again.contains("applied already"), "{again}");
    // What `diff` tells can be applied.
    let quick =
        thread.good("applyPatch", json!({ "patch": "--- a/run.sh\n+++ b/run.sh\n@@ -1 +1 @@\n-echo 2\n+echo 3\n" })).await;
    assert_eq!(quick["files"][0]["path"], "run.sh");
}

pub async fn a_patch_is_applied_whole_or_not_at_all(thread: &Thread) {
    thread.own.write("a.txt", b"1\n2\n3\n").await.unwrap();
    thread.own.write("b.txt", b"one\ntwo\nthree\n").await.unwrap();
    let patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-1\n+eins\n--- a/b.txt\n+++ b/b.txt\n@@ -1,3 +1,3 @@\n one\n-zwei\n+2\n three\n\
                 --- a/a.tx\n+++ b/a.tx\n@@ -1 +1 @@\n-1\n+x\n--- /dev/null\n+++ b/b.txt\n@@ -0,0 +1 @@\n+x\n";
    let refused = thread.bad("applyPatch", json!({ "patch": patch })).await;
    for part in [
        "Nothing was changed.",
        "b.txt: hunk 1 (`@@ -1,3 +1,3 @@`) does not fit. 2 of its 3 old lines are at line 1, but there line 2 is `two` and not `zwei`",
        "a.tx: no such file; did you mean `a.txt`?",
        "b.txt: exists already",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!((thread.content("a.txt").await, thread.content("b.txt").await), ("1\n2\n3\n".into(), "one\ntwo\nthree\n".into()));
    // Where writing fails, what was written before is taken back.
    thread.own.write("c", b"a file\n").await.unwrap();
    let patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-1\n+eins\n--- /dev/null\n+++ b/c/below.txt\n@@ -0,0 +1 @@\n+x\n";
    let refused = thread.bad("applyPatch", json!({ "patch": patch })).await;
    assert!(refused.contains("c/below.txt") && refused.contains("Nothing was changed"), "{refused}");
    assert_eq!(thread.content("a.txt").await, "1\n2\n3\n");
    for (patch, why) in [
        ("nothing", "no unified diff"),
        ("--- a/a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n", "has more in it than the patch deletes"),
        ("diff --git a/a.txt b/b.txt\nrename from a.txt\nrename to b.txt\n", "exists already, so a.txt cannot be renamed"),
    ] {
        let refused = thread.bad("applyPatch", json!({ "patch": patch })).await;
        assert!(refused.contains(why), "{refused}");
    }
}

pub async fn line_ends_are_kept(thread: &Thread) {
    thread.own.write("dos.txt", b"a\r\nb\r\nc").await.unwrap();
    thread.good("applyPatch", json!({ "patch": "--- a/dos.txt\n+++ b/dos.txt\n@@ -1,2 +1,3 @@\n a\n-b\n+B\n+new\n" })).await;
    assert_eq!(thread.content("dos.txt").await, "a\r\nB\r\nnew\r\nc");
    thread.good("applyPatch", json!({ "patch": "--- a/dos.txt\r\n+++ b/dos.txt\r\n@@ -4 +4 @@\r\n-c\r\n+C\r\n" })).await;
    assert_eq!(thread.content("dos.txt").await, "a\r\nB\r\nnew\r\nC");
}

pub async fn a_patch_stays_in_the_workspace(thread: &Thread) {
    let up = "../".repeat(12);
    for path in ["/etc/x".to_owned(), format!("{up}etc/x"), format!("a/{up}etc/x"), "/tmp/x".to_owned()] {
        let refused =
            thread.bad("applyPatch", json!({ "patch": format!("--- /dev/null\n+++ {path}\n@@ -0,0 +1 @@\n+x\n") })).await;
        assert!(refused.contains("outside the workspace"), "{path}: {refused}");
    }
    let inside = thread.path("in.txt");
    thread.good("applyPatch", json!({ "patch": format!("--- /dev/null\n+++ {inside}\n@@ -0,0 +1 @@\n+x\n") })).await;
    assert_eq!(thread.content("in.txt").await, "x\n");
    thread.prints("ln -s /etc out").await;
    let refused = thread.bad("applyPatch", json!({ "patch": "--- /dev/null\n+++ b/out/x\n@@ -0,0 +1 @@\n+x\n" })).await;
    assert!(refused.contains("out/x"), "{refused}");
    assert!(matches!(thread.own.info("out/x").await, Err(SandboxError::NotFound(_) | SandboxError::Invalid(_))));
}
