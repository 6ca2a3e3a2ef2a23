//! Optimised logical plans, kept for when the same question comes again.
//!
//! ```text
//!   question (text, parameters) --find--> entry: tables, plan over placeholders
//!                                           | every table resolved for this statement and still
//!                                           | the same version? else plan anew
//!                                           v
//!                                         plan over this statement's tables -> physical plan
//! ```
//!
//! The values of the parameters are part of the question, because the optimiser has seen them. So
//! has it the schemas: each table that the question named must be the one it was, by the identity
//! that the host gives it, and have the same columns. Data it has not seen: statistics are asked
//! for by physical planning, which every statement does for itself.
//!
//! Invariants: what is kept reads nothing and holds no table, read view or statement: each scan's
//! source is a `Placeholder`, which cannot be planned. Only plans over the host's tables are kept,
//! and none with a function of the session's time, which the optimiser makes a constant.
//!
//! Concurrency: one mutex around the list; nobody plans, resolves or drops a plan while holding it.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, TableSource, Volatility};

use crate::catalog::StatementCatalog;
use crate::limits;
use crate::provider::ArrowTableProvider;
use crate::session::Question;

/// Plans kept; the one not used for longest goes first.
const PLAN_COUNT_MAX: usize = 256;

/// Plans kept of one text: one whose values always change leaves room for the others.
const VARIANT_COUNT_MAX: usize = 16;

/// What the questions of all plans together and of one alone may have. A plan takes about twenty
/// times as much as its text, so all take less than 64 MiB.
const BYTES_MAX: usize = 2 << 20;
const QUESTION_BYTES_MAX: usize = 64 << 10;

/// What a plan knows of a table: the name the statement resolves it by, and what must be the same
/// for the plan to be right.
#[derive(Debug, PartialEq, Eq)]
pub struct TableVersion {
    pub name: String,
    pub identity: u64,
    pub schema: SchemaRef,
}

/// The tables that a statement has resolved.
pub type TableVersions = Vec<Arc<TableVersion>>;

/// The plans of one engine.
#[derive(Default)]
pub struct PlanCache {
    hasher: RandomState,
    list: Mutex<List>,
    pub hits: AtomicU64,
}

#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    bytes: usize,
    /// Counts uses; the larger, the later.
    clock: u64,
}

struct Entry {
    hash: u64,
    question: Question,
    kept: Arc<Kept>,
    bytes: usize,
    used: u64,
}

struct Kept {
    tables: TableVersions,
    plan: LogicalPlan,
}

impl PlanCache {
    /// The optimised plan of `question` over the tables of `catalog`'s statement, if there is one.
    pub fn find(&self, question: &Question, catalog: &StatementCatalog) -> Option<LogicalPlan> {
        let kept = self.lookup(question)?;
        for table in &kept.tables {
            // Where a name fails now, planning finds the words for it.
            let now = catalog.resolve(&table.name).ok()??;
            if now.version() != table {
                return None;
            }
        }
        let plan = over_tables(kept.plan.clone(), catalog).ok()?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(plan)
    }

    /// Keeps `plan`, made by optimising for `question` while its statement saw `tables`. Plans
    /// that can't be kept are not.
    pub fn store(&self, question: Question, tables: TableVersions, plan: &LogicalPlan) {
        let values = question.parameters.iter().map(|(_, value)| value.size());
        let bytes = question.sql.len() + values.sum::<usize>();
        if bytes > QUESTION_BYTES_MAX {
            return;
        }
        let Ok(Some(plan)) = over_placeholders(plan.clone()) else { return };
        let hash = self.hasher.hash_one(&question);
        let kept = Arc::new(Kept { tables, plan });
        let mut list = self.list();
        list.clock += 1;
        let entry = Entry { hash, question, kept, bytes, used: list.clock };
        let gone = list.make_room(&entry);
        list.bytes += bytes;
        list.entries.push(entry);
        drop(list);
        drop(gone);
    }

