//! A scan of a core table: the source under a `DataSourceExec`.
//!
//! ```text
//!   DataSourceExec            one TableStream per partition     the core
//!   partition 0..n   ---->    poll: import the next batch  <---  cursor (scan_open, scan_next)
//! ```
//!
//! Invariants: batches are imported without a copy and keep what they show alive; a partition is
//! opened at its first poll; no order is promised; row counts are estimates, never exact, and
//! unknown per partition. The host's next-batch call returns resident data and doesn't block, so
//! it runs on the engine's workers; the scan is left non-cooperative, DataFusion adds the yields.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{RecordBatch, RecordBatchOptions, StructArray};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi::from_ffi_and_data_type;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::Statistics;
use datafusion::datasource::source::DataSource;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::DisplayFormatType;
use futures::Stream;

use crate::abi::ArrowArray;
use crate::error::{EngineError, EngineResult};
use crate::host::{HostCursor, HostTable, ScanRequest};
use crate::predicate::Predicate;

/// Below so many rows a scan isn't worth a second thread.
const PARALLEL_ROWS_MIN: u64 = 32_768;

/// The share of rows that DataFusion too assumes to pass a filter it knows nothing about.
const FILTERED_SHARE: u64 = 5;

/// One reading of a table: which columns, which rows, in how many partitions.
#[derive(Debug, Clone)]
pub struct TableScan {
    table: Arc<HostTable>,
    columns: Vec<u32>,
    schema: SchemaRef,
    predicates: Vec<Predicate>,
    limit: Option<u64>,
    partition_count: usize,
}

impl TableScan {
    /// `projection` None reads all columns, an empty one none (batches then have only a length).
    pub fn new(
        table: Arc<HostTable>,
        projection: Option<&Vec<usize>>,
        predicates: Vec<Predicate>,
        limit: Option<usize>,
        partition_count_max: usize,
    ) -> Result<Self> {
        let (schema, columns) = match projection {
            Some(projection) => (
                Arc::new(table.schema.project(projection)?),
                projection.iter().map(|column| *column as u32).collect(),
            ),
            None => (Arc::clone(&table.schema), (0..table.schema.fields().len() as u32).collect()),
        };
        let mut scan = Self {
            table,
            columns,
            schema,
            predicates,
            limit: limit.map(|limit| limit as u64),
            partition_count: 1,
        };
        if !scan.is_by_key() && scan.table.row_count >= PARALLEL_ROWS_MIN {
            scan.partition_count = partition_count_max.max(1);
        }
        Ok(scan)
    }

    /// Whether the predicates leave a list of keys, which the host looks up in its index.
    fn is_by_key(&self) -> bool {
        let fixed =
            |key: &u32| self.predicates.iter().any(|one| one.column == *key && one.fixes_column());
        !self.table.key_columns.is_empty() && self.table.key_columns.iter().all(fixed)
    }

    fn row_count_estimate(&self) -> u64 {
        let rows = self.table.row_count;
        let passed = if self.is_by_key() {
            let counts = self.predicates.iter().filter(|one| one.fixes_column());
            counts.map(|one| one.values.len() as u64).fold(1, u64::saturating_mul).min(rows)
        } else if self.predicates.is_empty() {
            rows
        } else {
            rows.div_ceil(FILTERED_SHARE)
        };
        passed.min(self.limit.unwrap_or(u64::MAX))
    }
}

impl DataSource for TableScan {
    fn open(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(TableStream {
            scan: self.clone(),
            partition: partition as u32,
            state: StreamState::Unopened,
        }))
    }

    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let columns: Vec<_> =
            self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let predicates: Vec<_> =
            self.predicates.iter().map(|one| one.describe(&self.table.schema)).collect();
        let access = if self.is_by_key() { "index" } else { "scan" };
        write!(
            f,
            "table={}, columns=[{}], predicates=[{}], access={access}, partitions={}",
            self.table.name,
            columns.join(", "),
            predicates.join(" AND "),
            self.partition_count
        )?;
        self.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partition_count)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.schema))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if partition.is_none() {
            statistics.num_rows = Precision::Inexact(self.row_count_estimate() as usize);
        }
        Ok(Arc::new(statistics))
    }

    // The limit a scan was made with holds per partition and only saves work: the limit above
    // stays, so no later one is taken over either.
    fn with_fetch(&self, _limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        None
    }

    fn fetch(&self) -> Option<usize> {
        None
    }

    fn try_swapping_with_projection(
        &self,
        _projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(None)
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

/// One partition of a scan as DataFusion polls it.
struct TableStream {
    state: StreamState,
    scan: TableScan,
    partition: u32,
}

enum StreamState {
    Unopened,
    Open(HostCursor),
    Ended,
}

impl TableStream {
    /// The next batch; None at the end. After an error the stream has ended.
    fn next_batch(&mut self) -> EngineResult<Option<RecordBatch>> {
        if let StreamState::Unopened = self.state {
            self.state = StreamState::Ended;
            let cursor = self.scan.table.scan(&ScanRequest {
                columns: &self.scan.columns,
                predicates: &self.scan.predicates,
                limit: self.scan.limit,
                partition: self.partition,
                partition_count: self.scan.partition_count as u32,
            })?;
            self.state = StreamState::Open(cursor);
        }
        let StreamState::Open(cursor) = &mut self.state else { return Ok(None) };
        let batch = cursor.next().and_then(|array| match array {
            Some(array) => import(array, &self.scan.schema).map(Some),
            None => Ok(None),
        });
        if !matches!(batch, Ok(Some(_))) {
            self.state = StreamState::Ended;
        }
        batch
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
fn import(array: ArrowArray, schema: &SchemaRef) -> EngineResult<RecordBatch> {
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
