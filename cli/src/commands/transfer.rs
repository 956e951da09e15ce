//! One file on its way: digest, announcement, bytes.

use crate::args::Upload;
use crate::client::Client;
use crate::display::progress::Bar;
use crate::wire::{Announcement, Document, NewVersion};
use anyhow::{Context, Result};
use domain::documents::attributes::{Group, Tag};
use domain::documents::index_object::reason_code;
use domain::documents::pages::{Format, Reason};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are digested at once.
const STEP: usize = 64 << 10;

/// A file that need not be sent, because it would be refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.advice())]
pub struct Unfit(pub Reason);

impl Unfit {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        reason_code(self.0)
    }
}

/// What a file is called at the other end.
pub fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Sends a file and returns the document as it was announced.
pub fn send(path: &Path, upload: &Upload, client: &Client, bar: &Bar) -> Result<Document> {
    let name = name_of(path);
    if Format::from_name(&name).is_none() {
        return Err(Unfit(Reason::Unsupported).into());
    }
    let cannot = || format!("{} cannot be read", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let size_bytes = file.metadata().with_context(cannot)?.len();
    if size_bytes == 0 {
        return Err(Unfit(Reason::Empty).into());
    }
    bar.doing("reading");
    let sha256 = digest(&mut file).with_context(cannot)?;
    let announced = match &upload.replace {
        Some(id) => client.announce_version(id, &NewVersion { size_bytes, sha256 })?,
        None => client.announce(&Announcement {
            name: &name,
            size_bytes,
            sha256,
            title: upload.title.as_deref(),
            tags: upload.tags.iter().map(Tag::as_str).collect(),
            date: upload.date.map(|date| date.to_string()),
            groups: upload.groups.iter().map(Group::as_str).collect(),
        })?,
    };
    let file = File::open(path).with_context(cannot)?;
    // A file that has grown since is refused by its checksum, not cut off by its announced size.
    let mut counted = Counted { inner: file.take(size_bytes), done: 0, total: size_bytes, bar };
    client.put(&announced.upload, &mut counted)?;
    Ok(announced.document)
}

fn digest(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; STEP];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::with_capacity(64), |mut hexadecimal, byte| {
        // Writing into a string does not fail.
        let _ = write!(hexadecimal, "{byte:02x}");
        hexadecimal
    }))
}

/// A reader that shows how far it is.
struct Counted<'a, R> {
    inner: R,
    done: u64,
    total: u64,
    bar: &'a Bar,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.done += read as u64;
        self.bar.bytes("uploading", self.done, self.total);
        Ok(read)
    }
}
