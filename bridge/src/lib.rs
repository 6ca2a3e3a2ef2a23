#[no_mangle]
pub extern "C" fn omen_engine_open() -> i32 {
    let c = datafusion::prelude::SessionContext::new();
    c.session_id().len() as i32
}
