//! Where a float meets an exact number, both become DOUBLE PRECISION, as in PostgreSQL.
//!
//! DataFusion goes other ways: it casts a float beside a DECIMAL to DECIMAL(30,15), which fails for
//! NaN and for anything large, and an integer beside a REAL to REAL, which rounds it. Both keep the
//! comparison from being pushed down. Literals with a point are DECIMAL here, so without this rule
//! `ratio > 0.5` is such a comparison.
//!
//! The rule runs before DataFusion's own coercion, which then finds nothing left to do. Arithmetic
//! needs no rule: there floats win already.

use arrow::datatypes::{DataType, Decimal128Type, DecimalType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Between, Case, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable};

/// The functions whose arguments share one type.
const FUNCTIONS_OF_ONE_TYPE: &[&str] = &["coalesce", "nullif", "greatest", "least"];

/// The rule; recursion is the caller's.
#[derive(Debug)]
pub struct FloatOverDecimal;

impl FunctionRewrite for FloatOverDecimal {
    fn name(&self) -> &str {
        "float_over_decimal"
    }

    fn rewrite(
        &self,
        mut expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let mut changed = false;
        for group in groups_of_one_type(&mut expr) {
            changed |= unify(group, schema)?;
        }
        Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
    }
}

/// The operands of `expr` that must agree on a type, in groups.
pub fn groups_of_one_type(expr: &mut Expr) -> Vec<Vec<&mut Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            vec![vec![left.as_mut(), right.as_mut()]]
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            vec![vec![expr.as_mut(), low.as_mut(), high.as_mut()]]
        }
        Expr::InList(InList { expr, list, .. }) => {
            vec![std::iter::once(expr.as_mut()).chain(list).collect()]
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            let (mut tested, mut results) = (vec![], vec![]);
            for (when, then) in when_then_expr {
                tested.push(when.as_mut());
                results.push(then.as_mut());
            }
            tested.extend(expr.as_deref_mut());
            results.extend(else_expr.as_deref_mut());
            vec![tested, results]
        }
        Expr::ScalarFunction(ScalarFunction { func, args })
            if FUNCTIONS_OF_ONE_TYPE.contains(&func.name()) =>
        {
            vec![args.iter_mut().collect()]
        }
        _ => vec![],
    }
}

/// Makes the exact numbers of a group double where it has a float too; says whether it did.
fn unify(group: Vec<&mut Expr>, schema: &DFSchema) -> Result<bool> {
    // An operand whose type isn't known yet is left to DataFusion.
    let types: Vec<_> = group.iter().map(|operand| operand.get_type(schema).ok()).collect();
    if !types.iter().flatten().any(DataType::is_floating) {
        return Ok(false);
    }
    let has_real = types.iter().flatten().any(|data_type| *data_type == DataType::Float32);
    let mut changed = false;
    for (operand, data_type) in group.into_iter().zip(&types) {
        let Some(data_type) = data_type else { continue };
        let rounds = has_real && data_type.is_integer() && !is_small_integer(operand);
        if data_type.is_decimal() || rounds {
            *operand = to_double(std::mem::take(operand))?;
            changed = true;
        }
    }
    Ok(changed)
}

/// Whether `operand` is a constant that REAL holds exactly.
fn is_small_integer(operand: &Expr) -> bool {
    const EXACT_MAX: u64 = 1 << 24;
    matches!(operand, Expr::Literal(ScalarValue::Int64(Some(value)), _)
             if value.unsigned_abs() <= EXACT_MAX)
}

fn to_double(expr: Expr) -> Result<Expr> {
    match expr {
        // By way of its digits: dividing the unscaled number by a power of ten rounds twice.
        Expr::Literal(ScalarValue::Decimal128(Some(value), precision, scale), _) => {
            let digits = Decimal128Type::format_decimal(value, precision, scale);
            let double = digits.parse::<f64>();
            let double = double.map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(Expr::Literal(ScalarValue::Float64(Some(double)), None))
        }
        Expr::Literal(value, _) => Ok(Expr::Literal(value.cast_to(&DataType::Float64)?, None)),
        expr => Ok(Expr::Cast(Cast::new(Box::new(expr), DataType::Float64))),
    }
}
