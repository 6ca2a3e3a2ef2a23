//! Aggregates of floats over window frames: `framed_sum` and its kin.
//!
//! DataFusion takes what leaves a frame off its sums again, which floats do not forgive: NaN and
//! infinities stay, and small numbers are gone with large ones. It also turns windows around, so
//! that even a frame that only grows comes to lose rows. Over windows the core therefore asks for
//! these, which cannot be turned around and only ever add:
//!
//! ```text
//!   leaving <- [ front: the state of its rows from each one on ][ back: rows, and their state ] <- entering
//! ```
//!
//! An answer merges two states, one of the front and the back's. Once the front is used up, the
//! back becomes the front; so a row is added twice, however long the frame is. A short frame is
//! added up anew for each answer, row by row as PostgreSQL does it: then the answer is rounded alike.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;

/// Those whose state is a few numbers, which can be read again and again.
const FRAMED: [&str; 9] =
    ["sum", "avg", "stddev", "stddev_pop", "var", "var_pop", "corr", "covar_pop", "covar_samp"];

/// Rows of a short frame.
const SHORT: usize = 64;

/// The framed ones of `all`.
pub fn framed(all: &[Arc<AggregateUDF>]) -> Vec<Arc<AggregateUDF>> {
    let known = all.iter().filter(|one| FRAMED.contains(&one.name()));
    known.map(|one| Arc::new(AggregateUDF::from(Framed::new(one)))).collect()
}

fn framed_name(name: impl AsRef<str>) -> String {
    format!("framed_{}", name.as_ref())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Framed {
    inner: Arc<AggregateUDF>,
    name: String,
    aliases: Vec<String>,
    signature: Signature,
}

impl Framed {
    fn new(inner: &Arc<AggregateUDF>) -> Self {
        Self {
            inner: Arc::clone(inner),
            name: framed_name(inner.name()),
            aliases: inner.aliases().iter().map(framed_name).collect(),
            signature: Signature::variadic_any(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for Framed {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(arguments)
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        let call = Call {
            function: Arc::clone(&self.inner),
            name: arguments.name.into(),
            return_field: arguments.return_field,
            schema: arguments.schema.clone(),
            exprs: arguments.exprs.to_vec(),
            expr_fields: arguments.expr_fields.to_vec(),
        };
        let back = call.start()?;
        Ok(Box::new(Frame {
            call,
            front: vec![],
            front_states: vec![],
            front_rows: 0,
            back_batches: vec![],
            back_rows: 0,
            back,
        }))
    }
}

/// What it takes to start an accumulator of the function.
#[derive(Debug)]
struct Call {
    function: Arc<AggregateUDF>,
    name: String,
    return_field: FieldRef,
    schema: Schema,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Call {
    fn start(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: &self.name,
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

/// The rows of a frame.
#[derive(Debug)]
struct Frame {
    call: Call,
    /// The arguments' columns, of which the last `front_rows` rows are still in the frame.
    front: Vec<ArrayRef>,
    /// The columns of states: of the last row, of the last two, and so on.
    front_states: Vec<ArrayRef>,
    front_rows: usize,
    /// The arguments' columns as they came, batch by batch, and their state.
    back_batches: Vec<Vec<ArrayRef>>,
    back_rows: usize,
    back: Box<dyn Accumulator>,
}

impl Frame {
    fn turn_back_to_front(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.back_batches);
        self.back_rows = 0;
        self.back = self.call.start()?;
        let column = |index: usize| {
            let parts = batches.iter().map(|batch| batch[index].as_ref());
            concat(&parts.collect::<Vec<_>>())
        };
        let columns = (0..self.call.exprs.len()).map(column).collect::<Result<Vec<_>, _>>()?;
        let mut state = self.call.start()?;
        let mut states: Vec<Vec<ScalarValue>> = vec![];
        let row_count = columns[0].len();
        for row in (0..row_count).rev() {
            let values: Vec<_> = columns.iter().map(|column| column.slice(row, 1)).collect();
            state.update_batch(&values)?;
            let now = state.state()?;
            states.resize_with(now.len(), Vec::new);
            states.iter_mut().zip(now).for_each(|(column, value)| column.push(value));
        }
        let states = states.into_iter().map(ScalarValue::iter_to_array);
        self.front_states = states.collect::<Result<_>>()?;
        (self.front, self.front_rows) = (columns, row_count);
        Ok(())
    }

    /// Adds the rows up one by one.
    fn evaluate_short(&self) -> Result<ScalarValue> {
        let left =
            |column: &ArrayRef| column.slice(column.len() - self.front_rows, self.front_rows);
        let front = (self.front_rows > 0).then(|| self.front.iter().map(left).collect::<Vec<_>>());
        let mut whole = self.call.start()?;
        for batch in front.iter().chain(&self.back_batches) {
            for row in 0..batch[0].len() {
                let values: Vec<_> = batch.iter().map(|column| column.slice(row, 1)).collect();
                whole.update_batch(&values)?;
            }
        }
        whole.evaluate()
    }
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if values[0].is_empty() {
            return Ok(());
        }
        self.back_batches.push(values.to_vec());
        self.back_rows += values[0].len();
        self.back.update_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    /// Rows leave in the order in which they came, so their number is enough.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut leaving = values[0].len();
        while leaving > 0 {
            if self.front_rows == 0 {
                self.turn_back_to_front()?;
            }
            let step = leaving.min(self.front_rows);
            self.front_rows -= step;
            leaving -= step;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.front_rows + self.back_rows <= SHORT {
            return self.evaluate_short();
        }
        let mut whole = self.call.start()?;
        if self.front_rows > 0 {
            let row = self.front_rows - 1;
            let states = self.front_states.iter();
            let state: Vec<_> = states.map(|column| column.slice(row, 1)).collect();
            whole.merge_batch(&state)?;
        }
        let state = self.back.state()?;
        let state = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
        whole.merge_batch(&state)?;
        whole.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        datafusion::common::internal_err!("a frame has no state to hand on")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        datafusion::common::internal_err!("a frame takes rows only")
    }

    fn size(&self) -> usize {
        let columns = self.front.iter().chain(&self.front_states);
        let columns = columns.chain(self.back_batches.iter().flatten());
        size_of_val(self) + columns.map(|column| column.get_array_memory_size()).sum::<usize>()
    }
}
