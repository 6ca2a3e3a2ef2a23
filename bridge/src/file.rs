//! Parquet files of anybody's: the header's `file_open` and its kin.
//!
//! Nothing that such a file says is trusted. Footer and page heads are walked before they are parsed
//! (`thrift.rs`), so that no count asks for more memory than there are bytes; a page has a largest
//! size, and so have all pages that are held at once; text stays where its page has it (views), and
//! batches end where theirs is much, so that no dictionary multiplies it. What the crate itself finds wrong, panics too, is CORRUPTED. A
//! row group has as many rows as it says, or is damaged.
//!
//! What a file says in Arrow's own words is passed over: types are Parquet's.

use std::ffi::{c_char, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::arrow::ProjectionMask;
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::Length;

use crate::abi::{
    omen_engine_file, omen_engine_file_facts, omen_engine_reader, omen_engine_writer, omen_error,
    omen_status, ArrowArrayStream, ArrowSchema, Status,
};
use crate::error::{EngineError, EngineResult};
use crate::export::{export, Source};
use crate::file_types;
use crate::guarded;
use crate::segment::{self, corrupted, Failure, Input, Output};
use crate::thrift::{self, Halt, PageHead};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// A batch has fewer rows where they are wide.
const BATCH_BYTES: i64 = 16 << 20;

/// The largest metadata that is read.
const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// The largest page, and the sum of the largest of all columns that are read together.
const PAGE_BYTES_MAX: i64 = 256 << 20;
const PAGES_BYTES_MAX: i64 = 2 << 30;

/// The head of a page is looked for in so many bytes first, and in so many at most.
const HEAD_BYTES: usize = 512;
const HEAD_BYTES_MAX: usize = 4 << 20;

/// At the end: the length of the metadata, and the mark.
const TAIL_BYTES: u64 = 8;

/// Rows of a row group that is written.
const GROUP_ROWS: usize = 122_880;

/// A file whose metadata made sense.
pub struct File {
    input: Input,
    metadata: ArrowReaderMetadata,
    /// The columns in the core's types.
    schema: SchemaRef,
    /// Of a column that cannot be read: what its type is called.
    refused: Vec<Option<CString>>,
}

// --- the functions of the header ---

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn open(
    reader: *const omen_engine_reader,
    out: *mut *mut omen_engine_file,
    schema: *mut ArrowSchema,
    facts: *mut omen_engine_file_facts,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the header's promises; the outputs are valid for writing and hold nothing to drop.
    unsafe {
        guarded(error, || {
            out.write(std::ptr::null_mut());
            schema.write(ArrowSchema::empty());
            let input = Input { reader: *reader, failure: Failure::default() };
            let file = distrusting(&input.failure, || File::open(input.clone()))?;
            let metadata = file.metadata.metadata();
            facts.write(omen_engine_file_facts {
                row_count: metadata.file_metadata().num_rows() as u64,
                group_count: metadata.num_row_groups() as u32,
            });
            schema.write(ArrowSchema::try_from(file.schema.as_ref())?);
            out.write(Arc::into_raw(Arc::new(file)).cast_mut().cast());
            Ok(())
        })
    }
}

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn column_refused(
    file: *const omen_engine_file,
    column: u32,
) -> *const c_char {
    // SAFETY: `open` made the handle from an Arc.
    let file = unsafe { &*file.cast::<File>() };
    let refused = file.refused.get(column as usize).and_then(Option::as_ref);
    refused.map_or(std::ptr::null(), |name| name.as_ptr())
}

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn read(
    file: *const omen_engine_file,
    group_first: u32,
    group_end: u32,
    columns: *const u32,
    column_count: u32,
    out: *mut ArrowArrayStream,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the header's promises; `out` is valid for writing and holds nothing to drop.
    unsafe {
        guarded(error, || {
            out.write(ArrowArrayStream::empty());
            let columns = segment::columns_of(columns, column_count);
            Arc::increment_strong_count(file.cast::<File>());
            let file = Arc::from_raw(file.cast::<File>());
            out.write(export(Rows::new(file, group_first as usize, group_end as usize, columns)?));
            Ok(())
        })
    }
}

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn close(file: *mut omen_engine_file) {
    if !file.is_null() {
        // SAFETY: `open` made the handle from an Arc.
        let file = unsafe { Arc::from_raw(file.cast_const().cast::<File>()) };
        let _ = catch_unwind(AssertUnwindSafe(move || drop(file)));
    }
}

/// # Safety
/// The header's promises about the arguments.
pub(crate) unsafe extern "C" fn write(
    rows: *mut ArrowArrayStream,
    writer: *const omen_engine_writer,
    error: *mut omen_error,
) -> Status {
    // SAFETY: the header's promises; the stream is this function's to release, which its drop does.
    unsafe {
        guarded(error, || {
            let rows = ArrowArrayStream::from_raw(rows);
            write_file(rows, Output { writer: *writer, failure: Failure::default() })
        })
    }
}

/// Runs what reads the file: a panic is a damaged file, and what a callback said comes first.
fn distrusting<T>(failure: &Failure, body: impl FnOnce() -> EngineResult<T>) -> EngineResult<T> {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        Err(corrupted(EngineError::from_panic(payload.as_ref()).message))
    });
    outcome.map_err(|error| failure.take().unwrap_or(error))
}

