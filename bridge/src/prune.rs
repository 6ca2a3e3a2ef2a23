//! Dynamic filters as predicates that a scan prunes by.
//!
//! A join knows its build side's keys, a top-k the row that a better one must beat, a MIN the least
//! value so far, only while they run. They leave that in expressions over a scan's columns; here
//! such an expression becomes a conjunction that it implies: per column a range and perhaps a list.
//! Whatever isn't understood constrains nothing. Rows that a conjunction rules out are not needed,
//! rows that it lets through are checked by the operator above, so looser is only slower.
//!
//! A disjunction keeps the hull of its sides. NaN is never a bound: orders differ on it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, Column, InListExpr, IsNullExpr, Literal,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;

use crate::abi::omen_compare_op;
use crate::predicate::Predicate;
use crate::value;

/// Values in one IN list; more, and its range has to do.
const LIST_LENGTH_MAX: usize = 512;

/// What `filters`, taken together and as they are now, say about the columns of a scan: its
/// `schema`, which are the table's columns `columns`.
pub fn implied_by(
    filters: &[Arc<dyn PhysicalExpr>],
    schema: &Schema,
    columns: &[u32],
) -> Result<Vec<Predicate>> {
    let mut all = Some(Constraints::default());
    for filter in filters {
        let filter = snapshot_physical_expr(Arc::clone(filter))?;
        all = both(all, constraints_of(&filter, schema));
    }
    Ok(predicates_of(all, columns))
}

/// What is known of each column, by its position in the scan.
type Constraints = BTreeMap<usize, Constraint>;

#[derive(Default, Clone)]
struct Constraint {
    low: Option<Bound>,
    high: Option<Bound>,
    list: Option<Vec<ScalarValue>>,
}

#[derive(Clone)]
struct Bound {
    value: ScalarValue,
    inclusive: bool,
}

/// None where no row passes.
fn constraints_of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Constraints> {
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        let passes = matches!(literal.value(), ScalarValue::Boolean(Some(true)));
        return passes.then(Constraints::default);
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::And => {
                both(constraints_of(binary.left(), schema), constraints_of(binary.right(), schema))
            }
            Operator::Or => either(
                constraints_of(binary.left(), schema),
                constraints_of(binary.right(), schema),
            ),
            op => Some(comparison(binary, *op, schema).into_iter().collect()),
        };
    }
    if let Some(test) = expr.downcast_ref::<IsNullExpr>() {
        let never_null = column_of(test.arg()).is_some_and(|c| !schema.field(c).is_nullable());
        return (!never_null).then(Constraints::default);
    }
    if let Some(case) = expr.downcast_ref::<CaseExpr>() {
        // Which branch a row takes isn't asked: any of them.
        let branches = case.when_then_expr().iter().map(|(_, then)| then);
        let branches = branches.chain(case.else_expr());
        return branches.fold(None, |sum, one| either(sum, constraints_of(one, schema)));
    }
    let list = expr.downcast_ref::<InListExpr>().and_then(|list| membership(list, schema));
    Some(list.into_iter().collect())
}

fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    Some(expr.downcast_ref::<Column>()?.index())
}

/// A literal as a value of column `column`, if it is one.
fn value_in(expr: &Arc<dyn PhysicalExpr>, column: usize, schema: &Schema) -> Option<ScalarValue> {
    let literal = expr.downcast_ref::<Literal>()?;
    let value = value::exact_literal(literal.value(), schema.field(column).data_type())?;
    match value {
        ScalarValue::Float32(Some(v)) if v.is_nan() => None,
        ScalarValue::Float64(Some(v)) if v.is_nan() => None,
        value => Some(value),
    }
}