    fn lookup(&self, question: &Question) -> Option<Arc<Kept>> {
        let hash = self.hasher.hash_one(question);
        let mut list = self.list();
        list.clock += 1;
        let clock = list.clock;
        let mut entries = list.entries.iter_mut();
        let entry = entries.find(|entry| entry.hash == hash && entry.question == *question)?;
        entry.used = clock;
        Some(Arc::clone(&entry.kept))
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PlanCache {
    /// Deep plans recurse when they are dropped, and this may be any thread of the caller's.
    fn drop(&mut self) {
        let entries = std::mem::take(&mut self.list().entries);
        limits::with_stack(|| drop(entries));
    }
}

impl List {
    /// Takes out what `new` replaces and what it pushes out.
    fn make_room(&mut self, new: &Entry) -> Vec<Entry> {
        let mut gone = vec![];
        let same = |entry: &Entry| entry.hash == new.hash && entry.question == new.question;
        if let Some(index) = self.entries.iter().position(same) {
            gone.push(self.remove(index));
        }
        let variant = |entry: &Entry| entry.question.sql == new.question.sql;
        if self.entries.iter().filter(|entry| variant(entry)).count() >= VARIANT_COUNT_MAX {
            gone.extend(self.remove_oldest(variant));
        }
        while self.entries.len() >= PLAN_COUNT_MAX || self.bytes + new.bytes > BYTES_MAX {
            match self.remove_oldest(|_| true) {
                Some(entry) => gone.push(entry),
                None => break,
            }
        }
        gone
    }

    fn remove_oldest(&mut self, among: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| among(entry));
        let (index, _) = entries.min_by_key(|(_, entry)| entry.used)?;
        Some(self.remove(index))
    }

    fn remove(&mut self, index: usize) -> Entry {
        let entry = self.entries.swap_remove(index);
        self.bytes -= entry.bytes;
        entry
    }
}

/// A table in a plan that is kept: enough to find the statement's own, nothing to read from.
struct Placeholder {
    version: Arc<TableVersion>,
}

impl TableSource for Placeholder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.version.schema)
    }
}

/// `plan` with its sources taken out; None where it reads something that is no table of the host's.
fn over_placeholders(plan: LogicalPlan) -> Result<Option<LogicalPlan>> {
    let mut foreign = false;
    let plan = with_sources(plan, |source| {
        let provider = source_as_provider(source)?;
        let Some(table) = provider.downcast_ref::<ArrowTableProvider>() else {
            foreign = true;
            return Ok(Arc::clone(source));
        };
        Ok(Arc::new(Placeholder { version: Arc::clone(table.version()) }))
    })?;
    Ok((!foreign).then_some(plan))
}

/// A plan that was kept, over the tables of `catalog`'s statement.
fn over_tables(plan: LogicalPlan, catalog: &StatementCatalog) -> Result<LogicalPlan> {
    with_sources(plan, |source| {
        let Some(placeholder) = source.downcast_ref::<Placeholder>() else {
            return datafusion::common::internal_err!("a kept plan has a source of its own");
        };
        match catalog.resolve(&placeholder.version.name)? {
            Some(table) => Ok(provider_as_source(table)),
            None => datafusion::common::internal_err!("a kept plan reads a function"),
        }
    })
}

/// `plan` with the source of each scan replaced, those of subqueries too.
fn with_sources(
    plan: LogicalPlan,
    mut replacement: impl FnMut(&Arc<dyn TableSource>) -> Result<Arc<dyn TableSource>>,
) -> Result<LogicalPlan> {
    let replaced = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) => {
            let source = replacement(&scan.source)?;
            Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan })))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(replaced.data)
}

/// Whether optimising `plan`, not yet optimised, depends on nothing but tables' schemas.
pub fn is_timeless(plan: &LogicalPlan) -> Result<bool> {
    let mut timeless = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::ScalarFunction(call) = part {
                    timeless &= call.func.signature().volatility != Volatility::Stable;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(timeless)
}
