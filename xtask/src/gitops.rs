//! `cargo xtask gitops`: writes the settings of Argo CD into `deploy/gitops/argocd`, from the Lua beside them.
//! A test fails when they are no longer what the Lua says.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// Writes the patch of `argocd-cm`.
pub fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    let path = directory().join("argocd-cm.yaml");
    fs::write(&path, patch()?)?;
    println!("{}", path.display());
    Ok(())
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/gitops/argocd")
}

fn patch() -> Result<String, Box<dyn Error>> {
    let lua = |name: &str| {
        let path = directory().join(format!("{name}.lua"));
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut yaml = String::from(
        "# How Argo CD reads and offers to act on what oauth-app-operator manages; written from the Lua beside it by\n\
         # `cargo xtask gitops`.\n#   kubectl -n argocd patch configmap argocd-cm --patch-file argocd-cm.yaml\ndata:\n",
    );
    for kind in ["IamConnection", "OrgOAuthApp"] {
        writeln!(yaml, "  resource.customizations.health.oauth-apps.dev_{kind}: |")?;
        indented(&mut yaml, 4, &lua(kind)?);
    }
    yaml.push_str("  resource.customizations.actions.oauth-apps.dev_OrgOAuthApp: |\n    discovery.lua: |\n");
    indented(&mut yaml, 6, &lua("actions/discovery")?);
    yaml.push_str("    definitions:\n");
    for action in ["reconcile", "rotate"] {
        write!(yaml, "      - name: {action}\n        action.lua: |\n")?;
        indented(&mut yaml, 10, &lua(&format!("actions/{action}"))?);
    }
    Ok(yaml)
}

fn indented(yaml: &mut String, by: usize, text: &str) {
    for line in text.lines() {
        let indent = if line.is_empty() { 0 } else { by };
        yaml.push_str(&" ".repeat(indent));
        yaml.push_str(line);
        yaml.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_argo_cd_are_what_the_lua_says() {
        let written = fs::read_to_string(directory().join("argocd-cm.yaml")).unwrap_or_default();
        assert!(written == patch().unwrap(), "argocd-cm.yaml is stale: run `cargo xtask gitops`");
    }
}