fn comparison(binary: &BinaryExpr, op: Operator, schema: &Schema) -> Option<(usize, Constraint)> {
    let (column, op, literal) = match column_of(binary.left()) {
        Some(column) => (column, op, binary.right()),
        None => (column_of(binary.right())?, op.swap()?, binary.left()),
    };
    let value = value_in(literal, column, schema)?;
    let bound = |inclusive| Some(Bound { value: value.clone(), inclusive });
    let (low, high) = match op {
        Operator::Eq => (bound(true), bound(true)),
        Operator::Gt | Operator::GtEq => (bound(op == Operator::GtEq), None),
        Operator::Lt | Operator::LtEq => (None, bound(op == Operator::LtEq)),
        _ => return None,
    };
    Some((column, Constraint { low, high, list: None }))
}

fn membership(list: &InListExpr, schema: &Schema) -> Option<(usize, Constraint)> {
    let column = column_of(list.expr())?;
    if list.negated() || list.len() > LIST_LENGTH_MAX {
        return None;
    }
    let values = list.list().iter().map(|item| value_in(item, column, schema));
    let values = values.collect::<Option<Vec<_>>>()?;
    Some((column, Constraint { low: None, high: None, list: Some(values) }))
}

/// The tighter of two bounds; `side` is how the tighter one compares.
fn tighter(a: Option<Bound>, b: Option<Bound>, side: Ordering) -> Option<Bound> {
    let (Some(a), Some(b)) = (a.clone(), b.clone()) else { return a.or(b) };
    match a.value.partial_cmp(&b.value) {
        Some(Ordering::Equal) => Some(Bound { inclusive: a.inclusive && b.inclusive, ..a }),
        order if order == Some(side) => Some(a),
        _ => Some(b),
    }
}

/// The looser of two bounds; `side` is how the looser one compares.
fn looser(a: Option<Bound>, b: Option<Bound>, side: Ordering) -> Option<Bound> {
    let (a, b) = (a?, b?);
    match a.value.partial_cmp(&b.value)? {
        Ordering::Equal => Some(Bound { inclusive: a.inclusive || b.inclusive, ..a }),
        order if order == side => Some(a),
        _ => Some(b),
    }
}

fn both(a: Option<Constraints>, b: Option<Constraints>) -> Option<Constraints> {
    let (mut a, b) = (a?, b?);
    for (column, right) in b {
        let left = a.remove(&column).unwrap_or_default();
        let list = match (left.list, right.list) {
            (Some(left), Some(right)) => Some(if left.len() <= right.len() { left } else { right }),
            (left, right) => left.or(right),
        };
        let low = tighter(left.low, right.low, Ordering::Greater);
        let high = tighter(left.high, right.high, Ordering::Less);
        a.insert(column, Constraint { low, high, list });
    }
    Some(a)
}

fn either(a: Option<Constraints>, b: Option<Constraints>) -> Option<Constraints> {
    let (a, mut b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.or(b),
    };
    let hull = |(column, left): (usize, Constraint)| {
        let right = b.remove(&column)?;
        let list = left.list.zip(right.list).map(|(left, right)| [left, right].concat());
        let list = list.filter(|list| list.len() <= LIST_LENGTH_MAX);
        let low = looser(left.low, right.low, Ordering::Less);
        let high = looser(left.high, right.high, Ordering::Greater);
        Some((column, Constraint { low, high, list }))
    };
    Some(a.into_iter().filter_map(hull).collect())
}

fn predicates_of(constraints: Option<Constraints>, columns: &[u32]) -> Vec<Predicate> {
    use omen_compare_op::*;
    let Some(constraints) = constraints else {
        // An empty list: no row.
        let column = columns.first().copied().unwrap_or(0);
        return vec![Predicate { column, op: OMEN_IN, values: vec![] }];
    };
    let mut predicates = vec![];
    for (position, constraint) in constraints {
        let column = columns[position];
        let mut add = |op, values| predicates.push(Predicate { column, op, values });
        if let Some(bound) = constraint.low {
            add(if bound.inclusive { OMEN_GE } else { OMEN_GT }, vec![bound.value]);
        }
        if let Some(bound) = constraint.high {
            add(if bound.inclusive { OMEN_LE } else { OMEN_LT }, vec![bound.value]);
        }
        if let Some(list) = constraint.list {
            add(OMEN_IN, list);
        }
    }
    predicates
}