fn halted(what: &str, halt: Halt) -> EngineError {
    match halt {
        Halt::Short => corrupted(format!("{what} ends early")),
        Halt::Malformed => corrupted(format!("{what} is malformed")),
        Halt::Encrypted => {
            EngineError::unsupported("reading encrypted Parquet files is not supported")
        }
    }
}

fn too_large(what: &str) -> EngineError {
    let words = format!("a Parquet file has {what}");
    EngineError::new(omen_status::OMEN_LIMIT_EXCEEDED, words)
}

// --- opening ---

/// The bytes of the metadata, walked.
fn read_footer(input: &Input) -> EngineResult<Vec<u8>> {
    let not_parquet = || EngineError::new(omen_status::OMEN_CORRUPTED, "it is not a Parquet file");
    let length = input.len();
    if length < TAIL_BYTES + 4 {
        return Err(not_parquet());
    }
    let mut tail = [0; TAIL_BYTES as usize];
    input.read_at(length - TAIL_BYTES, &mut tail).map_err(corrupted)?;
    match &tail[4..] {
        b"PAR1" => (),
        b"PARE" => return Err(halted("", Halt::Encrypted)),
        _ => return Err(not_parquet()),
    }
    let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if size > length - TAIL_BYTES - 4 {
        return Err(corrupted("its metadata is longer than the file"));
    }
    if size > FOOTER_BYTES_MAX {
        return Err(too_large("more than 64 MiB of metadata"));
    }
    let mut footer = vec![0; size as usize];
    input.read_at(length - TAIL_BYTES - size, &mut footer).map_err(corrupted)?;
    thrift::check_footer(&footer).map_err(|halt| halted("its metadata", halt))?;
    Ok(footer)
}

/// Rows are counted in numbers that hold, and the groups' sum is the file's.
fn check_counts(metadata: &ParquetMetaData) -> EngineResult<()> {
    let mut rows = 0i64;
    for group in metadata.row_groups() {
        let count = group.num_rows();
        rows = rows
            .checked_add(count)
            .filter(|_| count >= 0)
            .ok_or_else(|| corrupted("a row group has a number of rows that cannot be"))?;
        if group.num_columns() != metadata.file_metadata().schema_descr().num_columns() {
            return Err(corrupted("a row group has other columns than the file"));
        }
    }
    match rows == metadata.file_metadata().num_rows() {
        true => Ok(()),
        false => Err(corrupted("its row groups have not as many rows as it says")),
    }
}

/// What so many bytes can become at most, a little generously.
fn largest_unpacked(compression: Compression, bytes: i64) -> i64 {
    let times = match compression {
        Compression::UNCOMPRESSED => return bytes,
        Compression::SNAPPY => 32,
        Compression::LZ4 | Compression::LZ4_RAW => 256,
        Compression::GZIP(_) => 1100,
        _ => return i64::MAX,
    };
    bytes * times + 64
}

