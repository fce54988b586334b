//! Every language runs where its programs are, and says what is missing where they are not.

use std::time::Duration;

use threadbox::sandbox::local::{LocalConfig, LocalProvider};
use threadbox::sandbox::{Command, Exec, Executed, Killed, Language, Provider, Sandbox, SandboxError, SandboxSpec, toolchains};
use tokio_util::sync::CancellationToken;

use crate::sandbox::{Machine, config, machine, sh};

/// A machine that also sees the interpreters and compilers of whoever runs the tests.
fn equipped() -> (tempfile::TempDir, LocalProvider) {
    let root = tempfile::tempdir().unwrap();
    let search_path = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let config = LocalConfig { search_path, memory_mb: 2048, disk_mb: 512, processes: 512, ..config(root.path()) };
    let provider = LocalProvider::new(config).unwrap();
    (root, provider)
}

async fn run(sandbox: &dyn Sandbox, language: Language, code: &str) -> Result<Executed, SandboxError> {
    let command = Command::Code { language, code: code.to_owned(), argv: vec!["a b".to_owned(), "$(id)".to_owned()] };
    sandbox.exec(Exec::new(command, Duration::from_secs(180), 64 << 10), &CancellationToken::new()).await
}

/// A program that prints its first argument, its second, the content of `data.txt`, and ends with status 3.
fn program(language: Language) -> &'static str {
    match language {
        Language::Python => "import sys\nprint(sys.argv[1], sys.argv[2], open('data.txt').read())\nsys.exit(3)",
        Language::Javascript => {
            "const fs = require('node:fs');\nconsole.log(process.argv[2], process.argv[3], fs.readFileSync('data.txt', 'utf8'));\nprocess.exit(3)"
        }
        Language::Typescript => {
            "import * as fs from 'node:fs';\nenum Code { Three = 3 }\ninterface Args { all: string[] }\nconst args: Args = { all: process.argv };\nconsole.log(args.all[2]!, args.all[3] as string, fs.readFileSync('data.txt', 'utf8'));\nprocess.exit(Code.Three satisfies number)"
        }
        Language::Shell => "echo \"$1 $2 $(cat data.txt)\"; exit 3",
        Language::Rust => {
            "fn main() {\n    let args: Vec<String> = std::env::args().skip(1).collect();\n    println!(\"{} {} {}\", args[0], args[1], std::fs::read_to_string(\"data.txt\").unwrap());\n    std::process::exit(3)\n}"
        }
        Language::Go => {
            "package main\nimport (\"fmt\"; \"os\")\nfunc main() {\n\tdata, _ := os.ReadFile(\"data.txt\")\n\tfmt.Println(os.Args[1], os.Args[2], string(data))\n\tos.Exit(3)\n}"
        }
        Language::C => {
            "#include <stdio.h>\nint main(int argc, char **argv) {\n  char data[99] = {0};\n  FILE *f = fopen(\"data.txt\", \"r\");\n  fread(data, 1, 98, f);\n  printf(\"%s %s %s\\n\", argv[1], argv[2], data);\n  return 3;\n}"
        }
        Language::Cpp => {
            "#include <fstream>\n#include <iostream>\n#include <string>\nint main(int, char **argv) {\n  std::ifstream f(\"data.txt\");\n  std::string data;\n  std::getline(f, data);\n  std::cout << argv[1] << ' ' << argv[2] << ' ' << data << std::endl;\n  return 3;\n}"
        }
        Language::Ruby => "puts \"#{ARGV[0]} #{ARGV[1]} #{File.read('data.txt')}\"\nexit 3",
        Language::Perl => "open my $f, '<', 'data.txt' or die; print join(' ', @ARGV, <$f>), \"\\n\"; exit 3;",
        Language::Php => "echo $argv[1], ' ', $argv[2], ' ', file_get_contents('data.txt'), \"\\n\"; exit(3);",
        Language::Java => {
            "import java.nio.file.*;\npublic class Anything {\n  public static void main(String[] args) throws Exception {\n    System.out.println(args[0] + \" \" + args[1] + \" \" + Files.readString(Path.of(\"data.txt\")));\n    System.exit(3);\n  }\n}"
        }
        Language::Lua => "print(arg[1] .. ' ' .. arg[2] .. ' ' .. io.open('data.txt'):read('a'))\nos.exit(3)",
        Language::R => {
            "args <- commandArgs(trailingOnly = TRUE)\ncat(args[1], args[2], readLines('data.txt', warn = FALSE), '\\n')\nquit(status = 3)"
        }
        Language::Deno => {
            "const args: string[] = Deno.args; console.log(args[0], args[1], Deno.readTextFileSync('data.txt')); Deno.exit(3)"
        }
        Language::Bun => {
            "const args: string[] = process.argv; console.log(args[2], args[3], await Bun.file('data.txt').text()); process.exit(3)"
        }
    }
}

