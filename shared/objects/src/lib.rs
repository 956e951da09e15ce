//! The object store on Amazon S3: reading, conditional writing, and links that a client can use without credentials.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::fault::PortError;
use domain::objects::{
    Fetched, Link, LinkSigner, ObjectHead, ObjectHistory, ObjectReader, ObjectVersion, ObjectWriter, UploadTerms, WriteCondition,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// A bucket by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }
}

impl Bucket {
    /// The keys below a prefix whose time of writing (seconds since 1970) is wanted.
    async fn listed(&self, prefix: &str, is_wanted: impl Fn(Option<i64>) -> bool + Send) -> Result<Vec<String>, PortError> {
        let mut pages = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error("ListObjects", &error))?;
            let objects = page.contents.unwrap_or_default().into_iter();
            keys.extend(objects.filter(|o| is_wanted(o.last_modified.map(|at| at.secs()))).filter_map(|object| object.key));
        }
        Ok(keys)
    }
}

async fn collect(body: ByteStream) -> Result<Vec<u8>, PortError> {
    let bytes = body.collect().await.map_err(|_| PortError::Unavailable { operation: "GetObject", code: "body".into() })?;
    Ok(Vec::from(bytes.into_bytes()))
}

use aws_types::SdkConfig;

/// What an SDK failure means. Carries the service's code, never its message: that may quote a key.
fn port_error<E: ProvideErrorMetadata, R: StatusOf>(operation: &'static str, error: &SdkError<E, R>) -> PortError {
    let status = error.raw_response().map(StatusOf::status);
    let code = error.code().map_or_else(|| status.map_or_else(|| "no answer".to_owned(), |s| s.to_string()), str::to_owned);
    match status {
        Some(409 | 412) => PortError::Conflict { operation },
        None | Some(429 | 500..) => PortError::Unavailable { operation, code },
        Some(_) => PortError::Unexpected { operation, code },
    }
}

trait StatusOf {
    fn status(&self) -> u16;
}

impl StatusOf for aws_sdk_s3::config::http::HttpResponse {
    fn status(&self) -> u16 {
        self.status().as_u16()
    }
}

fn status_of<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|r| r.status().as_u16())
}

#[async_trait]
impl ObjectReader for Bucket {
    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, PortError> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => Ok(Some(ObjectHead {
                etag: head.e_tag.unwrap_or_default(),
                version_id: head.version_id,
                size_bytes: head.content_length.and_then(|l| u64::try_from(l).ok()).unwrap_or(0),
                media_type: head.content_type,
                metadata: head.metadata.unwrap_or_default().into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect(),
            })),
            // A key whose newest version is a delete marker answers 404 too.
            Err(error) if status_of(&error) == Some(404) => Ok(None),
            Err(error) => Err(port_error("HeadObject", &error)),
        }
    }

    async fn get(&self, key: &str, version_id: Option<&str>, unless_etag: Option<&str>) -> Result<Fetched, PortError> {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let request = request.set_version_id(version_id.map(str::to_owned)).set_if_none_match(unless_etag.map(str::to_owned));
        match request.send().await {
            Ok(object) => {
                let etag = object.e_tag.clone().unwrap_or_default();
                Ok(Fetched::Found { bytes: collect(object.body).await?, etag })
            }
            Err(error) => match status_of(&error) {
                Some(304) => Ok(Fetched::NotModified),
                Some(404) => Ok(Fetched::Absent),
                _ => Err(port_error("GetObject", &error)),
            },
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, PortError> {
        if range.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let request = self.client.get_object().bucket(&self.name).key(key);
        let request = request.range(format!("bytes={}-{}", range.start, range.end - 1));
        match request.send().await {
            Ok(object) => Ok(Some(collect(object.body).await?)),
            Err(error) => match status_of(&error) {
                // The object ends before the range begins.
                Some(416) => Ok(Some(Vec::new())),
                Some(404) => Ok(None),
                _ => Err(port_error("GetObject", &error)),
            },
        }
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        self.listed(prefix, |_| true).await
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, PortError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).delimiter("/");
        let mut pages = list.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error("ListObjects", &error))?;
            let folders = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
            names.extend(folders.filter_map(|folder| Some(folder.strip_prefix(prefix)?.trim_end_matches('/').to_owned())));
        }
        Ok(names)
    }

    async fn keys_before(&self, prefix: &str, before: Timestamp) -> Result<Vec<String>, PortError> {
        // An object without a time is none of ours to judge.
        self.listed(prefix, |written| written.is_some_and(|written| written < before.as_second())).await
    }
}

