//! The operations of the APIs, in one table: in words for messages, and as labels of metrics, traces and log fields.

use std::fmt;

/// Each operation with its label and its words.
macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident: $label:literal, $words:literal;)+) => {
        /// An operation of an API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation { $($(#[$doc])* $variant,)+ }

        impl Operation {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The label in metrics, traces and fields of the log.
            pub(crate) fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }

        impl fmt::Display for Operation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $words,)+ })
            }
        }
    };
}

operations! {
    /// Exchanges credentials for an access token.
    GetAccessToken: "get_access_token", "get access token";
    /// Reads the details of an API token, such as its expiry.
    ReadTokenDetails: "read_token_details", "read token details";
    CreateApp: "create_app", "create app";
    ReadApp: "read_app", "read app";
    /// Reads a page of the apps of an organization.
    ListApps: "list_apps", "list apps";
    UpdateApp: "update_app", "update app";
    /// Gives an app a new secret beside the present one.
    RotateSecret: "rotate_secret", "rotate secret";
    /// Ends a rotation, so that only the newer secret of an app stays valid.
    EndRotation: "end_rotation", "end rotation";
    /// Deletes apps.
    DeleteApp: "delete_app", "delete app";
    AddAppToOrganization: "add_app_to_organization", "add app to organization";
    /// Reads the roles of an app in its organization.
    ReadClient: "read_client", "read client";
    /// Reads a page of the apps that were added to an organization, with their roles.
    ListClients: "list_clients", "list clients";
    ChangeRoles: "change_roles", "change roles";
}

impl Operation {
    /// Whether its answer is a page of a list.
    pub(crate) fn is_list(self) -> bool {
        match self {
            Self::ListApps | Self::ListClients => true,
            Self::GetAccessToken
            | Self::ReadTokenDetails
            | Self::CreateApp
            | Self::ReadApp
            | Self::UpdateApp
            | Self::RotateSecret
            | Self::EndRotation
            | Self::DeleteApp
            | Self::AddAppToOrganization
            | Self::ReadClient
            | Self::ChangeRoles => false,
        }
    }

    /// Whether it reads one object, which may be absent: a 404 is an answer then.
    pub(crate) fn is_read(self) -> bool {
        match self {
            Self::ReadTokenDetails | Self::ReadApp | Self::ReadClient => true,
            Self::GetAccessToken
            | Self::CreateApp
            | Self::ListApps
            | Self::UpdateApp
            | Self::RotateSecret
            | Self::EndRotation
            | Self::DeleteApp
            | Self::AddAppToOrganization
            | Self::ListClients
            | Self::ChangeRoles => false,
        }
    }

    /// Whether it reads or gives roles, for which it is not documented which role the session needs.
    pub(crate) fn is_about_roles(self) -> bool {
        match self {
            Self::AddAppToOrganization | Self::ReadClient | Self::ListClients | Self::ChangeRoles => true,
            Self::GetAccessToken
            | Self::ReadTokenDetails
            | Self::CreateApp
            | Self::ReadApp
            | Self::ListApps
            | Self::UpdateApp
            | Self::RotateSecret
            | Self::EndRotation
            | Self::DeleteApp => false,
        }
    }
}
