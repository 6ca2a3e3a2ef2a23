//! Row groups as Parquet files: the header's `segment_write` and `segment_read`. Not yet: both refuse.

use crate::abi::{
    omen_engine_reader, omen_engine_writer, omen_error, omen_status, ArrowArrayStream, ArrowSchema,
    Status,
};
use crate::error::EngineError;
use crate::guarded;

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn write(
    _schema: *const ArrowSchema,
    groups: *mut ArrowArrayStream,
    group_count: u32,
    _writer: *const omen_engine_writer,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the streams are this function's to release, which dropping them does.
    unsafe {
        guarded(error, || {
            for position in 0..group_count as usize {
                drop(ArrowArrayStream::from_raw(groups.add(position)));
            }
            Err(unsupported())
        })
    }
}

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn read(
    _schema: *const ArrowSchema,
    _reader: *const omen_engine_reader,
    _group: u32,
    _columns: *const u32,
    _column_count: u32,
    out: *mut ArrowArrayStream,
    error: *mut omen_error,
) -> Status {
    // SAFETY: `out` is valid for writing and holds nothing to drop.
    unsafe {
        guarded(error, || {
            out.write(ArrowArrayStream::empty());
            Err(unsupported())
        })
    }
}

fn unsupported() -> EngineError {
    EngineError::new(omen_status::OMEN_NOT_SUPPORTED, "this engine has no Parquet segments yet")
}
