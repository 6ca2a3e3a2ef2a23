//! `ArrowTableProvider`: a core table as a DataFusion table.
//!
//! A filter is pushed down only if it is a conjunction of predicates (`predicate.rs`) and the host
//! says of each, with the very values, that it applies it exactly. There is no "inexact": what
//! isn't pushed stays above the scan. The scan then gets the pushed filters back and converts them
//! again; should the optimiser have rewritten one into a form that doesn't convert, the provider
//! filters itself, so a pushed filter is never lost.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::ExecutionPlan;

use crate::host::HostTable;
use crate::plan_cache::TableVersion;
use crate::predicate::Predicate;
use crate::scan::TableScan;

/// A table version at a statement's read view, for DataFusion's planner.
#[derive(Debug)]
pub struct ArrowTableProvider {
    table: Arc<HostTable>,
    version: Arc<TableVersion>,
}

impl ArrowTableProvider {
    /// `name` is what the statement resolved.
    pub fn new(name: &str, table: Arc<HostTable>) -> Self {
        let (identity, schema) = (table.identity, Arc::clone(&table.schema));
        Self { table, version: Arc::new(TableVersion { name: name.into(), identity, schema }) }
    }

    /// What of the table a plan may depend on.
    pub fn version(&self) -> &Arc<TableVersion> {
        &self.version
    }

    /// The predicates that say the same as `filter` and that the host applies exactly.
    fn pushable(&self, filter: &Expr) -> Option<Vec<Predicate>> {
        let predicates = Predicate::from_filter(filter, &self.table.schema)?;
        self.table.supports(&predicates).then_some(predicates)
    }

    /// Puts `filters` above a scan of all columns and cuts it down to `projection`.
    fn filter_here(
        &self,
        session: &dyn Session,
        scan: Arc<dyn ExecutionPlan>,
        filters: Vec<Expr>,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(filter) = conjunction(filters) else { return Ok(scan) };
        let schema = DFSchema::try_from(Arc::clone(&self.table.schema))?;
        let filter = session.create_physical_expr(filter, &schema)?;
        let filtered = Arc::new(FilterExec::try_new(filter, scan)?);
        let Some(projection) = projection else { return Ok(filtered) };
        let columns = projection.iter().map(|index| {
            let name = self.table.schema.field(*index).name();
            (Arc::new(Column::new(name, *index)) as Arc<dyn PhysicalExpr>, name.clone())
        });
        Ok(Arc::new(ProjectionExec::try_new(columns, filtered)?))
    }
}

#[async_trait]
impl TableProvider for ArrowTableProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.pushable(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut predicates = Vec::with_capacity(filters.len());
        let mut rest = vec![];
        for filter in filters {
            match self.pushable(filter) {
                Some(pushed) => predicates.extend(pushed),
                None => rest.push(filter.clone()),
            }
        }
        let whole = rest.is_empty();
        let scan = TableScan::new(
            Arc::clone(&self.table),
            projection.filter(|_| whole),
            predicates,
            limit.filter(|_| whole),
            session.config().target_partitions(),
        )?;
        self.filter_here(session, DataSourceExec::from_data_source(scan), rest, projection)
    }
}
