//! Where a plan that runs for long can be stopped in the middle of a step.
//!
//! Dropping a stream stops its tasks where they next yield. DataFusion yields at the scans, and its
//! joins can work for minutes between two batches of a scan: they make many batches of few, or
//! evaluate a filter on all pairs and let none through. So each join yields too, and each join's
//! filter asks a flag before it is evaluated. Scans ask it before each batch, because they yield
//! only after many, each of which may be costly to compute with.
//!
//! ```text
//!   HashJoinExec, filter f   ->   CooperativeExec(HashJoinExec, filter Stoppable(f))
//!   DataSourceExec, TableScan ->  DataSourceExec, TableScan that looks at the flag
//! ```
//!
//! The core's functions ask it before each row; it comes to them as a setting of the statement's.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::internal_err;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::ExecutionPlan;

use crate::abi::omen_status;
use crate::error::{EngineError, EngineResult};
use crate::scan::TableScan;

/// Set once nobody waits for the query any more.
pub type StopFlag = Arc<AtomicBool>;

/// CANCELLED once `flag` is set.
pub fn check(flag: &AtomicBool) -> EngineResult<()> {
    if flag.load(Ordering::Relaxed) {
        let words = "the statement was cancelled";
        return Err(EngineError::new(omen_status::OMEN_CANCELLED, words));
    }
    Ok(())
}

/// The flag among the settings under which a statement is planned.
#[derive(Debug)]
struct StopSetting(StopFlag);

/// Lets the functions of the plans made under `settings` find `flag`.
pub fn set_flag(settings: &mut ConfigOptions, flag: &StopFlag) {
    settings.extensions.insert(StopSetting(Arc::clone(flag)));
}

/// The flag that was set, or one that nobody will set.
pub fn flag_of(settings: &ConfigOptions) -> StopFlag {
    let setting = settings.extensions.get::<StopSetting>();
    setting.map_or_else(StopFlag::default, |setting| Arc::clone(&setting.0))
}

impl ConfigExtension for StopSetting {
    const PREFIX: &'static str = "stop";
}

impl ExtensionOptions for StopSetting {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(Self(Arc::clone(&self.0)))
    }

    fn set(&mut self, _key: &str, _value: &str) -> Result<()> {
        internal_err!("the stop flag is no setting of the user's")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![]
    }
}

/// `plan`, ready to run: its joins yield, they and its scans look at `flag`.
pub fn stoppable(plan: Arc<dyn ExecutionPlan>, flag: &StopFlag) -> Result<Arc<dyn ExecutionPlan>> {
    let adapt = |plan: Arc<dyn ExecutionPlan>| {
        if let Some(source) = plan.downcast_ref::<DataSourceExec>() {
            let Some(scan) = source.data_source().downcast_ref::<TableScan>() else {
                return Ok(Transformed::no(plan));
            };
            let scan = Arc::new(scan.stopped_by(flag));
            return Ok(Transformed::yes(Arc::new(source.clone().with_data_source(scan))));
        }
        let join = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            match join.filter() {
                Some(filter) => {
                    join.builder().with_filter(Some(wrap(filter, flag))).build_exec()?
                }
                None => plan,
            }
        } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
            let builder = NestedLoopJoinExecBuilder::new(left, right, *join.join_type())
                .with_projection_ref(join.projection().clone())
                .with_filter(join.filter().map(|filter| wrap(filter, flag)));
            Arc::new(builder.build()?)
        } else if plan.is::<CrossJoinExec>() || plan.is::<SortMergeJoinExec>() {
            plan
        } else {
            return Ok(Transformed::no(plan));
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>))
    };
    Ok(plan.transform_up(adapt)?.data)
}

fn wrap(filter: &JoinFilter, flag: &StopFlag) -> JoinFilter {
    let (inner, flag) = (Arc::clone(filter.expression()), Arc::clone(flag));
    let columns = filter.column_indices().to_vec();
    JoinFilter::new(Arc::new(Stoppable { inner, flag }), columns, Arc::clone(filter.schema()))
}

/// An expression that fails once its flag is set.
#[derive(Debug)]
struct Stoppable {
    inner: Arc<dyn PhysicalExpr>,
    flag: StopFlag,
}

impl PartialEq for Stoppable {
    fn eq(&self, other: &Self) -> bool {
        *self.inner == *other.inner && Arc::ptr_eq(&self.flag, &other.flag)
    }
}

impl Eq for Stoppable {}

impl Hash for Stoppable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Stoppable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Stoppable {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        check(&self.flag)?;
        self.inner.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Self { inner, flag: Arc::clone(&self.flag) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
