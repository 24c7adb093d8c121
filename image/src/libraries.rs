//! The shared libraries of a program, where this machine has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The libraries that the loader finds for the program, itself among them, by the paths that it uses; none for a static
/// program. The loader of the program runs for that, so the program must be one that you trust.
///
/// # Errors
/// When one of them is missing, or `ldd` fails.
pub fn libraries(program: &Path) -> Result<Vec<PathBuf>, Error> {
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output().map_err(Error::io("ldd"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("not a dynamic executable") || text.contains("statically linked") {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        return Err(Error::Program { program: "ldd", message: errors.trim().to_owned() });
    }
    parse(&text)
}

/// Lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, or the loader with no arrow.
fn parse(text: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, path) = line.split_once(" => ").unwrap_or((line, line));
        let path = path.split_once(" (").map_or(path, |(path, _)| path);
        match path {
            "not found" => return Err(Error::MissingLibrary(name.to_owned())),
            path if path.starts_with('/') => found.push(PathBuf::from(path)),
            // The kernel's own, which is in no file.
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: &str = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 \
                         (0x00007f14)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f15)\n";

    #[test]
    fn libraries_and_loader_are_found_by_the_paths_that_the_program_uses() {
        let expected = ["/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(parse(FOUND).unwrap(), expected.map(PathBuf::from));
    }

    #[test]
    fn missing_library_is_an_error() {
        let missing = "\tlibz.so.1 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x1)\n";
        assert!(matches!(parse(missing), Err(Error::MissingLibrary(name)) if name == "libz.so.1"));
    }

    #[test]
    fn libraries_of_this_program_exist() {
        let found = libraries(&std::env::current_exe().unwrap()).unwrap();
        assert!(found.len() >= 2 && found.iter().all(|library| library.exists()), "{found:?}");
    }
}
