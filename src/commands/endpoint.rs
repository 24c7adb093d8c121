//! An API that is named on the command line instead of by an `IamConnection`: its address and kind, and credentials from files or
//! environment variables. No cluster is needed.

use super::CommandError;
use crate::crd::{Api, Limits};
use crate::fair_queue::Flow;
use crate::iam::flavor::flavor;
use crate::iam::http::{Endpoint, HttpIam};
use crate::iam::{ConnectionCredentials, LoadCredentials, Settings};
use crate::lease::guard::LeadershipGuard;
use crate::metrics::{ConnectionMetrics, Metrics};
use crate::secret_value::{self, CREDENTIAL, TOKEN};
use clap::{Args, ValueEnum};
use futures::FutureExt;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// The largest file with a credential or with certificates that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// The file name that means the standard input.
const STDIN: &str = "-";
const API_TOKEN: Source = Source { flag: "--api-token-file", variable: "OAUTH_APP_API_TOKEN", most_bytes: TOKEN };
const CLIENT_ID: Source = Source { flag: "--client-id-file", variable: "OAUTH_APP_CLIENT_ID", most_bytes: CREDENTIAL };
const CLIENT_SECRET: Source =
    Source { flag: "--client-secret-file", variable: "OAUTH_APP_CLIENT_SECRET", most_bytes: CREDENTIAL };

/// An API without a cluster.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "An API without a cluster")]
pub struct EndpointArgs {
    /// Address of the API, as in spec.endpoint of an IamConnection; no cluster is then asked
    #[arg(long, value_name = "URL", requires = "api")]
    pub(crate) endpoint: Option<Url>,
    /// Which API is at that address
    #[arg(long, value_enum, value_name = "API", requires = "endpoint")]
    pub(crate) api: Option<Api>,
    /// File with the certificate authorities of the API in PEM form [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    pub(crate) ca_file: Option<PathBuf>,
    /// File with an API token, - for the standard input [default: the value of $OAUTH_APP_API_TOKEN]
    #[arg(long, value_name = "FILE", requires = "endpoint", conflicts_with_all = ["client_id_file", "client_secret_file"])]
    pub(crate) api_token_file: Option<PathBuf>,
    /// File with the client id of an OAuth app, - for the standard input [default: the value of $OAUTH_APP_CLIENT_ID]
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    pub(crate) client_id_file: Option<PathBuf>,
    /// File with the client secret of that app, - for the standard input [default: the value of $OAUTH_APP_CLIENT_SECRET]
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    pub(crate) client_secret_file: Option<PathBuf>,
}

impl ValueEnum for Api {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::CloudServices, Self::CloudPartnerNavigator, Self::IdentityBroker]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(flavor(*self).name()))
    }
}

/// An API, and the credentials for it.
pub(crate) struct DirectEndpoint {
    pub(crate) api: Api,
    pub(crate) url: Url,
    pub(crate) iam: HttpIam,
    pub(crate) credentials: ConnectionCredentials,
}

impl EndpointArgs {
    /// Makes no request; `None` where no endpoint is named.
    pub(crate) fn open(&self) -> Result<Option<DirectEndpoint>, CommandError> {
        let (Some(url), Some(api)) = (&self.endpoint, self.api) else { return Ok(None) };
        let credentials = self.credentials(&|variable| std::env::var(variable).ok())?;
        if !flavor(api).accepts(credentials.kind()) {
            let message = format!("{} takes client credentials only; set --client-id-file", flavor(api).name());
            return Err(CommandError::message(message));
        }
        let ca_pem = self.ca_file.as_deref().map(|file| read_file("--ca-file", file)).transpose()?;
        let endpoint = Endpoint::new(&settings(api, url.clone(), ca_pem));
        let endpoint = endpoint.map_err(|error| CommandError::message(format!("--endpoint: {error}")))?;
        let iam = HttpIam::new(
            endpoint,
            credentials.kind(),
            load(credentials.clone()),
            Arc::new(|_| HashSet::new()),
            Flow::Operator,
        );
        Ok(Some(DirectEndpoint { api, url: url.clone(), iam, credentials }))
    }

    /// `variable` reads an environment variable.
    fn credentials(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<ConnectionCredentials, CommandError> {
        let is_stdin = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new(STDIN));
        if is_stdin(&self.client_id_file) && is_stdin(&self.client_secret_file) {
            return Err(CommandError::message(
                "--client-id-file and --client-secret-file cannot both be -; put the client id into a file or $OAUTH_APP_CLIENT_ID",
            ));
        }
        let value = |source: &Source, file: &Option<PathBuf>| source.read(file.as_deref(), variable);
        let is_client = self.client_id_file.is_some() || self.client_secret_file.is_some();
        if !is_client && let Some(token) = value(&API_TOKEN, &self.api_token_file)? {
            return Ok(ConnectionCredentials::ApiToken(token.into()));
        }
        let id = value(&CLIENT_ID, &self.client_id_file)?;
        let secret = value(&CLIENT_SECRET, &self.client_secret_file)?;
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(ConnectionCredentials::Client { id, secret: secret.into() }),
            (Some(_), None) => Err(CommandError::message(
                "the client secret is missing; set --client-secret-file or $OAUTH_APP_CLIENT_SECRET",
            )),
            (None, Some(_)) => {
                Err(CommandError::message("the client id is missing; set --client-id-file or $OAUTH_APP_CLIENT_ID"))
            }
            (None, None) => Err(CommandError::message(
                "--endpoint needs credentials; set --api-token-file, or --client-id-file and --client-secret-file",
            )),
        }
    }
}

