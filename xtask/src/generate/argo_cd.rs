//! `deploy/gitops/argocd/argocd-cm.yaml`: the settings of Argo CD, from the Lua beside it.

use std::error::Error;
use std::fmt::Write;
use std::fs;

use crate::repository;

/// A patch of Argo CD's ConfigMap `argocd-cm`.
pub(super) fn config_map_patch() -> Result<String, Box<dyn Error>> {
    let lua = |name: &str| {
        let path = repository().join("deploy/gitops/argocd").join(format!("{name}.lua"));
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut yaml = String::from(
        "# Health and actions of the kinds of oauth-app-operator in Argo CD; generated from the Lua beside it by\n\
         # `cargo xtask generate`.\n#   kubectl -n argocd patch configmap argocd-cm --patch-file argocd-cm.yaml\ndata:\n",
    );
    for kind in ["IamConnection", "OrgOAuthApp"] {
        writeln!(yaml, "  resource.customizations.health.oauth-apps.dev_{kind}: |")?;
        indented(&mut yaml, 4, &lua(kind)?);
    }
    yaml.push_str("  resource.customizations.actions.oauth-apps.dev_OrgOAuthApp: |\n    discovery.lua: |\n");
    indented(&mut yaml, 6, &lua("actions/discovery")?);
    yaml.push_str("    definitions:\n");
    for action in ["reconcile", "rotate", "retire-previous"] {
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
