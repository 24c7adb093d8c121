//! What the tests of the policy share: `resources` and their `secrets`, what a reconcile at hour 2 has `observed`, and the
//! `steps` that are expected. A secret is named by its value: `current` is published at hour 0, `next` is pending since hour 1,
//! `before` is the previous one, and `generated` is the one that was generated for this reconcile.

mod observed;
mod resources;
mod secrets;
mod steps;

pub(super) use observed::*;
pub(super) use resources::*;
pub(super) use secrets::*;
pub(super) use steps::*;

use crate::decide::{Call, Observed, Step, decide};
use crate::iam::ClientSecret;
use crate::secret::RotationMode;
use serde_json::json;
use std::borrow::Borrow;
use std::fmt;

#[track_caller]
pub(super) fn assert_step(observed: impl Borrow<Observed>, expected: Expected) {
    let observed = observed.borrow();
    let step = decide(observed);
    let expected = expected.step(observed, &step);
    assert_eq!(Shown(step), Shown(expected));
}

/// What is observed after a step.
pub(super) type Change = fn(&mut Observed);

/// Fails unless these steps follow, each from what the one before brought.
#[track_caller]
pub(super) fn assert_steps<const N: usize>(mut observed: Observed, steps: [(Expected, Change); N]) {
    for (expected, brings) in steps {
        assert_step(&observed, expected);
        brings(&mut observed);
    }
}

/// A step that shows its secrets, which are names here, when a test fails.
#[derive(PartialEq)]
pub(super) struct Shown(pub Step);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<_> = secrets_in(&self.0)
            .into_iter()
            .filter_map(|(what, secret)| secret.map(|secret| (what, secret.expose())))
            .collect();
        write!(f, "{:?} with {secrets:?}", self.0)
    }
}

fn secrets_in(step: &Step) -> Vec<(&'static str, Option<&ClientSecret>)> {
    match step {
        Step::DryRunSecret(contents) | Step::WriteSecret(contents, _) | Step::WriteRotation(contents, _) => vec![
            ("current", contents.current.as_ref()),
            ("pending", contents.pending.as_ref().map(|pending| &pending.secret)),
            ("previous", contents.previous.as_ref().and_then(|previous| previous.secret.as_ref())),
        ],
        Step::Call(Call::Create(app)) => vec![("secret", app.secret.as_ref())],
        Step::Call(Call::Replace(_, update)) => vec![("secret", update.secret.as_ref())],
        Step::Call(Call::Rotate(_, secret, _) | Call::VerifySecret(_, secret)) => vec![("secret", Some(secret))],
        _ => Vec::new(),
    }
}

#[test]
fn a_failed_comparison_names_the_secrets() {
    let observed = observe(app(json!({})), published, nothing);
    let next = verify("next").step(&observed, &decide(&observed));
    let other = verify("current").step(&observed, &decide(&observed));
    assert_ne!(Shown(next.clone()), Shown(other));
    assert!(format!("{:?}", Shown(next)).ends_with(r#"with [("secret", "next")]"#));
    let staged = stage(RotationMode::Overlap, "next").step(&observed, &decide(&observed));
    assert!(format!("{:?}", Shown(staged)).ends_with(r#"with [("current", "current"), ("pending", "next")]"#));
}
