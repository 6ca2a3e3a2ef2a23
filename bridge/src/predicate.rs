//! Filters as the host understands them: conjuncts `column op values`.
//!
//! `Predicate::from_filter` is the only place that decides whether a DataFusion expression says
//! the same as a list of predicates. It is asked twice, at planning (may this filter be pushed?)
//! and at the scan (what was pushed?), and gives the same answer both times.
//!
//! Invariants: a predicate's values are non-NULL and of exactly the column's type. Whatever
//! doesn't fit (another column, a cast, a NULL, a literal of another type, NOT IN, LIKE) stays
//! in DataFusion. DataFusion splits conjunctions and folds casts of literals before it asks, and
//! writes IN lists of up to three values as a chain of ORs: that chain is read back as IN.

use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use crate::abi::{omen_compare_op, omen_predicate, omen_value};
use crate::value;

/// One conjunct, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// Position in the table's schema.
    pub column: u32,
    pub op: omen_compare_op::Type,
    pub values: Vec<ScalarValue>,
}

impl Predicate {
    /// `filter` as a conjunction of predicates with the same truth for every row (NULL counting
    /// as false), or None.
    pub fn from_filter(filter: &Expr, schema: &Schema) -> Option<Vec<Predicate>> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                let mut both = Self::from_filter(left, schema)?;
                both.extend(Self::from_filter(right, schema)?);
                Some(both)
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(vec![Self::any_of(left, right, schema)?])
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                Some(vec![Self::comparison(left, *op, right, schema)?])
            }
            Expr::Between(Between { expr, negated: false, low, high }) => Some(vec![
                Self::comparison(expr, Operator::GtEq, low, schema)?,
                Self::comparison(expr, Operator::LtEq, high, schema)?,
            ]),
            Expr::InList(InList { expr, list, negated: false }) => {
                let column = column_of(expr, schema)?;
                let values = list.iter().map(|item| literal_of(item, column, schema));
                let values = values.collect::<Option<Vec<_>>>()?;
                Some(vec![Self { column, op: omen_compare_op::OMEN_IN, values }])
            }
            Expr::IsNull(inner) => Self::null_test(inner, omen_compare_op::OMEN_IS_NULL, schema),
            Expr::IsNotNull(inner) => {
                Self::null_test(inner, omen_compare_op::OMEN_IS_NOT_NULL, schema)
            }
            Expr::Column(_) => Self::flag(filter, true, schema),
            Expr::Not(inner) => Self::flag(inner, false, schema),
            _ => None,
        }
    }

    fn comparison(left: &Expr, op: Operator, right: &Expr, schema: &Schema) -> Option<Self> {
        let (column, op, literal) = match column_of(left, schema) {
            Some(column) => (column, op, right),
            None => (column_of(right, schema)?, op.swap()?, left),
        };
        let op = match op {
            Operator::Eq => omen_compare_op::OMEN_EQ,
            Operator::NotEq => omen_compare_op::OMEN_NE,
            Operator::Lt => omen_compare_op::OMEN_LT,
            Operator::LtEq => omen_compare_op::OMEN_LE,
            Operator::Gt => omen_compare_op::OMEN_GT,
            Operator::GtEq => omen_compare_op::OMEN_GE,
            _ => return None,
        };
        Some(Self { column, op, values: vec![literal_of(literal, column, schema)?] })
    }

    /// `a OR b` where both are equalities (or INs) of one column.
    fn any_of(left: &Expr, right: &Expr, schema: &Schema) -> Option<Self> {
        let equality = |side: &Expr| {
            let mut list = Self::from_filter(side, schema)?;
            let only = if list.len() == 1 { list.pop()? } else { return None };
            matches!(only.op, omen_compare_op::OMEN_EQ | omen_compare_op::OMEN_IN).then_some(only)
        };
        let (mut left, right) = (equality(left)?, equality(right)?);
        if left.column != right.column {
            return None;
        }
        left.op = omen_compare_op::OMEN_IN;
        left.values.extend(right.values);
        Some(left)
    }

    fn null_test(inner: &Expr, op: omen_compare_op::Type, schema: &Schema) -> Option<Vec<Self>> {
        Some(vec![Self { column: column_of(inner, schema)?, op, values: vec![] }])
    }

    /// A BOOLEAN column standing alone as a condition.
    fn flag(column: &Expr, wanted: bool, schema: &Schema) -> Option<Vec<Self>> {
        let column = column_of(column, schema)?;
        let wanted = ScalarValue::Boolean(Some(wanted));
        let wanted = value::exact_literal(&wanted, schema.field(column as usize).data_type())?;
        Some(vec![Self { column, op: omen_compare_op::OMEN_EQ, values: vec![wanted] }])
    }

    /// Whether it leaves only a list of values for its column.
    pub fn fixes_column(&self) -> bool {
        matches!(self.op, omen_compare_op::OMEN_EQ | omen_compare_op::OMEN_IN)
    }

    /// The words of EXPLAIN; of a long list only the first values.
    pub fn describe(&self, schema: &Schema) -> String {
        const SHOWN: usize = 8;
        let name = schema.field(self.column as usize).name();
        let shown: Vec<_> = self.values.iter().take(SHOWN).map(ScalarValue::to_string).collect();
        let shown = shown.join(", ");
        let symbol = match self.op {
            omen_compare_op::OMEN_EQ => "=",
            omen_compare_op::OMEN_NE => "<>",
            omen_compare_op::OMEN_LT => "<",
            omen_compare_op::OMEN_LE => "<=",
            omen_compare_op::OMEN_GT => ">",
            omen_compare_op::OMEN_GE => ">=",
            omen_compare_op::OMEN_IS_NULL => return format!("{name} IS NULL"),
            omen_compare_op::OMEN_IS_NOT_NULL => return format!("{name} IS NOT NULL"),
            _ if self.values.len() > SHOWN => {
                return format!("{name} IN ({shown}, ... {} values)", self.values.len())
            }
            _ => return format!("{name} IN ({shown})"),
        };
        format!("{name} {symbol} {shown}")
    }
}

fn column_of(expr: &Expr, schema: &Schema) -> Option<u32> {
    match expr {
        Expr::Column(column) => schema.index_of(&column.name).ok()?.try_into().ok(),
        _ => None,
    }
}

fn literal_of(expr: &Expr, column: u32, schema: &Schema) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(literal, _) => {
            value::exact_literal(literal, schema.field(column as usize).data_type())
        }
        _ => None,
    }
}

/// Predicates in the ABI's form. The rows point into `_values`, whose inner vectors never change,
/// and those into the predicates they were made from, which the lifetime keeps.
pub struct AbiPredicates<'a> {
    pub rows: Vec<omen_predicate>,
    _values: Vec<Vec<omen_value>>,
    _source: std::marker::PhantomData<&'a [Predicate]>,
}

impl<'a> AbiPredicates<'a> {
    /// None where a value isn't of a core type; `from_filter` makes no such predicate.
    pub fn new(predicates: &'a [Predicate]) -> Option<Self> {
        let convert = |one: &Predicate| one.values.iter().map(value::value_of).collect();
        let values = predicates.iter().map(convert).collect::<Option<Vec<Vec<_>>>>()?;
        let rows = predicates.iter().zip(&values).map(|(predicate, values)| omen_predicate {
            column: predicate.column,
            op: predicate.op,
            values: if values.is_empty() { std::ptr::null() } else { values.as_ptr() },
            value_count: values.len(),
        });
        Some(Self { rows: rows.collect(), _values: values, _source: std::marker::PhantomData })
    }
}
