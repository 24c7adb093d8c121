//! The programs of `docs/use.md` as consumers of a mounted Secret: each keeps its token, follows a rotation without a restart, and
//! renews a token before it expires. A program whose language is not installed is not run, and the test reports that.

use crate::env::{DocsEnv, Start};
use crate::{ALONE, Mark, blocks};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iam_simulator::types::{CallFilter, Flavor, Operation, Target};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use test_environment::examples::ORG;

const DOCUMENT: &str = "docs/use.md";
const APP: &str = "billing-export";

/// How each program is run, and what that needs in `PATH`.
const PROGRAMS: [(&str, &[&str]); 4] = [
    (". ./trust.sh; exec bash call.sh", &["curl", "jq"]),
    (". ./trust.sh; exec python3 call.py", &["python3"]),
    (". ./trust.sh; exec go run call.go", &["go"]),
    (". ./trust-java.sh; exec java Call.java", &["java", "keytool"]),
];

/// Lets the app list the apps of its organization, which the simulator answers with 200.
const GIVE_ROLE: &str = r#"
kubectl patch iamc default --type=json \
  --patch='[{"op": "replace", "path": "/spec/grants/0/allow/organizationRoles", "value": ["developer"]}]'
kubectl -n billing patch ooa billing-export --type=merge --patch='{"spec": {
  "allowedScopes": {"organizationScopes": {"roles": [{"name": "developer"}]}},
  "roles": {"organizationRoles": [{"name": "developer"}]}}}'
kubectl oauth-app reconcile billing-export -n billing --wait
"#;
const ROTATE: &str = "
kubectl oauth-app rotate billing-export -n billing --wait
kubectl oauth-app retire billing-export -n billing --wait
";
const SHORTEN_TOKENS: &str = r#"
kubectl -n billing patch ooa billing-export --type=merge --patch='{"spec": {"accessTokenTTL": 60}}'
kubectl oauth-app reconcile billing-export -n billing --wait
"#;
const NAVIGATOR: &str = "
kubectl -n oauth-app-operator create secret generic navigator-credentials \\
  --from-file=client-id=client-id.txt --from-file=client-secret=client-secret.txt
kubectl apply -f deploy/examples/navigator
kubectl -n billing wait --for=condition=Ready ooa/partner-report
";

/// A program that runs, and answers each URL with a status.
struct Program {
    command: &'static str,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn status(&mut self, url: &str) -> String {
        writeln!(self.input, "{url}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _ended_already = self.process.wait();
    }
}

/// A directory as a kubelet mounts a Secret: each file is a link into a directory, which a rename of one link exchanges.
struct Mount(PathBuf);

