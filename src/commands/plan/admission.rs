//! What the API server says to a manifest, by a dry run: schema, CEL rules and defaults are its own. Where the user may not try, or
//! the CRDs are not installed, the manifest is taken as it is, and the report says that it was not checked.

use super::manifests::{Manifest, decode};
use super::report::AppPlan;
use crate::cluster::lenient::Lenient;
use crate::commands::CommandError;
use crate::commands::error::is_missing_kind;
use crate::crd::{IamConnection, OrgOAuthApp};
use hyper::Uri;
use kube::api::{GetParams, PostParams, Request};
use kube::core::Status;
use kube::{Client, Resource};
use serde_json::{Value, json};

/// The field manager of dry runs; nothing is ever stored under it.
const MANAGER: &str = "oauth-app-operator-plan";

/// What comes of a manifest.
pub(super) enum Admitted {
    /// The resource as it would be stored, and why it was not checked.
    App(Box<OrgOAuthApp>, Option<String>),
    /// Why the API server would refuse it.
    Refused(String),
}

/// The answer to a dry run.
enum Answer {
    Stored {
        stored: Value,
        /// As it is in the cluster.
        present: Option<Value>,
    },
    Refused(String),
    NotTried(String),
}

pub(super) struct Admission<'a> {
    client: &'a Client,
}

impl<'a> Admission<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    pub(super) async fn app(&self, manifest: &Manifest) -> Result<Admitted, CommandError> {
        let (object, note) = match self.store::<OrgOAuthApp>(manifest).await? {
            Answer::Stored { stored, present: _ } => (stored, None),
            Answer::Refused(message) => return Ok(Admitted::Refused(message)),
            Answer::NotTried(why) => (self.as_it_is(manifest).await?, Some(why)),
        };
        let read: Result<Lenient<OrgOAuthApp>, _> = serde_json::from_value(object.clone());
        Ok(match read.map(|Lenient(app)| app) {
            Ok(Ok(app)) => Admitted::App(Box::new(app), note),
            Ok(Err(_)) | Err(_) => Admitted::Refused(unreadable(&object)),
        })
    }

    /// What storing a connection would change; nothing where that cannot be tried.
    pub(super) async fn connection(&self, manifest: &Manifest) -> Result<Option<AppPlan>, CommandError> {
        Ok(match self.store::<IamConnection>(manifest).await? {
            Answer::Stored { stored, present } => {
                Some(AppPlan::of_connection(manifest, &stored["spec"], present.as_ref().map(|found| &found["spec"])))
            }
            Answer::Refused(message) => Some(AppPlan::refused(manifest, message)),
            Answer::NotTried(_) => None,
        })
    }

    /// Stores it with a dry run: what is there gets the spec of the manifest.
    async fn store<K: Resource<DynamicType = ()>>(&self, manifest: &Manifest) -> Result<Answer, CommandError> {
        let params = PostParams { dry_run: true, field_manager: Some(MANAGER.into()) };
        let requests = Request::new(K::url_path(&(), manifest.namespace.as_deref()));
        let present = match self.present::<K>(manifest).await {
            Ok(present) => present,
            Err(kube::Error::Api(status)) if status.is_forbidden() => return Ok(Answer::NotTried(status.message)),
            Err(error) => return Err(CommandError::kubernetes(format!("read {}", manifest.place()))(error)),
        };
        let object = present.as_ref().map_or_else(|| manifest.object.clone(), |present| merged(present, manifest));
        let body = serde_json::to_vec(&object).map_err(CommandError::message)?;
        let request = match present {
            Some(_) => requests.replace(&manifest.name, &params, body),
            None => requests.create(&params, body),
        };
        let mut request = request.map_err(CommandError::message)?;
        *request.uri_mut() = strictly(request.uri())?;
        match self.client.request::<Value>(request).await {
            Ok(stored) => Ok(Answer::Stored { stored, present }),
            Err(kube::Error::Api(status)) => Ok(answer(*status)),
            Err(error) => Err(CommandError::kubernetes(format!("try {}", manifest.place()))(error)),
        }
    }

    async fn present<K: Resource<DynamicType = ()>>(&self, manifest: &Manifest) -> kube::Result<Option<Value>> {
        let requests = Request::new(K::url_path(&(), manifest.namespace.as_deref()));
        let request = requests.get(&manifest.name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        match self.client.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// With what the API server would add that a preview needs.
    async fn as_it_is(&self, manifest: &Manifest) -> Result<Value, CommandError> {
        let present = self.present::<OrgOAuthApp>(manifest).await.ok().flatten();
        let mut object = present.map_or_else(|| manifest.object.clone(), |present| merged(&present, manifest));
        let metadata = &mut object["metadata"];
        if metadata["uid"].is_null() {
            let uid = format!("new-{}-{}", manifest.namespace.as_deref().unwrap_or_default(), manifest.name);
            metadata["uid"] = uid.into();
            metadata["generation"] = 1.into();
        }
        Ok(object)
    }
}

/// What is there, with the spec, the labels and the annotations of the manifest.
fn merged(present: &Value, manifest: &Manifest) -> Value {
    let mut merged = present.clone();
    merged["spec"] = manifest.object["spec"].clone();
    for field in ["labels", "annotations"] {
        for (name, value) in manifest.object["metadata"][field].as_object().into_iter().flatten() {
            if !merged["metadata"][field].is_object() {
                merged["metadata"][field] = json!({});
            }
            merged["metadata"][field][name] = value.clone();
        }
    }
    merged
}

/// Why an object that is no app cannot be read, without its values.
fn unreadable(object: &Value) -> String {
    decode::<OrgOAuthApp>(object).err().unwrap_or_else(|| "the resource is too large".into())
}

/// An unknown field is refused, as kubectl has it. What would not be a dry run is never sent.
fn strictly(uri: &Uri) -> Result<Uri, CommandError> {
    let is_dry_run = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "dryRun=All"));
    match is_dry_run {
        true => format!("{uri}&fieldValidation=Strict").parse().map_err(CommandError::message),
        false => Err(CommandError::message(format!("the request to {} would be no dry run", uri.path()))),
    }
}

fn answer(status: Status) -> Answer {
    match status.code {
        400 | 409 | 422 => Answer::Refused(status.message),
        404 if is_missing_kind(&status) => Answer::NotTried("the CRDs are not installed in this cluster".into()),
        403 if status.message.contains(" cannot ") => Answer::NotTried(status.message),
        // Of an admission policy, or a quota.
        403 => Answer::Refused(status.message),
        // Such as a namespace that is not there yet.
        _ => Answer::NotTried(status.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_no_dry_run_is_not_sent() {
        let params = PostParams { dry_run: true, field_manager: Some(MANAGER.into()) };
        let strict = |name: &str| {
            let request = Request::new("/apis/x/namespaces/team/y").replace(name, &params, Vec::new()).unwrap();
            strictly(request.uri()).map(|uri| uri.to_string())
        };
        let uri = strict("billing").unwrap();
        assert!(uri.starts_with("/apis/x/namespaces/team/y/billing?"), "{uri}");
        assert!(uri.contains("dryRun=All") && uri.ends_with("&fieldValidation=Strict"), "{uri}");
        for name in ["billing#", "billing?x=#", "billing?dryRun=None#"] {
            assert!(strict(name).unwrap_err().to_string().ends_with("would be no dry run"), "{name}");
        }
    }
}
