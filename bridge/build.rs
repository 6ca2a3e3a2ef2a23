//! Generates the Rust side of the ABI from the C headers, which are the only truth.
//!
//! Two files land in `OUT_DIR`: `abi.rs`, the bindings of `omendb_engine.h` with compile-time
//! layout assertions, and `status_table.rs`, the SQLSTATE of every status. The latter is read
//! from the text of `omendb_status.h`, because the core's lookup function isn't linked into the
//! engine and bindgen doesn't expand the table macro's other columns.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let include =
        PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../include");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    for header in ["engine", "types", "status", "arrow"] {
        println!("cargo:rerun-if-changed={}", include.join(format!("omendb_{header}.h")).display());
    }
    println!("cargo:rerun-if-changed=build.rs");

    bindgen::Builder::default()
        .header(include.join("omendb_engine.h").display().to_string())
        .clang_arg(format!("-I{}", include.display()))
        .allowlist_type("omen_.*")
        .allowlist_var("OMEN_.*")
        .blocklist_function(".*")
        // The Arrow structures are arrow-rs's, so that its import and export fit without casts.
        .blocklist_type("Arrow(Schema|Array|ArrayStream)")
        .default_enum_style(bindgen::EnumVariation::ModuleConsts)
        .prepend_enum_name(false)
        .layout_tests(true)
        .derive_debug(false)
        .formatter(bindgen::Formatter::None)
        .generate()
        .expect("include/omendb_engine.h must parse")
        .write_to_file(out.join("abi.rs"))
        .expect("OUT_DIR is writable");

    let status = fs::read_to_string(include.join("omendb_status.h")).expect("omendb_status.h");
    fs::write(out.join("status_table.rs"), status_table(&status)).expect("OUT_DIR is writable");
}

/// The lines `X(NAME, number, "SQLSTATE", "text")` of the status table as a Rust array.
fn status_table(header: &str) -> String {
    let mut rows = String::new();
    for line in header.lines().filter_map(|line| line.trim().strip_prefix("X(")) {
        let mut fields = line.split(',').map(str::trim);
        if let (Some(_), Some(number), Some(sqlstate)) =
            (fields.next(), fields.next(), fields.next())
        {
            if number.parse::<u32>().is_ok() {
                rows.push_str(&format!("    ({number}, {sqlstate}),\n"));
            }
        }
    }
    assert!(rows.lines().count() > 40, "the status table of omendb_status.h was not recognised");
    format!("/// Every status with its SQLSTATE.\npub const STATUS_TABLE: &[(u32, &str)] = &[\n{rows}];\n")
}
