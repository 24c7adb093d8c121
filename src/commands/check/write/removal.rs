//! Removes the throw-away app, and makes sure that it is gone.

use super::app::ThrowAway;
use crate::iam::{Deletion, Iam};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long it is tried.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);
/// So many reads have to deny an app whose create may have been in flight when it was given up.
const ABSENT_IN_FLIGHT: usize = 3;

/// # Errors
/// Why the app may still exist.
pub(super) async fn remove(app: &ThrowAway<'_>, may_be_in_flight: bool) -> Result<(), String> {
    let deadline = Instant::now() + LIMIT;
    let needed = if may_be_in_flight { ABSENT_IN_FLIGHT } else { 1 };
    let mut absent = 0;
    loop {
        let deletion = app.iam().delete(app.org(), app.id()).await;
        let why = match (app.iam().read(app.org(), app.id()).await, &deletion) {
            (Ok(None), _) => {
                absent += 1;
                if absent >= needed {
                    return Ok(());
                }
                "the create may have been in flight".to_owned()
            }
            (Ok(Some(_)), Ok(Deletion::NotOffered)) => {
                return Err("the API has no operation that deletes apps".into());
            }
            (Ok(Some(_)), Err(error)) => error.to_string(),
            (Ok(Some(_)), Ok(Deletion::Accepted | Deletion::NotFound | Deletion::Failed)) => {
                "a read still shows it".to_owned()
            }
            (Err(error), _) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        sleep(PAUSE).await;
    }
}
