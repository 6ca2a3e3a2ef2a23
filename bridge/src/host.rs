//! The core as the engine sees it: safe wrappers around `omen_engine_host`.
//!
//! Ownership: `HostTable` owns one reference to a table and gives it back when dropped, `HostCursor`
//! one partition's cursor. Scans and cursors share the table through an `Arc`, so a table lives as long as anything that reads it, past the
//! statement and past the engine's close. The functions of the host are copied, not borrowed.
//!
//! Concurrency: every host function is thread-safe, so are the wrappers; a statement's handle is
//! only used while the query function that received it runs (see `catalog.rs`).

use std::ffi::{c_void, CStr};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue};

use crate::abi::{
    omen_engine_column_statistics, omen_engine_cursor, omen_engine_host, omen_engine_scan,
    omen_engine_statement, omen_engine_support, omen_engine_table, omen_error, omen_status,
    ArrowArray, ArrowSchema, Status, OMEN_ENGINE_ABI_VERSION,
};
use crate::error::{EngineError, EngineResult};
use crate::predicate::{AbiPredicates, Predicate};
use crate::read::import;
use crate::value;

/// The host's functions, known to be there.
pub struct Host {
    functions: omen_engine_host,
    /// Handed to cursors so far.
    pub dynamic_filters: AtomicU64,
}

/// Calls a function of the host. Their presence is checked once, in `Host::new`.
macro_rules! call {
    ($host:expr, $function:ident ( $($argument:expr),* )) => {
        $host.functions.$function.expect("checked when the engine was opened")($($argument),*)
    };
}

impl Host {
    /// Copies the host's functions.
    ///
    /// # Safety
    /// `host` points at an `omen_engine_host` whose functions keep the header's promises.
    pub unsafe fn new(host: *const omen_engine_host) -> EngineResult<Arc<Self>> {
        // SAFETY: the caller's promise; the first two fields are in every version.
        let host =
            unsafe { host.as_ref() }.ok_or_else(|| EngineError::internal("no host given"))?;
        if host.abi_version != OMEN_ENGINE_ABI_VERSION
            || (host.struct_bytes as usize) < std::mem::size_of::<omen_engine_host>()
        {
            return Err(EngineError::internal("the core speaks another version of the engine ABI"));
        }
        // SAFETY: behind the version and the size there are only functions, of a pointer's size.
        let present = unsafe {
            let words = std::ptr::from_ref(host).cast::<usize>();
            let count = std::mem::size_of::<omen_engine_host>() / std::mem::size_of::<usize>();
            std::slice::from_raw_parts(words, count)[1..].iter().all(|word| *word != 0)
        };
        if !present {
            return Err(EngineError::internal("a function of the host is missing"));
        }
        let functions = *host;
        Ok(Arc::new(Self { functions, dynamic_filters: AtomicU64::new(0) }))
    }

    /// Looks a table up; errors are the host's own.
    ///
    /// # Safety
    /// `statement` is a live handle of this host.
    pub unsafe fn resolve(
        self: &Arc<Self>,
        statement: *mut omen_engine_statement,
        name: &str,
    ) -> EngineResult<Arc<HostTable>> {
        let mut raw = std::ptr::null_mut();
        let mut error = empty_error();
        // SAFETY: the handle is live (caller), the rest is ours and outlives the call.
        let status = unsafe {
            call!(
                self,
                table_resolve(statement, name.as_ptr().cast(), name.len(), &mut raw, &mut error)
            )
        };
        check(status, &error)?;
        let raw = NonNull::new(raw).ok_or_else(|| EngineError::internal("no table was given"))?;
        // From here on the reference is given back on every path.
        let mut table = HostTable {
            host: Arc::clone(self),
            raw,
            name: String::new(),
            identity: 0,
            key_columns: vec![],
            row_count: 0,
            row_count_exact: false,
            schema: Arc::new(Schema::empty()),
        };
        table.describe()?;
        Ok(Arc::new(table))
    }

    /// The type of what the core's function of this signature gives.
    pub fn function_result(&self, signature: &str) -> EngineResult<DataType> {
        let mut schema = ArrowSchema::empty();
        let mut error = empty_error();
        let (text, length) = (signature.as_ptr().cast(), signature.len());
        // SAFETY: everything is borrowed for the call; the schema is released by its Drop.
        let status = unsafe { call!(self, function_result(text, length, &mut schema, &mut error)) };
        check(status, &error)?;
        match Schema::try_from(&schema)?.fields().first() {
            Some(field) => Ok(field.data_type().clone()),
            None => Err(EngineError::internal("a function of the core has no result")),
        }
    }

