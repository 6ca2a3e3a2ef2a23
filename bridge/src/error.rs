//! One error type for everything that can fail, and how DataFusion's errors become SQLSTATEs.
//!
//! The rule: an error that already carries a status (the host raised it) passes through with its
//! words, however deeply DataFusion has wrapped it. Every other error is classified by its variant.
//! The core has resolved every name and type, so a query that doesn't plan is one that DataFusion
//! cannot do (0A000), but for the few texts in `PLAN_TEXTS`.
//!
//! Source: PostgreSQL's appendix A (error codes); `datafusion_common::DataFusionError`.

use std::any::Any;
use std::error::Error;
use std::ffi::{c_char, CString};
use std::fmt;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::abi::{omen_error, omen_status::*, Status, STATUS_TABLE};

/// What went wrong: a status, which has a SQLSTATE, and the words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    pub status: Status,
    pub message: String,
}

/// Short for what the boundary functions return.
pub type EngineResult<T> = Result<T, EngineError>;

impl EngineError {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// A broken promise between the core and the engine.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(OMEN_INTERNAL, message)
    }

    /// Something the engine doesn't do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(OMEN_NOT_SUPPORTED, message)
    }

    /// A panic caught at the boundary.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::internal(format!("the SQL engine panicked: {}", text.unwrap_or("unknown")))
    }

    /// "XX000" for an unknown number.
    fn sqlstate(&self) -> &'static str {
        let known = STATUS_TABLE.iter().find(|(number, _)| *number == self.status);
        known.map_or("XX000", |(_, sqlstate)| sqlstate)
    }

    /// The form that `get_last_error` promises: "SQLSTATE message".
    pub fn to_stream_text(&self) -> CString {
        let text = format!("{} {}", self.sqlstate(), self.message);
        CString::new(text.replace('\0', " ")).expect("the zero bytes are gone")
    }

    /// Reads that form from a stream of the core's.
    pub fn from_stream_text(text: &str) -> Self {
        let (sqlstate, message) = text.split_once(' ').unwrap_or(("", text));
        match STATUS_TABLE.iter().find(|(_, state)| *state == sqlstate) {
            Some((status, _)) => Self::new(*status, message),
            None => Self::internal(format!("a stream of the core failed: {text}")),
        }
    }

    /// Reads what the host wrote into its error record. `returned` decides where it wrote nothing.
    pub fn from_abi(returned: Status, error: &omen_error) -> Self {
        let status = if error.status == OMEN_OK { returned } else { error.status };
        let bytes = error.message.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0);
        let message = String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned();
        if message.is_empty() {
            return Self::new(status, format!("the core failed with status {status}"));
        }
        Self::new(status, message)
    }

    /// Fills the caller's error record, whole characters only.
    ///
    /// # Safety
    /// `out` is NULL or valid for writing.
    pub unsafe fn write_to(&self, out: *mut omen_error) {
        // SAFETY: the caller's promise.
        let Some(out) = (unsafe { out.as_mut() }) else { return };
        out.status = self.status;
        out.position = 0;
        out.hint_offset = 0;
        fill(&mut out.sqlstate, self.sqlstate());
        fill(&mut out.message, &self.message);
    }

    /// The errno that goes with the error on an Arrow C stream.
    pub fn errno(&self) -> i32 {
        const EIO: i32 = 5;
        const ENOMEM: i32 = 12;
        const EINVAL: i32 = 22;
        match self.status {
            OMEN_OUT_OF_MEMORY => ENOMEM,
            OMEN_IO_ERROR | OMEN_CORRUPTED => EIO,
            _ => EINVAL,
        }
    }
}

