//! Statements that would overrun the stack are refused (54001); the rest gets stack enough.
//!
//! DataFusion's passes over an expression grow the stack as they need, but dropping, hashing and
//! comparing one recurse plainly: about 1 KiB for each operator of a chain `a OR b OR ...`, about
//! 3 KiB for each UNION (measured). An overrun kills the process, so chains are counted before
//! anything deep is built: in the tokens, where a comma or a closing parenthesis ends a chain.
//! What passes fits `STACK_BYTES`, and every entry runs on that much, whatever thread it came on.
//!
//! Nested parentheses are the parser's to count (`session::NESTING_MAX`).

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::abi::omen_status;
use crate::error::{EngineError, EngineResult};

/// Operators in one chain; SQLite's default limit is 1,000.
const CHAIN_LENGTH_MAX: usize = 2000;

/// Relations in one statement: each is a node in a chain of joins.
pub const RELATION_COUNT_MAX: usize = 500;

/// The least stack for a statement within the limits, and what is mapped where there is less.
const STACK_BYTES_MIN: usize = 4 << 20;
const STACK_BYTES: usize = 8 << 20;

/// Runs `body` with enough stack for the deepest statement that passes `check_chains`.
pub fn with_stack<T>(body: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES_MIN, STACK_BYTES, body)
}

/// The error for what is too deep.
pub fn too_complex() -> EngineError {
    EngineError::new(omen_status::OMEN_STATEMENT_TOO_COMPLEX, "the statement is too complex")
}

/// Refuses a text with a chain of operators longer than allowed. Texts that don't tokenise pass:
/// the parser says what is wrong with them.
pub fn check_chains(sql: &str) -> EngineResult<()> {
    // An operator and its operand take two bytes at least.
    if sql.len() < 2 * CHAIN_LENGTH_MAX {
        return Ok(());
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(()) };
    // One entry per open parenthesis; the first is the statement itself.
    let mut open = vec![Chain::default()];
    for token in tokens {
        if token == Token::LParen {
            open.push(Chain::default());
            continue;
        }
        let inner = match token {
            Token::RParen if open.len() > 1 => open.pop().map_or(0, |chain| chain.length_max()),
            _ => 0,
        };
        let Some(chain) = open.last_mut() else { break };
        match token {
            Token::Comma => *chain = Chain { longest: chain.length_max(), ..Chain::default() },
            token => chain.operators += weight(&token),
        }
        chain.deepest = chain.deepest.max(inner);
        if chain.length_max() > CHAIN_LENGTH_MAX {
            return Err(too_complex());
        }
    }
    Ok(())
}

/// The chains between two parentheses: the longest that a comma ended, and the one being read,
/// which is as deep as its operators and the deepest parentheses in it.
#[derive(Default)]
struct Chain {
    longest: usize,
    operators: usize,
    deepest: usize,
}

impl Chain {
    fn length_max(&self) -> usize {
        self.longest.max(self.operators + self.deepest)
    }
}

/// How much a token can deepen the tree.
fn weight(token: &Token) -> usize {
    match token {
        Token::Word(word) => match word.keyword {
            Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => 4,
            Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::LIKE | Keyword::ILIKE => 1,
            Keyword::IS | Keyword::BETWEEN | Keyword::CASE | Keyword::COLLATE => 1,
            _ => 0,
        },
        Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::Whitespace(_)
        | Token::Period
        | Token::SemiColon
        | Token::RParen
        | Token::Placeholder(_)
        | Token::EOF => 0,
        _ => 1,
    }
}
