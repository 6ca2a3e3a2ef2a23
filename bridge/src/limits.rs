//! Statements that would overrun the stack are refused (54001); the rest gets stack enough.
//!
//! DataFusion's passes over an expression grow the stack as they need, but dropping, hashing and
//! comparing one recurse plainly: about 1 KiB for each operator of a chain `a + b + c ...`, about
//! 3 KiB for each UNION (measured). The core's binder bounds what it writes; here the parsed text is
//! measured before anything is built of it, and what passes fits `STACK_BYTES`, on which every entry
//! runs, whatever thread it came on. Nested parentheses are the parser's to count
//! (`session::NESTING_MAX`).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, SetExpr, Visit, Visitor};

use crate::abi::omen_status;
use crate::error::{EngineError, EngineResult};

/// Expressions within expressions; SQLite's default limit is 1,000.
const DEPTH_MAX: usize = 2000;

/// UNIONs and their kin in one chain.
const BRANCH_COUNT_MAX: usize = 500;

/// Relations in one statement: each is a node in a chain of joins.
const RELATION_COUNT_MAX: usize = 500;

/// The least stack for a statement within the limits, and what is mapped where there is less.
const STACK_BYTES_MIN: usize = 4 << 20;
const STACK_BYTES: usize = 8 << 20;

/// Texts from this length on are parsed, and what is too deep dropped again, on more.
const TEXT_BYTES_LONG: usize = 4 << 10;
const STACK_BYTES_LONG: usize = 128 << 20;

/// Runs `body` with enough stack for the deepest statement that passes `check`.
pub fn with_stack<T>(body: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES_MIN, STACK_BYTES, body)
}

/// Runs `body` with enough stack to parse a text of this length, however deep.
pub fn with_stack_for_text<T>(length: usize, body: impl FnOnce() -> T) -> T {
    match length < TEXT_BYTES_LONG {
        true => with_stack(body),
        false => stacker::grow(STACK_BYTES_LONG, body),
    }
}

/// Refuses what is too deep, and row locks, which DataFusion's planner would drop in silence.
pub fn check(query: &Query) -> EngineResult<()> {
    match query.visit(&mut Inspector::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Default)]
struct Inspector {
    depth: usize,
    relation_count: usize,
}

fn at_most(count: usize, max: usize) -> ControlFlow<EngineError> {
    if count <= max {
        return ControlFlow::Continue(());
    }
    let words = "the statement is too complex";
    ControlFlow::Break(EngineError::new(omen_status::OMEN_STATEMENT_TOO_COMPLEX, words))
}

impl Visitor for Inspector {
    type Break = EngineError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<EngineError> {
        if !query.locks.is_empty() {
            let words = "row locks are not supported here";
            return ControlFlow::Break(EngineError::unsupported(words));
        }
        let (mut body, mut branch_count) = (&query.body, 1);
        while let SetExpr::SetOperation { left, .. } = body.as_ref() {
            (body, branch_count) = (left, branch_count + 1);
        }
        at_most(branch_count, BRANCH_COUNT_MAX)
    }

    fn pre_visit_relation(&mut self, _relation: &ObjectName) -> ControlFlow<EngineError> {
        self.relation_count += 1;
        at_most(self.relation_count, RELATION_COUNT_MAX)
    }

    fn pre_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<EngineError> {
        self.depth += 1;
        at_most(self.depth, DEPTH_MAX)
    }

    fn post_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<EngineError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}
