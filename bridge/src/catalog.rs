//! The names a statement can use: every table name is asked of the host, nothing is registered.
//!
//! One catalog is made per statement and serves as catalog list, catalog and schema in one. The
//! host's answer is kept, so a statement sees one table version however often it names it.
//!
//! Invariant: the statement's handle is gone when the query function returns. `StatementGuard`
//! takes it out of the catalog at that moment; DataFusion may keep the catalog, the handle not.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};

use crate::abi::omen_engine_statement;
use crate::error::EngineError;
use crate::host::Host;
use crate::plan_cache::TableVersions;
use crate::provider::ArrowTableProvider;

/// The one catalog's and the one schema's names; SQL text has neither.
pub const CATALOG: &str = "omendb";
pub const SCHEMA: &str = "public";

/// DataFusion asks for this function as a table too. The core's tables have a dot in their names.
const TABLE_FUNCTION: &str = "generate_series";

/// The catalog of one statement.
#[derive(Clone)]
pub struct StatementCatalog {
    shared: Arc<Shared>,
}

struct Shared {
    host: Arc<Host>,
    state: Mutex<State>,
}

struct State {
    /// NULL once the query function has returned.
    statement: *mut omen_engine_statement,
    tables: HashMap<String, Arc<ArrowTableProvider>>,
}

// SAFETY: the host's statement handles may be used from any thread; the mutex does the rest.
unsafe impl Send for State {}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the use of a statement's handle when dropped.
pub struct StatementGuard(Arc<Shared>);

impl Drop for StatementGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.statement = std::ptr::null_mut();
        state.tables.clear();
    }
}

impl StatementCatalog {
    /// A catalog over `statement`, usable until the guard is dropped.
    ///
    /// # Safety
    /// `statement` is a live handle of `host` for as long as the guard lives.
    pub unsafe fn new(
        host: Arc<Host>,
        statement: *mut omen_engine_statement,
    ) -> (Self, StatementGuard) {
        let shared = Arc::new(Shared {
            host,
            state: Mutex::new(State { statement, tables: HashMap::new() }),
        });
        (Self { shared: Arc::clone(&shared) }, StatementGuard(shared))
    }

    /// What was resolved so far; None once the query function has returned.
    pub fn versions(&self) -> Option<TableVersions> {
        let state = self.shared.state();
        let versions = state.tables.values().map(|table| Arc::clone(table.version()));
        (!state.statement.is_null()).then(|| versions.collect())
    }

    /// The table of this name, or None where it is a function's.
    pub fn resolve(&self, name: &str) -> Result<Option<Arc<ArrowTableProvider>>> {
        if name == TABLE_FUNCTION {
            return Ok(None);
        }
        let mut state = self.shared.state();
        if let Some(table) = state.tables.get(name) {
            return Ok(Some(Arc::clone(table)));
        }
        if state.statement.is_null() {
            return Err(EngineError::internal("a table was looked up after planning").into());
        }
        // SAFETY: the handle isn't NULL, so the guard lives, so the handle does.
        let table = unsafe { self.shared.host.resolve(state.statement, name) }?;
        let table = Arc::new(ArrowTableProvider::new(name, table));
        state.tables.insert(name.to_string(), Arc::clone(&table));
        Ok(Some(table))
    }
}

impl fmt::Debug for StatementCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatementCatalog")
    }
}

impl CatalogProviderList for StatementCatalog {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.into()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}

impl CatalogProvider for StatementCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.into()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::new(self.clone()) as Arc<dyn SchemaProvider>)
    }
}

#[async_trait]
impl SchemaProvider for StatementCatalog {
    fn table_names(&self) -> Vec<String> {
        vec![]
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.resolve(name)?.map(|table| table as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        matches!(self.resolve(name), Ok(Some(_)))
    }
}
