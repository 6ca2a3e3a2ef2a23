//! OmenDB's SQL engine: Apache DataFusion behind the C ABI of `include/omendb_engine.h`.
//!
//! ```text
//!   core (C)      | lib.rs      entry, vtable, panics stop here
//!   omen_engine ->| session.rs  runtime, memory pool, planning
//!                 | plan_cache.rs plans of questions that come again
//!                 | catalog.rs  names of one statement        -> host.rs -> omen_engine_host
//!                 | provider.rs what may be pushed down        (predicate.rs, value.rs)
//!                 | scan.rs     partitions, statistics, pruning (prune.rs)
//!                 | read.rs     batches in, by cursors
//!   stream      <-| stream.rs   result out, as an Arrow C stream (export.rs)
//!                 | wait.rs     callers wait, and give up when asked to (stop.rs)
//!                 | segment.rs  row groups as Parquet files, and back
//!                 | file.rs     Parquet files of anybody's (thrift.rs, file_types.rs)
//!                 | functions.rs, frames.rs, arithmetic.rs, sorts.rs, facts.rs: what DataFusion has
//!                 |             otherwise, or not at all
//!                 | error.rs    every error as a SQLSTATE
//!                 | limits.rs   how deep a statement may be
//! ```
//!
//! `unsafe` is confined to the boundary: here, `host.rs`, `catalog.rs` (one handle), `value.rs`
//! (a C union), `read.rs`, `segment.rs`, `file.rs` and `export.rs` (Arrow C structures), `wait.rs`
//! (one callback). See README.md.

mod abi;
mod arithmetic;
mod catalog;
mod error;
mod export;
mod facts;
mod file;
mod file_types;
mod frames;
mod functions;
mod host;
mod limits;
mod plan_cache;
mod predicate;
mod provider;
mod prune;
mod read;
mod scan;
mod segment;
mod session;
mod sorts;
mod stop;
mod stream;
mod thrift;
mod value;
mod wait;

use std::ffi::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Once};

use abi::{
    omen_engine, omen_engine_counters, omen_engine_host, omen_engine_instance, omen_engine_options,
    omen_engine_query, omen_engine_statement, omen_error, omen_status, ArrowArrayStream, Status,
    OMEN_ENGINE_ABI_VERSION,
};
use error::{EngineError, EngineResult};
use host::Host;
use session::{Engine, Question};
use wait::Interrupt;

/// What `name` says; the version is Cargo.toml's exact requirement.
const NAME: &std::ffi::CStr = c"DataFusion 55.2.0";

/// What `omen_engine_entry` gives out.
static ENGINE: omen_engine = omen_engine {
    abi_version: OMEN_ENGINE_ABI_VERSION,
    struct_bytes: std::mem::size_of::<omen_engine>() as u32,
    name: Some(name),
    open: Some(open),
    close: Some(close),
    query: Some(answer::<false>),
    explain: Some(answer::<true>),
    counters: Some(counters),
    segment_write: Some(segment::write),
    segment_read: Some(segment::read),
    file_open: Some(file::open),
    file_column_refused: Some(file::column_refused),
    file_read: Some(file::read),
    file_close: Some(file::close),
    file_write: Some(file::write),
};

/// The engine's only export: its functions, or NULL where the versions differ.
#[no_mangle]
pub extern "C" fn omen_engine_entry(abi_version: u32) -> *const omen_engine {
    if abi_version == OMEN_ENGINE_ABI_VERSION {
        silence_panics();
        &ENGINE
    } else {
        std::ptr::null()
    }
}

/// Panics are caught and become errors with their text: nothing is written to standard error. The
/// hook is this library's own, its copy of the standard library has no other user.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

/// Runs `body`; a panic becomes INTERNAL, an error fills `error`.
///
/// # Safety
/// `error` is NULL or valid for writing.
pub(crate) unsafe fn guarded(
    error: *mut omen_error,
    body: impl FnOnce() -> EngineResult<()>,
) -> Status {
    let outcome = catch_unwind(AssertUnwindSafe(|| limits::with_stack(body)))
        .unwrap_or_else(|payload| Err(EngineError::from_panic(payload.as_ref())));
    match outcome {
        Ok(()) => omen_status::OMEN_OK,
        Err(failure) => {
            // SAFETY: the caller's promise.
            unsafe { failure.write_to(error) };
            failure.status
        }
    }
}

