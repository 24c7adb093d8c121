//! The versions of Kubernetes that the tests can run on, each with the etcd that kubeadm deploys with it.
//! `KUBERNETES_VERSION` selects one for this process and those that it starts; without it, it is the newest.

use std::fmt;
use std::str::FromStr;

use crate::Error;

// renovate: datasource=github-releases depName=kubernetes/kubernetes
const KUBERNETES: &str = "v1.37.2";
// renovate: datasource=github-releases depName=etcd-io/etcd
const ETCD: &str = "v3.6.16";

/// A version of Kubernetes, named by its minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kubernetes {
    minor: &'static str,
    version: &'static str,
    etcd: &'static str,
}

impl Kubernetes {
    /// The oldest that the chart accepts, one between, and the newest. The modules beside this crate name them as well.
    pub const SUPPORTED: [Self; 3] = [
        Self { minor: "1.31", version: "v1.31.14", etcd: "v3.5.35" },
        Self { minor: "1.34", version: "v1.34.4", etcd: ETCD },
        Self::NEWEST,
    ];
    /// That of `cargo xtask test`.
    pub const NEWEST: Self = Self { minor: "1.37", version: KUBERNETES, etcd: ETCD };
    /// The environment variable that selects one by its minor version.
    pub const VARIABLE: &str = "KUBERNETES_VERSION";

    /// The one that [`Self::VARIABLE`] names, or the newest.
    ///
    /// # Errors
    /// When it names none of them; the error lists them.
    pub fn selected() -> Result<Self, Error> {
        match std::env::var(Self::VARIABLE) {
            Ok(minor) if !minor.is_empty() => minor.parse(),
            _ => Ok(Self::NEWEST),
        }
    }

    /// Such as `1.37`.
    pub fn minor(self) -> &'static str {
        self.minor
    }

    /// As its programs print it, such as `v1.37.2`.
    pub fn version(self) -> &'static str {
        self.version
    }

    /// The version of etcd, such as `v3.6.16`.
    pub fn etcd(self) -> &'static str {
        self.etcd
    }
}

impl FromStr for Kubernetes {
    type Err = Error;

    fn from_str(minor: &str) -> Result<Self, Error> {
        let found = Self::SUPPORTED.into_iter().find(|kubernetes| kubernetes.minor == minor);
        found.ok_or_else(|| {
            let all = Self::SUPPORTED.map(|kubernetes| format!("{} ({})", kubernetes.minor, kubernetes.version));
            Error::Unavailable(format!("Kubernetes {minor:?} is not one of {}", all.join(", ")))
        })
    }
}

impl fmt::Display for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minor_version_selects_a_release_and_any_other_text_is_refused_with_the_list() {
        assert_eq!("1.31".parse::<Kubernetes>().expect("supported").version(), "v1.31.14");
        assert_eq!("1.37".parse::<Kubernetes>().expect("supported"), Kubernetes::NEWEST);
        for other in ["1.30", "1.31.14", "v1.31", "1.3", ""] {
            let refused = other.parse::<Kubernetes>().expect_err("not supported").to_string();
            let expected = "is not one of 1.31 (v1.31.14), 1.34 (v1.34.4), 1.37 (v1.37.2)";
            assert_eq!(refused, format!("Kubernetes {other:?} {expected}"));
        }
    }

    #[test]
    fn a_version_belongs_to_its_minor_and_the_oldest_is_that_of_the_chart() {
        for kubernetes in Kubernetes::SUPPORTED {
            assert!(kubernetes.version.starts_with(&format!("v{}.", kubernetes.minor)), "{kubernetes:?}");
        }
        let chart = include_str!("../../../../deploy/chart/Chart.yaml");
        let oldest = Kubernetes::SUPPORTED[0];
        assert!(chart.contains(&format!("\nkubeVersion: \">={oldest}.0-0\"\n")), "{chart}");
    }
}
