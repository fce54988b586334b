//! What each tool returns: its fields, its results, and what it says when it cannot.

use std::sync::Arc;

use serde_json::json;
use threadbox::agent::tools::ToolLimits;
use threadbox::clock::{Clock, SystemClock};
use threadbox::sandbox::workspace::WorkspaceSnapshot;

use super::place::Thread;

pub async fn run_code(thread: &Thread) {
    let code = "import sys, os\nprint('hi', sys.argv[1:], os.environ['X'])\nprint('oops', file=sys.stderr)\nopen('new.txt', 'w').write('n')\nsys.exit(3)";
    let output = thread
        .run("runCode", json!({ "code": code, "argv": ["a b", "$HOME"], "envs": { "X": "1" }, "timeoutSeconds": 20 }))
        .await;
    assert!(!output.is_error);
    assert_eq!(output.summary, "Ran Python (exit 3)");
    let mut content = output.content;
    assert!(content["executionTime"].take().is_u64());
    assert_eq!(
        content,
        json!({ "exitCode": 3, "stdout": "hi ['a b', '$HOME'] 1\n", "stderr": "oops\n", "newFiles": ["new.txt"], "executionTime": null })
    );
    let execution = output.execution.unwrap();
    assert_eq!((execution.language.as_str(), execution.code.as_str(), execution.exit_code), ("python", code, Some(3)));
    assert_eq!(execution.output, "hi ['a b', '$HOME'] 1\noops\n");
    assert_eq!(execution.new_files, ["new.txt"]);

    let shell = thread.good("runCode", json!({ "code": "echo $0 $1; pwd", "language": "shell", "argv": ["x"] })).await;
    assert!(shell["stdout"].as_str().unwrap().ends_with(&format!(" x\n{}\n", thread.own.workspace())), "{shell}");

    let slow = thread
        .run("runCode", json!({ "code": "print('a', flush=True)\nimport time\ntime.sleep(60)", "timeoutSeconds": 0.7 }))
        .await;
    assert_eq!((slow.content["exitCode"].clone(), slow.content["stdout"].clone()), (json!(137), json!("a\n")));
    assert!(slow.content["killed"].as_str().unwrap().contains("killed after 0.7 s"), "{}", slow.content);
    assert_eq!(slow.summary, "Ran Python (timeout after 0.7 s)");

    let long = thread.good("runCode", json!({ "code": "print('x' * 1000000)" })).await;
    assert!(
        long["stdout"].as_str().unwrap().len() <= ToolLimits::default().output_bytes
            && long["omittedBytes"].as_u64().unwrap() > 900_000
    );
}

pub async fn run_javascript_and_typescript(thread: &Thread) {
    thread.own.write("lib.js", b"exports.x = 42").await.unwrap();
    let code = "const { x } = require('./lib.js'); console.log(x, process.argv.slice(2))";
    let output = thread.run("runCode", json!({ "code": code, "language": "javascript", "argv": ["a"] })).await;
    let module = thread
        .run(
            "runCode",
            json!({ "code": "import fs from 'node:fs'\nconsole.log(typeof fs.readFileSync)", "language": "javascript" }),
        )
        .await;
    let typed = thread.run("runCode", json!({ "code": "const n: number = 1; console.log(n)", "language": "typescript" })).await;
    if output.is_error {
        // No Node on this machine: the text must say so.
        for output in [output, module, typed] {
            assert!(output.content["error"].as_str().unwrap().contains("not installed"), "{}", output.content);
            assert_eq!(output.execution.unwrap().exit_code, None);
        }
        return;
    }
    assert_eq!(output.content["stdout"], "42 [ 'a' ]\n", "{}", output.content);
    assert_eq!(module.content["stdout"], "function\n", "{}", module.content);
    let told = typed.content["error"].as_str().is_some_and(|error| error.contains("TypeScript needs Node 22.6"));
    assert!(told || typed.content["stdout"] == "1\n", "{}", typed.content);
}

