//! One error type for everything that can fail, and how DataFusion's errors become SQLSTATEs.
//!
//! The rule: an error that already carries a status (the host raised it) passes through with its
//! code and its words, however deeply DataFusion has wrapped it. Every other error is classified
//! by its variant. The core has resolved every name and type, so a query that doesn't plan is one
//! that DataFusion cannot do (0A000), but for the few texts in `PLAN_TEXTS`.
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

use crate::abi::{omen_error, omen_status, Status, STATUS_TABLE};

/// What went wrong: a status, its SQLSTATE, the words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    pub status: Status,
    pub sqlstate: String,
    /// 1-based character of the statement, 0 where unknown.
    pub position: i32,
    pub message: String,
}

/// Short for what the boundary functions return.
pub type EngineResult<T> = Result<T, EngineError>;

impl EngineError {
    /// An error of our own; the SQLSTATE follows from the status.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, sqlstate: sqlstate_of(status).into(), position: 0, message: message.into() }
    }

    /// A broken promise between the core and the engine.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(omen_status::OMEN_INTERNAL, message)
    }

    /// Something the engine doesn't do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(omen_status::OMEN_NOT_SUPPORTED, message)
    }

    /// A panic caught at the boundary.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| text.to_string())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown".into());
        Self::internal(format!("the SQL engine panicked: {text}"))
    }

    /// The form that `get_last_error` promises: "SQLSTATE message".
    pub fn to_stream_text(&self) -> CString {
        let text = format!("{} {}", self.sqlstate, self.message);
        CString::new(text.replace('\0', " ")).expect("the zero bytes are gone")
    }

    /// Reads what the host wrote into its error record. `returned` decides where it wrote nothing.
    pub fn from_abi(returned: Status, error: &omen_error) -> Self {
        let status = if error.status == omen_status::OMEN_OK { returned } else { error.status };
        let mut sqlstate = text_of(&error.sqlstate);
        if sqlstate.len() != 5 {
            sqlstate = sqlstate_of(status).into();
        }
        let mut message = text_of(&error.message);
        if message.is_empty() {
            message = format!("the core failed with status {status}");
        }
        Self { status, sqlstate, position: error.position, message }
    }

    /// Fills the caller's error record, whole characters only.
    ///
    /// # Safety
    /// `out` is NULL or valid for writing.
    pub unsafe fn write_to(&self, out: *mut omen_error) {
        // SAFETY: the caller's promise.
        let Some(out) = (unsafe { out.as_mut() }) else { return };
        out.status = self.status;
        out.position = self.position;
        fill(&mut out.sqlstate, &self.sqlstate);
        fill(&mut out.message, &self.message);
    }

    /// The errno that goes with the error on an Arrow C stream.
    pub fn errno(&self) -> i32 {
        const EIO: i32 = 5;
        const ENOMEM: i32 = 12;
        const EINVAL: i32 = 22;
        match self.status {
            omen_status::OMEN_OUT_OF_MEMORY => ENOMEM,
            omen_status::OMEN_IO_ERROR | omen_status::OMEN_CORRUPTED => EIO,
            _ => EINVAL,
        }
    }
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
        classify_arrow(&error)
    }
}

/// The SQLSTATE of a status; "XX000" for an unknown number.
fn sqlstate_of(status: Status) -> &'static str {
    STATUS_TABLE.iter().find(|(number, _)| *number == status).map_or("XX000", |(_, state)| state)
}

fn text_of(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|c| *c as u8).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
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

