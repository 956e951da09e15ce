//! The template says who may do what, what is encrypted and what is kept. Read as `CloudFormation` reads it.

use crate::repository::text;
use serde_json::{Map, Value, json};
use serde_norway::Value as Yaml;
use std::collections::BTreeSet;
use std::sync::LazyLock;

static TEMPLATE: LazyLock<Value> = LazyLock::new(|| to_json(serde_norway::from_str(&text("template.yaml")).expect("YAML")));

/// The template as JSON, `!Ref X` as `{"Ref": "X"}` and `!Sub X` as `{"Fn::Sub": "X"}`.
pub fn template() -> &'static Value {
    &TEMPLATE
}

fn to_json(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                "Ref" => "Ref".to_owned(),
                "Condition" => "Condition".to_owned(),
                name => format!("Fn::{name}"),
            };
            json!({ name: to_json(tagged.value) })
        }
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect(),
        Yaml::Mapping(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| (key.as_str().expect("a text key").to_owned(), to_json(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        plain => serde_json::to_value(plain).expect("a plain value"),
    }
}

/// The resources of a type: logical id and properties; at least one.
fn resources(of: &str) -> Vec<(&'static str, &'static Value)> {
    let all = TEMPLATE["Resources"].as_object().expect("resources").iter();
    let found: Vec<(&str, &Value)> =
        all.filter(|(_, resource)| resource["Type"] == of).map(|(id, resource)| (id.as_str(), &resource["Properties"])).collect();
    assert!(!found.is_empty(), "the template has no {of}");
    found
}

fn resource(id: &str) -> &'static Value {
    let resource = &TEMPLATE["Resources"][id];
    assert!(resource.is_object(), "the template has no {id}");
    resource
}

/// One or many, as policies may be written.
fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

fn attribute(id: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": format!("{id}.{name}") })
}

fn data_key() -> Value {
    attribute("DataKey", "Arn")
}

/// A statement, or both branches of a conditional one.
fn whatever_the_conditions(statement: &'static Value) -> Vec<&'static Value> {
    match statement["Fn::If"].as_array() {
        Some(branches) => branches[1..].iter().filter(|branch| branch.get("Effect").is_some()).collect(),
        None => vec![statement],
    }
}

/// Every statement of every policy, with where it is.
fn statements() -> Vec<(String, &'static Value)> {
    let mut found = Vec::new();
    let mut open: Vec<(String, &Value)> =
        TEMPLATE["Resources"].as_object().expect("resources").iter().map(|(id, value)| (id.clone(), value)).collect();
    while let Some((place, value)) = open.pop() {
        match value {
            Value::Object(pairs) => {
                if let Some(statement) = pairs.get("Statement") {
                    let all = many(statement).into_iter().flat_map(whatever_the_conditions);
                    found.extend(all.map(|s| (format!("{place} {}", s["Sid"].as_str().unwrap_or("")), s)));
                }
                open.extend(pairs.values().map(|value| (place.clone(), value)));
            }
            Value::Array(items) => open.extend(items.iter().map(|value| (place.clone(), value))),
            _ => {}
        }
    }
    assert!(found.len() > 20, "only {} statements", found.len());
    found
}

/// The allowing statements of a function's role.
fn allowed_to(function: &str) -> Vec<&'static Value> {
    let role = resource(&format!("{function}Role"));
    let policies = role["Properties"]["ManagedPolicyArns"].as_array().expect("managed policies");
    assert!(role["Properties"].get("Policies").is_none(), "{function}Role has policies beside its managed one");
    let mut statements = Vec::new();
    let attached = policies.iter().map(|policy| resource(policy["Ref"].as_str().expect("a policy of this template")));
    // Policies may name their roles instead: those that a condition leaves out.
    let names_it = |policy: &Value| many(&policy["Properties"]["Roles"]).contains(&&json!({ "Ref": format!("{function}Role") }));
    let all = TEMPLATE["Resources"].as_object().expect("resources").values();
    let attaching = all.filter(|policy| policy["Type"] == "AWS::IAM::ManagedPolicy" && names_it(policy));
    for policy in attached.chain(attaching) {
        statements.extend(many(&policy["Properties"]["PolicyDocument"]["Statement"]));
    }
    assert!(statements.iter().all(|s| s["Effect"] == "Allow") && statements.len() >= 3, "{function}: {statements:?}");
    statements
}

/// The functions' names, such as `Chat`.
fn functions() -> Vec<(&'static str, &'static Value)> {
    let functions = resources("AWS::Serverless::Function").into_iter();
    functions.map(|(id, properties)| (id.strip_suffix("Function").expect("an id ends with Function"), properties)).collect()
}

/// The actions that a role has on anything whose ARN names this resource.
fn actions_on(function: &str, id: &str) -> BTreeSet<String> {
    let names = |resource: &Value| {
        let text = resource.to_string();
        text.contains(&format!("${{{id}}}")) || text.contains(&format!("\"{id}.")) || text.contains(&format!("\"{id}\""))
    };
    let statements = allowed_to(function).into_iter().filter(|s| many(&s["Resource"]).into_iter().any(names));
    statements.flat_map(|s| many(&s["Action"])).map(|a| a.as_str().expect("an action").to_owned()).collect()
}

fn set(actions: &[&str]) -> BTreeSet<String> {
    actions.iter().map(|action| (*action).to_owned()).collect()
}

/// A number, or the one that a mapping has for a stage.
fn number(value: &Value, stage: &str) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| {
        let path = value["Fn::FindInMap"].as_array().unwrap_or_else(|| panic!("{value} is no number"));
        assert_eq!(path[1], json!({ "Ref": "Stage" }));
        let (map, name) = (path[0].as_str().expect("a map"), path[2].as_str().expect("a name"));
        TEMPLATE["Mappings"][map][stage][name].as_u64().unwrap_or_else(|| panic!("{map}.{stage}.{name}"))
    })
}