fn fill(field: &mut [c_char], text: &str) {
    let mut length = text.len().min(field.len() - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    for (slot, byte) in field.iter_mut().zip(&text.as_bytes()[..length]) {
        *slot = *byte as c_char;
    }
    field[length] = 0;
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for EngineError {}

impl From<EngineError> for DataFusionError {
    fn from(error: EngineError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        classify(&error)
    }
}

impl From<ArrowError> for EngineError {
    fn from(error: ArrowError) -> Self {
        classify(&error)
    }
}

/// Errors wrap each other; the innermost that is ours, DataFusion's or Arrow's says most.
fn classify(error: &(dyn Error + 'static)) -> EngineError {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    let known = chain.filter_map(|error| {
        if let Some(error) = error.downcast_ref::<EngineError>() {
            Some(error.clone())
        } else if let Some(error) = error.downcast_ref::<Arc<DataFusionError>>() {
            Some(of_datafusion(error))
        } else if let Some(error) = error.downcast_ref::<DataFusionError>() {
            Some(of_datafusion(error))
        } else {
            error.downcast_ref::<ArrowError>().map(of_arrow)
        }
    });
    known.last().unwrap_or_else(|| EngineError::internal(error.to_string()))
}

fn of_datafusion(error: &DataFusionError) -> EngineError {
    let plain = |status| EngineError::new(status, clean(&error.message()));
    match error {
        DataFusionError::SQL(inner, _) => match inner.as_ref() {
            ParserError::RecursionLimitExceeded => {
                EngineError::new(OMEN_STATEMENT_TOO_COMPLEX, "the statement is nested too deeply")
            }
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                EngineError::new(OMEN_SYNTAX_ERROR, format!("syntax error: {text}"))
            }
        },
        // Names and types are right: what doesn't plan is more than DataFusion can do.
        DataFusionError::SchemaError(inner, _) => cannot_plan(&inner.to_string()),
        DataFusionError::NotImplemented(text) => cannot_plan(text),
        DataFusionError::Plan(text) => match status_of(text, PLAN_TEXTS) {
            Some(status) => EngineError::new(status, clean(text)),
            None => cannot_plan(text),
        },
        DataFusionError::Execution(text) if text.contains("more than one row") => {
            EngineError::new(OMEN_CARDINALITY, MORE_THAN_ONE_ROW)
        }
        DataFusionError::Execution(text) => of_running(text, OMEN_INVALID_ARGUMENT),
        DataFusionError::ResourcesExhausted(_) => plain(OMEN_OUT_OF_MEMORY),
        DataFusionError::IoError(inner) => match inner.kind() {
            std::io::ErrorKind::StorageFull => plain(OMEN_DISK_FULL),
            _ => plain(OMEN_IO_ERROR),
        },
        DataFusionError::ExecutionJoin(inner) if inner.is_cancelled() => plain(OMEN_CANCELLED),
        _ => plain(OMEN_INTERNAL),
    }
}

fn of_arrow(error: &ArrowError) -> EngineError {
    match error {
        ArrowError::DivideByZero => EngineError::new(OMEN_DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(text) => EngineError::new(OMEN_OUT_OF_RANGE, text),
        ArrowError::CastError(text) | ArrowError::ParseError(text) => {
            of_running(text, OMEN_INVALID_TEXT)
        }
        ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
            of_running(text, OMEN_INVALID_ARGUMENT)
        }
        ArrowError::NotYetImplemented(text) => EngineError::unsupported(text),
        ArrowError::MemoryError(text) => EngineError::new(OMEN_OUT_OF_MEMORY, text),
        ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError
        | ArrowError::OffsetOverflowError(_) => {
            EngineError::new(OMEN_LIMIT_EXCEEDED, error.to_string())
        }
        ArrowError::IoError(text, _) => EngineError::new(OMEN_IO_ERROR, text),
        _ => EngineError::internal(error.to_string()),
    }
}

fn cannot_plan(text: &str) -> EngineError {
    EngineError::unsupported(format!("the SQL engine cannot run this query: {}", clean(text)))
}

/// What a scalar subquery with several rows comes to.
pub const MORE_THAN_ONE_ROW: &str =
    "more than one row returned by a subquery used as an expression";

/// A part of a message and the status it stands for; the first that matches decides.
type TextRule = (&'static str, Status);

const PLAN_TEXTS: &[TextRule] = &[
    ("table '", OMEN_UNDEFINED_TABLE),
    ("LIMIT must be", OMEN_INVALID_LIMIT),
    ("OFFSET must be", OMEN_INVALID_OFFSET),
    ("laceholder", OMEN_INVALID_ARGUMENT),
];

/// What Arrow's kernels and DataFusion's functions say while a plan runs.
const RUNNING_TEXTS: &[TextRule] = &[
    ("ivide by zero", OMEN_DIVISION_BY_ZERO),
    ("ivision by zero", OMEN_DIVISION_BY_ZERO),
    ("verflow", OMEN_OUT_OF_RANGE),
    ("out of range", OMEN_OUT_OF_RANGE),
    ("Can't cast value", OMEN_OUT_OF_RANGE),
    ("is too large", OMEN_OUT_OF_RANGE),
    ("is too small", OMEN_OUT_OF_RANGE),
    ("imestamp", OMEN_INVALID_DATETIME),
    ("Date", OMEN_INVALID_DATETIME),
];

fn status_of(text: &str, rules: &[TextRule]) -> Option<Status> {
    rules.iter().find(|(part, _)| text.contains(part)).map(|(_, status)| *status)
}

fn of_running(text: &str, otherwise: Status) -> EngineError {
    EngineError::new(status_of(text, RUNNING_TEXTS).unwrap_or(otherwise), clean(text))
}

/// The words without a backtrace.
fn clean(text: &str) -> String {
    text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text).trim().to_string()
}
