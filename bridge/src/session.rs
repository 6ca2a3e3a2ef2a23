//! The engine proper: one runtime, one memory pool, one prepared session; and planning.
//!
//! ```text
//!   text -> parse -> only one query? -> logical plan (names from the host) -> bind parameters
//!        -> optimise (filters go to the host) -> physical plan -> stream
//!     |                                                ^
//!     +---- planned before? (plan_cache.rs) -----------+
//! ```
//!
//! Planning runs on a thread of the runtime's blocking pool, execution on its workers; the caller
//! waits and can give up (`wait.rs`). The session's functions and rules are made once;
//! each statement copies the session (some tens of microseconds) because the catalog and the
//! start time are part of it.
//!
//! Invariants: nothing but a query is planned (checked in the text's tree and again in the plan);
//! no catalog, file format, object store or table factory exists that a statement could reach, so
//! only the host's tables can be read. `Engine` is kept alive by every stream it made, and it is
//! dropped, joining the workers, only on a thread of the caller's.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::{ConfigNonZeroUsize, Dialect};
use datafusion::common::datatype::DataTypeExt;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, SessionStateDefaults, TaskContext};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    DataType as SqlType, Ident, Query, Statement as SqlStatement, TimezoneInfo,
};
use tokio::runtime::Runtime;

use crate::abi::{omen_engine_counters, omen_engine_options, omen_engine_statement, omen_status};
use crate::arithmetic::CheckedArithmetic;
use crate::catalog::{StatementCatalog, CATALOG, SCHEMA};
use crate::error::{EngineError, EngineResult};
use crate::facts::{self, AggregatesFromFacts};
use crate::frames;
use crate::functions;
use crate::host::Host;
use crate::limits;
use crate::plan_cache::{self, PlanCache};
use crate::sorts;
use crate::stop;
use crate::value;
use crate::wait::Interrupt;

/// The pool's size where the options leave it open.
const MEMORY_BYTES_DEFAULT: u64 = 1 << 30;

/// Deep plans recurse; tokio's own 2 MiB are too small for them.
const STACK_BYTES: usize = 8 << 20;

/// Levels of nesting the parser takes; the planner behind it grows its stack as needed.
const NESTING_MAX: usize = 128;

/// Names this many consumers when memory runs out.
const CONSUMERS_NAMED: std::num::NonZeroUsize = std::num::NonZeroUsize::new(3).unwrap();

/// A running engine. Shared by the instance handle and every stream.
pub struct Engine {
    state: SessionState,
    pub task_context: Arc<TaskContext>,
    host: Arc<Host>,
    plans: Arc<PlanCache>,
    /// Planned so far, without those to explain.
    pub queries: AtomicU64,
    pub spilled_bytes: AtomicU64,
    /// Last, so that it is dropped last.
    pub runtime: Runtime,
}

/// A parameter: how it is declared and its value.
pub type Parameter = (SqlType, ScalarValue);

/// One query to plan.
#[derive(PartialEq, Eq, Hash)]
pub struct Question {
    pub sql: String,
    pub parameters: Vec<Parameter>,
}

impl Engine {
    /// Starts the runtime and prepares the session.
    pub fn start(host: Arc<Host>, options: &omen_engine_options) -> EngineResult<Self> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let threads = if options.thread_count == 0 { cores } else { options.thread_count as usize };
        let memory = if options.memory_bytes_max == 0 {
            MEMORY_BYTES_DEFAULT
        } else {
            options.memory_bytes_max
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_stack_size(STACK_BYTES)
            .thread_name("omen-engine")
            .enable_all()
            .build()
            .map_err(|error| EngineError::internal(format!("no runtime: {error}")))?;
        let state = new_state(threads, memory as usize, Arc::clone(&host))?;
        let task_context = state.task_ctx();
        let (queries, spilled_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let plans = Arc::default();
        Ok(Self { state, task_context, host, plans, queries, spilled_bytes, runtime })
    }

    /// Plans one query against `statement`'s tables.
    ///
    /// # Safety
    /// `statement` is a live handle of the host until this returns.
    pub unsafe fn plan(
        &self,
        statement: *mut omen_engine_statement,
        question: Question,
        interrupt: &Interrupt,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        // SAFETY: the guard is dropped at the end of this function, also where the planning goes
        // on because nobody waits for it any more.
        let (catalog, _guard) = unsafe { StatementCatalog::new(Arc::clone(&self.host), statement) };
        let mut state = self.state.clone();
        state.register_catalog_list(Arc::new(catalog.clone()));
        let (handle, stop) = (self.runtime.handle().clone(), interrupt.stop_flag());
        stop::set_flag(state.config_mut().options_mut(), &stop);
        state.mark_start_execution();
        let plans = Arc::clone(&self.plans);
        interrupt.run_blocking(&self.runtime, move || {
            let planning = async {
                let plan = logical_plan(&state, &plans, &catalog, question).await?;
                let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
                Ok(stop::stoppable(plan, &stop)?)
            };
            catch_unwind(AssertUnwindSafe(|| handle.block_on(planning)))
                .unwrap_or_else(|payload| Err(EngineError::from_panic(payload.as_ref())))
        })?
    }

    pub fn counters(&self) -> omen_engine_counters {
        omen_engine_counters {
            struct_bytes: 0,
            queries: self.queries.load(Ordering::Relaxed),
            spilled_bytes: self.spilled_bytes.load(Ordering::Relaxed),
            dynamic_filters: self.host.dynamic_filters.load(Ordering::Relaxed),
            plans_cached: self.plans.hits.load(Ordering::Relaxed),
        }
    }
}

/// The optimised plan of `question`, over the statement's tables.
async fn logical_plan(
    state: &SessionState,
    plans: &PlanCache,
    catalog: &StatementCatalog,
    question: Question,
) -> EngineResult<LogicalPlan> {
    if let Some(plan) = plans.find(&question, catalog) {
        return Ok(plan);
    }
    let parsed = parse(state, &question.sql)?;
    let plan = bind(state, parsed, question.parameters.clone()).await?;
    let tables = if plan_cache::is_timeless(&plan)? { catalog.versions() } else { None };
    let plan = state.optimize(&plan)?;
    if let Some(tables) = tables {
        plans.store(question, tables, &plan);
    }
    Ok(plan)
}

/// DataFusion's own, without the one that takes a DISTINCT aggregate apart: the sums beside it get
/// another precision than the expressions above them expect.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| rule.name() != "single_distinct_aggregation_to_group_by");
    rules
}

