//! What tools say when their sandbox was removed behind their back.

use serde_json::{Value, json};
use threadbox::agent::Powers;
use threadbox::agent::tools::Hands;
use threadbox::model::ToolSpec;

use super::place::Thread;

/// Good arguments of a tool.
pub fn arguments(tool: &str) -> Value {
    match tool {
        "createSandbox" | "diff" | "listFiles" => json!({}),
        "runCode" => json!({ "code": "print(1)" }),
        "runCommand" => json!({ "command": "true" }),
        "readFile" | "deleteFile" | "createDirectory" | "getFileInfo" | "checkFileExists" | "getFileSize" | "attachFile" => {
            json!({ "path": "a.txt" })
        }
        "writeFile" => json!({ "path": "a.txt", "content": "x" }),
        "writeFiles" => json!({ "files": [{ "path": "a.txt", "data": "x" }, { "path": "b.txt", "data": "y" }] }),
        "watchDirectory" => json!({ "path": "/", "watchDuration": 50 }),
        "editFile" => json!({ "path": "a.txt", "oldText": "x", "newText": "y" }),
        "applyPatch" => json!({ "patch": "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-x\n+y\n" }),
        "searchFiles" => json!({ "query": "x" }),
        "findFiles" => json!({ "pattern": "*" }),
        "startProcess" => json!({ "command": "sleep 600" }),
        "readProcess" | "stopProcess" => json!({ "name": "sleep" }),
        "previewUrl" => json!({ "port": 8080 }),
        other => panic!("the contract does not know {other}"),
    }
}

/// Others say something or ask somebody.
pub fn acts_in_a_sandbox(spec: &ToolSpec) -> bool {
    spec.schema["properties"].get("sandboxId").is_some()
}

pub async fn every_tool_says_that_the_sandbox_is_gone(thread: &Thread) {
    thread.own.write("a.txt", b"x\n").await.unwrap();
    thread.place.provider.remove(thread.own.id()).await.unwrap();
    for spec in thread.tools.specs(Powers::Everything, &Hands::default()) {
        if spec.name == "createSandbox" || !acts_in_a_sandbox(&spec) {
            continue;
        }
        let output = thread.run(&spec.name, arguments(&spec.name)).await;
        let error = output.content["error"].as_str().unwrap_or_default();
        assert!(output.is_error, "{}: {}", spec.name, output.content);
        assert!(error.len() > 20 && !error.contains("a.txt: no such file"), "{} blames the file: {error}", spec.name);
    }
}
