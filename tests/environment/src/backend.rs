//! The IAM simulator, in the place of the vendor's API.
//! Tests have it in a thread; the demo and the attacks run its binary, which is faster in a release build and has files to show.

use iam_simulator::Simulator;
use iam_simulator::client::Control;
use iam_simulator::process::Process;
use iam_simulator::types::Flavor;

/// A running simulator; it ends when it is dropped.
pub enum Backend {
    /// In this process.
    Thread(Simulator),
    /// Its binary.
    Process(Process),
}

impl Backend {
    /// One in a thread, on a free port, that knows nothing yet.
    #[must_use]
    pub fn spawn() -> Self {
        Self::Thread(Simulator::spawn())
    }

    /// The base URL as an `IamConnection` wants it.
    #[must_use]
    pub fn endpoint(&self, flavor: Flavor) -> String {
        match self {
            Self::Thread(simulator) => simulator.endpoint(flavor),
            Self::Process(process) => process.endpoint(flavor).to_owned(),
        }
    }

    /// The certificate of its authority, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        match self {
            Self::Thread(simulator) => simulator.ca_pem(),
            Self::Process(process) => process.ca_pem(),
        }
    }

    /// A client of its control API.
    #[must_use]
    pub fn control(&self) -> Control {
        match self {
            Self::Thread(simulator) => simulator.control(),
            Self::Process(process) => process.control(),
        }
    }
}
