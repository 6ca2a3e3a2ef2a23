//! Integer arithmetic that fails where it overflows (22003), as in PostgreSQL.
//!
//! DataFusion's own operators wrap in silence: `BinaryExpr::with_fail_on_overflow` exists, but no
//! plan made from SQL sets it. So `+`, `-`, `*` and the minus sign over signed integers become
//! functions that call Arrow's checked kernels. Division is checked already, DECIMAL too; SUM over
//! BIGINT still wraps.

use std::sync::{Arc, LazyLock};

use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{internal_err, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
    let (plus, minus, times) = (Operator::Plus, Operator::Minus, Operator::Multiply);
    [("checked_add", plus), ("checked_subtract", minus), ("checked_multiply", times)].map(
        |(name, operator)| {
            let signature = Signature::user_defined(Volatility::Immutable);
            Arc::new(ScalarUDF::from(Checked { name, operator, signature }))
        },
    )
});

/// The rule; recursion is the caller's.
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
        let [add, subtract, multiply] = &*FUNCTIONS;
        let function = match &expr {
            Expr::BinaryExpr(BinaryExpr { op: Operator::Plus, .. }) => add,
            Expr::BinaryExpr(BinaryExpr { op: Operator::Minus, .. }) => subtract,
            Expr::BinaryExpr(BinaryExpr { op: Operator::Multiply, .. }) => multiply,
            Expr::Negative(_) => subtract,
            _ => return Ok(Transformed::no(expr)),
        };
        let is_integer = |operand: &Expr| {
            operand.get_type(schema).is_ok_and(|data_type| data_type.is_signed_integer())
        };
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, right, .. })
                if is_integer(&left) && is_integer(&right) =>
            {
                Ok(Transformed::yes(function.call(vec![*left, *right])))
            }
            Expr::Negative(operand) if is_integer(&operand) => {
                let zero = ScalarValue::new_zero(&operand.get_type(schema)?)?;
                Ok(Transformed::yes(function.call(vec![Expr::Literal(zero, None), *operand])))
            }
            expr => Ok(Transformed::no(expr)),
        }
    }
}

/// One operator as a function of two integers of one type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    name: &'static str,
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(self.coerce_types(types)?.swap_remove(0))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = types else { return internal_err!("{} takes two values", self.name) };
        let (left, right) =
            BinaryTypeCoercer::new(left, &self.operator, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = arguments.args.as_slice() else {
            return internal_err!("{} takes two values", self.name);
        };
        let kernel = match self.operator {
            Operator::Plus => add,
            Operator::Minus => sub,
            _ => mul,
        };
        apply(left, right, kernel)
    }
}
