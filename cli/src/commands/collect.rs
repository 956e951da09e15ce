//! The files behind what was typed: files as they are, folders looked through.

use anyhow::{Context, Result, ensure};
use domain::documents::pages::Format;
use std::fs;
use std::path::{Path, PathBuf};

/// What is typed as a file is taken whatever it is called: what is wrong with it is said later. Below a folder only
/// accepted formats count, hidden files do not, and links to folders are not followed.
pub fn collect(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if metadata.is_dir() {
            let before = files.len();
            walk(path, &mut files)?;
            ensure!(files.len() > before, "{} holds no PDF, DOCX, HTML, Markdown, text or CSV file.", path.display());
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let cannot = || format!("{} cannot be read", folder.display());
    let mut entries = fs::read_dir(folder).with_context(cannot)?.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, kind) = (entry.file_name(), entry.file_type().with_context(cannot)?);
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if Format::from_name(&name).is_some() && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_through() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["a/deep", "a/.git", "empty"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        for file in ["a/2.PDF", "a/1.md", "a/deep/3.docx", "a/tool.exe", "a/.hidden.pdf", "a/.git/x.txt", "alone.exe"] {
            fs::write(home.path().join(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(home.path().join("a"), home.path().join("a/deep/loop")).unwrap();
        let collected = collect(&[home.path().join("a"), home.path().join("alone.exe")]).unwrap();
        let names: Vec<_> = collected.iter().map(|path| path.strip_prefix(home.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a/1.md", "a/2.PDF", "a/deep/3.docx", "alone.exe"]);
        assert!(collect(&[home.path().join("empty")]).unwrap_err().to_string().contains("holds no PDF"));
        assert!(collect(&[home.path().join("absent")]).is_err());
    }
}
