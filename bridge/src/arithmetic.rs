//! Arithmetic that fails where PostgreSQL's does.
//!
//! DataFusion's own operators wrap integers in silence, give infinities, and let decimals have more
//! digits than their type. So `+`, `-`, `*`, `/` and the minus sign over numbers become functions
//! that call Arrow's kernels and look at what comes out:
//!
//! - integers: 22003 "integer out of range"; division by zero is 22012;
//! - floats: 22003 for an overflow or underflow, 22012; NaN and zero come in the core's one form;
//! - decimals: 0A000 for a result of more than 38 digits.
//!
//! A chain `a + b - c ...` becomes one function of all its operands, computed from the left. Nested
//! functions won't do: DataFusion spells the operands' names out to find a function's type, at
//! every level and in every pass, which is cubic in the depth.
//!
//! Source: PostgreSQL's `float.h` (when a float's result is an overflow).

use std::any::Any;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Datum, Decimal128Array, PrimitiveArray,
};
use arrow::compute::kernels::arity::{binary, unary};
use arrow::compute::kernels::numeric::{add, div, mul, sub};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, DECIMAL128_MAX_PRECISION,
};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{internal_err, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use crate::abi::omen_status;
use crate::error::EngineError;

/// The rule; recursion is the caller's, from the leaves up.
#[derive(Debug)]
pub struct CheckedArithmetic;

impl FunctionRewrite for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if is_arithmetic(op)
                    && family(&left, schema)
                        .is_some_and(|left| Some(left) == family(&right, schema)) =>
            {
                let mut operators =
                    Checked::of(&left).map_or(vec![], |left| left.operators.clone());
                let mut operands = match *left {
                    Expr::ScalarFunction(ScalarFunction { args, .. }) if !operators.is_empty() => {
                        args
                    }
                    left => vec![left],
                };
                operators.push(op);
                operands.push(*right);
                Ok(Transformed::yes(Checked::call(operators, operands)))
            }
            Expr::Negative(operand) => match operand.get_type(schema)? {
                number if number.is_signed_integer() => {
                    let zero = Expr::Literal(ScalarValue::new_zero(&number)?, None);
                    Ok(Transformed::yes(Checked::call(vec![Operator::Minus], vec![zero, *operand])))
                }
                _ => Ok(Transformed::no(Expr::Negative(operand))),
            },
            expr => Ok(Transformed::no(expr)),
        }
    }
}

fn is_arithmetic(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide)
}

/// Numbers that meet in one operator: of one type, and decimals of any digits.
fn family(operand: &Expr, schema: &DFSchema) -> Option<DataType> {
    match operand.get_type(schema).ok()? {
        DataType::Decimal128(..) => Some(DataType::Decimal128(0, 0)),
        number if number.is_signed_integer() || number.is_floating() => Some(number),
        _ => None,
    }
}

/// `operands[0] operators[0] operands[1] operators[1] ...`, from the left.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    /// Spells the operators, so that no two functions share a name.
    name: String,
    operators: Vec<Operator>,
    signature: Signature,
}

impl Checked {
    fn call(operators: Vec<Operator>, operands: Vec<Expr>) -> Expr {
        let symbols: String = operators.iter().map(Operator::to_string).collect();
        let signature = Signature::any(operands.len(), Volatility::Immutable);
        let name = format!("checked{symbols}");
        ScalarUDF::from(Self { name, operators, signature }).call(operands)
    }