pub async fn run_command(thread: &Thread) {
    thread.own.create_directory("sub").await.unwrap();
    let mut content =
        thread.good("runCommand", json!({ "command": "pwd; echo $A", "workingDirectory": "sub", "envs": { "A": "b c" } })).await;
    assert!(content["executionTime"].take().is_u64());
    assert_eq!(
        content,
        json!({ "success": true, "exitCode": 0, "stdout": format!("{}\nb c\n", thread.path("sub")), "stderr": "", "command": "pwd; echo $A", "executionTime": null })
    );
    let failed = thread.run("runCommand", json!({ "command": "echo no >&2; exit 4" })).await;
    assert!(!failed.is_error);
    assert_eq!(
        (&failed.content["success"], &failed.content["exitCode"], &failed.content["stderr"]),
        (&json!(false), &json!(4), &json!("no\n"))
    );
    assert_eq!(failed.execution.unwrap().language, "sh");
    let quiet = thread.good("runCommand", json!({ "command": "echo loud", "captureOutput": false })).await;
    assert_eq!((&quiet["success"], &quiet["stdout"]), (&json!(true), &json!("")));
    let nowhere = thread.bad("runCommand", json!({ "command": "x", "workingDirectory": "nope" })).await;
    assert!(nowhere.contains("nope"), "{nowhere}");
}

pub async fn files_are_written_read_listed_and_deleted(thread: &Thread) {
    assert_eq!(
        thread.good("writeFile", json!({ "path": "a/b.txt", "content": "one\ntwo\nthree\n" })).await,
        json!({ "success": true, "path": thread.path("a/b.txt") })
    );
    let files = json!([{ "path": "c.txt", "data": "C" }, { "path": "/tmp/d.txt", "data": "D" }]);
    let written = thread.good("writeFiles", json!({ "files": files })).await;
    assert_eq!(written, json!({ "success": true, "filesWritten": [thread.path("c.txt"), "/tmp/d.txt"] }));
    assert_eq!(thread.good("runCommand", json!({ "command": "cat c.txt /tmp/d.txt" })).await["stdout"], "CD");

    assert_eq!(
        thread.good("readFile", json!({ "path": "./a/b.txt" })).await,
        json!({ "content": "one\ntwo\nthree\n", "path": thread.path("a/b.txt"), "size": 14 })
    );
    assert_eq!(
        thread.good("readFile", json!({ "path": "a/b.txt", "startLine": 2, "endLine": 2 })).await,
        json!({ "content": "two\n", "path": thread.path("a/b.txt"), "size": 14, "startLine": 2, "endLine": 2 })
    );
    assert!(thread.bad("readFile", json!({ "path": "a/b.txt", "startLine": 9 })).await.contains("has no line 9, it has 3 lines"));

    let expected = json!([
        { "name": "a", "path": thread.path("a"), "isDirectory": true },
        { "name": "c.txt", "path": thread.path("c.txt"), "isDirectory": false }
    ]);
    for arguments in
        [json!({}), json!({ "path": "/" }), json!({ "path": "." }), json!({ "path": thread.own.workspace().to_owned() + "/" })]
    {
        assert_eq!(thread.good("listFiles", arguments).await, json!({ "files": expected, "path": thread.own.workspace() }));
    }

    assert_eq!(
        thread.good("createDirectory", json!({ "path": "x/y" })).await,
        json!({ "success": true, "path": thread.path("x/y") })
    );
    assert_eq!(thread.good("deleteFile", json!({ "path": "a" })).await, json!({ "success": true, "path": thread.path("a") }));
    assert!(thread.bad("deleteFile", json!({ "path": "a" })).await.starts_with("a: no such file or directory"));
    assert!(thread.bad("readFile", json!({ "path": "a/b.txt" })).await.starts_with("a/b.txt: no such file or directory"));
    assert!(thread.bad("readFile", json!({ "path": "x" })).await.contains("is a directory"));
    assert!(thread.bad("writeFile", json!({ "path": "/etc/passwd", "content": "" })).await.contains("outside the workspace"));
    let partly =
        thread.run("writeFiles", json!({ "files": [{ "path": "1", "data": "" }, { "path": "../../2", "data": "" }] })).await;
    assert!(partly.is_error);
    assert_eq!((&partly.content["filesWritten"], &partly.content["failed"]), (&json!([thread.path("1")]), &json!("../../2")));
}

pub async fn long_and_binary_files_are_not_poured_out(thread: &Thread) {
    let text = "a line of text\n".repeat(20_000);
    thread.own.write("long.txt", text.as_bytes()).await.unwrap();
    thread.own.write("bin", b"\x7fELF\0\0\0").await.unwrap();
    let read = thread.good("readFile", json!({ "path": "long.txt" })).await;
    let shown = read["content"].as_str().unwrap().len() as u64;
    assert_eq!(shown + read["omittedBytes"].as_u64().unwrap(), text.len() as u64);
    assert!(shown <= ToolLimits::default().read_bytes as u64 && read["note"].as_str().unwrap().contains("startLine"));
    let part = thread.good("readFile", json!({ "path": "long.txt", "startLine": 19_999 })).await;
    assert_eq!((&part["content"], &part["endLine"]), (&json!("a line of text\na line of text\n"), &json!(20_000)));
    assert!(thread.bad("readFile", json!({ "path": "bin" })).await.contains("binary file of 7 B"));
}

