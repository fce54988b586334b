//! Pictures that programs write.

use serde_json::json;
use threadbox::attachment::Allowance;

use super::place::Thread;

/// A picture of one pixel, as a program would write it.
const WRITE: &str = "import base64, sys\ndot = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')\n";

pub async fn pictures_of_a_program_are_attached(thread: &Thread) {
    thread.own.write("old.png", b"\x89PNG\r\n\x1a\nold").await.unwrap();
    let code = format!(
        "{WRITE}import os\nos.makedirs('out')\nopen('out/plot.png', 'wb').write(dot)\nopen('plot.png', 'wb').write(dot + b'x')\n\
         open('not.png', 'w').write('text')\nopen('data.csv', 'w').write('a,b')\nopen('d.svg', 'w').write('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')"
    );
    let output = thread.run("runCode", json!({ "code": code })).await;
    assert!(!output.is_error, "{}", output.content);
    let told: Vec<_> =
        output.attachments.iter().map(|file| (file.name.as_str(), file.media_type.as_str(), file.content.len())).collect();
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>".len();
    assert_eq!(told, [("d.svg", "image/svg+xml", svg), ("plot.png", "image/png", 70), ("plot-2.png", "image/png", 71)]);
    assert_eq!(output.content["attachments"], json!(["d.svg", "plot.png", "plot-2.png"]));
    assert_eq!(output.content["newFiles"], json!(["d.svg", "data.csv", "not.png", "out/plot.png", "plot.png"]));
    // One that was made anew counts, one that stayed does not.
    let again = thread.run("runCommand", json!({ "command": "printf y >>plot.png; cat out/plot.png >/dev/null" })).await;
    assert_eq!(
        again.attachments.iter().map(|file| (file.name.as_str(), file.content.len())).collect::<Vec<_>>(),
        [("plot.png", 72)]
    );
    let none = thread.run("runCommand", json!({ "command": "true" })).await;
    assert!(none.attachments.is_empty() && none.content.get("attachments").is_none());
}

pub async fn what_is_too_much_is_left_out_and_said(thread: &Thread) {
    let code = format!(
        "{WRITE}open('big.png', 'wb').write(dot + bytes(5 << 20))\nfor n in range(12): open(f'p{{n:02}}.png', 'wb').write(dot)"
    );
    let output = thread.run("runCode", json!({ "code": code })).await;
    let names: Vec<_> = output.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!((names.len(), names[0]), (10, "p00.png"));
    let told = output.content["attachmentsLeftOut"].to_string();
    assert!(told.contains("big.png: 5.0 MB are more than 4.0 MB") && told.contains("p11.png"), "{told}");
    assert!(output.execution.unwrap().output.contains("3 pictures are not shown: big.png"));

    thread.limits.lock().unwrap().attachments = Allowance { files: 1, bytes: 100 };
    let code = format!("{WRITE}open('x.png', 'wb').write(dot)\nopen('y.png', 'wb').write(dot)");
    let output = thread.run("runCode", json!({ "code": code })).await;
    assert_eq!(output.attachments.len(), 1);
    assert!(output.content["attachmentsLeftOut"].to_string().contains("y.png"), "{}", output.content);
    thread.limits.lock().unwrap().attachments = Allowance { files: 9, bytes: 10 };
    thread.own.write("note.txt", b"longer than that").await.unwrap();
    assert!(thread.bad("attachFile", json!({ "path": "note.txt" })).await.contains("10 bytes are left"));
}
