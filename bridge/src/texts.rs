//! Casts from and to text that the core computes, value by value: the same forms on every route.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{internal_err, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::host::Host;
use crate::value;

/// Whether DataFusion prints values of this type otherwise than PostgreSQL, or not at all.
pub fn prints(data_type: &DataType) -> bool {
    use DataType::{BinaryView, FixedSizeBinary, Float32, Float64, Timestamp};
    let other = matches!(data_type, Float32 | Float64 | Timestamp(..) | BinaryView);
    other || *data_type == FixedSizeBinary(16)
}

/// `operand`, of a type `source` that `prints`, as text.
pub fn to_text(host: &Arc<Host>, operand: Expr, source: &DataType) -> Expr {
    let core = value::result_type(source).filter(|core| core != source);
    let operand = match core {
        Some(core) => Expr::Cast(Cast::new(Box::new(operand), core)),
        None => operand,
    };
    call(host, "core_text", DataType::Utf8View, operand)
}

/// `operand`, a text, as `wanted`, a type with a `value::text_input_type`.
pub fn from_text(host: &Arc<Host>, operand: Expr, wanted: DataType) -> Expr {
    call(host, "core_value", wanted, operand)
}

fn call(host: &Arc<Host>, name: &'static str, wanted: DataType, operand: Expr) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let host = HostOfCasts(Arc::clone(host));
    ScalarUDF::from(CoreCast { name, wanted, signature, host }).call(vec![operand])
}

/// A cast from text (to `wanted`) or to text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CoreCast {
    name: &'static str,
    wanted: DataType,
    signature: Signature,
    host: HostOfCasts,
}

/// All casts of an engine have the same host, so it tells none apart.
#[derive(Debug)]
struct HostOfCasts(Arc<Host>);

impl PartialEq for HostOfCasts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for HostOfCasts {}

impl std::hash::Hash for HostOfCasts {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl CoreCast {
    fn cast(&self, value: &ScalarValue) -> Result<ScalarValue> {
        if self.wanted == DataType::Utf8View {
            return Ok(ScalarValue::Utf8View(self.host.0.value_to_text(value)?));
        }
        match (value.try_as_str().flatten(), value::text_input_type(&self.wanted)) {
            (Some(text), Some(wanted)) => Ok(self.host.0.value_from_text(&wanted, text)?),
            _ => ScalarValue::try_from(&self.wanted),
        }
    }
}

impl ScalarUDFImpl for CoreCast {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.first() {
            Some(ColumnarValue::Scalar(value)) => Ok(ColumnarValue::Scalar(self.cast(value)?)),
            Some(ColumnarValue::Array(values)) => {
                let cast = |row| self.cast(&ScalarValue::try_from_array(values, row)?);
                let cast: Vec<_> = (0..values.len()).map(cast).collect::<Result<_>>()?;
                let array: ArrayRef = match cast.is_empty() {
                    true => arrow::array::new_empty_array(&self.wanted),
                    false => ScalarValue::iter_to_array(cast)?,
                };
                Ok(ColumnarValue::Array(array))
            }
            None => internal_err!("a cast of nothing"),
        }
    }
}
