//! What the functions' roles may not do, tried with the roles' own credentials.

use super::harness::stack;
use serde_json::{Value, json};

fn denied(result: Result<Value, String>) -> bool {
    result.is_err_and(|code| ["AccessDenied", "AccessDeniedException"].contains(&code.as_str()))
}

/// An audit row as it is keyed, made by a question.
fn audit_row(tenant: &str) -> Value {
    stack().staff(tenant).ask("Is there a row?");
    let rows = stack().audit_rows(tenant);
    let row = rows.last().expect("a row for the question");
    json!({ "pk": row["pk"], "sk": row["sk"] })
}

#[test]
fn no_function_can_read_change_or_delete_an_audit_row_but_each_can_append_one() {
    let key = audit_row("iam-audit");
    let table = stack().output("AuditTable");
    for function in ["chat", "documents", "indexer"] {
        let role = stack().credentials_of(function);
        let call = |operation: &str, parameters: Value| stack().aws_as(Some(&role), "dynamodb", operation, parameters);
        assert!(denied(call("get_item", json!({ "TableName": table, "Key": key }))), "{function} reads");
        assert!(denied(call("delete_item", json!({ "TableName": table, "Key": key }))), "{function} deletes");
        let change = json!({
            "TableName": table, "Key": key, "UpdateExpression": "SET agent = :a", "ExpressionAttributeValues": { ":a": { "S": "x" } },
        });
        assert!(denied(call("update_item", change)), "{function} changes");
        assert!(denied(call("scan", json!({ "TableName": table }))), "{function} scans");
        let query =
            json!({ "TableName": table, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": { ":p": key["pk"] } });
        assert!(denied(call("query", query)), "{function} queries");
        let delete = json!({ "RequestItems": { table: [{ "DeleteRequest": { "Key": key } }] } });
        assert!(denied(call("batch_write_item", delete)), "{function} deletes in a batch");
        let row = json!({ "TableName": table, "Item": { "pk": { "S": "TENANT#iam-audit" }, "sk": { "S": format!("probe-{function}") } } });
        assert_eq!(call("put_item", row).map(|_| ()), Ok(()), "{function} appends");
    }
}

#[test]
fn the_chat_role_cannot_touch_the_documents_or_write_the_index() {
    let staff = stack().staff("iam-chat");
    staff.index("wall.txt", None, b"The wall is between the answer and the file.");
    let found = stack().aws(
        "s3",
        "list_objects_v2",
        json!({ "Bucket": stack().output("DocumentsBucket"), "Prefix": "tenants/iam-chat/" }),
    );
    let key = found.expect("a list")["Contents"][0]["Key"].as_str().expect("the document").to_owned();
    let role = stack().credentials_of("chat");
    let (documents, index) = (stack().output("DocumentsBucket"), stack().output("IndexBucket"));
    let s3 = |operation: &str, parameters: Value| stack().aws_as(Some(&role), "s3", operation, parameters);
    let at = |bucket: &str, key: &str| json!({ "Bucket": bucket, "Key": key });
    assert!(denied(s3("get_object", at(documents, &key))), "chat reads a document");
    assert!(denied(s3("delete_object", at(documents, &key))), "chat deletes a document");
    assert!(denied(s3("list_objects_v2", json!({ "Bucket": documents }))), "chat lists documents");
    let manifest = "index/iam-chat/manifest.json";
    assert!(denied(s3("put_object", json!({ "Bucket": index, "Key": manifest, "Body": "{}" }))), "chat writes the index");
    assert!(denied(s3("delete_object", at(index, manifest))), "chat deletes from the index");
    assert!(denied(s3("get_object", at(index, "elsewhere/x"))), "chat reads beside the index");
    assert_eq!(s3("get_object", at(index, manifest)).map(|_| ()), Ok(()), "chat reads the index");
    let registry =
        json!({ "TableName": stack().output("DocumentsTable"), "Key": { "pk": { "S": "TENANT#iam-chat" }, "sk": { "S": "x" } } });
    assert!(denied(stack().aws_as(Some(&role), "dynamodb", "get_item", registry)), "chat reads the registry");
}

#[test]
fn the_documents_role_reads_no_segment_and_cannot_erase_a_version() {
    let role = stack().credentials_of("documents");
    let (documents, index) = (stack().output("DocumentsBucket"), stack().output("IndexBucket"));
    stack().put_object("tenants/iam-documents/a.txt", b"A version that stays.");
    let versions = stack().aws("s3", "list_object_versions", json!({ "Bucket": documents, "Prefix": "tenants/iam-documents/" }));
    let version = versions.expect("a list")["Versions"][0]["VersionId"].as_str().expect("a version").to_owned();
    let s3 = |operation: &str, parameters: Value| stack().aws_as(Some(&role), "s3", operation, parameters);
    let erase = json!({ "Bucket": documents, "Key": "tenants/iam-documents/a.txt", "VersionId": version });
    assert!(denied(s3("delete_object", erase)), "a version is erased");
    for key in ["index/main/doc_01h2xcejqtf2nbrexx3vqjhp41/1.seg", "index/main/packs/1.pack", "elsewhere/manifest.json"] {
        assert!(denied(s3("get_object", json!({ "Bucket": index, "Key": key }))), "{key} is read");
        assert!(denied(s3("put_object", json!({ "Bucket": index, "Key": key, "Body": "x" }))), "{key} is written");
    }
    assert!(denied(s3("put_bucket_policy", json!({ "Bucket": documents, "Policy": "{}" }))), "the policy is changed");
    let scan = json!({ "TableName": stack().output("DocumentsTable") });
    assert!(denied(stack().aws_as(Some(&role), "dynamodb", "scan", scan)), "all tenants' rows are read");
}

#[test]
fn the_indexer_role_cannot_change_documents_or_send_itself_events() {
    let role = stack().credentials_of("indexer");
    let documents = stack().output("DocumentsBucket");
    let s3 = |operation: &str, parameters: Value| stack().aws_as(Some(&role), "s3", operation, parameters);
    let put = json!({ "Bucket": documents, "Key": "tenants/iam-indexer/x.txt", "Body": "x" });
    assert!(denied(s3("put_object", put)), "the indexer writes a document");
    assert!(
        denied(s3("delete_object", json!({ "Bucket": documents, "Key": "tenants/main/x.txt" }))),
        "the indexer deletes a document"
    );
    let queue = stack().output("IndexerQueue");
    let url = stack().aws("sqs", "get_queue_url", json!({ "QueueName": queue.rsplit(['/', ':']).next().expect("a name") }));
    let send = json!({ "QueueUrl": url.expect("a queue")["QueueUrl"], "MessageBody": "{}" });
    assert!(denied(stack().aws_as(Some(&role), "sqs", "send_message", send)), "the indexer sends itself an event");
}
