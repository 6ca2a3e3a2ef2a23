//! What a column of a Parquet file is in the core's types, and its values made so.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast_with_options, CastOptions};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, TimeUnit,
    TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::temporal_conversions::MICROSECONDS;
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::schema::types::Type;

use crate::abi::omen_status;
use crate::error::{EngineError, EngineResult};
use crate::value::{timestamptz, TIMESTAMP};

/// Digits of a DECIMAL.
const PRECISION_MAX: u8 = 38;

/// Digits of an unsigned 64-bit number.
const UNSIGNED_DIGITS: u8 = 20;

const DAYS_MIN: i32 = -2_440_588;
const DAYS_END: i32 = 2_147_483_494 - 2_440_588;
const TIMESTAMP_MIN: i64 = -210_866_803_200 * MICROSECONDS;

/// The type to ask the reader for: views, and timestamps that do not overflow on the way.
pub fn wanted(field: &Field, column: &Type) -> DataType {
    use DataType::*;
    let is_int96 = column.is_primitive() && column.get_physical_type() == PhysicalType::INT96;
    match field.data_type() {
        Utf8 => Utf8View,
        Binary => BinaryView,
        Timestamp(TimeUnit::Nanosecond, None) if is_int96 => TIMESTAMP,
        other => other.clone(),
    }
}

/// The core's type for a column that is read as `data_type`; None where it has none.
pub fn core_type(data_type: &DataType, column: &Type) -> Option<DataType> {
    use DataType::*;
    let is_uuid = matches!(column.get_basic_info().logical_type_ref(), Some(LogicalType::Uuid));
    Some(match data_type {
        Boolean | Int16 | Int32 | Int64 | Float32 | Float64 | Utf8View | BinaryView | Date32 => {
            data_type.clone()
        }
        Int8 | UInt8 => Int16,
        UInt16 => Int32,
        UInt32 => Int64,
        UInt64 => Decimal128(UNSIGNED_DIGITS, 0),
        Float16 => Float32,
        Null => Utf8View,
        FixedSizeBinary(16) if is_uuid => FixedSizeBinary(16),
        FixedSizeBinary(_) => BinaryView,
        Decimal128(precision, scale) | Decimal256(precision, scale)
            if *precision <= PRECISION_MAX && (0..=*precision as i8).contains(scale) =>
        {
            Decimal128(*precision, *scale)
        }
        Timestamp(_, None) => TIMESTAMP,
        Timestamp(_, Some(_)) => timestamptz(),
        _ => return None,
    })
}

/// A column's values in the core's type `field` has.
pub fn convert(column: &ArrayRef, field: &Field) -> EngineResult<ArrayRef> {
    let outside = |status, what: &str| {
        EngineError::new(status, format!("{what} out of range in column \"{}\"", field.name()))
    };
    let converted = match column.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let values = column.as_primitive::<TimestampMillisecondType>();
            let times = values.try_unary(|value| value.checked_mul(1000).ok_or(()));
            let times: TimestampMicrosecondArray =
                times.map_err(|()| outside(omen_status::OMEN_DATETIME_OVERFLOW, "timestamp"))?;
            Arc::new(times)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = column.as_primitive::<TimestampNanosecondType>();
            let times: TimestampMicrosecondArray = values.unary(|value| value.div_euclid(1000));
            Arc::new(times)
        }
        other if other == field.data_type() => Arc::clone(column),
        _ => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, field.data_type(), &options)?
        }
    };
    let converted = match field.data_type() {
        DataType::Timestamp(..) => {
            let times = converted
                .as_any()
                .downcast_ref::<TimestampMicrosecondArray>()
                .ok_or_else(|| EngineError::internal("a timestamp is in another unit"))?;
            if any(times, |value| value < TIMESTAMP_MIN) {
                return Err(outside(omen_status::OMEN_DATETIME_OVERFLOW, "timestamp"));
            }
            Arc::new(times.clone().with_data_type(field.data_type().clone()))
        }
        DataType::Date32 => {
            let days = converted.as_primitive::<Date32Type>();
            if any(days, |value| !(DAYS_MIN..DAYS_END).contains(&value)) {
                return Err(outside(omen_status::OMEN_DATETIME_OVERFLOW, "date"));
            }
            converted
        }
        DataType::Decimal128(precision, _) => {
            let decimals = converted.as_primitive::<Decimal128Type>();
            if decimals.validate_decimal_precision(*precision).is_err() {
                return Err(outside(omen_status::OMEN_OUT_OF_RANGE, "number"));
            }
            converted
        }
        // Comparisons are by IEEE's total order, so zero has to have one form, and NaN too.
        DataType::Float32 => {
            Arc::new(converted.as_primitive::<Float32Type>().unary::<_, Float32Type>(|value| {
                if value.is_nan() {
                    f32::NAN
                } else {
                    value + 0.0
                }
            }))
        }
        DataType::Float64 => {
            Arc::new(converted.as_primitive::<Float64Type>().unary::<_, Float64Type>(|value| {
                if value.is_nan() {
                    f64::NAN
                } else {
                    value + 0.0
                }
            }))
        }
        DataType::Boolean => from_offset_zero(converted.as_boolean()),
        _ => converted,
    };
    Ok(converted)
}

/// Whether some value that is not NULL is like this.
fn any<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, is: impl Fn(T::Native) -> bool) -> bool {
    // Most columns are all good: what stands behind NULLs is looked at only where something is not.
    column.values().iter().any(|value| is(*value)) && column.iter().flatten().any(is)
}

fn from_offset_zero(bits: &BooleanArray) -> ArrayRef {
    let values = BooleanBuffer::new(bits.values().sliced(), 0, bits.len());
    Arc::new(BooleanArray::new(values, bits.nulls().cloned()))
}
