//! Sorts on all cores: each partition is sorted apart, then they are merged.
//!
//! DataFusion's own way (`repartition_sorts`) leaves sort keys out that are constant in each
//! partition, even where they differ from one to the next, as in the branches of a UNION; the
//! branches' heaps of a LIMIT then share one bound and rows are lost. Here every key stays.
//!
//! ```text
//!   SortExec             ->   SortPreservingMergeExec
//!     CoalescePartitions        SortExec, partition by partition
//!       input                     input
//! ```

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::ExecutionPlan;

/// Puts this rule where DataFusion's know sorts and partitions, before limits and dynamic filters move.
pub fn add_rule(rules: &mut Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>) {
    let ensured = rules.iter().position(|rule| rule.name() == "EnsureRequirements");
    rules.insert(ensured.map_or(rules.len(), |index| index + 1), Arc::new(SortPartitions));
}

#[derive(Debug)]
struct SortPartitions;

impl PhysicalOptimizerRule for SortPartitions {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(plan.transform_up(|plan| Ok(split(plan)))?.data)
    }

    fn name(&self) -> &str {
        "sort_partitions"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn split(plan: Arc<dyn ExecutionPlan>) -> Transformed<Arc<dyn ExecutionPlan>> {
    let Some(sort) = plan.downcast_ref::<SortExec>() else { return Transformed::no(plan) };
    match sort.input().downcast_ref::<CoalescePartitionsExec>() {
        Some(gather) if gather.fetch().is_none() && !sort.preserve_partitioning() => {
            let parts = SortExec::new(sort.expr().clone(), Arc::clone(gather.input()));
            let parts = parts.with_fetch(sort.fetch()).with_preserve_partitioning(true);
            let merge = SortPreservingMergeExec::new(sort.expr().clone(), Arc::new(parts));
            Transformed::yes(Arc::new(merge.with_fetch(sort.fetch())))
        }
        _ => Transformed::no(plan),
    }
}