pub async fn metadata(thread: &Thread) {
    thread.own.write("f.bin", &[0; 1536]).await.unwrap();
    let mut info = thread.good("getFileInfo", json!({ "path": "f.bin" })).await;
    for owner in ["owner", "group"] {
        assert!(info[owner].take().as_str().unwrap().parse::<u32>().is_ok());
    }
    assert!(info["modTime"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        info,
        json!({ "group": null, "isDir": false, "modTime": null, "mode": "-rw-r--r--", "name": "f.bin", "owner": null, "permissions": "0644", "size": 1536 })
    );
    assert_eq!(
        thread.good("checkFileExists", json!({ "path": "f.bin" })).await,
        json!({ "exists": true, "path": thread.path("f.bin"), "isDirectory": false })
    );
    assert_eq!(
        thread.good("checkFileExists", json!({ "path": "g" })).await,
        json!({ "exists": false, "path": thread.path("g") })
    );
    assert!(
        thread
            .bad("checkFileExists", json!({ "path": "g", "sandboxId": "someone-elses" }))
            .await
            .contains("sandbox someone-elses")
    );
    assert!(thread.bad("checkFileExists", json!({ "path": "/etc/passwd" })).await.contains("outside the workspace"));
    assert_eq!(
        thread.good("getFileSize", json!({ "path": "f.bin" })).await,
        json!({ "size": 1536, "path": thread.path("f.bin"), "isDirectory": false })
    );
    assert_eq!(
        thread.good("getFileSize", json!({ "path": "f.bin", "humanReadable": true })).await["humanReadableSize"],
        "1.5 KB"
    );
    assert!(thread.bad("getFileSize", json!({ "path": "g" })).await.contains("no such file"));
    assert!(thread.bad("getFileInfo", json!({ "path": "g" })).await.contains("no such file"));
}

pub async fn watch_directory(thread: &Thread) {
    thread.own.write("old.txt", b"1").await.unwrap();
    thread.own.write("gone.txt", b"1").await.unwrap();
    let script = "echo 2 >>old.txt; rm gone.txt; echo n >new.txt; mkdir -p sub; sleep 0.5; echo x >sub/deep.txt; echo done";
    let watched = thread
        .good("watchDirectory", json!({ "path": ".", "recursive": true, "watchDuration": 20_000, "command": script }))
        .await;
    assert_eq!(
        (&watched["watchStarted"], &watched["path"], &watched["command"]["stdout"]),
        (&json!(true), &json!(thread.own.workspace()), &json!("done\n"))
    );
    let events = watched["events"].as_array().unwrap();
    let mut seen: Vec<_> =
        events.iter().map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["name"].as_str().unwrap())).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(
        seen,
        ["created new.txt", "created sub", "created sub/deep.txt", "deleted gone.txt", "modified old.txt"],
        "{watched}"
    );
    assert!(events.iter().all(|event| event["timestamp"].as_str().unwrap().contains('T')));

    let quiet = thread.good("watchDirectory", json!({ "path": "/", "watchDuration": 50 })).await;
    assert_eq!(quiet["events"], json!([]));
    thread.cancel.cancel();
    let stopped = thread.good("watchDirectory", json!({ "path": "sub" })).await;
    assert_eq!(stopped["watchStarted"], true);
    assert!(thread.bad("watchDirectory", json!({ "path": "nope" })).await.contains("no such file"));
}

pub async fn edit_file(thread: &Thread) {
    thread.own.write("m.py", b"def f():\n    return 1\n\ndef g():\n    return 1\n").await.unwrap();
    let edited = thread
        .good("editFile", json!({ "path": "m.py", "oldText": "def f():\n    return 1", "newText": "def f():\n    return 2" }))
        .await;
    assert_eq!(edited, json!({ "success": true, "path": thread.path("m.py"), "replacements": 1, "line": 1 }));
    assert_eq!(thread.own.read("m.py", 0, 100).await.unwrap().0, "def f():\n    return 2\n\ndef g():\n    return 1\n");
    let many = thread.bad("editFile", json!({ "path": "m.py", "oldText": "return", "newText": "yield" })).await;
    assert!(many.contains("occurs 2 times, at lines 2, 5"), "{many}");
    let none = thread.bad("editFile", json!({ "path": "m.py", "oldText": "return 3", "newText": "" })).await;
    assert!(none.contains("The closest line is 2: `    return 2`"), "{none}");
    assert!(thread.bad("editFile", json!({ "path": "x.py", "oldText": "a", "newText": "b" })).await.contains("no such file"));
}