fn stages() -> Vec<&'static str> {
    TEMPLATE["Parameters"]["Stage"]["AllowedValues"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|s| s.as_str().expect("a name"))
        .collect()
}

#[test]
fn every_bucket_is_encrypted_with_our_key_versioned_private_and_owned_by_us() {
    for (id, bucket) in resources("AWS::S3::Bucket") {
        let rules = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"].as_array().expect("rules");
        let default = json!({ "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": data_key() });
        assert_eq!(rules, &[json!({ "BucketKeyEnabled": true, "ServerSideEncryptionByDefault": default })], "{id}");
        assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled", "{id}");
        let private = json!({ "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true });
        assert_eq!(bucket["PublicAccessBlockConfiguration"], private, "{id}");
        assert_eq!(bucket["OwnershipControls"]["Rules"], json!([{ "ObjectOwnership": "BucketOwnerEnforced" }]), "{id}");
        let rules = bucket["LifecycleConfiguration"]["Rules"].as_array().expect("rules");
        assert!(
            rules.iter().any(|r| r["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1),
            "{id} keeps abandoned parts"
        );
    }
}

/// What a statement that refuses plain HTTP says. `never` is for the local emulator, which has no TLS.
fn refuses_plain_http(statement: &Value, actions: &str) -> bool {
    let condition = json!({ "Bool": { "aws:SecureTransport": { "Fn::If": ["Aws", "false", "never"] } } });
    statement["Effect"] == "Deny"
        && statement["Principal"] == "*"
        && statement["Action"] == actions
        && statement["Condition"] == condition
}

#[test]
fn every_bucket_and_queue_refuses_plain_http() {
    for (id, _) in resources("AWS::S3::Bucket") {
        let policies = resources("AWS::S3::BucketPolicy");
        let (_, policy) =
            policies.iter().find(|(_, policy)| policy["Bucket"] == json!({ "Ref": id })).expect("a policy for each bucket");
        let both = json!([
            { "Fn::Sub": format!("arn:${{AWS::Partition}}:s3:::${{{id}}}") },
            { "Fn::Sub": format!("arn:${{AWS::Partition}}:s3:::${{{id}}}/*") },
        ]);
        let statements = many(&policy["PolicyDocument"]["Statement"]);
        assert!(statements.iter().any(|s| refuses_plain_http(s, "s3:*") && s["Resource"] == both), "{id}");
        assert!(statements.iter().all(|s| s["Effect"] == "Deny"), "{id} lets somebody in by its bucket policy");
    }
    for (id, _) in resources("AWS::SQS::Queue") {
        let policies = resources("AWS::SQS::QueuePolicy");
        let (_, policy) =
            policies.iter().find(|(_, policy)| policy["Queues"] == json!([{ "Ref": id }])).expect("a policy for each queue");
        let statements = many(&policy["PolicyDocument"]["Statement"]);
        assert!(statements.iter().any(|s| refuses_plain_http(s, "sqs:*") && s["Resource"] == attribute(id, "Arn")), "{id}");
        for allowing in statements.iter().filter(|s| s["Effect"] == "Allow") {
            assert_eq!(allowing["Principal"], json!({ "Service": "events.amazonaws.com" }), "{id}");
            let rules = json!([attribute("ObjectRule", "Arn"), attribute("UpkeepRule", "Arn")]);
            assert_eq!(allowing["Condition"]["ArnEquals"]["aws:SourceArn"], rules, "{id}");
        }
    }
}

#[test]
fn every_table_is_encrypted_with_our_key_and_can_be_restored_to_any_second() {
    for (id, table) in resources("AWS::DynamoDB::Table") {
        assert_eq!(
            table["SSESpecification"],
            json!({ "SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": data_key() }),
            "{id}"
        );
        assert_eq!(table["PointInTimeRecoverySpecification"], json!({ "PointInTimeRecoveryEnabled": true }), "{id}");
        assert_eq!(table["DeletionProtectionEnabled"], json!({ "Fn::If": ["Aws", true, false] }), "{id}");
    }
    let expiry = json!({ "AttributeName": "expires_at", "Enabled": true });
    assert_eq!(resource("AuditTable")["Properties"]["TimeToLiveSpecification"], expiry);
}

#[test]
fn every_queue_and_topic_is_encrypted_with_our_key_and_what_fails_is_parked() {
    let queues = resources("AWS::SQS::Queue");
    let mut parking: BTreeSet<&str> = BTreeSet::new();
    for (id, queue) in &queues {
        assert_eq!(queue["KmsMasterKeyId"], data_key(), "{id}");
        assert_eq!(queue["MessageRetentionPeriod"], 1_209_600, "{id} keeps messages for less than fourteen days");
        if let Some(target) = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].as_str() {
            assert!(queue["RedrivePolicy"]["maxReceiveCount"].as_u64().is_some_and(|count| (2..=5).contains(&count)), "{id}");
            parking.insert(target.strip_suffix(".Arn").expect("an ARN"));
        }
    }
    // A stream's consumer names its queue itself.
    for (_, function) in functions() {
        let sources = function["Events"].as_object().expect("events").values();
        let parked_in =
            sources.filter_map(|s| s["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"].as_str());
        parking.extend(parked_in.map(|target| target.strip_suffix(".Arn").expect("an ARN")));
    }
    for (id, queue) in &queues {
        assert!(queue.get("RedrivePolicy").is_some() || parking.contains(id), "{id} neither parks nor is parked into");
    }
    let alarms = resources("AWS::CloudWatch::Alarm");
    for id in parking {
        let watched = alarms.iter().any(|(_, alarm)| alarm["Dimensions"][0]["Value"] == attribute(id, "QueueName"));
        assert!(watched, "nobody hears of what is parked in {id}");
    }
    for (id, topic) in resources("AWS::SNS::Topic") {
        assert_eq!(topic["KmsMasterKeyId"], data_key(), "{id}");
    }
    for (id, rule) in resources("AWS::Events::Rule") {
        for target in many(&rule["Targets"]) {
            assert!(target["DeadLetterConfig"]["Arn"].is_object(), "{id} loses what it cannot deliver");
        }
    }
}

#[test]
fn every_key_rotates() {
    for (id, key) in resources("AWS::KMS::Key") {
        if key["KeyUsage"] == "SIGN_VERIFY" {
            // What it has signed is checked with its one public half.
            assert_eq!((id, &key["PendingWindowInDays"]), ("SealKey", &json!(30)));
            continue;
        }
        if key["KeyUsage"] == "GENERATE_VERIFY_MAC" {
            // KMS rotates no such key, and what it makes must stay the same.
            assert!(["PseudonymKey", "ConversationKey"].contains(&id), "{id}");
            assert_eq!(key["PendingWindowInDays"], 30, "{id}");
            continue;
        }
        assert_eq!((&key["EnableKeyRotation"], &key["PendingWindowInDays"]), (&json!(true), &json!(30)), "{id}");
    }
}

#[test]
fn every_function_has_a_log_group_a_role_and_an_alarm_of_its_own() {
    let alarms = resources("AWS::CloudWatch::Alarm");
    let mut roles = BTreeSet::new();
    for (name, function) in functions() {
        let kebab =
            function["CodeUri"].as_str().and_then(|uri| uri.strip_prefix("target/lambda/")?.strip_suffix('/')).expect("a folder");
        assert_eq!(function["LoggingConfig"], json!({ "LogGroup": { "Ref": format!("{name}LogGroup") } }), "{name}");
        let group = resource(&format!("{name}LogGroup"));
        assert_eq!(group["Properties"]["LogGroupName"], json!({ "Fn::Sub": format!("/clinchat/${{AWS::StackName}}/{kebab}") }));
        assert_eq!(function["Role"], attribute(&format!("{name}Role"), "Arn"), "{name}");
        assert!(function.get("Policies").is_none(), "{name}: SAM would widen the role");
        roles.insert(function["Role"].to_string());
        // A queue's consumer is watched at the queue where its failures are parked.
        let is_api = function["Events"].as_object().expect("events").values().any(|event| event["Type"] == "Api");
        let errors = json!([{ "Name": "FunctionName", "Value": { "Ref": format!("{name}Function") } }]);
        let watched = alarms.iter().any(|(_, alarm)| alarm["MetricName"] == "Errors" && alarm["Dimensions"] == errors);
        assert!(watched || !is_api, "{name} fails unheard");
        // An answered 500 is no error of the function's: the API counts those.
        assert!(alarms.iter().any(|(_, alarm)| alarm["MetricName"] == "5XXError"), "answered failures are unheard");
        let trust = &resource(&format!("{name}Role"))["Properties"]["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(
            trust,
            &json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }])
        );
    }
    assert_eq!(roles.len(), functions().len(), "two functions share a role");
    for (id, alarm) in alarms {
        assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "AlertsTopic" }]), "{id}");
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.contains("runbook")), "{id} does not say what to do");
    }
}

