//! `kubectl` on a control plane, and the few commands that every test has use for.
//! It runs as `admin`; `--kubeconfig` among the arguments makes it somebody else.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{ControlPlane, Error};

impl ControlPlane {
    /// Runs `kubectl` as `admin` and gives what it printed.
    ///
    /// # Errors
    /// When it fails; the error has its message.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Error> {
        self.kubectl_with_input(arguments, "")
    }

    /// As [`Self::kubectl`], with this standard input: `kubectl_with_input(&["apply", "-f", "-"], manifest)`.
    ///
    /// # Errors
    /// As [`Self::kubectl`].
    pub fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Result<String, Error> {
        let mut command = self.kubectl_command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start kubectl"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // What kubectl does not read, it does not need.
            let _unread = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(Error::io("run kubectl"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Kubectl { arguments: arguments.join(" "), message })
    }

    /// `kubectl` as `admin`, for arguments and streams of one's own.
    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", self.admin_kubeconfig()).env("KUBECACHEDIR", self.directory().join("kubectl-cache"));
        command
    }

    /// The object, or the list, that `kubectl get` with these arguments finds.
    ///
    /// # Errors
    /// As [`Self::kubectl`].
    pub fn get(&self, arguments: &[&str]) -> Result<Value, Error> {
        let json = self.kubectl(&[&["get", "-o=json"], arguments].concat())?;
        serde_json::from_str(&json).map_err(|error| Error::Kubectl {
            arguments: arguments.join(" "),
            message: format!("printed no JSON: {error}"),
        })
    }

    /// Whether `kubectl get` with these arguments finds anything.
    ///
    /// # Errors
    /// As [`Self::kubectl`].
    pub fn exists(&self, arguments: &[&str]) -> Result<bool, Error> {
        Ok(!self.kubectl(&[&["get", "--ignore-not-found", "-o=name"], arguments].concat())?.is_empty())
    }

    /// Applies an object, or a `List` of them.
    ///
    /// # Errors
    /// As [`Self::kubectl`].
    pub fn apply(&self, object: &Value) -> Result<(), Error> {
        self.kubectl_with_input(&["apply", "-f", "-"], &object.to_string()).map(drop)
    }

    /// A user with ClusterRole `edit` in a namespace, as teams have it: the file of its kubeconfig.
    ///
    /// # Errors
    /// When the user has the role already, or the kubeconfig cannot be written.
    pub fn namespace_editor(&self, namespace: &str) -> Result<PathBuf, Error> {
        let user = format!("user-of-{namespace}");
        let binding = ["create", "rolebinding", "edit", "--clusterrole=edit", &format!("--user={user}")];
        self.kubectl(&[&["-n", namespace], &binding[..]].concat())?;
        self.write_kubeconfig(&user, &self.user(&user, None)?)
    }
}