pub async fn search_files(thread: &Thread) {
    for (path, content) in [
        ("src/a.rs", "fn needle() {}\n// Needle\n"),
        ("src/b.ts", "needle()\n"),
        ("node_modules/x.js", "needle"),
        ("bin", "needle\0"),
    ] {
        thread.own.write(path, content.as_bytes()).await.unwrap();
    }
    let found = thread.good("searchFiles", json!({ "query": "needle()" })).await;
    assert_eq!(
        found,
        json!({
            "matches": [{ "path": "src/a.rs", "line": 1, "text": "fn needle() {}" }, { "path": "src/b.ts", "line": 1, "text": "needle()" }],
            "filesSearched": 2, "filesSkipped": 1
        })
    );
    let found = thread
        .good("searchFiles", json!({ "query": "^// n.*e$", "regex": true, "ignoreCase": true, "glob": "*.rs", "path": "src" }))
        .await;
    assert_eq!(found["matches"], json!([{ "path": "src/a.rs", "line": 2, "text": "// Needle" }]));
    assert!(thread.bad("searchFiles", json!({ "query": "(", "regex": true })).await.contains("not a regular expression"));
    assert!(thread.bad("searchFiles", json!({ "query": "x", "path": "nope" })).await.contains("no such file"));
}

pub async fn diff_shows_what_changed_since_the_beginning(thread: &Thread) {
    assert!(thread.bad("diff", json!({})).await.contains("nothing to compare with"));
    thread.own.write("kept.txt", b"1\n2\n").await.unwrap();
    let beginning = WorkspaceSnapshot::take(&*thread.own, None, SystemClock.now()).await.unwrap();
    *thread.beginning.lock().unwrap() = Some(Arc::new(beginning));
    assert_eq!(thread.good("diff", json!({})).await, json!({ "changed": false, "diff": "" }));
    thread.good("runCommand", json!({ "command": "echo 3 >>kept.txt; echo n >new.txt" })).await;
    let expected =
        "--- a/kept.txt\n+++ b/kept.txt\n@@ -1,2 +1,3 @@\n 1\n 2\n+3\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+n\n";
    assert_eq!(thread.good("diff", json!({})).await, json!({ "changed": true, "diff": expected }));
}

pub async fn create_sandbox(thread: &Thread) {
    let arguments =
        json!({ "name": "second", "labels": { "a": "b" }, "language": "javascript", "envVars": { "FROM_SPEC": "yes" } });
    let created = thread.good("createSandbox", arguments).await;
    let second = created["sandboxId"].clone();
    assert_eq!(created["workspace"], thread.own.workspace());
    assert!(second.as_str().is_some_and(|id| !id.is_empty() && id != thread.own.id().0), "{created}");
    let told = thread.good("runCommand", json!({ "sandboxId": second, "command": "echo $FROM_SPEC; touch mine" })).await;
    assert_eq!(told["stdout"], "yes\n");
    let listed = thread.good("listFiles", json!({})).await;
    assert_eq!(listed["files"], json!([]));
    assert!(thread.bad("runCommand", json!({ "sandboxId": "third", "command": "true" })).await.contains("sandbox third"));
    let output = thread.run("runCode", json!({ "sandboxId": second, "code": "1" })).await;
    assert_eq!(output.execution.unwrap().language, "javascript");
}

pub async fn find_files(thread: &Thread) {
    for path in ["a.rs", "src/b.rs", "src/deep/c.ts", "src/deep/d.tsx", "node_modules/x/e.rs", ".git/f.rs", "src/ä.rs"] {
        thread.own.write(path, b"").await.unwrap();
    }
    let found = thread.good("findFiles", json!({ "pattern": "*.rs" })).await;
    assert_eq!(found, json!({ "files": ["a.rs", "src/b.rs", "src/ä.rs"], "count": 3, "path": thread.own.workspace() }));
    let found = thread.good("findFiles", json!({ "pattern": "**/*.{ts,tsx}", "path": "src" })).await;
    assert_eq!(found, json!({ "files": ["deep/c.ts", "deep/d.tsx"], "count": 2, "path": thread.path("src") }));
    let found = thread.good("findFiles", json!({ "pattern": "**/x/*.rs", "includeIgnored": true })).await;
    assert_eq!(found["files"], json!(["node_modules/x/e.rs"]));
    assert_eq!(thread.good("findFiles", json!({ "pattern": "deep" })).await["count"], 0);
    assert!(thread.bad("findFiles", json!({ "pattern": "{a" })).await.contains("glob `{a` is not valid"));
    assert!(thread.bad("findFiles", json!({ "pattern": "*", "path": "a.rs" })).await.contains("is a file"));
    assert!(thread.bad("findFiles", json!({ "pattern": "*", "path": "nope" })).await.contains("no such file"));
    thread.limits.lock().unwrap().entries = 2;
    let found = thread.good("findFiles", json!({ "pattern": "*.rs" })).await;
    assert_eq!((&found["files"], &found["count"], &found["omitted"]), (&json!(["a.rs", "src/b.rs"]), &json!(3), &json!(1)));
}

