//! Code tasks: fenced blocks that are run as they are, through the same tools the model has.

use serde_json::{Map, Value, json};

use super::CodeBlock;
use super::event::RunEvent;
use super::tools::ToolOutput;
use crate::model::{Arguments, ToolCall};
use crate::reply::Execution;

/// The call that runs a block: the language is that of the fence.
pub(super) fn call(block: &CodeBlock, index: usize) -> ToolCall {
    let mut arguments = Map::new();
    arguments.insert("fence".into(), json!(block.language));
    arguments.insert("code".into(), json!(block.code));
    ToolCall {
        id: format!("block-{}", index + 1),
        name: "runCode".into(),
        arguments: Arguments::Object(arguments),
        signature: None,
    }
}

/// What came of a block.
pub(super) fn ran(block: &CodeBlock, output: ToolOutput) -> RunEvent {
    let execution = output.execution.unwrap_or_else(|| not_run(block, error_text(&output.content)));
    RunEvent::Acted { tool: "runCode".into(), summary: output.summary, ok: !output.is_error, execution: Some(execution) }
}

/// A block that was running when the service was restarted.
pub(super) fn interrupted(block: &CodeBlock) -> RunEvent {
    let why = "Interrupted by a restart of the service; it was not run again, because it may have done part of its work.";
    RunEvent::Acted {
        tool: "runCode".into(),
        summary: "Interrupted by a restart".into(),
        ok: false,
        execution: Some(not_run(block, why.into())),
    }
}

fn not_run(block: &CodeBlock, output: String) -> Execution {
    Execution {
        language: block.language.clone(),
        code: block.code.clone(),
        output,
        exit_code: None,
        duration_ms: 0,
        omitted: 0,
        new_files: Vec::new(),
    }
}

fn error_text(content: &Value) -> String {
    content.get("error").and_then(Value::as_str).unwrap_or("It was not run.").to_owned()
}
