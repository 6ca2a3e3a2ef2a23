//! Which operands may meet, and what a string constant means beside them: PostgreSQL's rules.
//!
//! DataFusion casts until two types agree: it reads a text column as numbers to compare it with 5,
//! takes a date for a count of days, and a bytea's constant for its letters. Here
//!
//! - types of different families don't compare (42883), nor does text take part in arithmetic;
//! - a bare string constant takes the type of what it meets, and a constant cast is computed, both
//!   by the core's own reading of text, so every route takes the same forms;
//! - casts from and to text, and concatenation, read and print as the core does (`texts.rs`);
//! - a fraction cast to an integer is rounded, not cut;
//! - CHAR(n) loses its padding where it is compared, cast, concatenated or passed to a function,
//!   and a constant compared with it loses its trailing blanks. Alone it stays padded.
//!
//! The rule runs before DataFusion's coercion, and before `coercion.rs`.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::math::expr_fn::round;
use datafusion::functions::string::expr_fn::rtrim;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    create_udf, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, Operator, ScalarUDF,
    Volatility,
};

use crate::abi::{omen_status, omen_type, omen_type_id};
use crate::coercion::groups_of_one_type;
use crate::error::{EngineError, EngineResult};
use crate::host::Host;
use crate::{texts, value};

/// The key of a column's metadata that tells CHAR from TEXT; the core writes it.
const TYPE_KEY: &str = "omendb.type";

/// The rule; recursion is the caller's, from the leaves up.
#[derive(Debug)]
pub struct Operands {
    pub host: Arc<Host>,
}

impl FunctionRewrite for Operands {
    fn name(&self) -> &str {
        "operands"
    }

    fn rewrite(
        &self,
        mut expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        if let Expr::Cast(cast) = &expr {
            if let Some(literal) = self.constant_cast(cast)? {
                return Ok(Transformed::yes(Expr::Literal(literal, None)));
            }
        }
        if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr {
            check_arithmetic(left, *op, right, schema)?;
        }
        let compares = compares(&expr);
        let mut changed = false;
        for mut group in groups_of_one_type(&mut expr) {
            if compares {
                changed |= trim_comparison(&mut group, schema);
            }
            changed |= self.unify(group, compares, schema)?;
        }
        for operand in text_operands(&mut expr) {
            changed |= trim(operand, schema);
        }
        for operand in concatenated(&mut expr) {
            changed |= self.print(operand, schema);
        }
        changed |= round_cast(&mut expr, schema);
        if let Some(call) = self.text_cast(&mut expr, schema) {
            return Ok(Transformed::yes(call));
        }
        Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
    }
}

impl Operands {
    /// The value of a string constant that is cast to a core type.
    fn constant_cast(&self, cast: &Cast) -> EngineResult<Option<ScalarValue>> {
        let Some(text) = string_constant(&cast.expr) else { return Ok(None) };
        match value::text_input_type(cast.field.data_type()) {
            Some(wanted) => self.host.value_from_text(&wanted, text).map(Some),
            None => Ok(None),
        }
    }

    /// A cast from or to text as a call of the core's own.
    fn text_cast(&self, expr: &mut Expr, schema: &DFSchema) -> Option<Expr> {
        let Expr::Cast(cast) = expr else { return None };
        let wanted = cast.field.data_type();
        let source = cast.expr.get_type(schema).ok()?;
        if wanted.is_string() && texts::prints(&source) {
            return Some(texts::to_text(&self.host, std::mem::take(cast.expr.as_mut()), &source));
        }
        if source.is_string() && value::text_input_type(wanted).is_some() {
            let wanted = wanted.clone();
            let text = std::mem::take(cast.expr.as_mut());
            return Some(texts::from_text(&self.host, text, wanted));
        }
        None
    }

    /// Makes an operand of a concatenation text, where DataFusion would print it otherwise.
    fn print(&self, operand: &mut Expr, schema: &DFSchema) -> bool {
        match operand.get_type(schema) {
            Ok(source) if texts::prints(&source) => {
                *operand = texts::to_text(&self.host, std::mem::take(operand), &source);
                true
            }
            _ => false,
        }
    }

