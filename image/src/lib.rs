//! The image of the operator, built without a container engine: the same input gives the same bytes, and so the same digest.
//! The release and the tests of the image use it, so that the tests run what is released.
//!
//! - [`Tree`] is a set of files that becomes an archive, or a directory.
//! - [`root`] has the files of the image: the program, its shared libraries, CA certificates and licenses.
//! - [`Image`] adds how it is run, and [`Layout`] is the OCI image layout of one image or of several architectures.

// A test fails by panicking.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod certificates;
mod error;
mod image;
mod layout;
mod libraries;
pub mod packages;
pub mod root;
mod tree;

pub use certificates::mozilla;
pub use error::Error;
pub use image::{ENVIRONMENT, Image, PROGRAM, USER};
pub use layout::{Layout, sha256};
pub use libraries::libraries;
pub use tree::{Tree, gzip};
