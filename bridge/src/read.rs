//! One partition of a scan: cursors of the core, one after the other, as a stream of batches.
//!
//! ```text
//!   a table's rows, in shares:   |0|1|2|3|4|5|6|7|8| ...      a share is about a row group
//!   partition 0 reads             0     3 4     7              each its own first, then
//!   partition 1 reads               1 2     5 6   8            whatever share is the next
//! ```
//!
//! Invariants: a share is read once; a cursor is opened when it is polled for; batches are
//! imported without a copy and keep what they show alive. Dynamic filters are looked at before
//! each batch. The host's next-batch call returns resident data and doesn't block, so it runs on
//! the engine's workers.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{RecordBatch, RecordBatchOptions, StructArray};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi::from_ffi_and_data_type;
use datafusion::error::Result;
use datafusion::execution::RecordBatchStream;
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use futures::Stream;

use crate::abi::ArrowArray;
use crate::error::{EngineError, EngineResult};
use crate::host::{HostCursor, ScanRequest};
use crate::predicate::Predicate;
use crate::prune;
use crate::scan::TableScan;
use crate::stop;

/// What the partitions of one execution share.
#[derive(Debug)]
pub struct Progress {
    share_next: AtomicUsize,
    rows_delivered: AtomicU64,
}

impl Progress {
    /// Each partition's first share is its own.
    pub fn new(partition_count: usize) -> Self {
        Self { share_next: AtomicUsize::new(partition_count), rows_delivered: AtomicU64::new(0) }
    }
}

/// One partition of a scan as DataFusion polls it.
pub struct TableStream {
    scan: TableScan,
    progress: Arc<Progress>,
    /// The share to open, or that is open; None once there is no more.
    share: Option<usize>,
    cursor: Option<HostCursor>,
    /// What the dynamic filters were when last looked at, and what they implied.
    generation: u64,
    pruning: Vec<Predicate>,
}

impl TableStream {
    pub fn new(scan: TableScan, partition: usize, progress: Arc<Progress>) -> Self {
        let share = Some(partition);
        Self { scan, progress, share, cursor: None, generation: 0, pruning: vec![] }
    }

    /// The next batch; None at the end. After an error the stream has ended.
    fn next_batch(&mut self) -> EngineResult<Option<RecordBatch>> {
        let batch = self.read();
        if !matches!(batch, Ok(Some(_))) {
            (self.share, self.cursor) = (None, None);
        }
        batch
    }

    fn read(&mut self) -> EngineResult<Option<RecordBatch>> {
        stop::check(&self.scan.stop)?;
        let limit = self.scan.limit.unwrap_or(u64::MAX);
        while let Some(share) = self.share {
            let delivered = self.progress.rows_delivered.load(Ordering::Relaxed);
            if delivered >= limit || share >= self.scan.share_count {
                return Ok(None);
            }
            let filters_changed = self.look_at_filters()?;
            let opened = self.cursor.is_none();
            let cursor = match &mut self.cursor {
                Some(cursor) => cursor,
                None => self.cursor.insert(self.scan.table.scan(&ScanRequest {
                    columns: &self.scan.columns,
                    predicates: &self.scan.predicates,
                    limit: self.scan.limit.map(|limit| limit - delivered),
                    partition: share as u32,
                    partition_count: self.scan.share_count as u32,
                })?),
            };
            if filters_changed || (opened && !self.pruning.is_empty()) {
                cursor.prune(&self.pruning)?;
            }
            if let Some(array) = cursor.next()? {
                let batch = import(array, &self.scan.schema)?;
                let rows = batch.num_rows() as u64;
                self.progress.rows_delivered.fetch_add(rows, Ordering::Relaxed);
                return Ok(Some(batch));
            }
            self.cursor = None;
            self.share = Some(self.progress.share_next.fetch_add(1, Ordering::Relaxed));
        }
        Ok(None)
    }

    /// Whether the dynamic filters say something new; then `pruning` says it too.
    fn look_at_filters(&mut self) -> EngineResult<bool> {
        if self.scan.filters.is_empty() {
            return Ok(false);
        }
        let generations = self.scan.filters.iter().map(snapshot_generation);
        let generation = generations.fold(0, u64::wrapping_add);
        if generation == self.generation {
            return Ok(false);
        }
        self.generation = generation;
        let mut implied =
            prune::implied_by(&self.scan.filters, &self.scan.schema, &self.scan.columns)?;
        implied.retain(|one| self.scan.table.supports(std::slice::from_ref(one)));
        let changed = implied != self.pruning;
        self.pruning = implied;
        Ok(changed)
    }
}

impl Stream for TableStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next_batch().map_err(Into::into).transpose())
    }
}

impl RecordBatchStream for TableStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.scan.schema)
    }
}

/// Takes an array over as a batch, without a copy (a misaligned buffer is copied).
pub fn import(array: ArrowArray, schema: &SchemaRef) -> EngineResult<RecordBatch> {
    check_shape(&array, schema)?;
    let data_type = DataType::Struct(schema.fields().clone());
    let broken = |error: ArrowError| EngineError::internal(format!("a scan's batch: {error}"));
    // SAFETY: the shape was checked; that buffers are as long as the lengths say is the host's
    // promise, which no consumer of the C data interface can check.
    let data = unsafe { from_ffi_and_data_type(array, data_type) }.map_err(broken)?;
    let options = RecordBatchOptions::new().with_row_count(Some(data.len()));
    let columns = StructArray::from(data).into_parts().1;
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(broken)
}

/// What arrow-rs takes on trust and would read out of bounds for: counts and lengths.
fn check_shape(array: &ArrowArray, schema: &Schema) -> EngineResult<()> {
    let fields = schema.fields();
    let malformed = || EngineError::internal("a scan delivered a malformed batch");
    let sane = |array: &ArrowArray| array.length >= 0 && array.offset >= 0 && array.n_buffers >= 0;
    if !sane(array) || array.n_children < 0 || array.n_children as usize != fields.len() {
        return Err(malformed());
    }
    for (index, field) in fields.iter().enumerate() {
        let child = array.child(index);
        let buffers = match field.data_type() {
            DataType::Utf8View | DataType::BinaryView => child.n_buffers >= 3,
            _ => child.n_buffers == 2,
        };
        let long_enough =
            array.length.checked_add(array.offset).is_some_and(|end| child.length >= end);
        if !sane(child) || !buffers || !long_enough {
            return Err(malformed());
        }
    }
    Ok(())
}
