//! Why an image cannot be built or read.

use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}: {source}")]
    Io {
        /// The file or the program.
        what: String,
        source: std::io::Error,
    },
    /// A program failed; the text is its standard error.
    #[error("{program}: {message}")]
    Program { program: &'static str, message: String },
    /// The loader does not find a library of the program.
    #[error("library {0} is not on this machine")]
    MissingLibrary(String),
    /// What should be an OCI image layout is none, or not one of this builder.
    #[error("{0} is not an image layout with one image index")]
    Layout(String),
    /// Layouts that do not belong together.
    #[error("{0}")]
    Merge(String),
}

impl Error {
    /// Names the file: `.map_err(Error::io(path))`.
    pub(crate) fn io(what: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.as_ref().display().to_string();
        move |source| Self::Io { what, source }
    }
}