/// Where a value of the credentials comes from: a file that a flag names, or an environment variable.
struct Source {
    flag: &'static str,
    variable: &'static str,
    most_bytes: usize,
}

impl Source {
    fn read(
        &self,
        file: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, CommandError> {
        let (source, bytes) = match file {
            Some(file) => (self.flag.to_owned(), read_file(self.flag, file)?),
            None => match variable(self.variable).filter(|value| !value.is_empty()) {
                Some(value) => (format!("${}", self.variable), value.into_bytes()),
                None => return Ok(None),
            },
        };
        let text = secret_value::read(&bytes, self.most_bytes);
        let text = text.map_err(|error| CommandError::message(format!("the value of {source} {error}")))?;
        Ok(Some(text.to_owned()))
    }
}

/// With the limits that a connection has by default.
fn settings(api: Api, endpoint: Url, ca_pem: Option<Vec<u8>>) -> Settings {
    let limits = Limits::default();
    Settings {
        api,
        endpoint,
        ca_pem,
        max_in_flight: limits.max_in_flight.into(),
        requests_per_second: None,
        timeout: limits.timeout.get(),
        metrics: ConnectionMetrics::new(Arc::<Metrics>::default(), "command-line".into()),
        guard: LeadershipGuard::Open,
    }
}

fn load(credentials: ConnectionCredentials) -> LoadCredentials {
    Arc::new(move || {
        let credentials = credentials.clone();
        async move { Ok(credentials) }.boxed()
    })
}

/// A bounded file, `-` for the standard input.
pub(crate) fn read_file(flag: &str, file: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |error: io::Error| CommandError::message(format!("cannot read {} of {flag}: {error}", file.display()));
    let mut bytes = Vec::new();
    let read = if file == Path::new(STDIN) {
        io::stdin().lock().take(LARGEST_FILE + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).map_err(failed)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)
    };
    read.map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(CommandError::message(format!("{} of {flag} is larger than 1 MiB", file.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(arguments: &EndpointArgs, variables: &[(&str, &str)]) -> Result<ConnectionCredentials, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        arguments.credentials(&variable).map_err(|error| error.to_string())
    }

    fn client(id: &str, secret: &str) -> ConnectionCredentials {
        ConnectionCredentials::Client { id: id.into(), secret: secret.to_owned().into() }
    }

    #[test]
    fn files_precede_variables_and_what_is_missing_is_named() {
        let file = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            file
        };
        let (id, secret) = (file("id\n"), file("hidden\n"));
        let none = EndpointArgs::default();
        let files = EndpointArgs {
            client_id_file: Some(id.path().into()),
            client_secret_file: Some(secret.path().into()),
            ..none.clone()
        };
        let token = ConnectionCredentials::ApiToken("token".to_owned().into());
        assert_eq!(credentials(&none, &[(API_TOKEN.variable, "token")]), Ok(token));
        assert_eq!(
            credentials(&none, &[(CLIENT_ID.variable, "a"), (CLIENT_SECRET.variable, "b")]),
            Ok(client("a", "b"))
        );
        assert_eq!(
            credentials(&files, &[(API_TOKEN.variable, "token"), (CLIENT_ID.variable, "a")]),
            Ok(client("id", "hidden"))
        );
        let missing = credentials(&none, &[(CLIENT_ID.variable, "a"), (CLIENT_SECRET.variable, "")]).unwrap_err();
        assert!(missing.contains("--client-secret-file"), "{missing}");
        assert!(credentials(&none, &[]).unwrap_err().contains("--api-token-file"));
        let tabbed = credentials(&none, &[(API_TOKEN.variable, "hid\tden")]).unwrap_err();
        assert!(tabbed.starts_with("the value of $OAUTH_APP_API_TOKEN holds a control character"), "{tabbed}");
    }

    #[test]
    fn a_file_is_read_up_to_a_bound() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LARGEST_FILE).unwrap();
        assert_eq!(read_file("--ca-file", file.path()).unwrap().len() as u64, LARGEST_FILE);
        file.as_file().set_len(LARGEST_FILE + 1).unwrap();
        let error = read_file("--ca-file", file.path()).unwrap_err().to_string();
        assert!(error.ends_with("of --ca-file is larger than 1 MiB"), "{error}");
    }

    #[test]
    fn the_standard_input_holds_one_value() {
        let stdin = || Some(PathBuf::from(STDIN));
        let both = EndpointArgs { client_id_file: stdin(), client_secret_file: stdin(), ..EndpointArgs::default() };
        assert!(credentials(&both, &[]).unwrap_err().contains("cannot both be -"));
    }
}
