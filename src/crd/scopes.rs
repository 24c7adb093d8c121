//! `allowedScopes` as the APIs document it: what a token of the app may carry at most.
//! The union of all flavors; fields that an API lacks are refused in status.

use super::size;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The scopes that tokens of the app may carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = size::allowed_scopes())]
#[serde(rename_all = "camelCase")]
pub struct AllowedScopes {
    /// Scopes such as `openid`.
    #[schemars(length(max = 512), inner(length(min = 1, max = 256)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general_scopes: Option<Vec<String>>,
    /// Roles and permissions in the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_scopes: Option<OrganizationScopes>,
    /// Roles and permissions in services.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services_scopes: Option<Vec<ServiceScopes>>,
}

/// Scopes within the organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!(has(self.allRoles) && self.allRoles) || !has(self.roles) || size(self.roles) == 0").message("allRoles excludes roles: remove one of the two").field_path(".roles"),
    validation = Rule::new("!(has(self.allPermissions) && self.allPermissions) || !has(self.permissions) || size(self.permissions) == 0").message("allPermissions excludes permissions: remove one of the two").field_path(".permissions"),
)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationScopes {
    /// Every role; excludes `roles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_roles: Option<bool>,
    /// Every permission; excludes `permissions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_permissions: Option<bool>,
    /// What a token lists by name: `ROLES`, `PERMISSIONS` or both.
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_in_token: Option<Vec<KeptInToken>>,
    /// Roles by name.
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// Permissions by id.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
}

/// Scopes within one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!(has(self.allRoles) && self.allRoles) || !has(self.roles) || size(self.roles) == 0").message("allRoles excludes roles: remove one of the two").field_path(".roles"),
    validation = Rule::new("!(has(self.allPermissions) && self.allPermissions) || !has(self.permissions) || size(self.permissions) == 0").message("allPermissions excludes permissions: remove one of the two").field_path(".permissions"),
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceScopes {
    /// The definition id of the service, without an `external` prefix.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("!self.startsWith('external')").message("serviceDefinitionId is given without an external prefix: remove it"))]
    pub service_definition_id: String,
    /// Every role; excludes `roles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_roles: Option<bool>,
    /// Every permission; excludes `permissions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_permissions: Option<bool>,
    /// What a token lists by name: `ROLES`, `PERMISSIONS` or both.
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_in_token: Option<Vec<KeptInToken>>,
    /// Roles by name.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// Permissions by id.
    #[schemars(length(max = 48))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
}

/// A role, optionally limited to one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Role {
    /// The name of the role, such as `org_member`.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Limits the role to one resource, such as `instance:1`.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// A permission, optionally limited to some resources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// The id of the permission.
    #[schemars(length(min = 1, max = 256))]
    pub permission_id: String,
    /// Limits the permission to these resources.
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
}

/// What a token lists by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeptInToken {
    /// Role names.
    Roles,
    /// Permission names.
    Permissions,
}