    /// What the core's function of this signature gives for each row of `arguments`, of the type
    /// `wanted`; CANCELLED once `stop` is set.
    pub fn function_call(
        &self,
        signature: &str,
        arguments: RecordBatch,
        wanted: &DataType,
        stop: &AtomicBool,
    ) -> EngineResult<ArrayRef> {
        let row_count = arguments.num_rows();
        let schema = ArrowSchema::try_from(arguments.schema().as_ref())?;
        let arguments = ArrowArray::new(&StructArray::from(arguments).to_data());
        let mut out = ArrowArray::empty();
        let mut error = empty_error();
        let (text, length) = (signature.as_ptr().cast(), signature.len());
        // SAFETY: everything is borrowed for the call; the result is ours to release.
        let status = unsafe {
            let rows = row_count as u64;
            let (asked, flag) = (Some(is_set as _), std::ptr::from_ref(stop).cast_mut().cast());
            let (schema, arguments) = (&schema, &arguments);
            call!(
                self,
                function_call(
                    text, length, schema, arguments, rows, asked, flag, &mut out, &mut error
                )
            )
        };
        check(status, &error)?;
        let field = Field::new("result", wanted.clone(), true);
        let result = import(out, &Arc::new(Schema::new(vec![field])))?;
        match result.num_rows() == row_count {
            true => Ok(Arc::clone(result.column(0))),
            false => Err(EngineError::internal("a function of the core gave too few rows")),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// A table version at a statement's read view.
pub struct HostTable {
    host: Arc<Host>,
    raw: NonNull<omen_engine_table>,
    pub name: String,
    /// Of this table alone, as long as the host lives.
    pub identity: u64,
    /// Positions of the key's columns in the schema; empty where the key is hidden.
    pub key_columns: Vec<u32>,
    pub row_count: u64,
    /// Whether `row_count` is no estimate.
    pub row_count_exact: bool,
    pub schema: SchemaRef,
}

// SAFETY: the host's functions are thread-safe and a handle is only a reference count and a name
// for something that never changes.
unsafe impl Send for HostTable {}
unsafe impl Sync for HostTable {}

impl HostTable {
    /// Reads what the host says about the table.
    fn describe(&mut self) -> EngineResult<()> {
        let mut schema = ArrowSchema::empty();
        let mut error = empty_error();
        // SAFETY: the handle is live, what `table_info` gives is borrowed as long as it lives and
        // copied here; the schema is released by its Drop.
        unsafe {
            let info = call!(self.host, table_info(self.raw.as_ptr())).as_ref();
            let info = info.ok_or_else(|| EngineError::internal("a table has no description"))?;
            self.identity = info.identity;
            if !info.name.is_null() {
                self.name = CStr::from_ptr(info.name).to_string_lossy().into_owned();
            }
            if info.key_column_count > 0 {
                let count = info.key_column_count as usize;
                self.key_columns = std::slice::from_raw_parts(info.key_columns, count).to_vec();
            }
            self.row_count =
                call!(self.host, row_count(self.raw.as_ptr(), &mut self.row_count_exact));
            let status = call!(self.host, table_schema(self.raw.as_ptr(), &mut schema, &mut error));
            check(status, &error)?;
        }
        let schema = Schema::try_from(&schema)?;
        for field in schema.fields() {
            if !value::is_core_type(field.data_type()) {
                return Err(EngineError::internal(format!(
                    "column \"{}\" has the type {}, which tables don't have",
                    field.name(),
                    field.data_type()
                )));
            }
        }
        self.schema = Arc::new(schema);
        Ok(())
    }

    /// Whether the host applies every one of `predicates` exactly.
    pub fn supports(&self, predicates: &[Predicate]) -> bool {
        let Some(abi) = AbiPredicates::new(predicates) else { return false };
        abi.rows.iter().all(|predicate| {
            // SAFETY: the handle is live, the predicate is borrowed for the call.
            let answer =
                unsafe { call!(self.host, predicate_support(self.raw.as_ptr(), predicate)) };
            answer == omen_engine_support::OMEN_ENGINE_EXACT
        })
    }

    /// What is known of a column of this type without reading it.
    pub fn column_statistics(&self, column: u32, data_type: &DataType) -> ColumnStatistics {
        // SAFETY: all-zero bytes are a valid record; the handle is live, and the texts in the
        // answer live as long as it and are copied.
        let (known, min, max) = unsafe {
            let mut known: omen_engine_column_statistics = MaybeUninit::zeroed().assume_init();
            call!(self.host, column_statistics(self.raw.as_ptr(), column, &mut known));
            let (min, max) = match known.has_range {
                true => (value::scalar_of(&known.min).ok(), value::scalar_of(&known.max).ok()),
                false => (None, None),
            };
            (known, min, max)
        };
        let precisely = |value: Option<ScalarValue>| match value {
            Some(value) if value.data_type() != *data_type => Precision::Absent,
            Some(value) if known.exact => Precision::Exact(value),
            Some(value) => Precision::Inexact(value),
            None => Precision::Absent,
        };
        let null_count = match known.exact {
            true => Precision::Exact(known.null_count as usize),
            false => Precision::Inexact(known.null_count as usize),
        };
        let (min_value, max_value) = (precisely(min), precisely(max));
        ColumnStatistics { null_count, min_value, max_value, ..ColumnStatistics::new_unknown() }
    }

    /// Opens one partition of a scan.
    pub fn scan(self: &Arc<Self>, request: &ScanRequest<'_>) -> EngineResult<HostCursor> {
        let predicates = AbiPredicates::new(request.predicates)
            .ok_or_else(|| EngineError::internal("a predicate has a value of no core type"))?;
        let scan = omen_engine_scan {
            columns: request.columns.as_ptr(),
            column_count: request.columns.len() as u32,
            predicates: predicates.rows.as_ptr(),
            predicate_count: predicates.rows.len() as u32,
            limit: request.limit.unwrap_or(u64::MAX),
            partition: request.partition,
            partition_count: request.partition_count,
        };
        let mut raw = std::ptr::null_mut();
        let mut error = empty_error();
        // SAFETY: the handle is live, the scan is borrowed for the call.
        let status =
            unsafe { call!(self.host, scan_open(self.raw.as_ptr(), &scan, &mut raw, &mut error)) };
        check(status, &error)?;
        let raw = NonNull::new(raw).ok_or_else(|| EngineError::internal("no cursor was given"))?;
        Ok(HostCursor { table: Arc::clone(self), raw })
    }
}

impl Drop for HostTable {
    fn drop(&mut self) {
        // SAFETY: this is the one release of the reference that `resolve` received.
        unsafe { call!(self.host, table_release(self.raw.as_ptr())) }
    }
}

impl fmt::Debug for HostTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostTable({})", self.name)
    }
}

/// One partition of a scan, being read.
pub struct HostCursor {
    table: Arc<HostTable>,
    raw: NonNull<omen_engine_cursor>,
}

// SAFETY: a cursor is for one thread at a time, whichever.
unsafe impl Send for HostCursor {}

impl HostCursor {
    /// The next batch; None at the end. It doesn't block.
    pub fn next(&mut self) -> EngineResult<Option<ArrowArray>> {
        let mut array = ArrowArray::empty();
        let mut error = empty_error();
        // SAFETY: the cursor is live and borrowed exclusively; the array is ours to release.
        let status =
            unsafe { call!(self.table.host, scan_next(self.raw.as_ptr(), &mut array, &mut error)) };
        if status == omen_status::OMEN_END_OF_DATA {
            return Ok(None);
        }
        check(status, &error)?;
        if array.is_released() {
            return Err(EngineError::internal("a scan delivered no batch"));
        }
        Ok(Some(array))
    }