impl File {
    fn open(input: Input) -> EngineResult<Self> {
        let footer = read_footer(&input)?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(corrupted)?;
        check_counts(&metadata)?;
        let metadata = Arc::new(metadata);
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options.clone())
            .map_err(corrupted)?;
        let root = metadata.file_metadata().schema_descr().root_schema_ptr();
        let fields = plain.schema().fields();
        let columns = root.get_fields().iter();
        let wanted: Vec<Field> = fields
            .iter()
            .zip(columns.clone())
            .map(|(field, column)| {
                field.as_ref().clone().with_data_type(file_types::wanted(field, column))
            })
            .collect();
        let mut refused = vec![];
        let mut core = vec![];
        for (field, column) in wanted.iter().zip(columns) {
            let core_type = file_types::core_type(field.data_type(), column);
            let name = field.data_type().to_string().replace('\0', "?");
            refused.push(match core_type {
                Some(_) => None,
                None => CString::new(name).ok(),
            });
            let name = field.name().replace('\0', "?");
            core.push(Field::new(name, core_type.unwrap_or(DataType::Utf8View), true));
        }
        let options = options.with_schema(Arc::new(Schema::new(wanted)));
        let metadata = ArrowReaderMetadata::try_new(metadata, options).map_err(corrupted)?;
        Ok(Self { input, metadata, schema: Arc::new(Schema::new(core)), refused })
    }

    /// Walks the pages of a column's part of a row group. Gives the size of the largest, and how long
    /// a value may be that takes next to nothing there.
    fn check_pages(
        &self,
        chunk: &ColumnChunkMetaData,
        rows: i64,
        flat: bool,
    ) -> EngineResult<(i64, i64)> {
        let first = chunk.dictionary_page_offset().filter(|offset| *offset > 0);
        let start = first.unwrap_or(i64::MAX).min(chunk.data_page_offset());
        let (start, length) = match (u64::try_from(start), u64::try_from(chunk.compressed_size())) {
            (Ok(start), Ok(length)) => (start, length),
            _ => return Err(corrupted("a column lies nowhere")),
        };
        let end = start.checked_add(length).filter(|end| *end <= self.input.len());
        let end = end.ok_or_else(|| corrupted("a column ends behind the file"))?;
        let (mut at, mut largest, mut values) = (start, 0, 0i64);
        // NULLs and what a dictionary has take as much room as any value of a fixed length.
        let mut widest = match chunk.column_type() {
            PhysicalType::FIXED_LEN_BYTE_ARRAY => i64::from(chunk.column_descr().type_length()),
            _ => 0,
        };
        if widest > BATCH_BYTES {
            return Err(too_large("values of more than 16 MiB each"));
        }
        while at < end {
            let head = self.page_head(at, end)?;
            let body = at + head.length as u64;
            if head.compressed as u64 > end - body {
                return Err(corrupted("a page ends behind its column"));
            }
            if head.uncompressed > PAGE_BYTES_MAX || head.compressed > PAGE_BYTES_MAX {
                return Err(too_large("a page of more than 256 MiB"));
            }
            if head.uncompressed > largest_unpacked(chunk.compression(), head.compressed) {
                return Err(corrupted("a page says that it becomes larger than it can"));
            }
            // A value takes a byte at least, and mostly four.
            let smallest = match chunk.column_type() {
                PhysicalType::FIXED_LEN_BYTE_ARRAY => {
                    i64::from(chunk.column_descr().type_length()).max(1)
                }
                _ => 4,
            };
            if head.dictionary.is_some_and(|count| count > head.uncompressed / smallest) {
                return Err(corrupted("a dictionary says that it has more values than bytes"));
            }
            values = values.saturating_add(head.values.unwrap_or(0));
            largest = head.uncompressed.max(head.compressed).max(largest);
            if head.shares_prefixes {
                widest = widest.max(head.uncompressed);
            }
            at = body + head.compressed as u64;
        }
        if flat && values != rows {
            return Err(corrupted("a column has not as many values as its row group has rows"));
        }
        Ok((largest, widest))
    }

    fn page_head(&self, at: u64, end: u64) -> EngineResult<PageHead> {
        let mut size = HEAD_BYTES;
        loop {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let mut bytes = vec![0; size.min(left)];
            self.input.read_at(at, &mut bytes).map_err(corrupted)?;
            match thrift::read_page_head(&bytes) {
                Err(Halt::Short) if size < left && size < HEAD_BYTES_MAX => size *= 8,
                outcome => return outcome.map_err(|halt| halted("the head of a page", halt)),
            }
        }
    }

    /// A reader of one row group, whose pages have been walked.
    fn read_group(
        &self,
        group: usize,
        columns: &[usize],
    ) -> EngineResult<ParquetRecordBatchReader> {
        let metadata = self.metadata.metadata();
        let description = metadata.file_metadata().schema_descr();
        let facts = metadata.row_group(group);
        let (mut pages, mut bytes, mut row_bytes) = (0i64, 0i64, 0i64);
        for leaf in 0..facts.num_columns() {
            if !columns.contains(&description.get_column_root_idx(leaf)) {
                continue;
            }
            let chunk = facts.column(leaf);
            let flat = chunk.column_descr().max_rep_level() == 0;
            let (largest, widest) = self.check_pages(chunk, facts.num_rows(), flat)?;
            pages = pages.saturating_add(largest);
            row_bytes = row_bytes.saturating_add(widest);
            bytes = bytes.saturating_add(chunk.uncompressed_size().max(0));
        }
        if pages > PAGES_BYTES_MAX {
            return Err(too_large("pages of more than 2 GiB to be read together"));
        }
        let row_bytes = row_bytes.max(bytes / facts.num_rows().max(1) + 1);
        let rows = usize::try_from(BATCH_BYTES / row_bytes).unwrap_or(1).clamp(1, BATCH_ROWS);
        let mask = ProjectionMask::roots(description, columns.iter().copied());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.input.clone(),
            self.metadata.clone(),
        );
        builder
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(rows)
            .build()
            .map_err(corrupted)
    }
}