    /// Gives the string constants of a group the type of its first other member; an error where
    /// members are of different families. Says whether anything changed.
    fn unify(&self, group: Vec<&mut Expr>, compares: bool, schema: &DFSchema) -> Result<bool> {
        // A member whose type isn't known yet has no say, nor has NULL, whose type is nominal.
        let type_of = |member: &Expr| match member.get_type(schema) {
            Ok(DataType::Null) | Err(_) => None,
            Ok(_) if is_null(member) => None,
            Ok(data_type) => Some(data_type),
        };
        let mut wanted: Option<DataType> = None;
        for member in group.iter().filter(|member| string_constant(member).is_none()) {
            let Some(data_type) = type_of(member) else { continue };
            match &wanted {
                None => wanted = Some(data_type),
                Some(first) if is_foreign(first, &data_type) => {
                    return Err(no_operator(first, &data_type, compares).into());
                }
                Some(DataType::Date32) => wanted = Some(data_type),
                Some(_) => {}
            }
        }
        let Some(wanted) = wanted else { return Ok(false) };
        let mut changed = false;
        for member in group {
            changed |= widen_date(member, &wanted, schema);
            // An untyped NULL parameter comes as one of type text.
            if is_null(member) && is_foreign(&member.get_type(schema)?, &wanted) {
                *member = Expr::Literal(ScalarValue::try_from(&wanted)?, None);
                changed = true;
            }
            let Some(text) = string_constant(member) else { continue };
            if let Some(literal) = self.constant(text, &wanted)? {
                *member = Expr::Literal(literal, None);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// A string constant beside a `data_type`; None where it stays text.
    fn constant(&self, text: &str, data_type: &DataType) -> EngineResult<Option<ScalarValue>> {
        // Times of another unit, as of now(), are read as the core's.
        let core = value::result_type(data_type);
        let wanted = match core.as_ref().and_then(value::text_input_type) {
            Some(wanted) => wanted,
            None if data_type.is_decimal() => match decimal_of(text) {
                Some(wanted) => wanted,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        self.host.value_from_text(&wanted, text).map(Some)
    }
}

/// Makes a date beside a timestamp one of its kind: DataFusion would take both to nanoseconds,
/// which reach only from 1677 to 2262.
fn widen_date(member: &mut Expr, wanted: &DataType, schema: &DFSchema) -> bool {
    let is_date = member.get_type(schema).is_ok_and(|data_type| data_type == DataType::Date32);
    let widens = is_date && matches!(wanted, DataType::Timestamp(..));
    if widens {
        *member = Expr::Cast(Cast::new(Box::new(std::mem::take(member)), wanted.clone()));
    }
    widens
}

/// A DECIMAL that holds all digits of `text`; None for exponents and for too many digits.
fn decimal_of(text: &str) -> Option<omen_type> {
    let scale = text.trim().split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let plain = !text.contains(['e', 'E']) && scale <= 38;
    plain.then_some(omen_type {
        id: omen_type_id::OMEN_TYPE_DECIMAL,
        precision: 38,
        scale: scale as i8,
        length_max: 0,
    })
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

fn string_constant(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// Types that compare with each other; 0 for those whose family DataFusion shall decide.
fn family(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Boolean => 1,
        number if number.is_numeric() => 2,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 3,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => 4,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => 5,
        DataType::FixedSizeBinary(16) => 6,
        _ => 0,
    }
}

fn is_foreign(one: &DataType, other: &DataType) -> bool {
    let (one, other) = (family(one), family(other));
    one != 0 && other != 0 && one != other
}

fn no_operator(left: &DataType, right: &DataType, compares: bool) -> EngineError {
    let (left, right) = (value::sql_name(left), value::sql_name(right));
    if compares {
        let words = format!("operator does not exist: {left} and {right} cannot be compared");
        return EngineError::new(omen_status::OMEN_UNDEFINED_FUNCTION, words);
    }
    let words = format!("types {left} and {right} cannot be matched");
    EngineError::new(omen_status::OMEN_TYPE_MISMATCH, words)
}

/// Text is no number: DataFusion would read it as one.
fn check_arithmetic(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Result<()> {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    if !matches!(op, Plus | Minus | Multiply | Divide | Modulo) {
        return Ok(());
    }
    for side in [left, right] {
        let is_text = side.get_type(schema).is_ok_and(|data_type| data_type.is_string());
        if is_text && string_constant(side).is_none() && !is_null(side) {
            let words = format!("operator does not exist: {op} on text");
            return Err(EngineError::new(omen_status::OMEN_UNDEFINED_FUNCTION, words).into());
        }
    }
    Ok(())
}

/// Whether `expr` compares its operands, so that types of two families are an operator that
/// doesn't exist.
fn compares(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(_) | Expr::Between(_) | Expr::InList(_))
}

/// Makes a cast of a fraction to an integer round: exact numbers half away from zero, floats half
/// to even. DataFusion cuts. Says whether it did.
fn round_cast(expr: &mut Expr, schema: &DFSchema) -> bool {
    let Expr::Cast(cast) = expr else { return false };
    let source = match cast.expr.get_type(schema) {
        Ok(source) if cast.field.data_type().is_integer() => source,
        _ => return false,
    };
    if source.is_decimal() {
        *cast.expr = round(vec![std::mem::take(cast.expr.as_mut())]);
    } else if source.is_floating() {
        *cast.expr = rint().call(vec![std::mem::take(cast.expr.as_mut())]);
    }
    source.is_decimal() || source.is_floating()
}

/// Rounds a double half to even.
fn rint() -> ScalarUDF {
    let run = |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let doubles = arrays[0].as_primitive::<Float64Type>();
        let rounded: Float64Array = doubles.unary(f64::round_ties_even);
        Ok(ColumnarValue::Array(Arc::new(rounded)))
    };
    let double = DataType::Float64;
    create_udf("rint", vec![double.clone()], double, Volatility::Immutable, Arc::new(run))
}

/// Operands that are printed one after the other.
fn concatenated(expr: &mut Expr) -> Vec<&mut Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            vec![left.as_mut(), right.as_mut()]
        }
        Expr::ScalarFunction(ScalarFunction { func, args })
            if ["concat", "concat_ws"].contains(&func.name()) =>
        {
            args.iter_mut().collect()
        }
        _ => vec![],
    }
}

/// Operands that a function, `||` or a cast takes as text.
fn text_operands(expr: &mut Expr) -> Vec<&mut Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            vec![left.as_mut(), right.as_mut()]
        }
        Expr::ScalarFunction(ScalarFunction { args, .. }) => args.iter_mut().collect(),
        Expr::Cast(cast) => vec![cast.expr.as_mut()],
        _ => vec![],
    }
}

fn is_char(expr: &Expr, schema: &DFSchema) -> bool {
    let says_char = |(key, name): (&String, &String)| key == TYPE_KEY && name == "char";
    let field = match expr {
        Expr::Column(column) => {
            schema.qualified_field_from_column(column).ok().map(|(_, field)| field)
        }
        Expr::OuterReferenceColumn(field, _) => Some(field),
        _ => None,
    };
    field.is_some_and(|field| field.metadata().iter().any(says_char))
}

/// Takes the padding off a CHAR column.
fn trim(operand: &mut Expr, schema: &DFSchema) -> bool {
    let padded = is_char(operand, schema);
    if padded {
        *operand = rtrim(vec![std::mem::take(operand)]);
    }
    padded
}

/// Takes the padding off a comparison's CHAR columns, and the blanks off constants beside them.
fn trim_comparison(group: &mut [&mut Expr], schema: &DFSchema) -> bool {
    if !group.iter().any(|member| is_char(member, schema)) {
        return false;
    }
    for member in group {
        if let Some(text) = string_constant(member) {
            let text = text.trim_end_matches(' ').to_owned();
            **member = Expr::Literal(ScalarValue::Utf8View(Some(text)), None);
        } else {
            trim(member, schema);
        }
    }
    true
}
