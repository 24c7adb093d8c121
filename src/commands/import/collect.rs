//! Finds the apps of an organization, and reads of each what its manifest needs.

use super::filter::{Choice, display_name};
use super::manifest::{Described, describe};
use super::{ImportArgs, Source};
use crate::commands::CommandError;
use crate::commands::output::Progress;
use crate::crd::DERIVED_ID;
use crate::iam::http::{FindsRoles, ShownApp, ShownRoles};
use crate::iam::{self, ClientId, Iam, OrgId};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// So many apps are read at once, if the limits of the connection allow it.
const AT_ONCE: usize = 8;
/// So many apps may be unreadable before the import fails: then it is the API that fails, and not an app.
const MOST_FAILURES: usize = 10;

/// What was found in an organization.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) described: Vec<(Found, Described)>,
    pub(super) not_imported: Vec<(Found, String)>,
    pub(super) skipped: Vec<(Found, String)>,
}

/// An app, for people.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) display_name: Option<String>,
}

impl Found {
    fn of(shown: &ShownApp) -> Self {
        Self { id: shown.app.id.0.clone(), display_name: display_name(&shown.app).map(str::to_owned) }
    }

    fn absent(id: &ClientId) -> Self {
        Self { id: id.0.clone(), display_name: None }
    }
}

pub(super) struct Collect<'a> {
    pub(super) args: &'a ImportArgs,
    pub(super) source: &'a Source,
    pub(super) org: OrgId,
    pub(super) progress: &'a Progress,
}

