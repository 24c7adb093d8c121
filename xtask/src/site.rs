//! `cargo xtask site`: builds the documents as a site with mdBook, and checks the links of its pages.
//! `docs/SUMMARY.md` lists the pages, and `book.toml` has the settings.

mod check;
mod mdbook;
mod pages;

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use control_plane::Scratch;

use crate::repository;

/// A file that mdBook writes into each site.
const MARK: &str = ".nojekyll";

/// Where to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory for the site, which must be absent, empty, or an earlier site
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
}

/// Builds the site. Fails if a link in it leads nowhere.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if !may_replace(&args.out)? {
        return Err(format!("{} has files and is no earlier site: choose another directory", args.out.display()).into());
    }
    let out = std::path::absolute(&args.out)?;
    let program = mdbook::provide()?;
    let book = Scratch::new()?;
    pages::write(&repository(), book.path())?;
    mdbook::build(&program, book.path(), &out)?;
    let broken = check::broken_links(&out)?;
    if !broken.is_empty() {
        return Err(format!("links of the site lead nowhere:\n{}", broken.join("\n")).into());
    }
    eprintln!("the site is in {}", out.display());
    Ok(())
}

/// mdBook removes what is in the directory.
fn may_replace(directory: &Path) -> io::Result<bool> {
    let is_empty = || fs::read_dir(directory).map(|mut entries| entries.next().is_none());
    Ok(!directory.exists() || directory.join(MARK).exists() || is_empty()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_site_is_replaced() {
        let directory = Scratch::new().unwrap();
        let out = directory.path().join("site");
        assert!(may_replace(&out).unwrap(), "it is absent");
        fs::create_dir(&out).unwrap();
        assert!(may_replace(&out).unwrap(), "it is empty");
        fs::write(out.join("work.txt"), "").unwrap();
        assert!(!may_replace(&out).unwrap(), "it has a file");
        fs::write(out.join(MARK), "").unwrap();
        assert!(may_replace(&out).unwrap(), "it is an earlier site");
    }
}