    /// Lets what follows leave out rows that don't satisfy `predicates`.
    pub fn prune(&mut self, predicates: &[Predicate]) -> EngineResult<()> {
        let abi = AbiPredicates::new(predicates)
            .ok_or_else(|| EngineError::internal("a predicate has a value of no core type"))?;
        let count = abi.rows.len() as u32;
        let mut error = empty_error();
        // SAFETY: the cursor is live and borrowed exclusively, the predicates for the call.
        let status = unsafe {
            let raw = self.raw.as_ptr();
            call!(self.table.host, scan_prune(raw, abi.rows.as_ptr(), count, &mut error))
        };
        self.table.host.dynamic_filters.fetch_add(1, Ordering::Relaxed);
        check(status, &error)
    }
}

impl Drop for HostCursor {
    fn drop(&mut self) {
        // SAFETY: this is the one release of the cursor that `scan` received.
        unsafe { call!(self.table.host, scan_close(self.raw.as_ptr())) }
    }
}

/// What one partition of a scan shall deliver.
pub struct ScanRequest<'a> {
    pub columns: &'a [u32],
    pub predicates: &'a [Predicate],
    pub limit: Option<u64>,
    pub partition: u32,
    pub partition_count: u32,
}

/// Whether a flag is set.
///
/// # Safety
/// `flag` points at an `AtomicBool`.
unsafe extern "C" fn is_set(flag: *mut c_void) -> bool {
    // SAFETY: the caller's promise.
    unsafe { &*flag.cast::<AtomicBool>() }.load(Ordering::Relaxed)
}

/// An error record for the host to fill.
pub fn empty_error() -> omen_error {
    // SAFETY: all-zero bytes are a valid, empty error record.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// What the host returned, as a result.
pub fn check(status: Status, error: &omen_error) -> EngineResult<()> {
    if status == omen_status::OMEN_OK {
        Ok(())
    } else {
        Err(EngineError::from_abi(status, error))
    }
}
