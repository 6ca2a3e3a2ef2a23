//! Types and single values: the ABI's, Arrow's and SQL's, one into the other.
//!
//! The core knows thirteen Arrow types (`omendb_types.h`). Table schemas hold nothing else, which
//! is checked once when a table is resolved; results are brought to them at the end
//! (`result_type`), so the core never meets DataFusion's unsigned or dictionary types.
//!
//! Floats cross in the one form the core stores: no negative zero, one NaN. DataFusion compares
//! by IEEE's total order, so `x = -0.0` would otherwise miss the stored zero.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, ExactNumberInfo, TimezoneInfo};

use crate::abi::{
    omen_bytes, omen_decimal, omen_type, omen_type_id, omen_value, omen_value__bindgen_ty_1,
};
use crate::error::{EngineError, EngineResult};

/// TIMESTAMP as the core stores it.
pub const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// TIMESTAMPTZ as the core stores it.
pub fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// Whether a table may have a column of this type.
pub fn is_core_type(data_type: &DataType) -> bool {
    result_type(data_type).is_some_and(|result| result == *data_type)
}

/// The type in which a result column of `data_type` reaches the core; None where there is none.
pub fn result_type(data_type: &DataType) -> Option<DataType> {
    use DataType::*;
    Some(match data_type {
        Boolean | Int16 | Int32 | Int64 | Float32 | Float64 | Utf8View | BinaryView | Date32 => {
            data_type.clone()
        }
        Decimal128(precision, scale) if *scale >= 0 => Decimal128(*precision, *scale),
        Decimal32(precision, scale) | Decimal64(precision, scale) if *scale >= 0 => {
            Decimal128(*precision, *scale)
        }
        Decimal256(_, scale) if (0..=38).contains(scale) => Decimal128(38, *scale),
        FixedSizeBinary(16) => FixedSizeBinary(16),
        Timestamp(_, None) => TIMESTAMP,
        Timestamp(_, Some(_)) => timestamptz(),
        Date64 => TIMESTAMP,
        Int8 | UInt8 => Int16,
        UInt16 => Int32,
        // Counts and ranks; PostgreSQL's are bigint.
        UInt32 | UInt64 => Int64,
        Float16 => Float32,
        // A NULL of no type is text, as in PostgreSQL.
        Null | Utf8 | LargeUtf8 => Utf8View,
        Binary | LargeBinary | FixedSizeBinary(_) => BinaryView,
        Dictionary(_, values) => return result_type(values),
        _ => return None,
    })
}

/// The SQL type that declares a parameter of this type.
pub fn sql_type(declared: &omen_type) -> EngineResult<SqlType> {
    use omen_type_id::*;
    Ok(match declared.id {
        OMEN_TYPE_BOOLEAN => SqlType::Boolean,
        OMEN_TYPE_SMALLINT => SqlType::SmallInt(None),
        OMEN_TYPE_INTEGER => SqlType::Integer(None),
        OMEN_TYPE_BIGINT => SqlType::BigInt(None),
        OMEN_TYPE_REAL => SqlType::Real,
        OMEN_TYPE_DOUBLE => SqlType::DoublePrecision,
        OMEN_TYPE_DECIMAL => SqlType::Decimal(ExactNumberInfo::PrecisionAndScale(
            declared.precision.into(),
            declared.scale.into(),
        )),
        // An untyped NULL is text where the core could not tell.
        OMEN_TYPE_NONE | OMEN_TYPE_TEXT | OMEN_TYPE_VARCHAR | OMEN_TYPE_CHAR => SqlType::Text,
        OMEN_TYPE_BYTEA => SqlType::Bytea,
        OMEN_TYPE_DATE => SqlType::Date,
        OMEN_TYPE_TIMESTAMP => SqlType::Timestamp(None, TimezoneInfo::None),
        OMEN_TYPE_TIMESTAMPTZ => SqlType::Timestamp(None, TimezoneInfo::Tz),
        OMEN_TYPE_UUID => SqlType::Uuid,
        other => return Err(EngineError::internal(format!("type number {other} is unknown"))),
    })
}