#[test]
fn every_log_group_has_a_retention_and_our_key() {
    for (id, group) in resources("AWS::Logs::LogGroup") {
        assert_eq!(group["RetentionInDays"], json!({ "Ref": "LogRetentionDays" }), "{id}");
        assert_eq!(group["KmsKeyId"], json!({ "Fn::If": ["Aws", data_key(), { "Ref": "AWS::NoValue" }] }), "{id}");
    }
    assert_eq!(TEMPLATE["Parameters"]["LogRetentionDays"]["Default"], 365);
}

#[test]
fn the_audit_table_can_be_appended_to_and_read_by_auditors_and_nothing_else_by_any_role() {
    /// Functions that read the trail for somebody who may. They append the reading first.
    const READERS: &[&str] = &["Audit"];
    for (function, _) in functions() {
        let on_table: BTreeSet<String> =
            actions_on(function, "AuditTable").into_iter().filter(|action| !STREAM_ACTIONS.contains(&action.as_str())).collect();
        let expected: &[&str] = match function {
            // They look on.
            "AuditSeal" | "AuditAlerts" => &[],
            reader if READERS.contains(&reader) => &["dynamodb:PutItem", "dynamodb:Query"],
            _ => &["dynamodb:PutItem"],
        };
        assert_eq!(on_table, set(expected), "{function}");
    }
    // Asks whether a request has a row, and for nothing else.
    let asks = allowed_to("AuditReconcile").into_iter().find(|s| s["Action"] == json!(["dynamodb:Query"])).expect("a statement");
    assert_eq!(asks["Resource"], json!({ "Fn::Sub": "${AuditTable.Arn}/index/by-request" }));
    // Not by any other policy of the template either.
    for (place, statement) in statements().into_iter().filter(|(_, statement)| statement["Effect"] == "Allow") {
        let is_audit = statement["Resource"].to_string().contains("AuditTable");
        for action in many(&statement["Action"]).iter().filter_map(|action| action.as_str()).filter(|_| is_audit) {
            let allowed = ["dynamodb:PutItem", "dynamodb:Query"].contains(&action) || STREAM_ACTIONS.contains(&action);
            assert!(allowed, "{place} allows {action} on the trail");
        }
    }
}

