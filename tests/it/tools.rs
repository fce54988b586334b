//! The contract of each tool: its fields, its results, and what it says when it cannot.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use threadbox::agent::tools::{Access, Sandboxes, ToolContext, ToolLimits, ToolOutput, Toolbox};
use threadbox::clock::{Clock, SystemClock};
use threadbox::model::{Arguments, ToolCall};
use threadbox::sandbox::workspace::WorkspaceSnapshot;
use threadbox::sandbox::{Provider, Sandbox, SandboxError, SandboxId, SandboxSpec};
use tokio_util::sync::CancellationToken;

use super::sandbox::{Machine, machine};

/// A thread with sandboxes of its own.
struct Thread {
    machine: Machine,
    own: Arc<dyn Sandbox>,
    others: Mutex<Vec<Arc<dyn Sandbox>>>,
    beginning: Mutex<Option<Arc<WorkspaceSnapshot>>>,
    tools: Toolbox,
    cancel: CancellationToken,
    limits: ToolLimits,
}

#[async_trait]
impl Sandboxes for Thread {
    async fn own(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Ok(Arc::clone(&self.own))
    }

    async fn named(&self, id: &SandboxId) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let others = self.others.lock().unwrap();
        let known = others.iter().chain([&self.own]).find(|sandbox| sandbox.id() == id);
        known.cloned().ok_or_else(|| SandboxError::NotFound(format!("sandbox {id}")))
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let sandbox = self.machine.provider.create(spec).await?;
        self.others.lock().unwrap().push(Arc::clone(&sandbox));
        Ok(sandbox)
    }

    async fn beginning(&self, _: &SandboxId) -> Result<Option<Arc<WorkspaceSnapshot>>, SandboxError> {
        Ok(self.beginning.lock().unwrap().clone())
    }
}

impl Thread {
    async fn start() -> Self {
        let machine = machine();
        let own = machine.sandbox("own").await;
        let limits = ToolLimits { default_timeout: Duration::from_secs(30), ..ToolLimits::default() };
        let (others, beginning) = (Mutex::default(), Mutex::default());
        Self { machine, own, others, beginning, tools: Toolbox::standard(), cancel: CancellationToken::new(), limits }
    }

    fn context(&self) -> ToolContext<'_> {
        ToolContext {
            sandboxes: self,
            cancel: &self.cancel,
            clock: &SystemClock,
            limits: self.limits,
            key: "call-1",
            listener: None,
        }
    }

    async fn run(&self, name: &str, arguments: Value) -> ToolOutput {
        self.tools.call(&self.context(), &call(name, arguments)).await
    }

    async fn good(&self, name: &str, arguments: Value) -> Value {
        let output = self.run(name, arguments).await;
        assert!(!output.is_error, "{name}: {}", output.content);
        assert!(!output.summary.is_empty() && !output.summary.contains('\n'));
        output.content
    }

    async fn bad(&self, name: &str, arguments: Value) -> String {
        let output = self.run(name, arguments).await;
        assert!(output.is_error, "{name}: {}", output.content);
        output.content["error"].as_str().unwrap().to_owned()
    }
}

fn call(name: &str, arguments: Value) -> ToolCall {
    let Value::Object(arguments) = arguments else { panic!("an object") };
    ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments: Arguments::Object(arguments), signature: None }
}

