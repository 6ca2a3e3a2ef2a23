//! Row groups as Parquet files: the header's `segment_write` and `segment_read`.
//!
//! The files are for everybody: plain Parquet with field ids, no Arrow schema of ours inside, UUIDs
//! marked as such. Pages hold up to 8,192 rows and have an index, so that one page a column is enough
//! for one row. Columns whose first rows repeat have a dictionary; else numbers are delta-encoded and
//! floats split by byte; zstd compresses all. The same rows give the same bytes: nothing depends on time or version.
//!
//! Both run on the caller's thread and need no engine. Bytes go through the caller's callbacks; what
//! a callback says went wrong comes back as it came, kept aside because neither `io::Error` nor Parquet's
//! errors carry it through. A file that Parquet cannot make sense of is CORRUPTED, a panic
//! on the way too: the caller has checked that the bytes are those that were written.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchIterator};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::arrow::{ArrowSchemaConverter, ProjectionMask, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, Encoding, LogicalType, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};

use crate::abi::{
    omen_engine_reader, omen_engine_writer, omen_error, omen_status, ArrowArray, ArrowArrayStream,
    ArrowSchema, Status,
};
use crate::error::{EngineError, EngineResult};
use crate::guarded;
use crate::host::{check, empty_error};
use crate::read::import;

/// Rows of a page: what one batch of the core holds.
const PAGE_ROWS: usize = 8192;

/// A dictionary that outgrows this is given up.
const DICTIONARY_BYTES_MAX: usize = 64 * 1024;

/// So many of a column's first rows are looked at for repetition.
const SAMPLE_ROWS: usize = 4096;

const UUID_BYTES: usize = 16;

/// More compresses a little better and takes several times as long.
const ZSTD_LEVEL: i32 = 3;

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn write(
    schema: *const ArrowSchema,
    groups: *mut ArrowArrayStream,
    group_count: u32,
    writer: *const omen_engine_writer,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the header's promises; the streams are this function's to release, which their drop does.
    unsafe {
        guarded(error, || {
            let groups: Vec<ArrowArrayStream> = (0..group_count as usize)
                .map(|position| ArrowArrayStream::from_raw(groups.add(position)))
                .collect();
            let schema = with_field_ids(&Schema::try_from(&*schema)?);
            write_file(schema, groups, Output { writer: *writer, failure: Failure::default() })
        })
    }
}

/// The columns that C lists, of which there may be none at all.
///
/// # Safety
/// `columns` leads to `count` numbers, or `count` is 0.
pub(crate) unsafe fn columns_of(columns: *const u32, count: u32) -> Vec<usize> {
    if count == 0 {
        return vec![];
    }
    // SAFETY: the caller's promise.
    let columns = unsafe { std::slice::from_raw_parts(columns, count as usize) };
    columns.iter().map(|column| *column as usize).collect()
}

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn read(
    schema: *const ArrowSchema,
    reader: *const omen_engine_reader,
    group: u32,
    columns: *const u32,
    column_count: u32,
    out: *mut ArrowArrayStream,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the header's promises; `out` is valid for writing and holds nothing to drop.
    unsafe {
        guarded(error, || {
            out.write(ArrowArrayStream::empty());
            let columns = columns_of(columns, column_count);
            let schema = with_field_ids(&Schema::try_from(&*schema)?);
            let input = Input { reader: *reader, failure: Failure::default() };
            let failure = input.failure.clone();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                read_group(schema, input, group as usize, &columns)
            }));
            let outcome = outcome.unwrap_or_else(|payload| {
                let text = EngineError::from_panic(payload.as_ref()).message;
                Err(corrupted(text))
            });
            let batches = outcome.map_err(|error| failure.take().unwrap_or(error))?;
            let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), |b| b.schema());
            // Batches in memory: nothing behind this stream fails or panics.
            let batches = RecordBatchIterator::new(batches.into_iter().map(Ok), schema);
            out.write(ArrowArrayStream::new(Box::new(batches)));
            Ok(())
        })
    }
}

// --- what a callback said, kept aside ---

#[derive(Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<EngineError>>>);

impl Failure {
    pub(crate) fn keep(&self, error: EngineError) -> io::Error {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error);
        io::Error::other("the caller's callback failed")
    }

    pub(crate) fn take(&self) -> Option<EngineError> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

