//! A scan of a core table: the source under a `DataSourceExec`.
//!
//! What it says of itself to the planner: partitions, statistics, filters it can prune by. The
//! reading is `read.rs`.
//!
//! Invariants: no order is promised. Statistics are exact only where the core says so and the
//! scan delivers every row: no predicate, no limit, no dynamic filter; per partition nothing is
//! known. Dynamic filters only prune, so they stay above too (`PushedDown::No`). The scan is left
//! non-cooperative, DataFusion adds the yields.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{internal_err, ColumnStatistics, Statistics};
use datafusion::datasource::source::{DataSource, OpenArgs};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{
    DynamicFilterTracking, EquivalenceProperties, Partitioning, PhysicalExpr,
};
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::DisplayFormatType;

use crate::host::HostTable;
use crate::predicate::Predicate;
use crate::read::{Progress, TableStream};
use crate::stop::StopFlag;

/// Below so many rows a scan isn't worth a second thread.
const PARALLEL_ROWS_MIN: u64 = 32_768;

/// Rows of a share, what one partition reads before it takes the next; a row group has as many.
const SHARE_ROWS: u64 = 65_536;

/// The share of rows that DataFusion too assumes to pass a filter it knows nothing about.
const FILTERED_SHARE: u64 = 5;

/// One reading of a table: which columns, which rows, in how many partitions.
#[derive(Debug, Clone)]
pub struct TableScan {
    pub table: Arc<HostTable>,
    /// The projection: positions in the table, and their fields.
    pub columns: Vec<u32>,
    pub schema: SchemaRef,
    pub predicates: Vec<Predicate>,
    /// Dynamic ones, over the fields of `schema`.
    pub filters: Vec<Arc<dyn PhysicalExpr>>,
    pub limit: Option<u64>,
    partition_count: usize,
    /// Into how many parts the core cuts the table; at least one a partition.
    pub share_count: usize,
    /// Set once nobody waits for the rows any more.
    pub stop: StopFlag,
    statistics: Arc<OnceLock<Arc<Statistics>>>,
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
            filters: vec![],
            limit: limit.map(|limit| limit as u64),
            partition_count: 1,
            share_count: 1,
            stop: StopFlag::default(),
            statistics: Arc::default(),
        };
        if !scan.is_by_key() && scan.table.row_count >= PARALLEL_ROWS_MIN {
            scan.partition_count = partition_count_max.max(1);
            let shares = scan.table.row_count.div_ceil(SHARE_ROWS) as usize;
            scan.share_count = shares.max(scan.partition_count);
        }
        Ok(scan)
    }

    /// The same scan, which fails once `flag` is set.
    pub fn stopped_by(&self, flag: &StopFlag) -> Self {
        Self { stop: Arc::clone(flag), ..self.clone() }
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

    /// Of the whole scan.
    fn known(&self) -> Statistics {
        let every_row = self.predicates.is_empty() && self.limit.is_none();
        let every_row = every_row && self.filters.is_empty();
        let rows = self.row_count_estimate() as usize;
        let num_rows = if every_row && self.table.row_count_exact {
            Precision::Exact(rows)
        } else {
            Precision::Inexact(rows)
        };
        let fields = self.schema.fields().iter();
        let columns = self.columns.iter().zip(fields).map(|(column, field)| {
            let known = self.table.column_statistics(*column, field.data_type());
            if every_row {
                known
            } else {
                known.to_inexact()
            }
        });
        let column_statistics: Vec<ColumnStatistics> = columns.collect();
        Statistics { num_rows, column_statistics, ..Statistics::new_unknown(&Schema::empty()) }
    }
}

impl DataSource for TableScan {
    /// Alone, without the other partitions' state: never called by `DataSourceExec`.
    fn open(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.open_with_args(OpenArgs::new(partition, context))
    }

    fn create_sibling_state(&self, _config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::new(Progress::new(self.partition_count)))
    }

    fn open_with_args(&self, args: OpenArgs) -> Result<SendableRecordBatchStream> {
        let shared = args.sibling_state.and_then(|state| state.downcast::<Progress>().ok());
        let Some(progress) = shared else {
            return internal_err!("a partition of a scan was opened without the others");
        };
        Ok(Box::pin(TableStream::new(self.clone(), args.partition, progress)))
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
        for filter in &self.filters {
            write!(f, ", pruned by={filter}")?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partition_count)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.schema))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(match partition {
            None => Arc::clone(self.statistics.get_or_init(|| Arc::new(self.known()))),
            Some(_) => Arc::new(Statistics::new_unknown(&self.schema)),
        })
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

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let answers = vec![PushedDown::No; filters.len()];
        let mut answer = FilterPushdownPropagation::with_parent_pushdown_result(answers);
        let is_dynamic = |filter: &Arc<dyn PhysicalExpr>| {
            DynamicFilterTracking::classify(filter).contains_dynamic_filter()
        };
        let dynamic: Vec<_> = filters.into_iter().filter(is_dynamic).collect();
        if !dynamic.is_empty() {
            let mut scan = self.clone();
            scan.filters.extend(dynamic);
            scan.statistics = Arc::default();
            answer.updated_node = Some(Arc::new(scan) as Arc<dyn DataSource>);
        }
        Ok(answer)
    }

    /// Joins look here for whether anybody wants their filter.
    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.filters {
            if visit(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }
}