/// What a function that is started by the trail's stream needs.
const STREAM_ACTIONS: &[&str] =
    &["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];

#[test]
fn the_pseudonyms_key_is_used_by_the_audit_api_alone_and_for_codes_alone() {
    for (function, _) in functions() {
        let expected: &[&str] = if function == "Audit" { &["kms:GenerateMac"] } else { &[] };
        assert_eq!(actions_on(function, "PseudonymKey"), set(expected), "{function}");
    }
}

#[test]
fn conversations_and_their_key_are_the_chat_functions_alone() {
    for (function, _) in functions() {
        let (key, table): (&[&str], &[&str]) = match function {
            "Chat" => (&["kms:GenerateMac"], &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]),
            _ => (&[], &[]),
        };
        assert_eq!(actions_on(function, "ConversationKey"), set(key), "{function}");
        assert_eq!(actions_on(function, "ConversationsTable"), set(table), "{function}");
    }
}

#[test]
fn the_sealed_trail_can_be_added_to_by_one_role_and_changed_or_removed_by_nobody() {
    assert_eq!(TEMPLATE["Parameters"]["AuditRetentionDays"]["Default"], 2_192);
    for id in ["ArchiveBucket", "PinBucket"] {
        let bucket = &resource(id)["Properties"];
        let lock = json!({ "ObjectLockEnabled": "Enabled", "Rule": { "DefaultRetention": { "Mode": "COMPLIANCE", "Days": { "Ref": "AuditRetentionDays" } } } });
        assert_eq!((&bucket["ObjectLockEnabled"], &bucket["ObjectLockConfiguration"]), (&json!(true), &lock));
        let policy = &resource(&format!("{id}Policy"))["Properties"]["PolicyDocument"]["Statement"];
        let denied = |sid: &str| many(policy).into_iter().find(|s| s["Sid"] == sid).unwrap_or_else(|| panic!("no {sid}"));
        let everything = json!({ "Fn::Sub": format!("arn:${{AWS::Partition}}:s3:::${{{id}}}/*") });
        for sid in ["NothingIsRemoved", "NothingIsOverwritten", "NoWeakerLock", "NoShorterLock"] {
            let statement = denied(sid);
            let who = (&statement["Effect"], &statement["Principal"], &statement["Resource"]);
            assert_eq!(who, (&json!("Deny"), &json!("*"), &everything), "{id} {sid}");
        }
        assert_eq!(denied("NothingIsRemoved")["Action"], json!(["s3:DeleteObject", "s3:DeleteObjectVersion"]));
        assert_eq!(denied("NothingIsRemoved").get("Condition"), None);
        let unconditional = &denied("NothingIsOverwritten")["Condition"]["Null"]["s3:if-none-match"];
        assert_eq!(unconditional, &json!({ "Fn::If": ["Aws", "true", "false"] }));
    }
    for (function, _) in functions() {
        let (archive, pins, key): (&[&str], &[&str], &[&str]) = match function {
            "AuditSeal" => (
                &["s3:GetObject", "s3:ListBucket", "s3:ListBucketVersions", "s3:PutObject"],
                &[],
                &["kms:GetPublicKey", "kms:Sign"],
            ),
            // Whoever writes the trail cannot reach the pinned heads, and whoever pins them cannot write or sign.
            "AuditPin" => {
                (&["s3:GetObject", "s3:ListBucket"], &["s3:GetObject", "s3:ListBucket", "s3:PutObject"], &["kms:GetPublicKey"])
            }
            _ => (&[], &[], &[]),
        };
        assert_eq!(actions_on(function, "PinBucket"), set(pins), "{function}");
        assert_eq!(actions_on(function, "SealKey"), set(key), "{function}");
        // One statement lists both buckets.
        let on_archive: BTreeSet<String> = actions_on(function, "ArchiveBucket");
        assert_eq!(on_archive, set(archive), "{function}");
    }
}

#[test]
fn a_streams_consumer_takes_what_failed_again_in_part_and_parks_what_it_gives_up() {
    let mut sources = 0;
    for (name, function) in functions() {
        for event in function["Events"].as_object().expect("events").values().filter(|event| event["Type"] == "DynamoDB") {
            let source = &event["Properties"];
            assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{name}");
            assert_eq!(source["BisectBatchOnFunctionError"], true, "{name}");
            assert!(source["MaximumRetryAttempts"].is_u64(), "{name} tries for ever");
            let target = source["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"].as_str().expect("a queue");
            let queue = target.strip_suffix(".Arn").expect("an ARN");
            assert_eq!(actions_on(name, queue), set(&["sqs:SendMessage"]), "{name} may not park");
            sources += 1;
        }
    }
    assert!(sources >= 1);
}

