//! Records where a panic occurred, and never the value of a variable. A panic ends its reconciliation, and everything else
//! goes on.

use std::cell::RefCell;
use std::panic::{Location, PanicHookInfo};

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs each panic from now on.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = place(panic);
        tracing::error!(place, "the operator failed; this is a bug, please report it");
        LAST.set(Some(place));
    }));
}

/// The location of the panic that was just caught on this thread.
pub(crate) fn last_location() -> String {
    LAST.take().unwrap_or_else(|| "an unknown place".into())
}

/// The file and line, and the message if that was written in the source and holds no value.
fn place(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map(Location::to_string).unwrap_or_default();
    match panic.payload().downcast_ref::<&'static str>() {
        Some(message) => format!("{place}: {message}"),
        None => place,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_release_unwinds_so_that_a_panic_can_be_caught() {
        let (_, release) = include_str!("../Cargo.toml").split_once("[profile.release]").unwrap();
        assert!(release.lines().any(|line| line == r#"panic = "unwind""#));
    }
}
