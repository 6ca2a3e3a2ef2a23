//! Aggregates answered from statistics: `SELECT count(*), max(id) FROM t` reads nothing.
//!
//! DataFusion takes a column's exact number of distinct values for COUNT(DISTINCT column), but counts
//! NULL as one of them where the column is a literal, as one side of an outer join that finds no
//! partner is. Plans with a DISTINCT aggregate are therefore left alone.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::ExecutionPlan;

/// DataFusion's rule of this name, which it stands in for.
pub const REPLACED: &str = "aggregate_statistics";

#[derive(Debug)]
pub struct AggregatesFromFacts(pub Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for AggregatesFromFacts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if has_distinct(&plan)? {
            return Ok(plan);
        }
        self.0.optimize(plan, config)
    }

    fn name(&self) -> &str {
        "aggregates_from_facts"
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_distinct(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        let aggregate = node.downcast_ref::<AggregateExec>();
        found |= aggregate.is_some_and(|one| one.aggr_expr().iter().any(|call| call.is_distinct()));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