unsafe extern "C" fn name() -> *const c_char {
    NAME.as_ptr()
}

unsafe extern "C" fn open(
    host: *const omen_engine_host,
    options: *const omen_engine_options,
    out: *mut *mut omen_engine_instance,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the header's promises about the arguments; `out` is written on both ways.
    unsafe {
        guarded(error, || {
            out.write(std::ptr::null_mut());
            let defaults = omen_engine_options { memory_bytes_max: 0, thread_count: 0 };
            let engine = Engine::start(Host::new(host)?, options.as_ref().unwrap_or(&defaults))?;
            out.write(Arc::into_raw(Arc::new(engine)).cast_mut().cast());
            Ok(())
        })
    }
}

unsafe extern "C" fn close(engine: *mut omen_engine_instance) {
    if !engine.is_null() {
        // SAFETY: `open` made the handle from an Arc; streams hold references of their own.
        let engine = unsafe { Arc::from_raw(engine.cast_const().cast::<Engine>()) };
        let _ = catch_unwind(AssertUnwindSafe(move || drop(engine)));
    }
}

/// `query` and `explain`: a query planned, and then run or shown.
unsafe extern "C" fn answer<const EXPLAIN: bool>(
    engine: *mut omen_engine_instance,
    statement: *mut omen_engine_statement,
    query: *const omen_engine_query,
    out: *mut ArrowArrayStream,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the header's promises about the arguments; `out` holds nothing to drop.
    unsafe {
        guarded(error, || {
            out.write(ArrowArrayStream::empty());
            let engine = engine_of(engine)?;
            let interrupt = Interrupt::new(&*query);
            let plan = engine.plan(statement, question_of(&*query)?, &interrupt)?;
            out.write(match EXPLAIN {
                true => stream::explain(&engine, plan.as_ref(), interrupt)?,
                false => stream::run(&engine, plan, interrupt)?,
            });
            Ok(())
        })
    }
}

unsafe extern "C" fn counters(engine: *const omen_engine_instance, out: *mut omen_engine_counters) {
    // SAFETY: the header's promises about the arguments.
    let (engine, out) = unsafe { (&*engine.cast::<Engine>(), &mut *out) };
    *out = omen_engine_counters { struct_bytes: out.struct_bytes, ..engine.counters() };
}

/// The query's text and parameters, owned.
///
/// # Safety
/// What `query` points at is valid for reading, as the header says.
unsafe fn question_of(query: &omen_engine_query) -> EngineResult<Question> {
    // SAFETY: the caller's promise; where there are none the pointer may be NULL.
    let (sql, values) = unsafe {
        let values = match query.parameter_count {
            0 => &[][..],
            count => std::slice::from_raw_parts(query.parameters, count as usize),
        };
        (text_of(query.sql, query.length)?, values)
    };
    let parameters = values
        .iter()
        .map(|value| Ok((value::sql_type(&value.type_)?, value::scalar_of(value)?)))
        .collect::<EngineResult<Vec<_>>>()?;
    Ok(Question { sql: sql.into(), parameters })
}

/// Another reference to the engine behind a handle.
///
/// # Safety
/// `engine` is NULL or came from `open` and wasn't closed.
unsafe fn engine_of(engine: *mut omen_engine_instance) -> EngineResult<Arc<Engine>> {
    if engine.is_null() {
        return Err(EngineError::internal("the engine is not open"));
    }
    let engine = engine.cast_const().cast::<Engine>();
    // SAFETY: the caller's promise; the count is raised before the Arc takes it over.
    unsafe {
        Arc::increment_strong_count(engine);
        Ok(Arc::from_raw(engine))
    }
}

/// # Safety
/// `sql` is valid for `length` bytes for as long as the result is used.
unsafe fn text_of<'a>(sql: *const c_char, length: usize) -> EngineResult<&'a str> {
    // SAFETY: the caller's promise; an empty text may be NULL.
    let bytes = match length {
        0 => &[][..],
        length => unsafe { std::slice::from_raw_parts(sql.cast::<u8>(), length) },
    };
    std::str::from_utf8(bytes).map_err(|_| {
        EngineError::new(omen_status::OMEN_INVALID_ENCODING, "the statement is not valid UTF-8")
    })
}
