//! TypeScript becomes JavaScript: types are taken out before Node sees the program, so that every version of Node runs it.
//!
//! Types are replaced by spaces, lines and columns stay. Only what is more than a type (`enum`, `namespace`, parameter
//! properties, `import x = require()`) is rewritten, and lines may move. [`strip`] is the pure function; since a text of a
//! stranger can bring any parser to the end of its stack, the service uses [`strip_apart`], which does it in a process of its own.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use swc_common::errors::{DiagnosticBuilder, Emitter, HANDLER, Handler};
use swc_common::sync::Lrc;
use swc_common::{GLOBALS, Globals, SourceMap};
use swc_ts_fast_strip::{ErrorCode, Mode, Options, TsError, operate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::SandboxError;

/// First argument of the helper that strips.
pub const HELPER_ARGUMENT: &str = "strip-types";

/// Larger programs are data.
const LARGEST: usize = 4 << 20;
/// Stripping takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Address space of the helper, of which a part is its stack.
const MEMORY: u64 = 4 << 30;
const STACK: usize = 1 << 30;
/// Mistakes that are told.
const MOST_MISTAKES: usize = 5;

/// Takes the types out of a program. The error names each mistake with its line.
pub fn strip(code: &str) -> Result<String, String> {
    match attempt(code, Mode::StripOnly) {
        Err((ErrorCode::UnsupportedSyntax, _)) => attempt(code, Mode::Transform).map_err(|(_, mistakes)| mistakes),
        Err((_, mistakes)) => Err(mistakes),
        Ok(stripped) => Ok(stripped),
    }
}

fn attempt(code: &str, mode: Mode) -> Result<String, (ErrorCode, String)> {
    let source = Lrc::new(SourceMap::default());
    let mistakes = Mistakes { source: Lrc::clone(&source), found: Arc::default() };
    let found = Arc::clone(&mistakes.found);
    let handler = Handler::with_emitter(true, false, Box::new(mistakes));
    let options = Options { mode, ..serde_json::from_str("{}").expect("every option has a default") };
    let done = GLOBALS.set(&Globals::new(), || HANDLER.set(&handler, || operate(&source, &handler, code.to_owned(), options)));
    done.map(|output| output.code).map_err(|TsError { message, code, .. }| {
        let found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let all = if found.is_empty() { message } else { found.join("; ") };
        (code, all)
    })
}

/// Collects what is wrong, in words.
struct Mistakes {
    source: Lrc<SourceMap>,
    found: Arc<Mutex<Vec<String>>>,
}

impl Emitter for Mistakes {
    fn emit(&mut self, diagnostic: &mut DiagnosticBuilder<'_>) {
        let line = diagnostic.span.primary_span().map(|span| self.source.lookup_char_pos(span.lo()).line);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < MOST_MISTAKES {
            let text = diagnostic.message();
            found.push(line.map_or_else(|| text.clone(), |line| format!("line {line}: {text}")));
        }
    }
}

/// The same in a process of its own, which `helper`, the threadbox binary, becomes. A mistake in the program is
/// [`SandboxError::Invalid`].
pub async fn strip_apart(helper: &Path, code: &str) -> Result<String, SandboxError> {
    if code.len() > LARGEST {
        return Err(SandboxError::Invalid(format!(
            "a TypeScript program of {} bytes is too large; {LARGEST} is the most",
            code.len()
        )));
    }
    match tokio::time::timeout(PATIENCE, ask(helper, code)).await {
        Ok(Ok(Some(answer))) => answer.map_err(|mistakes| SandboxError::Invalid(format!("TypeScript: {mistakes}"))),
        Ok(Ok(None)) => Err(SandboxError::Invalid("TypeScript: this program is nested too deeply to be read".to_owned())),
        Ok(Err(error)) => Err(SandboxError::Unavailable(format!("{}: {error}", helper.display()))),
        Err(_) => Err(SandboxError::Invalid("TypeScript: this program takes too long to be read".to_owned())),
    }
}

/// None when the helper died of the program.
async fn ask(helper: &Path, code: &str) -> std::io::Result<Option<Result<String, String>>> {
    let mut child = tokio::process::Command::new(helper)
        .arg(HELPER_ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async move {
        if let Some(mut stdin) = stdin {
            // A helper that stopped reading says why in its answer, or is dead.
            let _ = stdin.write_all(code.as_bytes()).await;
        }
    };
    let read = async move {
        let mut answer = Vec::new();
        match stdout {
            // A result is about as long as the program; JSON can make six bytes of one.
            Some(stdout) => stdout.take(16 * LARGEST as u64).read_to_end(&mut answer).await.map(|_| answer),
            None => Ok(answer),
        }
    };
    let ((), answer) = tokio::join!(write, read);
    let answer = answer?;
    let status = child.wait().await?;
    Ok(status.success().then(|| serde_json::from_slice(&answer).ok()).flatten())
}

/// What the helper does: reads a program, writes what [`strip`] makes of it as JSON. Never returns.
#[expect(clippy::disallowed_methods, reason = "this is a process of its own; nothing in it is left to be dropped")]
pub fn main() -> ! {
    std::process::exit(if answer().is_ok() { 0 } else { 1 })
}

fn answer() -> std::io::Result<()> {
    let memory = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    setrlimit(Resource::As, memory)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let mut code = String::new();
    std::io::stdin().take(LARGEST as u64 + 1).read_to_string(&mut code)?;
    let strip = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let answer = serde_json::to_vec(&strip(&code)).map_err(std::io::Error::other)?;
        std::io::stdout().write_all(&answer)
    })?;
    strip.join().map_err(|_| std::io::Error::other("the program could not be read"))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_become_spaces_and_lines_stay() {
        let code = "interface P { x: number }\nconst p: P = { x: 1 } as P;\nfunction f<T>(a: T, b?: number): T { return a! }\nconsole.log(f<number>(p.x) satisfies number);";
        insta::assert_snapshot!(strip(code).unwrap().replace(' ', "·"), @"
        ;························
        const·p····=·{·x:·1·}·····;
        function·f···(a···,·b·········)····{·return·a··}
        console.log(f········(p.x)·················);
        ");
    }

    #[test]
    fn what_is_more_than_a_type_is_rewritten() {
        let stripped = strip("enum Color { Red, Green = 5 }\nnamespace N { export const x = 1 }\nclass A { constructor(public a: number) {} }\nconsole.log(Color.Green, N.x, new A(1).a)").unwrap();
        assert!(!stripped.contains("enum ") && !stripped.contains("namespace ") && !stripped.contains("number"), "{stripped}");
        assert!(strip("import fs = require('node:fs')\nfs.readFileSync").unwrap().contains("require("));
    }

    #[test]
    fn modules_stay_modules() {
        let stripped = strip("import type { A } from './a'\nimport fs from 'node:fs'\nexport const x: A = fs").unwrap();
        assert!(stripped.contains("import fs from 'node:fs'\nexport const x") && !stripped.contains("./a"), "{stripped}");
    }

    #[test]
    fn mistakes_have_a_line_and_a_reason() {
        let mistake = strip("const a: number = 1;\nconst b = ;\n").unwrap_err();
        insta::assert_snapshot!(mistake, @"line 2: Expression expected");
        assert!(strip("let x: = 3").unwrap_err().starts_with("line 1: "));
    }

    #[test]
    fn javascript_is_left_alone() {
        for code in [
            "for (const [k, v] of Object.entries({ a: 1 })) console.log(`${k}: ${v}`, a < b, (c) > d);\n",
            "const f = async function* (x = 1, ...rest) { yield* rest }; label: for (;;) break label;\n",
            "#!/usr/bin/env node\n'use strict'; /re[/]x/g.test('x'); class A { #p = 1; static { } get x() { return this.#p } }\n",
            "",
        ] {
            assert_eq!(strip(code).unwrap(), code);
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        let words = [
            "const ",
            "x",
            ": ",
            "number",
            "= ",
            "1",
            "; ",
            "\n",
            "enum ",
            "A ",
            "{ ",
            "} ",
            "( ",
            ") ",
            "=> ",
            "<",
            ">",
            "T",
            "as ",
            "interface ",
            "class ",
            "`",
            "${",
            "'",
            "/",
            "//",
            "async ",
            "export ",
            "import ",
            "type ",
            "?",
            "!",
            "...",
            "[",
            "]",
            "namespace ",
            "abstract ",
            "declare ",
            "@",
            "#",
            "\\u{1",
            "ä",
            "🦀",
            "satisfies ",
            "import x = ",
        ];
        prop::collection::vec(prop::sample::select(words.to_vec()), 0..40).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn it_never_panics(text in "\\PC{0,80}", pieces in piece()) {
            let _ = strip(&text);
            let _ = strip(&pieces);
        }

        #[test]
        fn plain_programs_stay_the_same(numbers in prop::collection::vec(-1000i32..1000, 1..8), name in "v_[a-z]{1,8}", text in "[a-zA-Z ]{0,12}") {
            let code = format!(
                "const {name} = {numbers:?};\nlet total = 0;\nfor (const n of {name}) {{ if (n > 3) total += n; else total -= n * 2; }}\nconsole.log(`{text} ${{total}}`, {name}.map((n) => n < 5 ? n : -n));\n"
            );
            prop_assert_eq!(strip(&code).unwrap(), code);
        }
    }
}
