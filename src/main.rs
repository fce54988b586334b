//! The program: what it can do stands in `threadbox::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two libraries would each bring a TLS provider of their own; ours is chosen once, before anybody connects.
    let chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    debug_assert!(chosen.is_ok(), "nothing connects before this line");
    threadbox::cli::main()
}
