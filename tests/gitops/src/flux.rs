//! Evaluates `healthCheckExprs` as Flux does (`runtime/cel/status_evaluator.go`): a status of an earlier generation is in
//! progress, then the first of `inProgress`, `failed` and `current` that holds decides, and if none does it is in progress.

use crate::kstatus::{Status, is_behind};
use cel::{Context, Program};
use serde_json::Value;

/// The expressions for one kind, in the order in which Flux asks.
pub struct Expressions([(Program, Status); 3]);

impl Expressions {
    /// Those for a kind among the Kustomizations of a file.
    pub fn find(manifests: &[Value], api_version: &str, kind: &str) -> Self {
        let all = manifests.iter().filter_map(|manifest| manifest["spec"]["healthCheckExprs"].as_array()).flatten();
        let ours: Vec<&Value> =
            all.filter(|exprs| exprs["apiVersion"] == api_version && exprs["kind"] == kind).collect();
        let [exprs] = ours.as_slice() else { panic!("{} sets of expressions for {kind}", ours.len()) };
        let program = |name: &str| Program::compile(exprs[name].as_str().unwrap()).unwrap();
        Self([
            (program("inProgress"), Status::InProgress),
            (program("failed"), Status::Failed),
            (program("current"), Status::Current),
        ])
    }

    /// What Flux takes a resource for.
    pub fn read(&self, object: &Value) -> Status {
        if is_behind(object) {
            return Status::InProgress;
        }
        let found = self.0.iter().find(|(program, _)| holds(program, object));
        found.map_or(Status::InProgress, |(_, status)| *status)
    }
}

/// Each field of the resource is a variable.
fn holds(program: &Program, object: &Value) -> bool {
    let mut context = Context::default();
    for (name, value) in object.as_object().unwrap() {
        context.add_variable(name.as_str(), value).unwrap();
    }
    match program.execute(&context) {
        Ok(cel::Value::Bool(holds)) => holds,
        other => panic!("{other:?}\n{object:#}"),
    }
}