#[test]
fn the_toolbox_has_every_tool_with_a_plain_schema() {
    let specs = Toolbox::standard().specs();
    let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "createSandbox",
            "runCode",
            "runCommand",
            "readFile",
            "writeFile",
            "writeFiles",
            "listFiles",
            "deleteFile",
            "createDirectory",
            "getFileInfo",
            "checkFileExists",
            "getFileSize",
            "watchDirectory",
            "editFile",
            "searchFiles",
            "diff"
        ]
    );
    for spec in &specs {
        assert!(spec.description.len() > 40, "{}", spec.name);
        assert_eq!(spec.schema["type"], "object");
        let text = spec.schema.to_string();
        for unwanted in ["$ref", "$schema", "\"title\"", "\"format\"", "null", "anyOf", "oneOf", "\"const\""] {
            assert!(!text.contains(unwanted), "{}: {text}", spec.name);
        }
        let fields = spec.schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field["description"].is_string()), "{}: {text}", spec.name);
        let required = spec.schema["required"].as_array().cloned().unwrap_or_default();
        assert!(!required.contains(&json!("sandboxId")));
        assert_eq!(fields.contains_key("sandboxId"), spec.name != "createSandbox");
    }
    let defaults = |name: &str, field: &str| {
        specs.iter().find(|spec| spec.name == name).unwrap().schema["properties"][field]["default"].clone()
    };
    assert_eq!(defaults("createSandbox", "language"), "python");
    assert_eq!(defaults("listFiles", "path"), "/");
    assert_eq!(defaults("getFileSize", "humanReadable"), false);
    assert_eq!(defaults("watchDirectory", "recursive"), false);
    assert_eq!(defaults("watchDirectory", "watchDuration"), 30_000);
    assert_eq!(defaults("runCommand", "captureOutput"), true);
}

#[test]
fn reads_run_together_and_writes_alone() {
    let tools = Toolbox::standard();
    let access = |name: &str, arguments: Value| tools.access(&call(name, arguments));
    assert_eq!(access("readFile", json!({ "path": "a" })), Access::Reads);
    assert_eq!(access("diff", json!({})), Access::Reads);
    assert_eq!(access("runCode", json!({ "code": "" })), Access::Writes);
    assert_eq!(access("deleteFile", json!({ "path": "a" })), Access::Writes);
    assert_eq!(access("watchDirectory", json!({ "path": "a" })), Access::Reads);
    assert_eq!(access("watchDirectory", json!({ "path": "a", "command": "make" })), Access::Writes);
    assert_eq!(tools.label(&call("runCode", json!({ "code": "", "language": "python" }))), "Running Python");
    assert_eq!(tools.label(&call("runCommand", json!({ "command": "cargo test" }))), "Running cargo test");
}

