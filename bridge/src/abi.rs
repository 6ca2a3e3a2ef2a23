//! The C ABI as bindgen reads it from `include/omendb_engine.h`, with layout assertions.
//!
//! Nothing is declared by hand here but two things the header leaves to others: the Arrow
//! structures, which are arrow-rs's own (same ABI, asserted below), and the SQLSTATE table.

#![allow(non_camel_case_types, non_upper_case_globals, dead_code, missing_docs)]

pub use arrow::ffi::{FFI_ArrowArray as ArrowArray, FFI_ArrowSchema as ArrowSchema};
pub use arrow::ffi_stream::FFI_ArrowArrayStream as ArrowArrayStream;

include!(concat!(env!("OUT_DIR"), "/abi.rs"));
include!(concat!(env!("OUT_DIR"), "/status_table.rs"));

// The sizes that the Arrow C data interface prescribes on a 64-bit machine.
const _: () = {
    assert!(std::mem::size_of::<ArrowSchema>() == 72);
    assert!(std::mem::size_of::<ArrowArray>() == 80);
    assert!(std::mem::size_of::<ArrowArrayStream>() == 40);
};

/// A status as the header numbers it.
pub type Status = omen_status::Type;