#[test]
fn the_chat_role_reads_the_index_and_nothing_of_the_documents() {
    assert_eq!(actions_on("Chat", "DocumentsBucket"), set(&[]));
    // Which engine serves a tenant, if the stack has a vector bucket; not one row of a document.
    assert_eq!(actions_on("Chat", "DocumentsTable"), set(&["dynamodb:GetItem"]));
    let rows = allowed_to("Chat").into_iter().find(|statement| statement["Sid"] == "ReadEngines").expect("a statement");
    assert_eq!(rows["Condition"], json!({ "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["TENANTS"] } }));
    assert_eq!(actions_on("Chat", "IndexBucket"), set(&["s3:GetObject", "s3:ListBucket"]));
}

#[test]
fn a_stack_without_a_vector_bucket_makes_and_grants_nothing_of_one() {
    assert_eq!(TEMPLATE["Parameters"]["ScaleOut"]["Default"], "off");
    assert_eq!(TEMPLATE["Conditions"]["HasVectorBucket"], json!({ "Fn::Equals": [{ "Ref": "ScaleOut" }, "on"] }));
    let all = TEMPLATE["Resources"].as_object().expect("resources").iter();
    let mut conditional: Vec<&str> =
        all.clone().filter(|(_, resource)| resource["Condition"] == "HasVectorBucket").map(|(id, _)| id.as_str()).collect();
    conditional.sort_unstable();
    assert_eq!(conditional, ["ProveRemovalPolicy", "SearchVectorsPolicy", "VectorBucket", "WriteVectorsPolicy"]);
    for (id, resource) in all.filter(|(id, _)| !conditional.contains(&id.as_str())) {
        let text = resource.to_string();
        assert!(!text.contains("s3vectors") || id == "DataKey", "{id} knows of vectors");
        assert!(!text.contains("VectorBucket}"), "{id} names the vector bucket");
    }
    let key = &resource("DataKey")["Properties"]["KeyPolicy"]["Statement"];
    let mut knowing = many(key).into_iter().filter(|statement| statement.to_string().contains("s3vectors"));
    assert!(
        knowing.all(|statement| statement["Fn::If"][0] == "HasVectorBucket" && statement["Fn::If"][2]["Ref"] == "AWS::NoValue")
    );
    assert_eq!(actions_on("Chat", "VectorBucket"), set(&["s3vectors:QueryVectors", "s3vectors:GetVectors"]));
    let mut expected = set(&["s3vectors:PutVectors", "s3vectors:GetVectors", "s3vectors:DeleteVectors"]);
    assert_eq!(actions_on("Documents", "VectorBucket"), expected);
    // It asks for what it has removed.
    expected.extend(set(&["s3vectors:QueryVectors"]));
    assert_eq!(actions_on("Indexer", "VectorBucket"), expected);
    let encryption = &resource("VectorBucket")["Properties"]["EncryptionConfiguration"];
    assert_eq!(encryption, &json!({ "SseType": "aws:kms", "KmsKeyArn": data_key() }));
}

#[test]
fn the_documents_role_reaches_manifests_only_and_the_indexer_role_cannot_change_documents() {
    assert_eq!(actions_on("Documents", "IndexBucket"), set(&["s3:GetObject", "s3:PutObject", "s3:ListBucket"]));
    let objects = allowed_to("Documents").into_iter().flat_map(|s| many(&s["Resource"]));
    let objects: Vec<&str> = objects.filter_map(|r| r["Fn::Sub"].as_str()).filter(|r| r.contains("IndexBucket}/")).collect();
    assert_eq!(objects, ["arn:${AWS::Partition}:s3:::${IndexBucket}/index/*/manifest.json"], "no segment is in reach");
    assert_eq!(
        actions_on("Documents", "DocumentsBucket"),
        set(&["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucketVersions", "s3:DeleteObject"])
    );
    let reads = set(&["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions"]);
    assert_eq!(actions_on("Indexer", "DocumentsBucket"), reads);
    assert_eq!(actions_on("Indexer", "DocumentsTable"), set(&["dynamodb:GetItem", "dynamodb:UpdateItem"]));
    assert_eq!(
        actions_on("Indexer", "IndexerQueue"),
        set(&["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"])
    );
}

#[test]
fn i9_no_statement_allows_all_actions_or_all_resources_but_for_named_exceptions() {
    /// Where, and why.
    const EXCEPTIONS: &[(&str, &str)] = &[
        (
            "ConversationKey Account",
            "the account's root hands the key out by IAM policies, as KMS asks; in a key policy `*` is this key",
        ),
        ("DataKey Account", "the account's root hands the key out by IAM policies, as KMS asks; in a key policy `*` is this key"),
        ("DataKey Alarms", "in a key policy `*` is this key; actions and source account are named"),
        ("DataKey Events", "in a key policy `*` is this key; the queue's own policy names the rule"),
        ("DataKey Logs", "in a key policy `*` is this key; the log groups are named in the condition"),
        ("DataKey Vectors", "in a key policy `*` is this key; service, account and vector buckets are named"),
        (
            "PseudonymKey Account",
            "the account's root hands the key out by IAM policies, as KMS asks; in a key policy `*` is this key",
        ),
        ("SealKey Account", "the account's root hands the key out by IAM policies, as KMS asks; in a key policy `*` is this key"),
    ];
    let mut used = BTreeSet::new();
    for (place, statement) in statements() {
        for word in ["NotAction", "NotResource", "NotPrincipal"] {
            assert!(statement.get(word).is_none(), "{place} says {word}");
        }
        if statement["Effect"] == "Deny" {
            continue;
        }
        let wide_action = many(&statement["Action"]).iter().any(|a| a.as_str().is_some_and(|a| a.ends_with('*')));
        // A bare `*`, or an ARN whose last part is one without anything of ours before it.
        let wide_resource = many(&statement["Resource"]).iter().any(|resource| {
            let text = resource.as_str().or_else(|| resource["Fn::Sub"].as_str()).unwrap_or_default();
            text == "*" || (text.contains('*') && !text.contains("Bucket}/"))
        });
        let everybody = statement["Principal"] == "*" || statement["Principal"]["AWS"] == "*";
        assert!(!everybody, "{place} allows everybody");
        if wide_action || wide_resource {
            assert!(EXCEPTIONS.iter().any(|(named, _)| *named == place), "{place} is wide: {statement}");
            used.insert(place);
        }
    }
    assert_eq!(
        used.into_iter().collect::<Vec<_>>(),
        EXCEPTIONS.iter().map(|(place, _)| *place).collect::<Vec<_>>(),
        "an exception is no longer needed"
    );
}

#[test]
fn every_role_uses_the_key_through_its_own_services_only() {
    for (function, _) in functions() {
        for statement in allowed_to(function) {
            // These have tests of their own: they are used directly.
            let is_data =
                !["PseudonymKey", "SealKey", "ConversationKey"].iter().any(|key| statement["Resource"] == attribute(key, "Arn"));
            if is_data && many(&statement["Action"]).iter().any(|a| a.as_str().is_some_and(|a| a.starts_with("kms:"))) {
                let services = many(&statement["Condition"]["StringEquals"]["kms:ViaService"]);
                let are_named = services.iter().all(|service| service["Fn::Sub"].as_str().is_some_and(|s| !s.contains('*')));
                assert!(are_named && !services.is_empty(), "{function}: {statement}");
                assert_eq!(statement["Resource"], data_key(), "{function}");
            }
        }
    }
}

/// Every place that differs between AWS and the local emulator.
fn only_on_aws(place: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(pairs) => {
            // `AwsUsesGroq`: on AWS, and with that provider.
            if pairs.get("Condition").is_some_and(|condition| condition.as_str().is_some_and(|name| name.starts_with("Aws")))
                || pairs.get("Fn::If").is_some_and(|choice| choice[0] == "Aws")
            {
                found.insert(place.to_owned());
            }
            for (name, value) in pairs {
                let at = if name.starts_with("Fn::") { place.to_owned() } else { format!("{place}.{name}") };
                only_on_aws(&at, value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| only_on_aws(place, item, found)),
        _ => {}
    }
}

#[test]
fn what_the_local_emulator_does_not_prove_is_exactly_this_list() {
    let mut found = BTreeSet::new();
    for part in ["Globals", "Resources", "Outputs"] {
        only_on_aws(part, &TEMPLATE[part], &mut found);
    }
    let expected = [
        // Where certificates are, on the platform.
        "Globals.Function.Environment.Variables.SSL_CERT_FILE",
        // Tracing is refused by the emulator.
        "Resources.Api.Properties.TracingEnabled",
        // One setting of the account: who writes the access logs of its APIs. The emulator asks nobody.
        "Resources.ApiAccount",
        "Resources.ApiLogRole",
        // The emulator's log groups take no key.
        "Resources.AdminLogGroup.Properties.KmsKeyId",
        "Resources.ApiLogGroup.Properties.KmsKeyId",
        "Resources.AuditLogGroup.Properties.KmsKeyId",
        "Resources.AuditPinLogGroup.Properties.KmsKeyId",
        "Resources.AuditReconcileLogGroup.Properties.KmsKeyId",
        "Resources.AuditAlertsLogGroup.Properties.KmsKeyId",
        "Resources.AuditSealLogGroup.Properties.KmsKeyId",
        "Resources.ChatLogGroup.Properties.KmsKeyId",
        "Resources.DocumentsLogGroup.Properties.KmsKeyId",
        "Resources.IndexerLogGroup.Properties.KmsKeyId",
        "Resources.KeyRotationLogGroup.Properties.KmsKeyId",
        // The emulator has no such types: who else may touch a secret, and the calendar of Secrets Manager.
        "Resources.GeminiKeyOwners",
        "Resources.GeminiKeySchedule",
        "Resources.GeminiPoolOwners",
        "Resources.GoogleAccountOwners",
        "Resources.GroqKeyOwners",
        "Resources.GroqKeySchedule",
        "Resources.GroqPoolOwners",
        "Resources.OpenaiCompatibleKeyOwners",
        "Resources.OpenaiCompatibleKeySchedule",
        "Resources.OpenaiCompatiblePoolOwners",
        "Resources.StoreMayRotate",
        // What says something every hour: a stack of a test run is not up for so long.
        "Resources.AuditReconcileSilentAlarm",
        "Resources.AuditSealSilentAlarm",
        // A stack of a test run has to go away again.
        "Resources.AuditStateTable.Properties.DeletionProtectionEnabled",
        "Resources.AuditTable.Properties.DeletionProtectionEnabled",
        "Resources.ConversationsTable.Properties.DeletionProtectionEnabled",
        "Resources.DocumentsTable.Properties.DeletionProtectionEnabled",
        "Resources.LedgerTable.Properties.DeletionProtectionEnabled",
        "Resources.LimitsTable.Properties.DeletionProtectionEnabled",
        // The emulator does not know whether a write is conditional.
        "Resources.ArchiveBucketPolicy.Properties.PolicyDocument.Statement.Condition.Null.s3:if-none-match",
        "Resources.PinBucketPolicy.Properties.PolicyDocument.Statement.Condition.Null.s3:if-none-match",
        // The emulator speaks plain HTTP.
        "Resources.ArchiveBucketPolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
        "Resources.PinBucketPolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
        "Resources.AuditAlertsFailureQueuePolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
        "Resources.AuditSealFailureQueuePolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
        "Resources.DocumentsBucketPolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
        "Resources.IndexBucketPolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
        "Resources.IndexerDeadLetterQueuePolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
        "Resources.IndexerQueuePolicy.Properties.PolicyDocument.Statement.Condition.Bool.aws:SecureTransport",
    ];
    assert_eq!(found, set(&expected));
}

#[test]
fn the_index_bucket_tells_nobody_what_is_written_so_the_indexer_cannot_trigger_itself() {
    assert_eq!(resource("IndexBucket")["Properties"].get("NotificationConfiguration"), None);
    let documents = &resource("DocumentsBucket")["Properties"]["NotificationConfiguration"];
    assert_eq!(documents, &json!({ "EventBridgeConfiguration": { "EventBridgeEnabled": true } }));
    let pattern = &resource("ObjectRule")["Properties"]["EventPattern"];
    assert_eq!(pattern["detail"]["bucket"]["name"], json!([{ "Ref": "DocumentsBucket" }]));
    assert_eq!(pattern["detail-type"], json!(["Object Created", "Object Deleted"]));
}

#[test]
fn timeouts_are_nested_so_that_whoever_waits_waits_longer() {
    /// What API Gateway waits for a function, in seconds.
    const API_WAITS: u64 = 29;
    for stage in stages() {
        for (name, function) in functions() {
            let timeout = number(&function["Timeout"], stage);
            assert!((1..=900).contains(&timeout), "{name} on {stage}: {timeout} s");
            for event in function["Events"].as_object().expect("events").values() {
                if event["Type"] == "Api" {
                    assert!(timeout < API_WAITS, "{name}: the API gives up before its function does");
                }
                let Some(queue) = event["Properties"]["Queue"]["Fn::GetAtt"].as_str() else { continue };
                let queue = resource(queue.strip_suffix(".Arn").expect("an ARN"));
                let hidden = number(&queue["Properties"]["VisibilityTimeout"], stage);
                assert!(hidden >= timeout, "{name} on {stage}: a message shows again after {hidden} s, during its {timeout} s");
                // Less than six attempts' worth is safe only where deliveries are not used up by throttling.
                let source = &event["Properties"];
                assert!(hidden >= 6 * timeout || source["ScalingConfig"]["MaximumConcurrency"].is_u64(), "{name} on {stage}");
                assert_eq!(source["BatchSize"], 1, "{name}: the timeout is shared by a batch");
            }
        }
        let indexer = &resource("IndexerFunction")["Properties"];
        let claim = number(&indexer["Environment"]["Variables"]["CLAIM_SECONDS"], stage);
        assert_eq!(claim, number(&indexer["Timeout"], stage), "no state outlives the work behind it");
    }
    assert_eq!(TEMPLATE["Mappings"]["Sizes"].as_object().map(serde_json::Map::len), Some(stages().len()));
}

#[test]
fn a_batch_reports_its_failures_one_by_one() {
    let mut sources = 0;
    for (name, function) in functions() {
        for event in function["Events"].as_object().expect("events").values().filter(|event| event["Type"] == "SQS") {
            assert_eq!(event["Properties"]["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{name}");
            assert!(event["Properties"]["ScalingConfig"]["MaximumConcurrency"].is_u64(), "{name} scales without a bound");
            sources += 1;
        }
    }
    assert!(sources >= 1);
}

#[test]
fn what_holds_state_survives_the_stack() {
    let stateful = ["AWS::Cognito::UserPool", "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::S3::Bucket"];
    let mut kept = 0;
    for (id, resource) in TEMPLATE["Resources"].as_object().expect("resources") {
        let of = resource["Type"].as_str().expect("a type");
        if stateful.contains(&of) || id.ends_with("DeadLetterQueue") {
            assert_eq!(
                (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
                (&json!("RetainExceptOnCreate"), &json!("Retain")),
                "{id}"
            );
            kept += 1;
        }
    }
    assert!(kept >= 10, "only {kept} resources hold state");
}

#[test]
fn every_route_needs_a_signed_in_person_who_cannot_choose_their_tenant() {
    let auth = &resource("Api")["Properties"]["Auth"];
    assert_eq!(auth["DefaultAuthorizer"], "People");
    assert_eq!(auth["Authorizers"]["People"]["UserPoolArn"], attribute("UserPool", "Arn"));
    for (name, function) in functions() {
        for event in function["Events"].as_object().expect("events").values().filter(|event| event["Type"] == "Api") {
            assert_eq!(event["Properties"].get("Auth"), None, "{name} has a route with rules of its own");
            assert_ne!(event["Properties"]["Method"], "any", "{name}");
        }
    }
    let client = &resource("UserPoolClient")["Properties"];
    assert_eq!(client["WriteAttributes"], json!(["email"]));
    assert_eq!(client["PreventUserExistenceErrors"], "ENABLED");
    assert_eq!(resource("UserPool")["Properties"]["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"], true);
    assert_eq!(resource("Api")["Properties"]["MethodSettings"][0]["DataTraceEnabled"], false, "bodies would be logged");
}

#[test]
fn the_gateway_refuses_in_the_same_form_as_the_functions() {
    let responses = resource("Api")["Properties"]["GatewayResponses"].as_object().expect("responses");
    for (name, response) in responses {
        assert_eq!(response["ResponseParameters"]["Headers"]["Content-Type"], "'application/problem+json'", "{name}");
        let template = response["ResponseTemplates"]["application/json"].as_str().expect("a template");
        let problem: Value = serde_json::from_str(template).expect("JSON");
        assert_eq!(Some(problem["status"].to_string()), response["StatusCode"].as_str().map(str::to_owned), "{name}");
        assert!(problem["type"].as_str().is_some_and(|kind| kind.starts_with("urn:clinchat:problem:")), "{name}");
        assert_eq!(problem["trace_id"], "$context.extendedRequestId", "{name}");
    }
    for needed in [
        "MISSING_AUTHENTICATION_TOKEN",
        "UNAUTHORIZED",
        "ACCESS_DENIED",
        "EXPIRED_TOKEN",
        "REQUEST_TOO_LARGE",
        "THROTTLED",
        "DEFAULT_5XX",
    ] {
        assert!(responses.contains_key(needed), "{needed} speaks the gateway's own language");
    }
}

#[test]
fn the_stages_of_samconfig_are_those_of_the_template() {
    let config = text("samconfig.toml");
    for stage in stages() {
        assert!(config.contains(&format!("[{stage}.deploy.parameters]")), "samconfig.toml has no stage {stage}");
    }
}

#[test]
fn a_providers_key_is_deployed_and_read_by_the_chat_function_only_if_the_provider_is_chosen() {
    const ROTATION: &[&str] = &[
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecretVersionIds",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    ];
    let (mut keys, mut pools) = (0, 0);
    for (id, secret) in TEMPLATE["Resources"].as_object().expect("resources") {
        if secret["Type"] != "AWS::SecretsManager::Secret" {
            continue;
        }
        let condition = secret["Condition"].as_str().expect("a provider that is chosen");
        assert_eq!(secret["Properties"]["KmsKeyId"], data_key(), "{id}");
        assert!(secret["Properties"].get("SecretString").is_none(), "no key is written in a template");
        let (chat, rotation) = match (id.strip_suffix("Key"), id.strip_suffix("Pool")) {
            (Some(provider), _) => {
                keys += 1;
                // An endpoint of one's own may ask for none.
                assert!(
                    [format!("Uses{provider}"), format!("Has{provider}Key")].contains(&condition.to_owned()),
                    "{id}: {condition}"
                );
                let policy = resource(&format!("Read{id}Policy"));
                let roles = (&policy["Condition"], policy["Properties"]["Roles"][0]["Ref"].as_str());
                assert_eq!(roles, (&secret["Condition"], Some("ChatRole")));
                (set(&["secretsmanager:GetSecretValue"]), set(ROTATION))
            }
            (_, Some(provider)) => {
                pools += 1;
                // An endpoint of one's own may ask for none.
                assert!(
                    [format!("Uses{provider}"), format!("Has{provider}Key")].contains(&condition.to_owned()),
                    "{id}: {condition}"
                );
                (BTreeSet::new(), set(ROTATION))
            }
            _ => {
                assert_eq!((id.as_str(), condition), ("GoogleAccount", "MintsGeminiKeys"));
                (BTreeSet::new(), set(&ROTATION[..3]))
            }
        };
        for (function, _) in functions() {
            let expected = match function {
                "Chat" => chat.clone(),
                "KeyRotation" => rotation.clone(),
                _ => BTreeSet::new(),
            };
            assert_eq!(actions_on(function, id), expected, "{function} and {id}");
        }
    }
    assert_eq!((keys, pools), (3, 3));
}

#[test]
fn nobody_but_the_rotation_writes_a_key_and_nobody_but_it_and_chat_reads_one() {
    for (id, _) in resources("AWS::SecretsManager::Secret") {
        let owners = resource(&format!("{id}Owners"));
        assert_eq!(owners["Properties"]["SecretId"], attribute(id, "Id"), "{id}");
        let mut denied = BTreeSet::new();
        for statement in many(&owners["Properties"]["ResourcePolicy"]["Statement"]) {
            assert_eq!((&statement["Effect"], &statement["Principal"]), (&json!("Deny"), &json!("*")), "{id}");
            let spared = many(&statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]);
            for action in many(&statement["Action"]).into_iter().map(|action| action.as_str().expect("an action")) {
                denied.insert(action.to_owned());
                let may_chat = action == "secretsmanager:GetSecretValue" && id.ends_with("Key");
                let mut expected = vec![attribute("KeyRotationRole", "Arn")];
                expected.extend(may_chat.then(|| attribute("ChatRole", "Arn")));
                // A deployment may change a description, which is the same call.
                let is_update = action == "secretsmanager:UpdateSecret";
                let by = &statement["Condition"]["ForAllValues:StringNotEquals"]["aws:CalledVia"][0];
                assert_eq!(by.as_str(), is_update.then_some("cloudformation.amazonaws.com"), "{id} {action}");
                assert_eq!(spared.iter().map(|arn| (*arn).clone()).collect::<Vec<_>>(), expected, "{id} {action}");
            }
        }
        let guarded = [
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecret",
            "secretsmanager:UpdateSecretVersionStage",
        ];
        // An account of Google's is put in by hand; a key is not.
        assert_eq!(denied, set(if id == "GoogleAccount" { &guarded[..1] } else { &guarded }), "{id}");
    }
}

#[test]
fn silence_is_an_alarm_where_somebody_speaks_every_hour() {
    let alarms = resources("AWS::CloudWatch::Alarm");
    let silent: Vec<_> = alarms.iter().filter(|(id, _)| id.ends_with("SilentAlarm")).collect();
    let names: Vec<&str> = silent.iter().map(|(id, _)| *id).collect();
    assert_eq!(names, ["AuditReconcileSilentAlarm", "AuditSealSilentAlarm"]);
    for (id, properties) in silent {
        assert_eq!(properties["TreatMissingData"], "breaching", "{id}");
        assert_eq!(properties["ComparisonOperator"], "LessThanThreshold", "{id}");
        // An hour, thrice: the comparison runs hourly, leaves a row and so gives the seal something to seal.
        assert_eq!((&properties["Period"], &properties["EvaluationPeriods"]), (&3600.into(), &3.into()), "{id}");
        assert!(properties["AlarmActions"].as_array().is_some_and(|actions| !actions.is_empty()), "{id}");
    }
    let events = &resource("AuditReconcileFunction")["Properties"]["Events"];
    assert_eq!(events["Hourly"]["Properties"]["Schedule"], "cron(20 * * * ? *)");
}