#[tokio::test]
async fn run_code() {
    let thread = Thread::start().await;
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
    assert!(shell["stdout"].as_str().unwrap().ends_with(" x\n/workspace\n"), "{shell}");

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

#[tokio::test]
async fn run_javascript_where_there_is_node() {
    let thread = Thread::start().await;
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

#[tokio::test]
async fn run_command() {
    let thread = Thread::start().await;
    thread.own.create_directory("sub").await.unwrap();
    let mut content =
        thread.good("runCommand", json!({ "command": "pwd; echo $A", "workingDirectory": "sub", "envs": { "A": "b c" } })).await;
    assert!(content["executionTime"].take().is_u64());
    assert_eq!(
        content,
        json!({ "success": true, "exitCode": 0, "stdout": "/workspace/sub\nb c\n", "stderr": "", "command": "pwd; echo $A", "executionTime": null })
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
    assert!(
        thread
            .bad("runCommand", json!({ "command": "x", "workingDirectory": "nope" }))
            .await
            .contains("cannot work in /workspace/nope")
    );
}

#[tokio::test]
async fn files_are_written_read_listed_and_deleted() {
    let thread = Thread::start().await;
    assert_eq!(
        thread.good("writeFile", json!({ "path": "a/b.txt", "content": "one\ntwo\nthree\n" })).await,
        json!({ "success": true, "path": "/workspace/a/b.txt" })
    );
    let files = json!([{ "path": "c.txt", "data": "C" }, { "path": "/tmp/d.txt", "data": "D" }]);
    let written = thread.good("writeFiles", json!({ "files": files })).await;
    assert_eq!(written, json!({ "success": true, "filesWritten": ["/workspace/c.txt", "/tmp/d.txt"] }));
    assert_eq!(thread.good("runCommand", json!({ "command": "cat c.txt /tmp/d.txt" })).await["stdout"], "CD");

    assert_eq!(
        thread.good("readFile", json!({ "path": "./a/b.txt" })).await,
        json!({ "content": "one\ntwo\nthree\n", "path": "/workspace/a/b.txt", "size": 14 })
    );
    assert_eq!(
        thread.good("readFile", json!({ "path": "a/b.txt", "startLine": 2, "endLine": 2 })).await,
        json!({ "content": "two\n", "path": "/workspace/a/b.txt", "size": 14, "startLine": 2, "endLine": 2 })
    );
    assert!(thread.bad("readFile", json!({ "path": "a/b.txt", "startLine": 9 })).await.contains("has no line 9, it has 3 lines"));

    let expected = json!([
        { "name": "a", "path": "/workspace/a", "isDirectory": true },
        { "name": "c.txt", "path": "/workspace/c.txt", "isDirectory": false }
    ]);
    for arguments in [json!({}), json!({ "path": "/" }), json!({ "path": "." }), json!({ "path": "/workspace/" })] {
        assert_eq!(thread.good("listFiles", arguments).await, json!({ "files": expected, "path": "/workspace" }));
    }

    assert_eq!(
        thread.good("createDirectory", json!({ "path": "x/y" })).await,
        json!({ "success": true, "path": "/workspace/x/y" })
    );
    assert_eq!(thread.good("deleteFile", json!({ "path": "a" })).await, json!({ "success": true, "path": "/workspace/a" }));
    assert_eq!(thread.bad("deleteFile", json!({ "path": "a" })).await, "a: no such file or directory");
    assert_eq!(thread.bad("readFile", json!({ "path": "a/b.txt" })).await, "a/b.txt: no such file or directory");
    assert!(thread.bad("readFile", json!({ "path": "x" })).await.contains("is a directory"));
    assert!(thread.bad("writeFile", json!({ "path": "/etc/passwd", "content": "" })).await.contains("outside the workspace"));
    let partly =
        thread.run("writeFiles", json!({ "files": [{ "path": "1", "data": "" }, { "path": "../../2", "data": "" }] })).await;
    assert!(partly.is_error);
    assert_eq!((&partly.content["filesWritten"], &partly.content["failed"]), (&json!(["/workspace/1"]), &json!("../../2")));
}

#[tokio::test]
async fn long_and_binary_files_are_not_poured_out() {
    let thread = Thread::start().await;
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

#[tokio::test]
async fn metadata() {
    let thread = Thread::start().await;
    thread.own.write("f.bin", &[0; 1536]).await.unwrap();
    let mut info = thread.good("getFileInfo", json!({ "path": "f.bin" })).await;
    assert!(info["modTime"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        info,
        json!({ "group": "1000", "isDir": false, "modTime": null, "mode": "-rw-r--r--", "name": "f.bin", "owner": "1000", "permissions": "0644", "size": 1536 })
    );
    assert_eq!(
        thread.good("checkFileExists", json!({ "path": "f.bin" })).await,
        json!({ "exists": true, "path": "/workspace/f.bin", "isDirectory": false })
    );
    assert_eq!(thread.good("checkFileExists", json!({ "path": "g" })).await, json!({ "exists": false, "path": "/workspace/g" }));
    assert!(
        thread
            .bad("checkFileExists", json!({ "path": "g", "sandboxId": "someone-elses" }))
            .await
            .contains("sandbox someone-elses")
    );
    assert!(thread.bad("checkFileExists", json!({ "path": "/etc/passwd" })).await.contains("outside the workspace"));
    assert_eq!(
        thread.good("getFileSize", json!({ "path": "f.bin" })).await,
        json!({ "size": 1536, "path": "/workspace/f.bin", "isDirectory": false })
    );
    assert_eq!(
        thread.good("getFileSize", json!({ "path": "f.bin", "humanReadable": true })).await["humanReadableSize"],
        "1.5 KB"
    );
    assert!(thread.bad("getFileSize", json!({ "path": "g" })).await.contains("no such file"));
    assert!(thread.bad("getFileInfo", json!({ "path": "g" })).await.contains("no such file"));
}

#[tokio::test]
async fn watch_directory() {
    let thread = Thread::start().await;
    thread.own.write("old.txt", b"1").await.unwrap();
    thread.own.write("gone.txt", b"1").await.unwrap();
    let script = "echo 2 >>old.txt; rm gone.txt; echo n >new.txt; mkdir -p sub; sleep 0.5; echo x >sub/deep.txt; echo done";
    let watched = thread
        .good("watchDirectory", json!({ "path": ".", "recursive": true, "watchDuration": 20_000, "command": script }))
        .await;
    assert_eq!(
        (&watched["watchStarted"], &watched["path"], &watched["command"]["stdout"]),
        (&json!(true), &json!("/workspace"), &json!("done\n"))
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

#[tokio::test]
async fn edit_file() {
    let thread = Thread::start().await;
    thread.own.write("m.py", b"def f():\n    return 1\n\ndef g():\n    return 1\n").await.unwrap();
    let edited = thread
        .good("editFile", json!({ "path": "m.py", "oldText": "def f():\n    return 1", "newText": "def f():\n    return 2" }))
        .await;
    assert_eq!(edited, json!({ "success": true, "path": "/workspace/m.py", "replacements": 1, "line": 1 }));
    assert_eq!(thread.own.read("m.py", 0, 100).await.unwrap().0, "def f():\n    return 2\n\ndef g():\n    return 1\n");
    let many = thread.bad("editFile", json!({ "path": "m.py", "oldText": "return", "newText": "yield" })).await;
    assert!(many.contains("occurs 2 times, at lines 2, 5"), "{many}");
    let none = thread.bad("editFile", json!({ "path": "m.py", "oldText": "return 3", "newText": "" })).await;
    assert!(none.contains("The closest line is 2: `    return 2`"), "{none}");
    assert!(thread.bad("editFile", json!({ "path": "x.py", "oldText": "a", "newText": "b" })).await.contains("no such file"));
}

#[tokio::test]
async fn search_files() {
    let thread = Thread::start().await;
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

#[tokio::test]
async fn diff_shows_what_changed_since_the_beginning() {
    let thread = Thread::start().await;
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

#[tokio::test]
async fn create_sandbox() {
    let thread = Thread::start().await;
    let arguments =
        json!({ "name": "second", "labels": { "a": "b" }, "language": "javascript", "envVars": { "FROM_SPEC": "yes" } });
    let created = thread.good("createSandbox", arguments).await;
    assert_eq!(created, json!({ "sandboxId": "second", "workspace": "/workspace" }));
    let told = thread.good("runCommand", json!({ "sandboxId": "second", "command": "echo $FROM_SPEC; touch mine" })).await;
    assert_eq!(told["stdout"], "yes\n");
    let listed = thread.good("listFiles", json!({})).await;
    assert_eq!(listed["files"], json!([]));
    assert!(thread.bad("runCommand", json!({ "sandboxId": "third", "command": "true" })).await.contains("sandbox third"));
    let output = thread.run("runCode", json!({ "sandboxId": "second", "code": "1" })).await;
    assert_eq!(output.execution.unwrap().language, "javascript");
}

#[tokio::test]
async fn wrong_calls_are_answered_usefully() {
    let thread = Thread::start().await;
    let output = thread.run("writeFiles", json!({ "files": [{ "path": 1, "content": "x" }], "sandboxid": "x" })).await;
    assert!(output.is_error);
    assert_eq!(
        output.content["error"],
        "Wrong arguments for writeFiles: `files[0].data` is missing (string); `files[0].path` must be a string, not 1; `sandboxid` is unknown, did you mean `sandboxId`?."
    );
    assert_eq!(output.content["schema"]["required"], json!(["files"]));

    let mut broken = call("readFile", json!({}));
    broken.arguments = Arguments::Broken("{\"path\": \"a".to_owned());
    let output = thread.tools.call(&thread.context(), &broken).await;
    let error = output.content["error"].as_str().unwrap();
    assert!(output.is_error && error.contains("not a JSON object") && error.ends_with("{\"path\": \"a"), "{error}");
    assert!(output.content["schema"].is_object());

    let output = thread.run("read_file", json!({})).await;
    assert_eq!(output.content["error"], "There is no tool `read_file`. Did you mean `readFile`?");
    assert_eq!(output.content["tools"].as_array().unwrap().len(), 16);
}
