//! The registry of documents.
//!
//! ```text
//! pk = TENANT#{tenant}   sk = {document id}
//! object_key title format status reason progress_stage progress_done progress_total pages chunks size_bytes version
//! searchable_version sequencer uploaded_by created_at updated_at valid_until claim expires_at
//! given_title tags document_date groups revision identifiers receipt
//! ```
//! `sequencer` is the last event that was taken up, `claim` the token of the attempt that works on it (absent once it ended).
//! Times are milliseconds since 1970; `expires_at` (seconds) is the table's time to live, set on deleted rows only.

use crate::item::{Item, n, number, s, set, text, texts};
use crate::port_error;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use aws_types::SdkConfig;
use domain::audit::TABLE_DAYS;
use domain::documents::attributes::{Attributes, parse_date};
use domain::documents::index_object::{file_name, reason_code};
use domain::documents::pages::{Format, Reason};
use domain::documents::registry::{
    Claim, Claimed, Document, DocumentPage, DocumentRegistry, Finish, IndexingRegistry, Progress, Stage, Status,
};
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer, SubjectId, TenantId};
use domain::phi::{IdentifierCounts, IdentifierKind};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A deleted document's row stays this long: it holds the receipt, whose digest is in an audit row that stays as long. A late
/// event finds the sequencer in it that it has to be compared with; S3 delivers within a day, the queue keeps what it
/// repeats for fourteen.
const TOMBSTONE_DAYS: i64 = TABLE_DAYS;

/// The documents table.
#[derive(Debug, Clone)]
pub struct DocumentsTable {
    client: Client,
    name: String,
}

impl DocumentsTable {
    /// A table by name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }

    async fn row(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<Item>, PortError> {
        let key = self.client.get_item().table_name(&self.name).key("pk", partition(tenant)).key("sk", s(id.as_str()));
        let got = key.consistent_read(true).send().await.map_err(|error| port_error("GetItem documents", &error))?;
        Ok(got.item)
    }

    fn update(&self, tenant: &TenantId, id: &DocumentId) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.name).key("pk", partition(tenant)).key("sk", s(id.as_str()))
    }
}

/// When a deleted document's row may go, in seconds since 1970.
fn tombstone_expiry(now: Timestamp) -> i64 {
    now.as_second() + TOMBSTONE_DAYS * 86_400
}

fn partition(tenant: &TenantId) -> AttributeValue {
    s(format!("TENANT#{tenant}"))
}

/// The stable name of a plain enum value, as serde spells it.
fn spelled<T: Serialize>(value: T) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn read_spelled<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

fn millis(item: &Item, name: &str) -> Option<Timestamp> {
    number::<i64>(item, name).and_then(|m| Timestamp::from_millisecond(m).ok())
}

