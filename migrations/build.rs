//! Migrations are embedded when the crate is compiled; a new file alone would not be noticed.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
