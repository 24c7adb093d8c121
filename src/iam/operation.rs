//! What a call to either API tries, in the words of messages, logs and metrics.

use std::fmt;

/// An operation of the two APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Exchanges credentials for an access token.
    GetAccessToken,
    /// Creates an app.
    CreateApp,
    /// Reads an app.
    ReadApp,
    /// Reads a page of the apps of an organization.
    ListApps,
    /// Changes an app.
    UpdateApp,
    /// Gives an app a new secret beside the present one.
    RotateSecret,
    /// Deletes apps.
    DeleteApp,
    /// Adds an app to its organization.
    AddAppToOrganization,
    /// Reads the roles of an app in its organization.
    ReadClient,
    /// Reads a page of the apps that were added to an organization, with their roles.
    ListClients,
    /// Gives roles to an app and takes roles from it.
    ChangeRoles,
}

impl Operation {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::GetAccessToken,
        Self::CreateApp,
        Self::ReadApp,
        Self::ListApps,
        Self::UpdateApp,
        Self::RotateSecret,
        Self::DeleteApp,
        Self::AddAppToOrganization,
        Self::ReadClient,
        Self::ListClients,
        Self::ChangeRoles,
    ];

    /// Whether its answer is a page of a list.
    pub fn is_list(self) -> bool {
        match self {
            Self::ListApps | Self::ListClients => true,
            Self::GetAccessToken
            | Self::CreateApp
            | Self::ReadApp
            | Self::UpdateApp
            | Self::RotateSecret
            | Self::DeleteApp
            | Self::AddAppToOrganization
            | Self::ReadClient
            | Self::ChangeRoles => false,
        }
    }

    /// Whether it reads or gives roles, for which it is not documented which role the session needs.
    pub fn is_about_roles(self) -> bool {
        match self {
            Self::AddAppToOrganization | Self::ReadClient | Self::ListClients | Self::ChangeRoles => true,
            Self::GetAccessToken
            | Self::CreateApp
            | Self::ReadApp
            | Self::ListApps
            | Self::UpdateApp
            | Self::RotateSecret
            | Self::DeleteApp => false,
        }
    }

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetAccessToken => "get access token",
            Self::CreateApp => "create app",
            Self::ReadApp => "read app",
            Self::ListApps => "list apps",
            Self::UpdateApp => "update app",
            Self::RotateSecret => "rotate secret",
            Self::DeleteApp => "delete app",
            Self::AddAppToOrganization => "add app to organization",
            Self::ReadClient => "read client",
            Self::ListClients => "list clients",
            Self::ChangeRoles => "change roles",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