// --- reading ---

/// Row groups, one after the other, as batches.
struct Rows {
    file: Arc<File>,
    columns: Vec<usize>,
    /// Where each of them stands among those that are read, which come in the file's order.
    order: Vec<usize>,
    schema: SchemaRef,
    group: usize,
    group_end: usize,
    reader: Option<ParquetRecordBatchReader>,
    /// Rows of the group that have not come yet.
    left: i64,
    /// A batch of which so many rows were given out.
    batch: Option<(RecordBatch, usize)>,
}

impl Rows {
    fn new(
        file: Arc<File>,
        group: usize,
        group_end: usize,
        columns: Vec<usize>,
    ) -> EngineResult<Self> {
        if group > group_end || group_end > file.metadata.metadata().num_row_groups() {
            return Err(EngineError::internal("a row group that is not there was asked for"));
        }
        if let Some(column) = columns.iter().find(|column| **column >= file.refused.len()) {
            return Err(EngineError::internal(format!("there is no column {column}")));
        }
        if let Some(column) = columns.iter().find(|column| file.refused[**column].is_some()) {
            let field = file.schema.field(*column);
            let words = format!("column \"{}\" has a type that cannot be read", field.name());
            return Err(EngineError::unsupported(words));
        }
        let mut present = columns.clone();
        present.sort_unstable();
        present.dedup();
        let order = columns.iter().map(|column| present.partition_point(|one| one < column));
        let order = order.collect();
        let schema = Arc::new(file.schema.project(&columns)?);
        let (reader, left, batch) = (None, 0, None);
        Ok(Self { file, columns, order, schema, group, group_end, reader, left, batch })
    }

