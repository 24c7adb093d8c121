//! `docs/schemas`: JSON schemas of the two kinds, for editors and kubeconform, and of the reports of the commands.
//! They are those that the binary prints and fills.

use super::File;
use oauth_app_operator::commands;
use oauth_app_operator::crd::{definitions, json_schema};
use serde_json::{Value, json};

const COMMENT: &str = "Written by `cargo xtask generate`.";

pub(super) fn files() -> Vec<File> {
    let kinds = json_schema::files(&definitions().map(|definition| json!(definition))).into_iter();
    let kinds = kinds.map(|(file, schema)| (file, serde_json::from_str(&schema).unwrap_or(Value::Null)));
    let reports = commands::schemas().into_iter().map(|(command, schema)| (format!("{command}.json"), schema));
    kinds.chain(reports).map(|(file, schema)| (format!("docs/schemas/{file}"), commented(schema))).collect()
}

fn commented(mut schema: Value) -> String {
    schema["$comment"] = COMMENT.into();
    format!("{schema:#}\n")
}