#[tokio::test]
async fn every_language_that_is_here_runs_and_the_others_say_what_is_missing() {
    let (_root, provider) = equipped();
    let sandbox = provider.create(SandboxSpec::default()).await.unwrap();
    sandbox.write("data.txt", b"data").await.unwrap();
    let mut ran = Vec::new();
    for found in toolchains::look(&*sandbox).await.unwrap() {
        let language = found.language;
        let outcome = run(&*sandbox, language, program(language)).await;
        match found.version {
            Some(version) => {
                let executed = outcome.unwrap();
                let text = executed.stdout.text();
                let told = format!("{language:?} {version}: {text} {}", executed.stderr.text());
                assert_eq!((text.trim_end(), executed.exit_code), ("a b $(id) data", 3), "{told}");
                ran.push(language);
            }
            None => {
                let refused = outcome.unwrap_err().to_string();
                let missing = language.needs().iter().any(|group| refused == language.missing(group[0]));
                assert!(missing && refused.contains("is not in the sandbox"), "{refused}");
            }
        }
    }
    println!("{ran:?}");
    for language in [Language::Python, Language::Javascript, Language::Typescript, Language::Shell] {
        assert!(ran.contains(&language), "{language:?} is needed to develop this");
    }
    // Nothing of it stays in the workspace.
    let names: Vec<_> = sandbox.list(".").await.unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["data.txt"]);
    assert_eq!(sh(&*sandbox, "ls -d /tmp/.run-* 2>/dev/null | wc -l").await.stdout.text().trim(), "0");
}

async fn typescript(machine: &Machine, code: &str) -> Result<Executed, SandboxError> {
    let sandbox = machine.sandbox("typescript").await;
    run(&*sandbox, Language::Typescript, code).await
}

#[tokio::test]
async fn typescript_runs_on_any_node_and_its_mistakes_are_told() {
    let machine = machine();
    let ran = typescript(&machine, "type N = number;\nconst f = (n: N): N => n * 2;\nfunction fail(): never { throw new Error('here') }\nconsole.log(f(21));\nfail()").await.unwrap();
    assert_eq!((ran.stdout.text().as_str(), ran.exit_code), ("42\n", 1));
    assert!(ran.stderr.text().contains("[stdin]:3"), "lines stay: {}", ran.stderr.text());

    let common =
        typescript(&machine, "const path = require('node:path') as { sep: string };\nconsole.log(path.sep, typeof module)").await;
    assert_eq!(common.unwrap().stdout.text(), "/ object\n");
    let imports = typescript(&machine, "import fs = require('node:fs');\nconsole.log(typeof fs.readFileSync)").await;
    assert_eq!(imports.unwrap().stdout.text(), "function\n");

    let wrong = typescript(&machine, "const a = 1\n\nconst b: = 2").await.unwrap_err();
    assert!(matches!(&wrong, SandboxError::Invalid(text) if text.starts_with("TypeScript: line 3: ")), "{wrong}");
}

/// A program of a stranger that no parser can follow is an error of that program, not the end of the service.
#[tokio::test]
async fn typescript_that_is_nested_without_end_is_refused() {
    let machine = machine();
    let deep = [
        format!("{}1{}", "(".repeat(300_000), ")".repeat(300_000)),
        format!("let a: {}x", "A<".repeat(500_000)),
        "1+".repeat(1_000_000) + "1",
    ];
    for code in deep {
        match typescript(&machine, &code).await {
            Err(SandboxError::Invalid(text)) => assert!(text.starts_with("TypeScript: "), "{text}"),
            // Read after all; what Node makes of it is Node's affair.
            Ok(ran) => assert_ne!(ran.killed, Some(Killed::Timeout)),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(typescript(&machine, "console.log('fine' as string)").await.unwrap().stdout.text(), "fine\n");
}

#[tokio::test]
async fn a_mistake_of_a_compiled_program_is_its_output() {
    let (_root, provider) = equipped();
    let sandbox = provider.create(SandboxSpec::default()).await.unwrap();
    let here = toolchains::look(&*sandbox).await.unwrap();
    for (language, code) in [(Language::C, "int main(void) { return nothing; }"), (Language::Rust, "fn main() { nothing }")] {
        if here.iter().any(|found| found.language == language && found.version.is_some()) {
            let executed = run(&*sandbox, language, code).await.unwrap();
            assert!(executed.exit_code != 0 && executed.stderr.text().contains("nothing"), "{executed:?}");
        }
    }
}

#[tokio::test]
async fn pictures_need_no_screen() {
    let machine = machine();
    let sandbox = machine.sandbox("plot").await;
    let ran = run(&*sandbox, Language::Python, "import os; print(os.environ['MPLBACKEND'])").await.unwrap();
    assert_eq!(ran.stdout.text(), "Agg\n");
}