    fn in_core_types(&self, batch: &RecordBatch) -> EngineResult<RecordBatch> {
        let columns = self.order.iter().zip(self.schema.fields());
        let columns =
            columns.map(|(column, field)| file_types::convert(batch.column(*column), field));
        let columns = columns.collect::<EngineResult<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Source for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn guarded<T>(&mut self, body: impl FnOnce(&mut Self) -> EngineResult<T>) -> EngineResult<T> {
        let failure = self.file.input.failure.clone();
        distrusting(&failure, || body(self))
    }

    fn give_up(&mut self) {
        self.reader = None;
    }

    fn next(&mut self) -> EngineResult<Option<RecordBatch>> {
        loop {
            if let Some((batch, given)) = self.batch.take() {
                let count = rows_together(&batch, given);
                if given + count < batch.num_rows() {
                    self.batch = Some((batch.clone(), given + count));
                }
                return Ok(Some(batch.slice(given, count)));
            }
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None if self.group == self.group_end => return Ok(None),
                None => {
                    self.left = self.file.metadata.metadata().row_group(self.group).num_rows();
                    self.reader.insert(self.file.read_group(self.group, &self.columns)?)
                }
            };
            if let Some(batch) = reader.next() {
                let batch = batch.map_err(corrupted)?;
                self.left -= batch.num_rows() as i64;
                if batch.num_rows() > 0 {
                    self.batch = Some((self.in_core_types(&batch)?, 0));
                }
                continue;
            }
            if self.left != 0 {
                return Err(corrupted("a row group has not as many rows as it says"));
            }
            (self.reader, self.group) = (None, self.group + 1);
        }
    }
}

/// How many rows from `first` on are given out together: text that they share counts for each.
fn rows_together(batch: &RecordBatch, first: usize) -> usize {
    let columns = batch.columns().iter().filter_map(|column| match column.data_type() {
        DataType::Utf8View => Some(column.as_string_view().views()),
        DataType::BinaryView => Some(column.as_binary_view().views()),
        _ => None,
    });
    let columns: Vec<_> = columns.collect();
    let mut bytes = 0;
    for row in first..batch.num_rows() {
        // A view's first four bytes are the length of its text.
        bytes += columns.iter().map(|views| i64::from(views[row] as u32)).sum::<i64>();
        if bytes > BATCH_BYTES {
            return (row - first).max(1);
        }
    }
    batch.num_rows() - first
}

// --- writing ---

/// The schema that a stream of the core's says it has, or its error.
fn schema_of(stream: &mut ArrowArrayStream) -> EngineResult<SchemaRef> {
    let mut schema = ArrowSchema::empty();
    let (Some(get_schema), Some(get_last_error)) = (stream.get_schema, stream.get_last_error)
    else {
        return Err(EngineError::internal("a stream of the core was released already"));
    };
    // SAFETY: the stream is not released, and the text lives until its next call.
    unsafe {
        if get_schema(stream, &mut schema) != 0 {
            let text = get_last_error(stream);
            let text = if text.is_null() { c"" } else { CStr::from_ptr(text) };
            return Err(EngineError::from_stream_text(&text.to_string_lossy()));
        }
    }
    Ok(Arc::new(Schema::try_from(&schema)?))
}

fn write_file(mut rows: ArrowArrayStream, output: Output) -> EngineResult<()> {
    let failure = output.failure.clone();
    let failed = |error: parquet::errors::ParquetError| {
        let internal = || EngineError::internal(format!("a Parquet file was not written: {error}"));
        failure.take().unwrap_or_else(internal)
    };
    // Every column may be NULL, and none carries anything of the core's.
    let named = schema_of(&mut rows)?;
    let fields = named.fields().iter();
    let fields = fields.map(|field| Field::new(field.name(), field.data_type().clone(), true));
    let schema = segment::with_field_ids(&Schema::new(fields.collect::<Vec<_>>()));
    let mut batch = segment::next_batch(&mut rows, &schema)?;
    let first = batch.clone().unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)));
    let properties = segment::properties(&schema, &first).map_err(failed)?;
    let properties =
        properties.into_builder().set_max_row_group_row_count(Some(GROUP_ROWS)).build();
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_parquet_schema(segment::parquet_schema(&schema).map_err(failed)?)
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(output, Arc::clone(&schema), options).map_err(failed)?;
    while let Some(rows_now) = batch {
        writer.write(&rows_now).map_err(failed)?;
        batch = segment::next_batch(&mut rows, &schema)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}