impl Mount {
    /// Writes what the Secret has now.
    fn update(&self, env: &DocsEnv, secret: &str) {
        let json = env.shell.run(&format!("kubectl -n billing get secret {secret} -o json"), 1).unwrap();
        let secret: Value = serde_json::from_str(&json).unwrap();
        let name = format!("..{}", secret["metadata"]["resourceVersion"].as_str().unwrap());
        let directory = self.0.join(&name);
        std::fs::create_dir_all(&directory).unwrap();
        for (key, value) in secret["data"].as_object().unwrap() {
            std::fs::write(directory.join(key), STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
            let _exists_already = symlink(Path::new("..data").join(key), self.0.join(key));
        }
        symlink(name, self.0.join("..data_tmp")).unwrap();
        std::fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
    }
}

/// Whether all of them are in `PATH`; what is not is reported past the capture of the test's output.
fn are_installed(programs: &[&str], command: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let missing = |name: &&&str| !std::env::split_paths(&paths).any(|folder| folder.join(name).is_file());
    let missing: Vec<_> = programs.iter().filter(missing).copied().collect();
    if !missing.is_empty() {
        let not_run = format!("{DOCUMENT}: NOT RUN, {} not installed: {command}\n", missing.join(" and "));
        std::io::stderr().write_all(not_run.as_bytes()).unwrap();
    }
    missing.is_empty()
}

/// Puts the files of the document, and what is mounted, into the directory of the shell.
fn lay_out(env: &DocsEnv) -> Mount {
    for block in blocks(DOCUMENT) {
        if let Some(Mark::File(name)) = &block.mark {
            std::fs::write(env.shell.directory.join(name), &block.content).unwrap();
        }
    }
    Mount(env.shell.directory.join("mounted"))
}

fn start(env: &DocsEnv, mount: &Mount) -> Vec<Program> {
    let installed = PROGRAMS.into_iter().filter(|(command, needs)| are_installed(needs, command));
    let started = installed.map(|(command, _)| {
        let mut shell = env.shell.command("timeout");
        shell.args(["600", "bash", "-c", command]).env("OAUTH_DIRECTORY", &mount.0);
        let mut process = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Program { command, process, input, output }
    });
    started.collect()
}

/// The statuses of the token requests of the app and of the calls for its list, since they were cleared.
async fn statuses(env: &DocsEnv, id: &str) -> [Vec<Option<u16>>; 2] {
    let token = CallFilter {
        on: Target { client_id: Some(id.to_owned()), ..Target::default() },
        ..CallFilter::operation(Operation::Token)
    };
    let list = CallFilter::operation(Operation::ListApps);
    let mut all = [Vec::new(), Vec::new()];
    for (statuses, filter) in all.iter_mut().zip([token, list]) {
        let calls = env.env.control.calls(&filter).await.unwrap();
        *statuses = calls.iter().map(|call| call.status).collect();
    }
    all
}

#[tokio::test]
async fn programs_keep_their_token_and_follow_a_rotation_without_a_restart() {
    let _alone = ALONE.lock().await;
    let env = DocsEnv::new(Start::Installed).await;
    env.shell.run(GIVE_ROLE, 1).unwrap();
    let mount = lay_out(&env);
    mount.update(&env, APP);
    let id = std::fs::read_to_string(mount.0.join("client-id")).unwrap();
    let url = format!("{}/csp/gateway/am/api/orgs/{ORG}/oauth-apps", env.env.backend.endpoint(Flavor::Csp));
    let control = &env.env.control;
    let (good, refused) = (Some(200), Some(401));
    let mut programs = start(&env, &mount);
    for program in &mut programs {
        control.clear_calls().await.unwrap();
        assert_eq!([program.status(&url), program.status(&url)], ["200", "200"], "{}", program.command);
        assert_eq!(statuses(&env, &id).await, [vec![good], vec![good, good]], "one token: {}", program.command);
    }
    env.shell.run(ROTATE, 1).unwrap();
    control.revoke_tokens().await.unwrap();
    mount.update(&env, APP);
    for program in &mut programs {
        control.clear_calls().await.unwrap();
        assert_eq!(program.status(&url), "200", "{}", program.command);
        assert_eq!(statuses(&env, &id).await, [vec![good], vec![refused, good]], "the new secret: {}", program.command);
    }
    env.shell.run(SHORTEN_TOKENS, 1).unwrap();
    control.revoke_tokens().await.unwrap();
    for program in &mut programs {
        program.status(&url);
        control.clear_calls().await.unwrap();
        assert_eq!(program.status(&url), "200", "{}", program.command);
        assert_eq!(statuses(&env, &id).await, [vec![good], vec![good]], "less than a minute left: {}", program.command);
    }
}

#[tokio::test]
async fn navigator_issues_a_token_for_the_request_of_the_document() {
    let command = ". ./trust.sh; bash navigator-token.sh";
    if !are_installed(&["curl", "jq"], command) {
        return;
    }
    let _alone = ALONE.lock().await;
    let env = DocsEnv::new(Start::Installed).await;
    env.shell.run(NAVIGATOR, 1).unwrap();
    let mount = lay_out(&env);
    mount.update(&env, "partner-report");
    let token = env.shell.run(&format!("export OAUTH_DIRECTORY=mounted\n{command}"), 1).unwrap();
    assert_eq!(token.trim().split('.').count(), 3, "a JWT: {token}");
}
