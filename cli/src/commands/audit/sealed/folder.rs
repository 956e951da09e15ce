//! Sealed trails in a folder, as they were copied: found by their names, read with bounds, links not followed.

use anyhow::{Context, Result, bail};
use domain::ids::TenantId;
use seal::{MEMBER_BYTES_MAX, read_digest};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What the seal writes is far below this.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Folders in folders. The archive has two levels.
const DEPTH_MAX: usize = 8;

/// One tenant's files.
pub struct TrailFolder {
    /// Where they are.
    pub path: PathBuf,
    /// Their names.
    pub names: Vec<String>,
    /// Whose they are by the folder's place in the archive (`trail/{tenant}/`), if it is in one.
    pub tenant: Option<TenantId>,
    /// Whose the first of them says that they are. Not to be believed before it is checked.
    pub said: Option<TenantId>,
}

/// The trails below a folder.
pub fn trails(folder: &Path) -> Result<Vec<TrailFolder>> {
    let mut found = Vec::new();
    walk(folder, 0, &mut found)?;
    found.sort_by(|one: &TrailFolder, other| one.path.cmp(&other.path));
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<TrailFolder>) -> Result<()> {
    let cannot = || format!("{} cannot be read", folder.display());
    if depth > DEPTH_MAX {
        bail!("{} is too deep for a copy of the archive", folder.display());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let kind = entry.file_type().with_context(cannot)?;
        if kind.is_symlink() {
            bail!("{} is a link: a copy of the archive has none", entry.path().display());
        }
        if kind.is_dir() {
            walk(&entry.path(), depth + 1, found)?;
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if names.iter().any(|name| name.ends_with(".jsonl.gz")) {
        // Keys and heads may lie beside; no sealed file has such a name.
        names.retain(|name| !Path::new(name).extension().is_some_and(|e| e == "pem" || e == "json"));
        names.sort_unstable();
        let is_in_archive = folder.parent().and_then(Path::file_name).is_some_and(|name| name == "trail");
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // The first ones may be a stranger's, and say nothing.
        let said = names.iter().find_map(|name| read_digest(&beginning(&folder.join(name)).ok()?).ok());
        found.push(TrailFolder {
            path: folder.to_path_buf(),
            names,
            tenant: if is_in_archive { TenantId::parse(&name).ok() } else { None },
            said: said.map(|digest| digest.tenant),
        });
    }
    Ok(())
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MEMBER_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl TrailFolder {
    /// A file's bytes; of one that is too big to be ours as many as it takes to see that.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = File::open(self.path.join(name))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