/// DataFusion's own, with those of `sorts.rs` and `facts.rs`.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    for rule in rules.iter_mut().filter(|rule| rule.name() == facts::REPLACED) {
        *rule = Arc::new(AggregatesFromFacts(Arc::clone(rule)));
    }
    sorts::add_rule(&mut rules);
    rules
}

/// A session with functions and rules and nothing else.
fn new_state(
    threads: usize,
    memory_bytes_max: usize,
    host: Arc<Host>,
) -> EngineResult<SessionState> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes_max), CONSUMERS_NAMED);
    let environment = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(false)
        .with_target_partitions(threads)
        .with_batch_size(8192);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.enable_ident_normalization = true;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.recursion_limit = ConfigNonZeroUsize::try_new(NESTING_MAX)?;
    options.execution.time_zone = Some("UTC".into());
    // Room for merging sorted runs, in each partition: not more than the pool can give.
    let reserved = memory_bytes_max / (4 * threads.max(1));
    let reservation = &mut options.execution.sort_spill_reservation_bytes;
    *reservation = reserved.min(*reservation);
    // Its heap panics where a NaN meets a number.
    options.optimizer.enable_topk_aggregation = false;
    // Loses rows; `sorts.rs` does it instead.
    options.optimizer.repartition_sorts = false;
    // What is never NULL may be computed by a function that could give one.
    options.execution.skip_physical_aggregate_schema_check = true;
    // Small inputs then stay on one partition.
    options.execution.use_row_number_estimates_to_optimize_partitioning = true;
    let table_functions = SessionStateDefaults::default_table_functions();
    let mut scalar_functions = SessionStateDefaults::default_scalar_functions();
    scalar_functions.extend(functions::scalar_functions(&host));
    let mut aggregate_functions = SessionStateDefaults::default_aggregate_functions();
    aggregate_functions.extend(frames::framed(&aggregate_functions));
    aggregate_functions.extend(functions::aggregate_functions());
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        .with_optimizer_rules(optimizer_rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(scalar_functions)
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(aggregate_functions)
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_table_function_list(table_functions)
        .with_type_planner(Arc::new(CoreTypes))
        .build();
    state.register_function_rewrite(Arc::new(CheckedArithmetic))?;
    Ok(state)
}

/// SQL's type names as the core's types, where DataFusion's own choice differs.
#[derive(Debug)]
struct CoreTypes;

impl TypePlanner for CoreTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            SqlType::Timestamp(
                None | Some(6),
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone,
            ) => value::TIMESTAMP,
            SqlType::Timestamp(None | Some(6), TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
                value::timestamptz()
            }
            SqlType::Bytea => DataType::BinaryView,
            SqlType::Uuid => DataType::FixedSizeBinary(16),
            _ => return Ok(None),
        };
        Ok(Some(data_type.into_nullable_field_ref()))
    }
}

/// The one query in `sql`.
fn parse(state: &SessionState, sql: &str) -> EngineResult<Box<Query>> {
    let dialect = state.config().options().sql_parser.dialect;
    if sql.trim().is_empty() {
        return Err(EngineError::new(omen_status::OMEN_SYNTAX_ERROR, "the statement is empty"));
    }
    limits::with_stack_for_text(sql.len(), || match state.sql_to_statement(sql, &dialect)? {
        Statement::Statement(statement) => match *statement {
            SqlStatement::Query(query) => limits::check(&query).map(|()| query),
            _ => Err(only_queries()),
        },
        _ => Err(only_queries()),
    })
}

fn only_queries() -> EngineError {
    EngineError::unsupported("the SQL engine runs queries only")
}

/// The logical plan with every parameter replaced by its value.
async fn bind(
    state: &SessionState,
    query: Box<Query>,
    parameters: Vec<Parameter>,
) -> EngineResult<LogicalPlan> {
    let query = SqlStatement::Query(query);
    let (types, values): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
    let has_parameters = !values.is_empty();
    // A PREPARE tells the planner the parameters' types before it types what uses them.
    let statement = if has_parameters {
        SqlStatement::Prepare {
            name: Ident::new("statement"),
            data_types: types,
            statement: Box::new(query),
        }
    } else {
        query
    };
    let plan = state.statement_to_plan(Statement::Statement(Box::new(statement))).await?;
    let plan = if has_parameters { plan.with_param_values(values)? } else { plan };
    let options =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&plan)?;
    if let Some(name) = plan.get_parameter_names()?.into_iter().min() {
        return Err(EngineError::new(
            omen_status::OMEN_INVALID_ARGUMENT,
            format!("there is no value for parameter {name}"),
        ));
    }
    Ok(plan)
}
