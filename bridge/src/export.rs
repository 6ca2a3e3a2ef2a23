//! Arrow C streams that begin here: batches that somebody makes, behind C's four callbacks.
//!
//! Ownership: a stream owns its source, and dropping the source is releasing the stream. A source that
//! has failed is not asked again: every later call repeats the failure, its errno and its text.

use std::ffi::{c_char, c_int, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

use arrow::array::{Array, RecordBatch, StructArray};
use arrow::datatypes::SchemaRef;

use crate::abi::{ArrowArray, ArrowArrayStream, ArrowSchema};
use crate::error::EngineResult;

/// Where a stream's batches come from.
pub(crate) trait Source: Sized {
    fn schema(&self) -> &SchemaRef;

    /// The next batch; None at the end, and ever after.
    fn next(&mut self) -> EngineResult<Option<RecordBatch>>;

    /// Runs what may panic: a panic is an error then.
    fn guarded<T>(&mut self, body: impl FnOnce(&mut Self) -> EngineResult<T>) -> EngineResult<T>;

    /// Gives up what a source that failed needs no more. It may panic.
    fn give_up(&mut self);

    /// Ends it. It may panic.
    fn end(self) {}
}

struct Exported<S> {
    source: S,
    failure: Option<(c_int, CString)>,
}

impl<S: Source> Exported<S> {
    fn run(&mut self, step: impl FnOnce(&mut S) -> EngineResult<()>) -> c_int {
        if self.failure.is_none() {
            if let Err(error) = self.source.guarded(step) {
                self.failure = Some((error.errno(), error.to_stream_text()));
                let _ = catch_unwind(AssertUnwindSafe(|| self.source.give_up()));
            }
        }
        self.failure.as_ref().map_or(0, |failure| failure.0)
    }
}

/// The source as a stream.
pub(crate) fn export<S: Source>(source: S) -> ArrowArrayStream {
    let exported = Exported { source, failure: None };
    ArrowArrayStream {
        get_schema: Some(get_schema::<S>),
        get_next: Some(get_next::<S>),
        get_last_error: Some(get_last_error::<S>),
        release: Some(release::<S>),
        private_data: Box::into_raw(Box::new(exported)).cast(),
    }
}

/// # Safety
/// `stream` was made by `export` of the same type and not released; one thread uses it at a time.
unsafe fn exported<'a, S>(stream: *mut ArrowArrayStream) -> &'a mut Exported<S> {
    // SAFETY: the caller's promise.
    unsafe { &mut *(*stream).private_data.cast::<Exported<S>>() }
}

unsafe extern "C" fn get_schema<S: Source>(
    stream: *mut ArrowArrayStream,
    out: *mut ArrowSchema,
) -> c_int {
    // SAFETY: the C stream interface's rules for its caller; `out` holds nothing to drop.
    let exported = unsafe { exported::<S>(stream) };
    exported.run(|source| {
        let schema = ArrowSchema::try_from(source.schema().as_ref())?;
        unsafe { out.write(schema) };
        Ok(())
    })
}

unsafe extern "C" fn get_next<S: Source>(
    stream: *mut ArrowArrayStream,
    out: *mut ArrowArray,
) -> c_int {
    // SAFETY: the C stream interface's rules for its caller; `out` holds nothing to drop.
    let exported = unsafe { exported::<S>(stream) };
    exported.run(|source| {
        let array = match source.next()? {
            Some(batch) => ArrowArray::new(&StructArray::from(batch).to_data()),
            None => ArrowArray::empty(),
        };
        unsafe { out.write(array) };
        Ok(())
    })
}

unsafe extern "C" fn get_last_error<S: Source>(stream: *mut ArrowArrayStream) -> *const c_char {
    // SAFETY: the C stream interface's rules for its caller.
    let exported = unsafe { exported::<S>(stream) };
    exported.failure.as_ref().map_or(std::ptr::null(), |failure| failure.1.as_ptr())
}

unsafe extern "C" fn release<S: Source>(stream: *mut ArrowArrayStream) {
    // SAFETY: the C stream interface's rules for its caller; the box is taken back once, because
    // the release function is cleared.
    unsafe {
        (*stream).release = None;
        let exported = Box::from_raw((*stream).private_data.cast::<Exported<S>>());
        (*stream).private_data = std::ptr::null_mut();
        let _ = catch_unwind(AssertUnwindSafe(move || exported.source.end()));
    }
}