fn item(document: &Document) -> Item {
    let mut item = Item::from([
        ("pk".into(), partition(&document.tenant)),
        ("sk".into(), s(document.id.as_str())),
        ("object_key".into(), s(&document.key)),
        ("title".into(), s(&document.title)),
        ("status".into(), s(document.status.as_str())),
        ("created_at".into(), n(document.created_at.as_millisecond())),
        ("updated_at".into(), n(document.updated_at.as_millisecond())),
    ]);
    item.extend(columns(&document.attributes).into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let mut optional = |name: &str, value: Option<AttributeValue>| {
        if let Some(value) = value {
            item.insert(name.into(), value);
        }
    };
    optional("format", document.format.map(|f| s(spelled(f))));
    optional("size_bytes", document.size_bytes.map(n));
    optional("uploaded_by", document.uploaded_by.as_ref().map(|u| s(u.as_str())));
    optional("valid_until", document.valid_until.map(|t| n(t.as_millisecond())));
    item
}

/// The columns of what is said about a document; those to be left out have no value.
fn columns(attributes: &Attributes) -> [(&'static str, Option<AttributeValue>); 5] {
    [
        ("given_title", attributes.title.as_ref().map(s)),
        ("tags", set(attributes.tags.iter().map(ToString::to_string))),
        ("document_date", attributes.date.map(|date| s(date.to_string()))),
        ("groups", set(attributes.groups.iter().map(ToString::to_string))),
        ("revision", Some(attributes.revision).filter(|revision| *revision > 0).map(n)),
    ]
}

/// What is said about a document; nothing if a column cannot be read: an access list is not guessed.
fn attributes(item: &Item) -> Option<Attributes> {
    Some(Attributes {
        title: text(item, "given_title").map(str::to_owned),
        tags: Attributes::tags(texts(item, "tags")?).ok()?,
        date: text(item, "document_date").map(parse_date).transpose().ok()?,
        groups: Attributes::groups(texts(item, "groups")?).ok()?,
        revision: number(item, "revision").unwrap_or(0),
    })
}

fn document(item: &Item) -> Option<Document> {
    let tenant = TenantId::parse(text(item, "pk")?.strip_prefix("TENANT#")?).ok()?;
    let attributes = attributes(item)?;
    let stage: Option<Stage> = text(item, "progress_stage").and_then(read_spelled);
    Some(Document {
        id: DocumentId::parse(text(item, "sk")?).ok()?,
        tenant,
        key: text(item, "object_key")?.to_owned(),
        // A deleted document has none.
        title: attributes.title.clone().or_else(|| text(item, "title").map(str::to_owned)).unwrap_or_default(),
        attributes,
        format: text(item, "format").and_then(read_spelled::<Format>),
        status: read_spelled(text(item, "status")?)?,
        reason: text(item, "reason").and_then(read_spelled::<Reason>),
        progress: stage.map(|stage| Progress {
            stage,
            done: number(item, "progress_done").unwrap_or(0),
            total: number(item, "progress_total").unwrap_or(0),
        }),
        pages: number(item, "pages"),
        chunks: number(item, "chunks"),
        size_bytes: number(item, "size_bytes"),
        identifiers: identifiers(item),
        version: text(item, "version").map(str::to_owned),
        searchable_version: text(item, "searchable_version").map(str::to_owned),
        sequencer: text(item, "sequencer").and_then(|s| Sequencer::parse(s).ok()),
        uploaded_by: text(item, "uploaded_by").and_then(|u| SubjectId::parse(u).ok()),
        receipt: text(item, "receipt").and_then(|json| serde_json::from_str(json).ok()),
        created_at: millis(item, "created_at")?,
        updated_at: millis(item, "updated_at")?,
        valid_until: millis(item, "valid_until"),
    })
}

/// A map from kind to number; kinds that a later version of this code has written are left out.
fn identifiers(item: &Item) -> Option<IdentifierCounts> {
    let counts = item.get("identifiers")?.as_m().ok()?;
    Some(counts.keys().filter_map(|name| Some((IdentifierKind::parse(name)?, number(counts, name)?))).collect())
}

fn read(operation: &'static str, item: &Item) -> Result<Document, PortError> {
    document(item).ok_or(PortError::Unexpected { operation, code: "row".into() })
}

#[async_trait]
impl DocumentRegistry for DocumentsTable {
    async fn announce(&self, document: &Document) -> Result<(), PortError> {
        const OPERATION: &str = "PutItem documents";
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item(document)))
            .condition_expression("attribute_not_exists(pk)");
        match put.send().await.map_err(|error| port_error(OPERATION, &error)) {
            // An SDK retry of a write that had landed: the key holds a new ULID, so the row there is this document.
            Ok(_) | Err(PortError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<Document>, PortError> {
        self.row(tenant, id).await?.as_ref().map(|item| read("GetItem documents", item)).transpose()
    }

    async fn list(&self, tenant: &TenantId, after: Option<&DocumentId>, limit: u32) -> Result<DocumentPage, PortError> {
        const OPERATION: &str = "Query documents";
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", partition(tenant));
        if let Some(after) = after {
            query = query.exclusive_start_key("pk", partition(tenant)).exclusive_start_key("sk", s(after.as_str()));
        }
        let found =
            query.limit(i32::try_from(limit).unwrap_or(i32::MAX)).send().await.map_err(|error| port_error(OPERATION, &error))?;
        let documents = found.items().iter().map(|item| read(OPERATION, item)).collect::<Result<_, _>>()?;
        let next = found.last_evaluated_key().and_then(|key| text(key, "sk")).and_then(|sk| DocumentId::parse(sk).ok());
        Ok(DocumentPage { documents, next })
    }

    async fn cancel(&self, tenant: &TenantId, id: &DocumentId, now: Timestamp) -> Result<bool, PortError> {
        let update = self
            .update(tenant, id)
            .update_expression("SET #status = :deleted, updated_at = :now, expires_at = :expires REMOVE valid_until")
            .condition_expression("#status = :waiting AND attribute_not_exists(sequencer)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":deleted", s(Status::Deleted.as_str()))
            .expression_attribute_values(":waiting", s(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":now", n(now.as_millisecond()))
            .expression_attribute_values(":expires", n(tombstone_expiry(now)));
        match update.send().await.map_err(|error| port_error("UpdateItem documents", &error)) {
            Ok(_) => Ok(true),
            Err(PortError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn describe(
        &self,
        tenant: &TenantId,
        id: &DocumentId,
        attributes: &Attributes,
        now: Timestamp,
    ) -> Result<(), PortError> {
        // Every column by a name of its own: some are reserved words.
        let (mut set, mut remove) = (vec!["updated_at = :now".to_owned()], Vec::new());
        let mut update = self.update(tenant, id).expression_attribute_values(":now", n(now.as_millisecond()));
        for (name, value) in columns(attributes) {
            update = update.expression_attribute_names(format!("#{name}"), name);
            match value {
                Some(value) => {
                    set.push(format!("#{name} = :{name}"));
                    update = update.expression_attribute_values(format!(":{name}"), value);
                }
                None => remove.push(format!("#{name}")),
            }
        }
        let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
        update
            .update_expression(format!("SET {}{remove}", set.join(", ")))
            .condition_expression(
                "attribute_exists(pk) AND (revision = :before OR (attribute_not_exists(revision) AND :before = :zero))",
            )
            .expression_attribute_values(":before", n(attributes.revision.saturating_sub(1)))
            .expression_attribute_values(":zero", n(0))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("UpdateItem documents", &error))
    }

    async fn mark_deleting(&self, tenant: &TenantId, id: &DocumentId, now: Timestamp, until: Timestamp) -> Result<(), PortError> {
        self.update(tenant, id)
            .update_expression("SET #status = :deleting, updated_at = :now, valid_until = :until REMOVE #reason")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_values(":deleting", s(Status::Deleting.as_str()))
            .expression_attribute_values(":now", n(now.as_millisecond()))
            .expression_attribute_values(":until", n(until.as_millisecond()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("UpdateItem documents", &error))
    }
}

#[async_trait]
impl IndexingRegistry for DocumentsTable {
    async fn look_up(&self, tenant: &TenantId, id: &DocumentId) -> Result<Option<Document>, PortError> {
        self.find(tenant, id).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        let file = file_name(&claim.key);
        let mut update = self
            .update(&claim.tenant, &claim.document_id)
            .update_expression(
                "SET #status = :status, sequencer = :sequencer, claim = :claim, valid_until = :until, updated_at = :now, object_key = :key, \
                 created_at = if_not_exists(created_at, :now), title = if_not_exists(title, :title), #format = if_not_exists(#format, :format) \
                 REMOVE #reason, progress_stage, progress_done, progress_total, expires_at",
            )
            // A newer event takes over at once; a repeat of the same one only when the attempt before it is over unfinished.
            .condition_expression(if claim.is_repeat {
                "sequencer = :sequencer AND (attribute_not_exists(claim) OR valid_until < :now OR claim = :claim)"
            } else {
                "attribute_not_exists(sequencer) OR sequencer < :sequencer \
                 OR (sequencer = :sequencer AND attribute_exists(claim) AND valid_until < :now) OR claim = :claim"
            })
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#reason", "reason")
            .expression_attribute_names("#format", "format")
            .return_values(ReturnValue::AllOld);
        for (name, value) in [
            (":status", s(claim.shown_as.as_str())),
            (":sequencer", s(claim.sequencer.as_str())),
            (":claim", s(&claim.token)),
            (":until", n(claim.until.as_millisecond())),
            (":now", n(claim.now.as_millisecond())),
            (":key", s(&claim.key)),
            (":title", s(file)),
            (":format", s(Format::from_name(file).map_or_else(|| "unknown".to_owned(), spelled))),
        ] {
            update = update.expression_attribute_values(name, value);
        }
        match update.send().await.map_err(|error| port_error("UpdateItem documents", &error)) {
            // A row that cannot be read stops the attempt: it may say who may see the document.
            Ok(done) => match done.attributes.filter(|row| !row.is_empty()) {
                Some(row) => Ok(Claimed::Yes(Some(Box::new(read("UpdateItem documents", &row)?)))),
                None => Ok(Claimed::Yes(None)),
            },
            Err(PortError::Conflict { .. }) => self.why_not(claim).await,
            Err(error) => Err(error),
        }
    }

    async fn progress(&self, claim: &Claim, progress: Progress) -> Result<(), PortError> {
        self.update(&claim.tenant, &claim.document_id)
            .update_expression("SET progress_stage = :stage, progress_done = :done, progress_total = :total")
            .condition_expression("claim = :claim")
            .expression_attribute_values(":stage", s(spelled(progress.stage)))
            .expression_attribute_values(":done", n(progress.done))
            .expression_attribute_values(":total", n(progress.total))
            .expression_attribute_values(":claim", s(&claim.token))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("UpdateItem documents", &error))
    }

    async fn identified(&self, claim: &Claim, counts: &IdentifierCounts) -> Result<(), PortError> {
        let counts = counts.iter().map(|(kind, count)| (kind.as_str().to_owned(), n(count))).collect();
        self.update(&claim.tenant, &claim.document_id)
            .update_expression("SET identifiers = :counts")
            .condition_expression("claim = :claim")
            .expression_attribute_values(":counts", AttributeValue::M(counts))
            .expression_attribute_values(":claim", s(&claim.token))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("UpdateItem documents", &error))
    }

    async fn finish(&self, claim: &Claim, finish: &Finish, now: Timestamp) -> Result<(), PortError> {
        let mut set = vec!["#status = :status", "updated_at = :now"];
        let mut remove = vec!["claim", "valid_until", "progress_stage", "progress_done", "progress_total"];
        let mut values = vec![(":now", n(now.as_millisecond())), (":claim", s(&claim.token))];
        match finish {
            Finish::Indexed { title, version, pages, chunks, size_bytes } => {
                set.extend([
                    "title = :title",
                    "version = :version",
                    "searchable_version = :version",
                    "pages = :pages",
                    "chunks = :chunks",
                    "size_bytes = :size",
                ]);
                values.extend([
                    (":status", s(Status::Indexed.as_str())),
                    (":title", s(title)),
                    (":version", s(version)),
                    (":pages", n(pages)),
                    (":chunks", n(chunks)),
                    (":size", n(size_bytes)),
                ]);
                remove.push("#reason");
            }
            Finish::Failed { reason, version, size_bytes, searchable } => {
                set.push("#reason = :reason");
                values.extend([(":status", s(Status::Failed.as_str())), (":reason", s(reason_code(*reason)))]);
                if let Some(version) = version {
                    set.push("version = :version");
                    values.push((":version", s(version)));
                }
                if let Some(size) = size_bytes {
                    set.push("size_bytes = :size");
                    values.push((":size", n(size)));
                }
                match searchable {
                    None => remove.extend(["searchable_version", "pages", "chunks"]),
                    Some(before) => {
                        set.extend(["searchable_version = :searchable", "pages = :pages", "chunks = :chunks"]);
                        values.extend([
                            (":searchable", s(&before.version)),
                            (":pages", n(before.pages)),
                            (":chunks", n(before.chunks)),
                        ]);
                    }
                }
            }
            Finish::Deleted { receipt } => {
                set.push("expires_at = :expires");
                values.extend([(":status", s(Status::Deleted.as_str())), (":expires", n(tombstone_expiry(now)))]);
                remove.extend(["#reason", "searchable_version", "pages", "chunks", "identifiers"]);
                remove.extend(["title", "given_title", "tags", "document_date"]);
                if let Some(receipt) = receipt {
                    set.push("receipt = :receipt");
                    values.push((":receipt", s(receipt.canonical())));
                }
            }
        }
        let mut update = self
            .update(&claim.tenant, &claim.document_id)
            .update_expression(format!("SET {} REMOVE {}", set.join(", "), remove.join(", ")))
            .condition_expression("claim = :claim")
            .expression_attribute_names("#status", "status");
        if set.iter().chain(&remove).any(|part| part.contains("#reason")) {
            update = update.expression_attribute_names("#reason", "reason");
        }
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        update.send().await.map(|_| ()).map_err(|error| port_error("UpdateItem documents", &error))
    }

    async fn withdraw(&self, tenant: &TenantId, id: &DocumentId) -> Result<(), PortError> {
        let update = self
            .update(tenant, id)
            .update_expression("REMOVE searchable_version, pages, chunks")
            .condition_expression("#status = :failed")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":failed", s(Status::Failed.as_str()));
        match update.send().await.map_err(|error| port_error("UpdateItem documents", &error)) {
            Ok(_) | Err(PortError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn release(&self, claim: &Claim) -> Result<(), PortError> {
        self.update(&claim.tenant, &claim.document_id)
            .update_expression("SET valid_until = :past")
            .condition_expression("claim = :claim")
            .expression_attribute_values(":past", n(claim.now.as_millisecond() - 1))
            .expression_attribute_values(":claim", s(&claim.token))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("UpdateItem documents", &error))
    }
}

impl DocumentsTable {
    /// Tells a finished or newer event from one that is being worked on. Only decides whether to try again, so a read is enough.
    async fn why_not(&self, claim: &Claim) -> Result<Claimed, PortError> {
        let found = self.row(&claim.tenant, &claim.document_id).await?;
        let busy = found
            .is_some_and(|item| text(&item, "sequencer") == Some(claim.sequencer.as_str()) && text(&item, "claim").is_some());
        Ok(if busy { Claimed::Busy } else { Claimed::Stale })
    }
}