/// Copies a parameter.
///
/// # Safety
/// `value` is as `omendb_types.h` says: its type names the member that is set, bytes are valid.
pub unsafe fn scalar_of(value: &omen_value) -> EngineResult<ScalarValue> {
    use omen_type_id::*;
    let (id, present) = (value.type_.id, !value.is_null && value.type_.id != OMEN_TYPE_NONE);
    // Reads a member of the union only where the value isn't NULL.
    macro_rules! member {
        ($read:expr) => {
            present.then(|| $read)
        };
    }
    // SAFETY: the type says which member is set; the caller's promise covers the bytes.
    unsafe {
        let (data, length) = if present {
            (value.as_.bytes.data, value.as_.bytes.length)
        } else {
            (std::ptr::null(), 0)
        };
        let bytes = || if length == 0 { &[][..] } else { std::slice::from_raw_parts(data, length) };
        Ok(match id {
            OMEN_TYPE_BOOLEAN => ScalarValue::Boolean(member!(value.as_.boolean)),
            OMEN_TYPE_SMALLINT => ScalarValue::Int16(member!(value.as_.i16_)),
            OMEN_TYPE_INTEGER => ScalarValue::Int32(member!(value.as_.i32_)),
            OMEN_TYPE_BIGINT => ScalarValue::Int64(member!(value.as_.i64_)),
            OMEN_TYPE_REAL => ScalarValue::Float32(member!(canonical_f32(value.as_.f32_))),
            OMEN_TYPE_DOUBLE => ScalarValue::Float64(member!(canonical_f64(value.as_.f64_))),
            OMEN_TYPE_DECIMAL => ScalarValue::Decimal128(
                member!(
                    (i128::from(value.as_.decimal.high) << 64) | i128::from(value.as_.decimal.low)
                ),
                value.type_.precision,
                value.type_.scale,
            ),
            OMEN_TYPE_NONE | OMEN_TYPE_TEXT | OMEN_TYPE_VARCHAR | OMEN_TYPE_CHAR => {
                let text = present.then(|| std::str::from_utf8(bytes())).transpose();
                let text = text.map_err(|_| {
                    EngineError::new(
                        crate::abi::omen_status::OMEN_INVALID_ENCODING,
                        "a text parameter is not valid UTF-8",
                    )
                })?;
                ScalarValue::Utf8View(text.map(str::to_owned))
            }
            OMEN_TYPE_BYTEA => ScalarValue::BinaryView(present.then(|| bytes().to_vec())),
            OMEN_TYPE_DATE => ScalarValue::Date32(member!(value.as_.i32_)),
            OMEN_TYPE_TIMESTAMP => ScalarValue::TimestampMicrosecond(member!(value.as_.i64_), None),
            OMEN_TYPE_TIMESTAMPTZ => {
                ScalarValue::TimestampMicrosecond(member!(value.as_.i64_), Some(Arc::from("UTC")))
            }
            OMEN_TYPE_UUID => ScalarValue::FixedSizeBinary(16, member!(value.as_.uuid.to_vec())),
            other => return Err(EngineError::internal(format!("type number {other} is unknown"))),
        })
    }
}

/// A non-NULL value of a core type for the host; text and bytes are borrowed from `scalar`.
/// None where the value is NULL or of another type.
pub fn value_of(scalar: &ScalarValue) -> Option<omen_value> {
    use omen_type_id::*;
    use omen_value__bindgen_ty_1 as As;
    let bytes =
        |bytes: &[u8]| As { bytes: omen_bytes { data: bytes.as_ptr(), length: bytes.len() } };
    let (id, as_) = match scalar {
        ScalarValue::Boolean(Some(v)) => (OMEN_TYPE_BOOLEAN, As { boolean: *v }),
        ScalarValue::Int16(Some(v)) => (OMEN_TYPE_SMALLINT, As { i16_: *v }),
        ScalarValue::Int32(Some(v)) => (OMEN_TYPE_INTEGER, As { i32_: *v }),
        ScalarValue::Int64(Some(v)) => (OMEN_TYPE_BIGINT, As { i64_: *v }),
        ScalarValue::Float32(Some(v)) => (OMEN_TYPE_REAL, As { f32_: *v }),
        ScalarValue::Float64(Some(v)) => (OMEN_TYPE_DOUBLE, As { f64_: *v }),
        ScalarValue::Decimal128(Some(v), ..) => {
            let decimal = omen_decimal { low: *v as u64, high: (*v >> 64) as i64 };
            (OMEN_TYPE_DECIMAL, As { decimal })
        }
        ScalarValue::Utf8View(Some(v)) => (OMEN_TYPE_TEXT, bytes(v.as_bytes())),
        ScalarValue::BinaryView(Some(v)) => (OMEN_TYPE_BYTEA, bytes(v)),
        ScalarValue::Date32(Some(v)) => (OMEN_TYPE_DATE, As { i32_: *v }),
        ScalarValue::TimestampMicrosecond(Some(v), None) => (OMEN_TYPE_TIMESTAMP, As { i64_: *v }),
        ScalarValue::TimestampMicrosecond(Some(v), Some(_)) => {
            (OMEN_TYPE_TIMESTAMPTZ, As { i64_: *v })
        }
        ScalarValue::FixedSizeBinary(16, Some(v)) => {
            (OMEN_TYPE_UUID, As { uuid: v.as_slice().try_into().ok()? })
        }
        _ => return None,
    };
    let (precision, scale) = match scalar {
        ScalarValue::Decimal128(_, precision, scale) => (*precision, *scale),
        _ => (0, 0),
    };
    let type_ = omen_type { id, precision, scale, length_max: 0 };
    Some(omen_value { type_, is_null: false, as_ })
}

/// `literal` as exactly `data_type`, a core type, if it is the same value there; else None. NULL
/// is never a value.
pub fn exact_literal(literal: &ScalarValue, data_type: &DataType) -> Option<ScalarValue> {
    use ScalarValue::*;
    match (literal, data_type) {
        (value, _) if value.is_null() => None,
        (Float32(Some(v)), DataType::Float32) => Some(Float32(Some(canonical_f32(*v)))),
        (Float64(Some(v)), DataType::Float64) => Some(Float64(Some(canonical_f64(*v)))),
        (Utf8(v) | LargeUtf8(v) | Utf8View(v), DataType::Utf8View) => Some(Utf8View(v.clone())),
        (Binary(v) | LargeBinary(v) | BinaryView(v), DataType::BinaryView) => {
            Some(BinaryView(v.clone()))
        }
        // The zone is how an instant is shown, not part of it.
        (
            TimestampMicrosecond(v, Some(_)),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)),
        ) => Some(TimestampMicrosecond(*v, Some(zone.clone()))),
        (value, wanted) => (value.data_type() == *wanted).then(|| value.clone()),
    }
}

/// The form in which the core stores floats: adding zero turns -0.0 into 0.0.
fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() {
        f32::NAN
    } else {
        value + 0.0
    }
}

fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else {
        value + 0.0
    }
}