pub(crate) fn corrupted(what: impl std::fmt::Display) -> EngineError {
    EngineError::new(omen_status::OMEN_CORRUPTED, format!("a Parquet file is damaged: {what}"))
}

// --- schemas ---

/// The schema with field id i + 1 for column i and without any other metadata.
pub(crate) fn with_field_ids(schema: &Schema) -> SchemaRef {
    let number = |(position, field): (usize, &Arc<Field>)| {
        let id = (PARQUET_FIELD_ID_META_KEY.to_string(), (position + 1).to_string());
        field.as_ref().clone().with_metadata(HashMap::from([id]))
    };
    Arc::new(Schema::new(schema.fields().iter().enumerate().map(number).collect::<Vec<_>>()))
}

/// The file's schema: Arrow's way of writing it, with UUIDs marked.
pub(crate) fn parquet_schema(schema: &Schema) -> Result<SchemaDescriptor, ParquetError> {
    let converted = ArrowSchemaConverter::new().convert(schema)?;
    let fields = converted.root_schema().get_fields();
    let fields = schema.fields().iter().zip(fields).map(|(field, column)| {
        if *field.data_type() != DataType::FixedSizeBinary(UUID_BYTES as i32) {
            return Ok(Arc::clone(column));
        }
        let info = column.get_basic_info();
        let marked = Type::primitive_type_builder(info.name(), PhysicalType::FIXED_LEN_BYTE_ARRAY)
            .with_repetition(info.repetition())
            .with_id(Some(info.id()))
            .with_length(UUID_BYTES as i32)
            .with_logical_type(Some(LogicalType::Uuid));
        Ok(Arc::new(marked.build()?))
    });
    let fields = fields.collect::<Result<Vec<TypePtr>, ParquetError>>()?;
    let root = Type::group_type_builder(converted.root_schema().name()).with_fields(fields);
    Ok(SchemaDescriptor::new(Arc::new(root.build()?)))
}

/// Whether a dictionary pays, by the column's first rows: at least half of them repeat.
fn repeats(column: &dyn Array) -> bool {
    let column = column.slice(0, column.len().min(SAMPLE_ROWS));
    let distinct = match column.data_type() {
        DataType::Utf8View => column.as_string_view().iter().collect::<HashSet<_>>().len(),
        DataType::BinaryView => column.as_binary_view().iter().collect::<HashSet<_>>().len(),
        DataType::Boolean => return false,
        fixed => {
            let width = fixed.primitive_width().unwrap_or(UUID_BYTES);
            let data = column.to_data();
            let values = &data.buffers()[0][data.offset() * width..];
            values.chunks_exact(width).take(column.len()).collect::<HashSet<_>>().len()
        }
    };
    2 * distinct <= column.len()
}

pub(crate) fn properties(
    schema: &Schema,
    first: &RecordBatch,
) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by("OmenDB".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Page);
    for (field, values) in schema.fields().iter().zip(first.columns()) {
        let column = ColumnPath::new(vec![field.name().clone()]);
        properties = properties.set_column_dictionary_enabled(column.clone(), repeats(values));
        let encoding = match field.data_type() {
            DataType::Float32 | DataType::Float64 => Encoding::BYTE_STREAM_SPLIT,
            DataType::Utf8View | DataType::BinaryView => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            _ => continue,
        };
        properties = properties.set_column_encoding(column, encoding);
    }
    Ok(properties.build())
}

// --- writing ---

/// Where the file's bytes go.
pub(crate) struct Output {
    pub(crate) writer: omen_engine_writer,
    pub(crate) failure: Failure,
}

// SAFETY: the callback's context is used by one thread at a time, while `write` runs.
unsafe impl Send for Output {}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = self.writer.write.ok_or_else(|| io::Error::other("there is no callback"))?;
        let mut error = empty_error();
        // SAFETY: everything is borrowed for the call.
        let status =
            unsafe { write(self.writer.context, bytes.as_ptr().cast(), bytes.len(), &mut error) };
        check(status, &error).map_err(|error| self.failure.keep(error))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_file(
    schema: SchemaRef,
    groups: Vec<ArrowArrayStream>,
    output: Output,
) -> EngineResult<()> {
    let failure = output.failure.clone();
    let failed = |error: ParquetError| {
        let internal = || EngineError::internal(format!("a Parquet file was not written: {error}"));
        failure.take().unwrap_or_else(internal)
    };
    let mut groups = groups.into_iter();
    let mut group = groups.next().ok_or_else(|| EngineError::internal("there is no row group"))?;
    let mut batch = next_batch(&mut group, &schema)?;
    let first = batch.clone().unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)));
    let options = ArrowWriterOptions::new()
        .with_properties(properties(&schema, &first).map_err(failed)?)
        .with_parquet_schema(parquet_schema(&schema).map_err(failed)?)
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(output, Arc::clone(&schema), options).map_err(failed)?;
    loop {
        while let Some(rows) = batch {
            writer.write(&rows).map_err(failed)?;
            batch = next_batch(&mut group, &schema)?;
        }
        writer.flush().map_err(failed)?;
        let Some(next) = groups.next() else { break };
        group = next;
        batch = next_batch(&mut group, &schema)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}

