//! A query's result as an Arrow C stream.
//!
//! Ownership: the stream owns the plan's stream and shares the engine, so it works and can be
//! released after the engine was closed; batches own only their buffers and outlive both.
//! Releasing drops the plan's stream, which cancels the tasks behind it. Batches are computed on the
//! engine's workers while the caller waits; an interrupt ends the wait (`wait.rs`). Columns leave in the
//! core's types (`value::result_type`) and start at offset 0.
//!
//! arrow-rs has an exporter too, but it lets panics through `extern "C"` (an abort) and knows
//! nothing of SQLSTATEs.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast_with_options, CastOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{displayable, execute_stream, ExecutionPlan};
use futures::{FutureExt, StreamExt};

use crate::abi::ArrowArrayStream;
use crate::error::{EngineError, EngineResult};
use crate::export::{export, Source};
use crate::limits::with_stack;
use crate::session::Engine;
use crate::value;
use crate::wait::Interrupt;

/// A result on its way out. Fields drop in order: the stream before the engine's runtime.
struct ResultStream {
    /// None once it has ended or failed.
    stream: Option<SendableRecordBatchStream>,
    interrupt: Interrupt,
    schema: SchemaRef,
    /// For what it measured; None for text.
    plan: Option<Arc<dyn ExecutionPlan>>,
    engine: Arc<Engine>,
}

/// Starts `plan` and gives its result as a C stream.
pub fn run(
    engine: &Arc<Engine>,
    plan: Arc<dyn ExecutionPlan>,
    interrupt: Interrupt,
) -> EngineResult<ArrowArrayStream> {
    let schema = result_schema(&plan.schema())?;
    // The tasks of a plan with several partitions are spawned here.
    let _runtime = engine.runtime.enter();
    engine.queries.fetch_add(1, Ordering::Relaxed);
    let stream = execute_stream(Arc::clone(&plan), Arc::clone(&engine.task_context))?;
    let (stream, plan, engine) = (Some(stream), Some(plan), Arc::clone(engine));
    Ok(export(ResultStream { stream, interrupt, schema, plan, engine }))
}

/// The plan's text, one row a line.
pub fn explain(
    engine: &Arc<Engine>,
    plan: &dyn ExecutionPlan,
    interrupt: Interrupt,
) -> EngineResult<ArrowArrayStream> {
    let text = displayable(plan).indent(false).to_string();
    let lines = StringArray::from(text.lines().collect::<Vec<_>>());
    let field = Field::new("QUERY PLAN", DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(lines)])?;
    let batches = futures::stream::iter([Ok(batch)]);
    let adapter = RecordBatchStreamAdapter::new(Arc::clone(&schema), batches);
    let stream: Option<SendableRecordBatchStream> = Some(Box::pin(adapter));
    let engine = Arc::clone(engine);
    Ok(export(ResultStream { stream, interrupt, schema, plan: None, engine }))
}

/// The schema in the core's types; 0A000 where a column has no such type.
fn result_schema(schema: &Schema) -> EngineResult<SchemaRef> {
    let convert = |field: &Arc<Field>| match value::result_type(field.data_type()) {
        Some(data_type) => Ok(Field::new(field.name(), data_type, field.is_nullable())),
        None => Err(EngineError::unsupported(format!(
            "column \"{}\" has the type {}, which results can't have",
            field.name(),
            field.data_type()
        ))),
    };
    let fields = schema.fields().iter().map(convert).collect::<EngineResult<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

impl ResultStream {
    /// Drops the plan's stream inside the runtime, as some of DataFusion's streams expect.
    fn stop(&mut self) {
        let _runtime = self.engine.runtime.enter();
        self.stream = None;
        self.interrupt.stop();
        if let Some(plan) = self.plan.take() {
            self.engine.spilled_bytes.fetch_add(spilled_bytes(&plan), Ordering::Relaxed);
        }
    }
}

impl Source for ResultStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Blocks until there is a batch, an end, an error or an interrupt.
    fn next(&mut self) -> EngineResult<Option<RecordBatch>> {
        let Some(mut stream) = self.stream.take() else { return Ok(None) };
        let step = async move {
            // Caught here, or the stream would be dropped while the panic unwinds.
            let next = AssertUnwindSafe(stream.next()).catch_unwind().await;
            (stream, next)
        };
        let (stream, next) = self.interrupt.run(&self.engine.runtime, step)?;
        self.stream = Some(stream);
        match next.map_err(|payload| EngineError::from_panic(payload.as_ref()))? {
            Some(batch) => Ok(Some(in_core_types(batch?, &self.schema)?)),
            None => {
                self.stop();
                Ok(None)
            }
        }
    }

    fn guarded<T>(&mut self, body: impl FnOnce(&mut Self) -> EngineResult<T>) -> EngineResult<T> {
        catch_unwind(AssertUnwindSafe(|| with_stack(|| body(self))))
            .unwrap_or_else(|payload| Err(EngineError::from_panic(payload.as_ref())))
    }

    fn give_up(&mut self) {
        self.stop();
    }

    fn end(mut self) {
        with_stack(|| {
            self.stop();
            drop(self);
        });
    }
}

/// What a plan that ran wrote to disk.
fn spilled_bytes(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0) as u64;
    own + plan.children().into_iter().map(spilled_bytes).sum::<u64>()
}

/// A batch's columns in the types of `schema`, at offset 0.
fn in_core_types(batch: RecordBatch, schema: &SchemaRef) -> EngineResult<RecordBatch> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let convert = |(column, field): (&ArrayRef, &Arc<Field>)| -> EngineResult<ArrayRef> {
        let column = if column.data_type() == field.data_type() {
            Arc::clone(column)
        } else {
            cast_with_options(column, field.data_type(), &options)?
        };
        Ok(at_offset_zero(column))
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(convert);
    let columns = columns.collect::<EngineResult<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// A slice of any other type only moves pointers; one of bits keeps an offset, so it is copied.
fn at_offset_zero(column: ArrayRef) -> ArrayRef {
    let Some(bits) = column.as_boolean_opt() else { return column };
    if bits.values().offset() == 0 {
        return column;
    }
    let values = BooleanBuffer::new(bits.values().sliced(), 0, bits.len());
    Arc::new(BooleanArray::new(values, bits.nulls().cloned()))
}
