//! Runs Lua as Argo CD does (`util/lua/lua.go`): Lua 5.1 with no libraries but base, package and table, `require("os")`
//! with time and date alone, the resource as the global `obj`, and a table with status and message in return.

use mlua::{Lua, LuaOptions, StdLib, Table, Value as LuaValue};
use serde_json::Value;

/// The words that Argo CD accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Progressing,
    Degraded,
    Suspended,
}

/// The health of a resource, with its message.
pub fn health(script: &str, object: &Value) -> (Health, String) {
    let lua = sandbox(object);
    let hs: Table = lua.load(script).eval().unwrap_or_else(|error| panic!("{error}\n{object:#}"));
    let status: String = hs.get("status").unwrap();
    let health = match status.as_str() {
        "Healthy" => Health::Healthy,
        "Progressing" => Health::Progressing,
        "Degraded" => Health::Degraded,
        "Suspended" => Health::Suspended,
        other => panic!("Argo CD knows no health {other}"),
    };
    (health, hs.get("message").unwrap())
}

/// The actions that are offered on a resource.
pub fn actions(discovery: &str, object: &Value) -> Vec<String> {
    let lua = sandbox(object);
    let offered: Table = lua.load(discovery).eval().unwrap();
    let offered = offered.pairs::<String, Table>().map(Result::unwrap);
    let mut names: Vec<String> =
        offered.filter(|(_, action)| !action.get::<bool>("disabled").unwrap()).map(|(name, _)| name).collect();
    names.sort();
    names
}

/// The annotations of the resource that an action returns, to be written.
pub fn annotations_after(action: &str, object: &Value) -> Vec<(String, String)> {
    let lua = sandbox(object);
    let returned: Table = lua.load(action).eval().unwrap();
    let annotations: Table = returned.get::<Table>("metadata").unwrap().get("annotations").unwrap();
    annotations.pairs().map(Result::unwrap).collect()
}

fn sandbox(object: &Value) -> Lua {
    let lua = Lua::new_with(StdLib::TABLE | StdLib::PACKAGE, LuaOptions::default()).unwrap();
    let os = lua.create_table().unwrap();
    os.set("date", lua.create_function(|_, _format: String| Ok("2026-01-01T00:00:00Z")).unwrap()).unwrap();
    lua.register_module("os", os).unwrap();
    lua.globals().set("obj", lua_value(&lua, object)).unwrap();
    lua
}

/// A null is nothing, and every number a float.
fn lua_value(lua: &Lua, value: &Value) -> LuaValue {
    match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(value) => LuaValue::Number(value.as_f64().unwrap()),
        Value::String(value) => LuaValue::String(lua.create_string(value).unwrap()),
        Value::Array(items) => {
            let items = items.iter().map(|item| lua_value(lua, item));
            LuaValue::Table(lua.create_sequence_from(items).unwrap())
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.as_str(), lua_value(lua, value)));
            LuaValue::Table(lua.create_table_from(fields).unwrap())
        }
    }
}
