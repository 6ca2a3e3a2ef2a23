//! The functions that the core's texts call and DataFusion doesn't have.
//!
//! ```text
//!   core('signature', arguments...)   the core's own function, called once a batch
//!   whole(x)                          x, unseen by the rules that would take it apart
//!   single_value(x)                   an aggregate: the only row's value; two rows are 21000
//! ```
//!
//! `core` is immutable to DataFusion: constant calls are computed while planning, and one that fails
//! there is left for the execution, which may never come to it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use datafusion::common::{internal_err, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::abi::omen_status;
use crate::error::{EngineError, MORE_THAN_ONE_ROW};
use crate::host::Host;
use crate::stop;
use crate::value;

/// Those of single rows.
pub fn scalar_functions(host: &Arc<Host>) -> Vec<Arc<ScalarUDF>> {
    let core = Core { host: HostOfCalls(Arc::clone(host)), signature: any_arguments() };
    let whole = Whole { signature: Signature::any(1, Volatility::Immutable) };
    vec![Arc::new(ScalarUDF::from(core)), Arc::new(ScalarUDF::from(whole))]
}

/// Those of many rows.
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let signature = Signature::any(1, Volatility::Immutable);
    vec![Arc::new(AggregateUDF::from(SingleValue { signature }))]
}

fn any_arguments() -> Signature {
    Signature::variadic_any(Volatility::Immutable)
}

/// A call of the core: its first argument says which.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Core {
    host: HostOfCalls,
    signature: Signature,
}

/// An engine has one host, so it tells no functions apart.
#[derive(Debug)]
struct HostOfCalls(Arc<Host>);

impl PartialEq for HostOfCalls {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for HostOfCalls {}

impl Hash for HostOfCalls {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl ScalarUDFImpl for Core {
    fn name(&self) -> &str {
        "core"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type of core() follows from its signature")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let signature = arguments.scalar_arguments.first().copied().flatten();
        match signature.and_then(|value| value.try_as_str().flatten()) {
            Some(signature) => {
                let data_type = self.host.0.function_result(signature)?;
                Ok(Arc::new(Field::new(self.name(), data_type, true)))
            }
            None => internal_err!("core() needs a constant signature"),
        }
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((ColumnarValue::Scalar(signature), arguments)) = call.args.split_first() else {
            return internal_err!("core() needs a constant signature");
        };
        let Some(signature) = signature.try_as_str().flatten() else {
            return internal_err!("core() needs a constant signature");
        };
        let constant = |argument: &ColumnarValue| matches!(argument, ColumnarValue::Scalar(_));
        let folds = arguments.iter().all(constant);
        let row_count = if folds { 1 } else { call.number_rows };
        let columns = arguments.iter().map(|argument| in_core_type(argument, row_count));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let field = |column: &ArrayRef| Field::new("", column.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let stop = stop::flag_of(&call.config_options);
        let result = self.host.0.function_call(signature, batch, call.return_type(), &stop)?;
        if folds {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// An argument as a column of a type that the core has.
fn in_core_type(argument: &ColumnarValue, row_count: usize) -> Result<ArrayRef> {
    let column = argument.to_array(row_count)?;
    match value::result_type(column.data_type()) {
        Some(wanted) if wanted != *column.data_type() => Ok(cast(&column, &wanted)?),
        _ => Ok(column),
    }
}

/// The identity. DataFusion takes comparisons into the branches of a CASE and makes ANDs and ORs
/// of it, which compute every branch; it doesn't look into functions.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    signature: Signature,
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        "whole"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().map_or_else(|| internal_err!("whole() of nothing"), Ok)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        call.args.into_iter().next().map_or_else(|| internal_err!("whole() of nothing"), Ok)
    }
}

/// The value of a group's only row; a second row is an error. What a scalar subquery comes to where
/// it is computed for many rows at once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &str {
        "single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().map_or_else(|| internal_err!("single_value() of nothing"), Ok)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let value = ScalarValue::try_from(arguments.return_field.data_type())?;
        Ok(Box::new(SingleRow { value, count: 0 }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = arguments.return_field.data_type().clone();
        Ok(vec![
            Arc::new(Field::new(format!("{}[value]", arguments.name), value, true)),
            Arc::new(Field::new(format!("{}[count]", arguments.name), DataType::Int64, true)),
        ])
    }
}

#[derive(Debug)]
struct SingleRow {
    value: ScalarValue,
    count: i64,
}

impl SingleRow {
    fn add(&mut self, values: &ArrayRef, row: usize) -> Result<()> {
        self.count += 1;
        if self.count > 1 {
            return Err(EngineError::new(omen_status::OMEN_CARDINALITY, MORE_THAN_ONE_ROW).into());
        }
        self.value = ScalarValue::try_from_array(values, row)?;
        Ok(())
    }
}

impl Accumulator for SingleRow {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        (0..columns[0].len()).try_for_each(|row| self.add(&columns[0], row))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[1].as_primitive::<Int64Type>();
        let filled =
            (0..counts.len()).filter(|row| counts.is_valid(*row) && counts.value(*row) > 0);
        filled.into_iter().try_for_each(|row| self.add(&states[0], row))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Int64(Some(self.count))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        std::mem::size_of_val(self) + self.value.size()
    }
}
