//! Why a command could not do what it was asked to: one sentence for people, which names the object and what to do.
//! An error of Kubernetes that is about a missing right says so.

use crate::text::clean;
use kube::core::Status;
use std::fmt::Display;
use std::io;

/// The most bytes of a message of Kubernetes that are quoted.
const MAX_QUOTED: usize = 600;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Kubernetes did not do as asked.
    #[error("{}", kubernetes(doing, source))]
    Kubernetes {
        /// What was asked, such as `read OrgOAuthApp billing/export`.
        doing: String,
        source: Box<kube::Error>,
    },
    /// The cluster cannot be reached with this kubeconfig.
    #[error("no cluster to talk to: {0}; set --kubeconfig or --context, or KUBECONFIG")]
    Kubeconfig(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// Anything else, as a person should read it.
    #[error("{0}")]
    Message(String),
}

impl CommandError {
    pub(crate) fn message(message: impl Display) -> Self {
        Self::Message(message.to_string())
    }

    /// For `map_err` of a request; `doing` continues "cannot".
    pub(crate) fn kubernetes(doing: impl Display) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.to_string();
        move |source| Self::Kubernetes { doing, source: Box::new(source) }
    }

    /// In a report that goes on without it: the right that is missing, such as `get secrets in namespace billing`, or else why.
    pub(crate) fn without(&self, right: &str) -> String {
        if self.is_forbidden() { format!("not shown: you lack the right to {right}") } else { self.to_string() }
    }

    /// Whether the user lacks a right.
    pub(crate) fn is_forbidden(&self) -> bool {
        match self {
            Self::Kubernetes { source, .. } => matches!(&**source, kube::Error::Api(status) if status.is_forbidden()),
            Self::Kubeconfig(_) | Self::Output(_) | Self::Message(_) => false,
        }
    }

    pub(crate) fn is_closed_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Kubernetes { .. } | Self::Kubeconfig(_) | Self::Message(_) => false,
        }
    }
}

fn kubernetes(doing: &str, source: &kube::Error) -> String {
    match source {
        kube::Error::Api(status) => {
            let message = clean(&status.message, MAX_QUOTED);
            match status.code {
                401 => {
                    format!("cannot {doing}: the cluster does not accept your credentials; log in again ({message})")
                }
                403 => format!("cannot {doing}: you lack a right; ask for it where you get your rights ({message})"),
                404 if is_missing_kind(status) => {
                    format!("cannot {doing}: the CRDs of oauth-app-operator are not installed in this cluster")
                }
                _ => format!("cannot {doing}: {message}"),
            }
        }
        other => format!("cannot {doing}: {}", clean(&crate::cluster::client::causes(other), MAX_QUOTED)),
    }
}

/// Whether a 404 is about the kind and not about one object.
pub(super) fn is_missing_kind(status: &Status) -> bool {
    let messages = ["could not find the requested resource", "page not found"];
    status.code == 404 && messages.iter().any(|message| status.message.contains(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, message: &str) -> String {
        let status = Status::failure(message, "X").with_code(code).boxed();
        CommandError::kubernetes("read OrgOAuthApp a/b")(kube::Error::Api(status)).to_string()
    }

    #[test]
    fn an_error_names_what_was_asked_and_what_to_do() {
        let forbidden = error(403, "orgoauthapps \"b\" is forbidden: User \"u\" cannot get it");
        assert!(forbidden.starts_with("cannot read OrgOAuthApp a/b: you lack a right; ask"), "{forbidden}");
        assert!(forbidden.ends_with("User \"u\" cannot get it)"), "{forbidden}");
        let absent = error(404, "the server could not find the requested resource");
        assert!(absent.ends_with("the CRDs of oauth-app-operator are not installed in this cluster"), "{absent}");
        assert_eq!(error(404, "b not found"), "cannot read OrgOAuthApp a/b: b not found");
    }
}