#[async_trait]
impl ObjectHistory for Bucket {
    async fn versions(&self, key: &str) -> Result<Vec<ObjectVersion>, PortError> {
        const OPERATION: &str = "ListObjectVersions";
        let mut versions = Vec::new();
        let (mut key_marker, mut version_marker) = (None, None);
        // S3 lists by key and, for one key, the newest first; longer keys come after.
        loop {
            let request = self.client.list_object_versions().bucket(&self.name).prefix(key);
            let request = request.set_key_marker(key_marker).set_version_id_marker(version_marker);
            let page = request.send().await.map_err(|error| port_error(OPERATION, &error))?;
            let (mine, others): (Vec<_>, Vec<_>) =
                page.versions.unwrap_or_default().into_iter().partition(|version| version.key.as_deref() == Some(key));
            versions.extend(mine.into_iter().filter_map(|version| {
                let written = version.last_modified.and_then(|at| Timestamp::from_nanosecond(at.as_nanos()).ok())?;
                let size_bytes = version.size.and_then(|size| u64::try_from(size).ok())?;
                Some(ObjectVersion { version_id: version.version_id?, size_bytes, written })
            }));
            if !others.is_empty() || page.next_key_marker.is_none() {
                return Ok(versions);
            }
            (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
        }
    }
}

#[async_trait]
impl ObjectWriter for Bucket {
    async fn put(&self, key: &str, bytes: Vec<u8>, condition: WriteCondition) -> Result<String, PortError> {
        let request = self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from(bytes));
        let request = match condition {
            WriteCondition::Absent => request.if_none_match("*"),
            WriteCondition::Matches(etag) => request.if_match(etag),
        };
        match request.send().await {
            Ok(put) => Ok(put.e_tag.unwrap_or_default()),
            // `If-Match` on an object that is gone meanwhile is a lost race too.
            Err(error) if status_of(&error) == Some(404) => Err(PortError::Conflict { operation: "PutObject" }),
            Err(error) => Err(port_error("PutObject", &error)),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), PortError> {
        match self.client.delete_object().bucket(&self.name).key(key).send().await {
            Ok(_) => Ok(()),
            Err(error) if status_of(&error) == Some(404) => Ok(()),
            Err(error) => Err(port_error("DeleteObject", &error)),
        }
    }
}

fn link(signed: &PresignedRequest) -> Link {
    let headers: BTreeMap<String, String> = signed.headers().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    Link { url: signed.uri().to_owned(), method: if signed.method() == "PUT" { "PUT" } else { "GET" }, headers }
}

fn expiry(operation: &'static str, seconds: u32) -> Result<PresigningConfig, PortError> {
    PresigningConfig::expires_in(Duration::from_secs(seconds.into()))
        .map_err(|_| PortError::Unexpected { operation, code: "expiry".into() })
}

#[async_trait]
impl LinkSigner for Bucket {
    async fn upload_link(&self, key: &str, terms: &UploadTerms) -> Result<Link, PortError> {
        const OPERATION: &str = "presign PutObject";
        let length =
            i64::try_from(terms.size_bytes).map_err(|_| PortError::Unexpected { operation: OPERATION, code: "size".into() })?;
        let mut request = self.client.put_object().bucket(&self.name).key(key);
        for (name, value) in &terms.metadata {
            request = request.metadata(*name, value);
        }
        let signed = request
            .content_type(terms.media_type)
            .content_length(length)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(STANDARD.encode(terms.sha256))
            .presigned(expiry(OPERATION, terms.expires_s)?)
            .await
            .map_err(|error| port_error(OPERATION, &error))?;
        Ok(link(&signed))
    }

    async fn content_link(
        &self,
        key: &str,
        version_id: Option<&str>,
        file_name: &str,
        expires_s: u32,
    ) -> Result<Link, PortError> {
        const OPERATION: &str = "presign GetObject";
        let shown: String =
            file_name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.() ".contains(c) { c } else { '_' }).collect();
        let signed = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .set_version_id(version_id.map(str::to_owned))
            .response_content_disposition(format!("inline; filename=\"{shown}\""))
            .presigned(expiry(OPERATION, expires_s)?)
            .await
            .map_err(|error| port_error(OPERATION, &error))?;
        Ok(link(&signed))
    }
}