pub async fn files_are_read_by_lines(thread: &Thread) {
    thread.own.write("lines.txt", "one\ntwo\r\ndrei ä\nlast".as_bytes()).await.unwrap();
    for (start, end, expected, last) in [(1, 1, "one\n", 1), (2, 3, "two\r\ndrei ä\n", 3), (4, 99, "last", 4)] {
        let read = thread.good("readFile", json!({ "path": "lines.txt", "startLine": start, "endLine": end })).await;
        assert_eq!((&read["content"], &read["startLine"], &read["endLine"]), (&json!(expected), &json!(start), &json!(last)));
    }
    assert!(thread.bad("readFile", json!({ "path": "lines.txt", "startLine": 5 })).await.contains("it has 4 lines"));
    assert!(
        thread.bad("readFile", json!({ "path": "lines.txt", "startLine": 3, "endLine": 2 })).await.contains("before startLine")
    );
    // Of a file that is too long for that, what can be read by lines is, and the rest is said to be missing.
    thread.prints("yes 'a line of sixteen' | head -c 9000000 >long.txt").await;
    let read = thread.good("readFile", json!({ "path": "long.txt", "startLine": 466000 })).await;
    assert!(read["note"].as_str().unwrap().contains("first 8 MB"), "{}", read["note"]);
}

pub async fn attach_file(thread: &Thread) {
    thread.own.write("out/a b.csv", b"a,b\n").await.unwrap();
    let output = thread.run("attachFile", json!({ "path": "out/a b.csv" })).await;
    assert_eq!(output.content, json!({ "success": true, "name": "a-b.csv", "size": 4, "mediaType": "text/csv" }));
    let [attached] = &output.attachments[..] else { panic!("{:?}", output.attachments) };
    assert_eq!(
        (attached.name.as_str(), attached.media_type.as_str(), &attached.content[..]),
        ("a-b.csv", "text/csv", &b"a,b\n"[..])
    );
    let output = thread.run("attachFile", json!({ "path": "out/a b.csv", "name": "../<b>report.txt" })).await;
    assert_eq!(output.attachments[0].name, "b-report.txt");
    assert!(thread.bad("attachFile", json!({ "path": "out" })).await.contains("is a directory"));
    thread.prints("head -c 9000000 /dev/zero >big").await;
    assert!(thread.bad("attachFile", json!({ "path": "big" })).await.contains("8.6 MB are more than the 8.0 MB"));
}

pub async fn preview_url(thread: &Thread) {
    for port in [0, 65_536] {
        assert!(thread.bad("previewUrl", json!({ "port": port })).await.contains("is not a port"));
    }
    let output = thread.run("previewUrl", json!({ "port": 8080 })).await;
    if output.is_error {
        // Not every provider has such addresses; then it says what to do instead.
        let why = output.content["error"].as_str().unwrap();
        assert!(why.contains("cannot be reached from outside"), "{why}");
    } else {
        assert!(
            output.content["url"].as_str().unwrap().starts_with("http") && output.content["port"] == 8080,
            "{}",
            output.content
        );
    }
}

pub async fn a_missing_path_is_answered_with_what_is_near(thread: &Thread) {
    thread.own.write("src/main.rs", b"x").await.unwrap();
    for tool in ["readFile", "getFileInfo", "getFileSize", "deleteFile", "attachFile"] {
        let missing = thread.bad(tool, json!({ "path": "src/mian.rs" })).await;
        assert_eq!(missing, "src/mian.rs: no such file or directory; did you mean `src/main.rs`?", "{tool}");
    }
    assert_eq!(
        thread.bad("readFile", json!({ "path": "lib/main.rs" })).await,
        "lib/main.rs: no such file or directory; there is `src/main.rs`"
    );
    assert_eq!(
        thread.bad("listFiles", json!({ "path": "sources" })).await,
        "sources: no such file or directory; the workspace has src"
    );
}