/// The next batch of a stream of the core's, or its error.
pub(crate) fn next_batch(
    stream: &mut ArrowArrayStream,
    schema: &SchemaRef,
) -> EngineResult<Option<RecordBatch>> {
    let mut array = ArrowArray::empty();
    let (Some(get_next), Some(get_last_error)) = (stream.get_next, stream.get_last_error) else {
        return Err(EngineError::internal("a stream of the core was released already"));
    };
    // SAFETY: the stream is not released, and the text lives until its next call.
    let text = unsafe {
        match get_next(stream, &mut array) {
            0 => None,
            _ => Some(match get_last_error(stream) {
                text if text.is_null() => String::new(),
                text => CStr::from_ptr(text).to_string_lossy().into_owned(),
            }),
        }
    };
    match text {
        Some(text) => Err(EngineError::from_stream_text(&text)),
        None if array.is_released() => Ok(None),
        None => import(array, schema).map(Some),
    }
}

// --- reading ---

/// Where the file's bytes come from.
#[derive(Clone)]
pub(crate) struct Input {
    pub(crate) reader: omen_engine_reader,
    pub(crate) failure: Failure,
}

// SAFETY: the header promises a thread-safe callback.
unsafe impl Send for Input {}
// SAFETY: as above.
unsafe impl Sync for Input {}

impl Input {
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let read = self.reader.read.ok_or_else(|| io::Error::other("there is no callback"))?;
        let mut error = empty_error();
        // SAFETY: everything is borrowed for the call.
        let status = unsafe {
            let target = buffer.as_mut_ptr().cast();
            read(self.reader.context, offset, target, buffer.len(), &mut error)
        };
        check(status, &error).map_err(|error| self.failure.keep(error))
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.reader.length
    }
}

impl ChunkReader for Input {
    type T = Cursor;

    fn get_read(&self, start: u64) -> Result<Cursor, ParquetError> {
        Ok(Cursor { input: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start}")));
        }
        let mut buffer = vec![0; length];
        self.read_at(start, &mut buffer)?;
        Ok(buffer.into())
    }
}

/// A file being read on from some place.
pub struct Cursor {
    input: Input,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.input.len().saturating_sub(self.at);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.input.read_at(self.at, &mut buffer[..length])?;
        self.at += length as u64;
        Ok(length)
    }
}

/// The chosen columns of one row group, in the order given.
fn read_group(
    schema: SchemaRef,
    input: Input,
    group: usize,
    columns: &[usize],
) -> EngineResult<Vec<RecordBatch>> {
    let options = ArrowReaderOptions::new().with_schema(schema);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(input, options).map_err(corrupted)?;
    let metadata = Arc::clone(builder.metadata());
    if group >= metadata.num_row_groups() {
        return Err(corrupted(format!("it has no row group {group}")));
    }
    let rows = usize::try_from(metadata.row_group(group).num_rows()).map_err(corrupted)?;
    let root_columns = builder.schema().fields().len();
    if let Some(column) = columns.iter().find(|column| **column >= root_columns) {
        return Err(corrupted(format!("it has no column {column}")));
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
    let reader = builder
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size(rows.max(1))
        .build()
        .map_err(corrupted)?;
    // The reader gives the columns in the file's order, each once.
    let mut present = columns.to_vec();
    present.sort_unstable();
    present.dedup();
    let order: Vec<usize> =
        columns.iter().map(|column| present.partition_point(|one| one < column)).collect();
    reader.map(|batch| batch.and_then(|batch| batch.project(&order)).map_err(corrupted)).collect()
}