    /// The function that `expr` calls, if it is one of these.
    fn of(expr: &Expr) -> Option<&Self> {
        match expr {
            Expr::ScalarFunction(call) => (call.func.inner().as_ref() as &dyn Any).downcast_ref(),
            _ => None,
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let Some((first, others)) = types.split_first() else {
            return internal_err!("arithmetic over nothing");
        };
        let step = |left: DataType, (op, right): (&Operator, &DataType)| {
            BinaryTypeCoercer::new(&left, op, right).get_result_type()
        };
        self.operators.iter().zip(others).try_fold(first.clone(), step)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut operands = arguments.args.into_iter();
        let Some(mut result) = operands.next() else {
            return internal_err!("arithmetic over nothing");
        };
        for (operator, operand) in self.operators.iter().zip(operands) {
            result = apply(&result, &operand, |left, right| compute(*operator, left, right))?;
        }
        Ok(result)
    }
}

fn compute(op: Operator, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let kernel: Kernel = match op {
        Operator::Plus => add,
        Operator::Minus => sub,
        Operator::Multiply => mul,
        _ => div,
    };
    if let Some(result) = small_decimals(op, left, right, kernel) {
        return Ok(result);
    }
    let data_type = left.get().0.data_type().clone();
    let result = kernel(left, right).map_err(|error| overflow(error, &data_type))?;
    match data_type {
        DataType::Float32 => check_floats::<Float32Type>(op, left, right, result),
        DataType::Float64 => check_floats::<Float64Type>(op, left, right, result),
        DataType::Decimal128(..) => check_digits(result),
        _ => Ok(result),
    }
}

type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

/// Decimals of which every one fits into 64 bits: neither their products nor their sums, with the
/// zeros that the scale asks for, come near 38 digits, and each takes one multiplication. None
/// where there are others.
fn small_decimals(
    op: Operator,
    left: &dyn Datum,
    right: &dyn Datum,
    kernel: Kernel,
) -> Option<ArrayRef> {
    let ((left, left_is_one), (right, right_is_one)) = (left.get(), right.get());
    let (DataType::Decimal128(_, left_scale), DataType::Decimal128(_, right_scale)) =
        (left.data_type(), right.data_type())
    else {
        return None;
    };
    let scale = *left_scale.max(right_scale);
    let zeros = |own: i8| 10_i64.checked_pow((scale - own) as u32).map(i128::from);
    let (x_factor, y_factor) = (zeros(*left_scale)?, zeros(*right_scale)?);
    // What type the result has is Arrow's to say.
    let data_type = kernel(&left.slice(0, 0), &right.slice(0, 0)).ok()?.data_type().clone();
    let (left, right) = (left.as_primitive(), right.as_primitive());
    let result = match op {
        Operator::Plus => {
            combine(left, left_is_one, right, right_is_one, |x, y| x * x_factor + y * y_factor)
        }
        Operator::Minus => {
            combine(left, left_is_one, right, right_is_one, |x, y| x * x_factor - y * y_factor)
        }
        Operator::Multiply => combine(left, left_is_one, right, right_is_one, |x, y| x * y),
        _ => None,
    };
    result.map(|result| Arc::new(result.with_data_type(data_type)) as ArrayRef)
}

fn combine(
    left: &Decimal128Array,
    left_is_one: bool,
    right: &Decimal128Array,
    right_is_one: bool,
    step: impl Fn(i128, i128) -> i128,
) -> Option<Decimal128Array> {
    let fits = |value: &i128| *value == i128::from(*value as i64);
    let all_fit =
        |array: &Decimal128Array| array.values().iter().fold(true, |all, v| all & fits(v));
    if !all_fit(left) || !all_fit(right) {
        return None;
    }
    // The compiler sees that 64 bits are enough.
    let step = |x: i128, y: i128| step(i128::from(x as i64), i128::from(y as i64));
    let one = |array: &Decimal128Array| array.is_valid(0).then(|| array.value(0));
    Some(match (left_is_one, right_is_one) {
        (true, false) => {
            let x = one(left)?;
            unary(right, |y| step(x, y))
        }
        (false, true) => {
            let y = one(right)?;
            unary(left, |x| step(x, y))
        }
        _ => binary(left, right, step).ok()?,
    })
}

fn raise(status: crate::abi::Status, words: impl Into<String>) -> ArrowError {
    ArrowError::ExternalError(Box::new(EngineError::new(status, words)))
}

fn too_many_digits() -> ArrowError {
    raise(omen_status::OMEN_NOT_SUPPORTED, "a number of more than 38 digits is not supported")
}

fn overflow(error: ArrowError, data_type: &DataType) -> ArrowError {
    match error {
        ArrowError::ArithmeticOverflow(_) if data_type.is_decimal() => too_many_digits(),
        ArrowError::ArithmeticOverflow(_) => {
            let name = match data_type {
                DataType::Int16 => "smallint",
                DataType::Int32 => "integer",
                _ => "bigint",
            };
            raise(omen_status::OMEN_OUT_OF_RANGE, format!("{name} out of range"))
        }
        error => error,
    }
}

/// Arrow's kernels mind the 128 bits, not the digits.
fn check_digits(result: ArrayRef) -> Result<ArrayRef, ArrowError> {
    const BOUND: i128 = 10_i128.pow(DECIMAL128_MAX_PRECISION as u32);
    let decimals: &Decimal128Array = result.as_primitive::<Decimal128Type>();
    let full = decimals.precision() == DECIMAL128_MAX_PRECISION;
    let exceeds = |value: &i128| *value >= BOUND || *value <= -BOUND;
    if full
        && decimals.values().iter().any(exceeds)
        && decimals.iter().flatten().any(|v| exceeds(&v))
    {
        return Err(too_many_digits());
    }
    Ok(result)
}

/// Looks at results one by one only where one is special.
fn check_floats<T>(
    op: Operator,
    left: &dyn Datum,
    right: &dyn Datum,
    result: ArrayRef,
) -> Result<ArrayRef, ArrowError>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64> + FromDouble,
{
    let results = result.as_primitive::<T>();
    let special = |value: &T::Native| {
        let value: f64 = (*value).into();
        value == 0.0 || !value.is_finite()
    };
    if !results.values().iter().any(special) {
        return Ok(result);
    }
    let operand = |side: &dyn Datum| {
        let (array, is_scalar) = side.get();
        let array: PrimitiveArray<T> = array.as_primitive::<T>().clone();
        move |row: usize| -> f64 { array.value(if is_scalar { 0 } else { row }).into() }
    };
    let (left, right) = (operand(left), operand(right));
    let check = |row: usize| -> Result<Option<T::Native>, ArrowError> {
        if results.is_null(row) {
            return Ok(None);
        }
        let value = results.value(row).into();
        check_float(op, left(row), right(row), value)?;
        Ok(Some(T::Native::from_double(if value.is_nan() { f64::NAN } else { value + 0.0 })))
    };
    let checked = (0..results.len()).map(check).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter(checked)))
}

/// Narrowing of a double that was a `Self`.
trait FromDouble {
    fn from_double(value: f64) -> Self;
}

impl FromDouble for f64 {
    fn from_double(value: f64) -> Self {
        value
    }
}

impl FromDouble for f32 {
    fn from_double(value: f64) -> Self {
        value as Self
    }
}

fn check_float(op: Operator, left: f64, right: f64, result: f64) -> Result<(), ArrowError> {
    let out_of_range = |what| raise(omen_status::OMEN_OUT_OF_RANGE, what);
    let divides = op == Operator::Divide;
    if divides && right == 0.0 && !left.is_nan() {
        return Err(ArrowError::DivideByZero);
    }
    let endless = left.is_infinite() || (right.is_infinite() && !divides);
    if result.is_infinite() && !endless {
        return Err(out_of_range("value out of range: overflow"));
    }
    let vanishes = match op {
        Operator::Multiply => left != 0.0 && right != 0.0,
        Operator::Divide => left != 0.0 && !right.is_infinite(),
        _ => false,
    };
    if result == 0.0 && vanishes {
        return Err(out_of_range("value out of range: underflow"));
    }
    Ok(())
}