impl Collect<'_> {
    pub(super) async fn all(&self) -> Result<Collected, CommandError> {
        self.source.iam.authenticate(&self.org).await.map_err(self.failed("get an access token for"))?;
        let mut collected = Collected::default();
        let now = Timestamp::now();
        let listed =
            if self.args.filter.id.is_empty() { self.listed().await? } else { self.named(&mut collected).await? };
        let chosen: Vec<_> = listed.into_iter().filter_map(|shown| self.chosen(shown, now, &mut collected)).collect();
        let whole = self.whole(chosen, &mut collected).await?;
        let chosen = whole.into_iter().filter_map(|shown| self.chosen(shown, now, &mut collected)).collect();
        self.describe(chosen, &mut collected).await?;
        Ok(collected)
    }

    /// An app that is asked for and is for a new resource, as far as the API has shown of it.
    fn chosen(&self, shown: ShownApp, now: Timestamp, collected: &mut Collected) -> Option<ShownApp> {
        let why = match self.args.filter.choice(&shown.app, now) {
            Choice::NotWanted => return None,
            Choice::NotShown if !shown.is_summary => Some("the API does not show its name or age".to_owned()),
            Choice::NotShown | Choice::Wanted => self.why_skipped(&shown),
        };
        let Some(why) = why else { return Some(shown) };
        collected.skipped.push((Found::of(&shown), why));
        None
    }

    /// `doing` is followed by the organization.
    fn failed(&self, doing: &str) -> impl Fn(iam::Error) -> CommandError {
        let doing = format!("cannot {doing} organization {}", self.org);
        move |error| CommandError::message(format!("{doing}: {error}"))
    }

    async fn listed(&self) -> Result<Vec<ShownApp>, CommandError> {
        let progress = |count| self.progress.show(format!("listed {count} apps of organization {}", self.org));
        let listed = self.source.iam.list_all(&self.org, progress).await.map_err(self.failed("list the apps of"))?;
        let without = || CommandError::message("the API has no list of apps; name each app with --id");
        Ok(listed.ok_or_else(without)?.into_values().collect())
    }

    /// The apps whose ids are given.
    async fn named(&self, collected: &mut Collected) -> Result<Vec<ShownApp>, CommandError> {
        let mut found = Vec::new();
        for id in self.args.filter.id.iter().collect::<BTreeSet<_>>() {
            found.extend(self.read(&ClientId(id.clone()), collected).await?);
        }
        Ok(found)
    }

    async fn read(&self, id: &ClientId, collected: &mut Collected) -> Result<Option<ShownApp>, CommandError> {
        let read =
            self.source.iam.read_whole(&self.org, id).await.map_err(self.failed(&format!("read app {id} of")))?;
        if read.is_none() {
            collected.not_imported.push((Found::absent(id), "the API does not show it".to_owned()));
        }
        Ok(read)
    }

    /// Why an app is not for a new resource.
    fn why_skipped(&self, shown: &ShownApp) -> Option<String> {
        let id = &shown.app.id.0;
        if shown.app.is_caller {
            return Some("these are the credentials that this import uses".to_owned());
        }
        if self.args.filter.include_managed {
            return None;
        }
        let managed = self.source.managed.as_ref();
        let owner = managed.and_then(|(address, managed)| managed.owner(address, &self.org.0, id));
        let derived =
            id.starts_with(DERIVED_ID).then(|| "an operator derived its id from the uid of a resource".to_owned());
        owner.map(|owner| format!("{owner} has it")).or(derived).map(|why| why + "; --include-managed imports it")
    }

    /// The apps with all their fields.
    async fn whole(&self, apps: Vec<ShownApp>, collected: &mut Collected) -> Result<Vec<ShownApp>, CommandError> {
        let (summaries, mut whole): (Vec<_>, Vec<_>) = apps.into_iter().partition(|shown| shown.is_summary);
        let (iam, org, count) = (&self.source.iam, &self.org, summaries.len());
        let reads = summaries.into_iter().map(|shown| async move {
            let id = shown.app.id.clone();
            let read = iam.read_whole(org, &id).await;
            (Found::of(&shown), read)
        });
        let mut failures = 0;
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE).enumerate();
        while let Some((n, (found, read))) = reads.next().await {
            self.progress.show(format!("read {} of {count} apps of organization {org}", n + 1));
            match read {
                Ok(Some(shown)) => whole.push(shown),
                Ok(None) => collected.not_imported.push((found, "the API lists it and does not show it".to_owned())),
                Err(error) if is_about_one(&error) && failures < MOST_FAILURES => {
                    failures += 1;
                    collected.not_imported.push((found, error.to_string()));
                }
                Err(error) => return Err(self.failed(&format!("read app {} of", found.id))(error)),
            }
        }
        whole.sort_by(|one, other| one.app.id.cmp(&other.app.id));
        Ok(whole)
    }

    async fn describe(&self, apps: Vec<ShownApp>, collected: &mut Collected) -> Result<(), CommandError> {
        let roles = self.roles(&apps).await?;
        for shown in apps {
            let found = Found::of(&shown);
            match describe(self.source.api, &shown, roles.get(&shown.app.id)) {
                Ok(described) => collected.described.push((found, described)),
                Err(error) => collected.not_imported.push((found, error.to_string())),
            }
        }
        Ok(())
    }

    /// The roles of the apps that are members of the organization.
    async fn roles(&self, apps: &[ShownApp]) -> Result<BTreeMap<ClientId, ShownRoles>, CommandError> {
        let (iam, org) = (&self.source.iam, &self.org);
        match iam.finds_roles() {
            FindsRoles::None => return Ok(BTreeMap::new()),
            _ if apps.is_empty() => return Ok(BTreeMap::new()),
            FindsRoles::InOneList => {
                let listed = iam.list_roles(org).await.map_err(self.failed("list the members of"))?;
                if let Some(roles) = listed {
                    return Ok(roles);
                }
            }
            FindsRoles::OneByOne => {}
        }
        self.progress.show(format!("reading the roles of {} apps of organization {org}", apps.len()));
        let reads = apps.iter().map(|shown| async move {
            let roles = iam.read_roles(org, &shown.app.id).await?;
            Ok(roles.map(|roles| (shown.app.id.clone(), roles)))
        });
        let read = stream::iter(reads).buffer_unordered(AT_ONCE).try_filter_map(async |read| Ok(read)).try_collect();
        read.await.map_err(self.failed("read the roles of apps of"))
    }
}

/// Whether the others can be read in spite of an error.
fn is_about_one(error: &iam::Error) -> bool {
    match error {
        iam::Error::NotFound(_) | iam::Error::Conflict(_) | iam::Error::Rejected(_) | iam::Error::Unavailable(_) => {
            true
        }
        iam::Error::Throttled { .. }
        | iam::Error::Credentials(_)
        | iam::Error::WrongOrganization(_)
        | iam::Error::Forbidden(_) => false,
    }
}