/// A DataFusion error as ours.
fn classify(error: &DataFusionError) -> EngineError {
    use omen_status::*;
    let plain = |status| EngineError::new(status, clean(&error.message()));
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            classify(inner)
        }
        DataFusionError::Shared(inner) => classify(inner),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => classify(first),
            None => plain(OMEN_INTERNAL),
        },
        DataFusionError::External(inner) => classify_foreign(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => classify_arrow(inner),
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
        DataFusionError::Plan(text) => {
            match PLAN_TEXTS.iter().find(|(part, _)| text.contains(part)) {
                Some((_, status)) => EngineError::new(*status, clean(text)),
                None => cannot_plan(text),
            }
        }
        DataFusionError::Execution(text) if text.contains("more than one row") => {
            EngineError::new(OMEN_CARDINALITY, MORE_THAN_ONE_ROW)
        }
        DataFusionError::Execution(text) => {
            classify_text(text, RUNNING_TEXTS, OMEN_INVALID_ARGUMENT)
        }
        DataFusionError::NotImplemented(text) | DataFusionError::Substrait(text) => {
            cannot_plan(text)
        }
        DataFusionError::ResourcesExhausted(_) => plain(OMEN_OUT_OF_MEMORY),
        DataFusionError::Configuration(_) => plain(OMEN_INVALID_ARGUMENT),
        DataFusionError::IoError(inner) => match inner.kind() {
            std::io::ErrorKind::StorageFull => plain(OMEN_DISK_FULL),
            _ => plain(OMEN_IO_ERROR),
        },
        DataFusionError::ExecutionJoin(inner) if inner.is_cancelled() => plain(OMEN_CANCELLED),
        _ => plain(OMEN_INTERNAL),
    }
}

/// An error that DataFusion or Arrow only carries: the host's, or one of theirs wrapped again.
fn classify_foreign(error: &(dyn Error + 'static)) -> EngineError {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        error.clone()
    } else if let Some(error) = error.downcast_ref::<DataFusionError>() {
        classify(error)
    } else if let Some(error) = error.downcast_ref::<Arc<DataFusionError>>() {
        classify(error)
    } else if let Some(error) = error.downcast_ref::<ArrowError>() {
        classify_arrow(error)
    } else {
        EngineError::internal(error.to_string())
    }
}

fn classify_arrow(error: &ArrowError) -> EngineError {
    use omen_status::*;
    match error {
        ArrowError::ExternalError(inner) => classify_foreign(inner.as_ref()),
        ArrowError::DivideByZero => EngineError::new(OMEN_DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(text) => EngineError::new(OMEN_OUT_OF_RANGE, text),
        ArrowError::CastError(text) | ArrowError::ParseError(text) => {
            classify_text(text, RUNNING_TEXTS, OMEN_INVALID_TEXT)
        }
        ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
            classify_text(text, RUNNING_TEXTS, OMEN_INVALID_ARGUMENT)
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
    ("table '", omen_status::OMEN_UNDEFINED_TABLE),
    ("LIMIT must be", omen_status::OMEN_INVALID_LIMIT),
    ("OFFSET must be", omen_status::OMEN_INVALID_OFFSET),
    ("laceholder", omen_status::OMEN_INVALID_ARGUMENT),
];

/// What Arrow's kernels and DataFusion's functions say while a plan runs.
const RUNNING_TEXTS: &[TextRule] = &[
    ("ivide by zero", omen_status::OMEN_DIVISION_BY_ZERO),
    ("ivision by zero", omen_status::OMEN_DIVISION_BY_ZERO),
    ("verflow", omen_status::OMEN_OUT_OF_RANGE),
    ("out of range", omen_status::OMEN_OUT_OF_RANGE),
    ("Can't cast value", omen_status::OMEN_OUT_OF_RANGE),
    ("is too large", omen_status::OMEN_OUT_OF_RANGE),
    ("is too small", omen_status::OMEN_OUT_OF_RANGE),
    ("imestamp", omen_status::OMEN_INVALID_DATETIME),
    ("Date", omen_status::OMEN_INVALID_DATETIME),
];

fn classify_text(text: &str, rules: &[TextRule], otherwise: Status) -> EngineError {
    let status =
        rules.iter().find(|(part, _)| text.contains(part)).map_or(otherwise, |rule| rule.1);
    EngineError::new(status, clean(text))
}

/// The words without a backtrace.
fn clean(text: &str) -> String {
    text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text).trim().to_string()
}
