//! The program: what it can do stands in `threadbox::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The helper of local sandboxes: it must be alone in its process, so this comes before anything that could start a thread.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "sandbox-init") {
        threadbox::sandbox::local::init::main();
    }
    if std::env::args_os().nth(1).is_some_and(|argument| argument == threadbox::sandbox::typescript::HELPER_ARGUMENT) {
        threadbox::sandbox::typescript::main();
    }
    // What listens inside the sandboxes of the Daytona stand-in; it sees nothing of this machine, not even settings.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "toolbox-daemon") {
        return threadbox::standin::daytona::toolbox::main(std::env::args().skip(2).collect());
    }
    // Two libraries would each bring a TLS provider of their own; ours is chosen once, before anybody connects.
    let chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    debug_assert!(chosen.is_ok(), "nothing connects before this line");
    threadbox::cli::main()
}
