//! Integer arithmetic that fails where it overflows (22003), as in PostgreSQL.
//!
//! DataFusion's own operators wrap in silence: `BinaryExpr::with_fail_on_overflow` exists, but no
//! plan made from SQL sets it. So `+`, `-`, `*` and the minus sign over signed integers become
//! functions that call Arrow's checked kernels. Division is checked already, DECIMAL too; SUM over
//! BIGINT still wraps. A double divided by zero fails as well (22012); two REALs still give an
//! infinity.
//!
//! A chain `a + b - c ...` becomes one function of all its operands, computed from the left in
//! the widest of their types. Nested functions won't do: DataFusion spells the operands' names out
//! to find a function's type, at every level and in every pass, which is cubic in the depth.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::compute::kernels::arity::try_binary;
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{internal_err, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    create_udf, BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

/// The rule; recursion is the caller's, from the leaves up.
#[derive(Debug)]
pub struct CheckedIntegers;

impl FunctionRewrite for CheckedIntegers {
    fn name(&self) -> &str {
        "checked_integers"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let is_integer = |operand: &Expr| {
            let get_type = || operand.get_type(schema);
            Checked::of(operand).is_some() || get_type().is_ok_and(|t| t.is_signed_integer())
        };
        match expr {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply),
                right,
            }) if is_integer(&left) && is_integer(&right) => {
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
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right })
                if is_double_division(&left, &right, schema) =>
            {
                Ok(Transformed::yes(divide().call(vec![*left, *right])))
            }
            Expr::Negative(operand) if is_integer(&operand) => {
                let zero = Expr::Literal(ScalarValue::Int8(Some(0)), None);
                Ok(Transformed::yes(Checked::call(vec![Operator::Minus], vec![zero, *operand])))
            }
            expr => Ok(Transformed::no(expr)),
        }
    }
}

/// Whether the quotient is a double.
fn is_double_division(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let types = [left.get_type(schema), right.get_type(schema)];
    let numeric = types.iter().all(|side| side.as_ref().is_ok_and(DataType::is_numeric));
    numeric && types.iter().flatten().any(|side| *side == DataType::Float64)
}

/// Division of doubles that fails where the divisor is zero.
fn divide() -> ScalarUDF {
    let quotient = |left: f64, right: f64| match right {
        0.0 => Err(ArrowError::DivideByZero),
        right => Ok(left / right),
    };
    let run = move |arguments: &[ColumnarValue]| {
        let sides = ColumnarValue::values_to_arrays(arguments)?;
        let [left, right] = [&sides[0], &sides[1]].map(|side| side.as_primitive::<Float64Type>());
        let divided: Float64Array = try_binary(left, right, quotient)?;
        Ok(ColumnarValue::Array(Arc::new(divided)))
    };
    let double = DataType::Float64;
    let types = vec![double.clone(), double.clone()];
    create_udf("divide", types, double, Volatility::Immutable, Arc::new(run))
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
        let signature = Signature::user_defined(Volatility::Immutable);
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
        let widest = types.iter().max_by_key(|data_type| data_type.primitive_width());
        widest.cloned().map_or_else(|| internal_err!("arithmetic over nothing"), Ok)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![self.return_type(types)?; types.len()])
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut operands = arguments.args.into_iter();
        let Some(mut result) = operands.next() else {
            return internal_err!("arithmetic over nothing");
        };
        for (operator, operand) in self.operators.iter().zip(operands) {
            let kernel = match operator {
                Operator::Plus => add,
                Operator::Minus => sub,
                _ => mul,
            };
            result = apply(&result, &operand, kernel)?;
        }
        Ok(result)
    }
}
