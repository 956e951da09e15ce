"""Gives the deployed stack the properties that the emulator's CloudFormation drops, through public APIs only.

The processed template is the only source: each fix-up names a resource type and a property, reads what the service has, and
where that differs from the template, writes it and reads it back. A fix-up that finds everything right on a new stack is not
needed any more and says so.

Order of reading: run, the table FIXUPS, the fix-ups, then how the template's expressions are resolved. As a command:

    AWS_ENDPOINT_URL=http://127.0.0.1:4566 python local/fixups.py
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Callable

import boto3
import botocore.exceptions

import deploy

PROJECT = Path(__file__).resolve().parent.parent


class FixupError(Exception):
    """A property could not be given, or did not stay."""


@dataclasses.dataclass(frozen=True)
class Fixup:
    """One property of one resource type: how its service's API spells it, reads it and writes it."""

    resource_type: str
    property: str
    # Template value -> what `read` should return.
    wanted: Callable[[Any], Any]
    # (session, physical id, properties) -> the present value, None if there is none.
    read: Callable[[boto3.Session, str, dict[str, Any]], Any]
    # (session, physical id, properties, wanted value).
    write: Callable[[boto3.Session, str, dict[str, Any], Any], None]


@dataclasses.dataclass(frozen=True)
class Report:
    """What happened, as "LogicalId.Property"."""

    applied: list[str]
    already_right: list[str]


def run(session: boto3.Session, stack_name: str) -> Report:
    """Applies every fix-up to every resource that the stack really has."""
    stack = Stack.load(session, stack_name)
    applied, already_right = [], []
    for logical_id, physical_id in stack.physical_ids.items():
        resource = stack.template["Resources"].get(logical_id, {})
        for fixup in FIXUPS:
            if resource.get("Type") != fixup.resource_type or fixup.property not in resource.get("Properties", {}):
                continue
            properties = stack.resolve(resource["Properties"], only=(fixup.property, *_CONTEXT.get(fixup.resource_type, ())))
            if properties.get(fixup.property) is None:
                continue
            name = f"{logical_id}.{fixup.property}"
            wanted = fixup.wanted(properties[fixup.property])
            if fixup.read(session, physical_id, properties) == wanted:
                already_right.append(name)
                continue
            fixup.write(session, physical_id, properties, wanted)
            present = fixup.read(session, physical_id, properties)
            if present != wanted:
                raise FixupError(f"{name}: wanted {json.dumps(wanted, default=str)}, but the service says {json.dumps(present, default=str)}.")
            applied.append(name)
    return Report(applied, already_right)


# Further properties that a type's fix-ups need to find their resource.
_CONTEXT = {"AWS::ApiGateway::Stage": ("RestApiId",)}


# ---------------------------------------------------------------- S3


def _bucket_encryption(value: dict[str, Any]) -> Any:
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        default = rule["ServerSideEncryptionByDefault"]
        rules.append({"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": rule.get("BucketKeyEnabled", False)})
    return rules


def _read_bucket_encryption(session: boto3.Session, bucket: str, _: dict[str, Any]) -> Any:
    return session.client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]


def _write_bucket_encryption(session: boto3.Session, bucket: str, _: dict[str, Any], rules: Any) -> None:
    session.client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def _lifecycle(value: dict[str, Any]) -> Any:
    """CloudFormation's spelling of lifecycle rules to the API's. An unknown key is an error, not a silent loss."""
    rules = []
    for rule in value["Rules"]:
        rest = dict(rule)
        result = {"ID": rest.pop("Id"), "Status": rest.pop("Status"), "Filter": {"Prefix": rest.pop("Prefix", "")}}
        for name in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
            if name in rest:
                # What comes from a parameter is text.
                result[name] = {key: int(days) for key, days in rest.pop(name).items()}
        if "ExpirationInDays" in rest:
            result["Expiration"] = {"Days": rest.pop("ExpirationInDays")}
        if "Transitions" in rest:
            result["Transitions"] = [{"Days": t["TransitionInDays"], "StorageClass": t["StorageClass"]} for t in rest.pop("Transitions")]
        if rest:
            raise FixupError(f"Lifecycle rule {result['ID']}: fixups.py does not know {', '.join(sorted(rest))}.")
        rules.append(result)
    return rules


def _read_lifecycle(session: boto3.Session, bucket: str, _: dict[str, Any]) -> Any:
    return _unless("NoSuchLifecycleConfiguration", lambda: session.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])


def _write_lifecycle(session: boto3.Session, bucket: str, _: dict[str, Any], rules: Any) -> None:
    session.client("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _object_lock(value: dict[str, Any]) -> Any:
    """A parameter is text, the API takes numbers."""
    retention = dict(value["Rule"]["DefaultRetention"])
    for unit in ("Days", "Years"):
        if unit in retention:
            retention[unit] = int(retention[unit])
    return {**value, "Rule": {"DefaultRetention": retention}}


def _read_object_lock(session: boto3.Session, bucket: str, _: dict[str, Any]) -> Any:
    read = session.client("s3").get_object_lock_configuration
    return _unless("ObjectLockConfigurationNotFoundError", lambda: read(Bucket=bucket)["ObjectLockConfiguration"])


def _write_object_lock(session: boto3.Session, bucket: str, _: dict[str, Any], value: Any) -> None:
    session.client("s3").put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=value)


# ---------------------------------------------------------------- DynamoDB


def _read_time_to_live(session: boto3.Session, table: str, _: dict[str, Any]) -> Any:
    found = session.client("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return {"AttributeName": found.get("AttributeName"), "Enabled": found["TimeToLiveStatus"] == "ENABLED"}


def _write_time_to_live(session: boto3.Session, table: str, _: dict[str, Any], value: Any) -> None:
    session.client("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification=value)


def _read_recovery(session: boto3.Session, table: str, _: dict[str, Any]) -> Any:
    found = session.client("dynamodb").describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return {"PointInTimeRecoveryEnabled": found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"}


def _write_recovery(session: boto3.Session, table: str, _: dict[str, Any], value: Any) -> None:
    session.client("dynamodb").update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=value)


def _read_table_encryption(session: boto3.Session, table: str, _: dict[str, Any]) -> Any:
    found = session.client("dynamodb").describe_table(TableName=table)["Table"].get("SSEDescription") or {}
    return {"Enabled": found.get("Status") == "ENABLED", "SSEType": found.get("SSEType"), "KMSMasterKeyId": found.get("KMSMasterKeyArn")}


def _write_table_encryption(session: boto3.Session, table: str, _: dict[str, Any], value: Any) -> None:
    session.client("dynamodb").update_table(TableName=table, SSESpecification=value)


# ---------------------------------------------------------------- SNS


def _read_topic_key(session: boto3.Session, topic: str, _: dict[str, Any]) -> Any:
    return session.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"].get("KmsMasterKeyId")


def _write_topic_key(session: boto3.Session, topic: str, _: dict[str, Any], key: Any) -> None:
    session.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)


# ---------------------------------------------------------------- API Gateway


def _gateway_responses(body: dict[str, Any]) -> Any:
    found = body.get("x-amazon-apigateway-gateway-responses") or {}
    return {
        name: {
            "responseParameters": value.get("responseParameters") or {},
            "responseTemplates": value.get("responseTemplates") or {},
            **({"statusCode": str(value["statusCode"])} if "statusCode" in value else {}),
        }
        for name, value in found.items()
    }


def _read_gateway_responses(session: boto3.Session, api: str, _: dict[str, Any]) -> Any:
    pages = session.client("apigateway").get_paginator("get_gateway_responses").paginate(restApiId=api)
    keys = ("responseParameters", "responseTemplates", "statusCode")
    return {
        item["responseType"]: {key: item[key] for key in keys if key in item}
        for page in pages
        for item in page["items"]
        if not item["defaultResponse"]
    }


def _write_gateway_responses(session: boto3.Session, api: str, _: dict[str, Any], wanted: Any) -> None:
    client = session.client("apigateway")
    for name, value in wanted.items():
        client.put_gateway_response(restApiId=api, responseType=name, **value)
    for name in _read_gateway_responses(session, api, {}).keys() - wanted.keys():
        client.delete_gateway_response(restApiId=api, responseType=name)
    # A deployment is a snapshot: what is put after it is not served.
    for stage in client.get_stages(restApiId=api)["item"]:
        client.create_deployment(restApiId=api, stageName=stage["stageName"])


def _read_access_log(session: boto3.Session, stage: str, properties: dict[str, Any]) -> Any:
    found = session.client("apigateway").get_stage(restApiId=properties["RestApiId"], stageName=stage).get("accessLogSettings") or {}
    return {"DestinationArn": found.get("destinationArn"), "Format": found.get("format")}


def _write_access_log(session: boto3.Session, stage: str, properties: dict[str, Any], wanted: Any) -> None:
    session.client("apigateway").update_stage(
        restApiId=properties["RestApiId"],
        stageName=stage,
        patchOperations=[
            {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": wanted["DestinationArn"]},
            {"op": "replace", "path": "/accessLogSettings/format", "value": wanted["Format"]},
        ],
    )


# ---------------------------------------------------------------- table


def _as_it_is(value: Any) -> Any:
    return value


def _table_encryption(value: dict[str, Any]) -> Any:
    return {"Enabled": value["SSEEnabled"], "SSEType": value.get("SSEType"), "KMSMasterKeyId": value.get("KMSMasterKeyId")}


FIXUPS = (
    Fixup("AWS::S3::Bucket", "BucketEncryption", _bucket_encryption, _read_bucket_encryption, _write_bucket_encryption),
    Fixup("AWS::S3::Bucket", "LifecycleConfiguration", _lifecycle, _read_lifecycle, _write_lifecycle),
    Fixup("AWS::S3::Bucket", "ObjectLockConfiguration", _object_lock, _read_object_lock, _write_object_lock),
    Fixup("AWS::DynamoDB::Table", "TimeToLiveSpecification", _as_it_is, _read_time_to_live, _write_time_to_live),
    Fixup("AWS::DynamoDB::Table", "PointInTimeRecoverySpecification", _as_it_is, _read_recovery, _write_recovery),
    Fixup("AWS::DynamoDB::Table", "SSESpecification", _table_encryption, _read_table_encryption, _write_table_encryption),
    Fixup("AWS::SNS::Topic", "KmsMasterKeyId", _as_it_is, _read_topic_key, _write_topic_key),
    Fixup("AWS::ApiGateway::RestApi", "Body", _gateway_responses, _read_gateway_responses, _write_gateway_responses),
    Fixup("AWS::ApiGateway::Stage", "AccessLogSetting", _as_it_is, _read_access_log, _write_access_log),
)


def _unless(code: str, read: Callable[[], Any]) -> Any:
    """What `read` returns, or None where the service answers with this error code."""
    try:
        return read()
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
        return None


# ---------------------------------------------------------------- template expressions

_NO_VALUE = object()


@dataclasses.dataclass(frozen=True)
class Stack:
    """A deployed stack: its processed template and what its resources are really called."""

    session: boto3.Session
    name: str
    template: dict[str, Any]
    parameters: dict[str, str]
    physical_ids: dict[str, str]

    @staticmethod
    def load(session: boto3.Session, name: str) -> Stack:
        client = session.client("cloudformation")
        body = client.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
        template = body if isinstance(body, dict) else json.loads(body)
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
        defaults = {key: str(value["Default"]) for key, value in template.get("Parameters", {}).items() if "Default" in value}
        given = {pair["ParameterKey"]: pair["ParameterValue"] for pair in stack.get("Parameters", [])}
        pages = client.get_paginator("list_stack_resources").paginate(StackName=name)
        physical_ids = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"] for page in pages for resource in page["StackResourceSummaries"]
        }
        return Stack(session, name, template, {**defaults, **given}, physical_ids)

    def resolve(self, properties: dict[str, Any], only: tuple[str, ...]) -> dict[str, Any]:
        """These properties with every expression replaced by its value. Expressions elsewhere are not looked at."""
        return {name: self._value(properties[name], name) for name in only if name in properties}

    def _value(self, node: Any, where: str) -> Any:
        if isinstance(node, list):
            values = [self._value(item, where) for item in node]
            return [value for value in values if value is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            key, argument = next(iter(node.items()))
            if key == "Ref":
                return self._reference(argument)
            if key == "Fn::GetAtt":
                parts = argument.split(".", 1) if isinstance(argument, str) else argument
                # Only some attributes can be asked for. The API's Body is full of function addresses that nobody needs here.
                return "" if where == "Body" else self._attribute(*parts)
            if key == "Fn::Sub":
                return self._substitute(argument, where)
            if key == "Fn::If":
                return self._value(argument[1 if self._condition(argument[0]) else 2], where)
            if key == "Fn::FindInMap":
                names = [self._value(name, where) for name in argument]
                return self.template["Mappings"][names[0]][names[1]][names[2]]
            if key.startswith("Fn::"):
                raise FixupError(f"{where}: fixups.py cannot resolve {key}.")
        values = {name: self._value(item, where) for name, item in node.items()}
        return {name: value for name, value in values.items() if value is not _NO_VALUE}

    def _reference(self, name: str) -> Any:
        pseudo = {"AWS::NoValue": _NO_VALUE, "AWS::StackName": self.name, "AWS::Region": self.session.region_name, "AWS::Partition": "aws"}
        if name in pseudo:
            return pseudo[name]
        if name == "AWS::AccountId":
            return self.session.client("sts").get_caller_identity()["Account"]
        found = self.parameters.get(name, self.physical_ids.get(name))
        if found is None:
            raise FixupError(f"fixups.py cannot resolve the reference to {name}.")
        return found

    def _attribute(self, logical_id: str, attribute: str) -> str:
        kind, physical_id = self.template["Resources"][logical_id]["Type"], self.physical_ids[logical_id]
        if (kind, attribute) == ("AWS::KMS::Key", "Arn"):
            return self.session.client("kms").describe_key(KeyId=physical_id)["KeyMetadata"]["Arn"]
        if (kind, attribute) == ("AWS::Logs::LogGroup", "Arn"):
            return f"arn:aws:logs:{self.session.region_name}:{self._reference('AWS::AccountId')}:log-group:{physical_id}:*"
        raise FixupError(f"fixups.py cannot resolve {logical_id}.{attribute} ({kind}).")

    def _substitute(self, argument: Any, where: str) -> str:
        text, local = (argument, {}) if isinstance(argument, str) else argument

        def value_of(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in local:
                return str(self._value(local[name], where))
            if "." in name:
                return "" if where == "Body" else self._attribute(*name.split(".", 1))
            return str(self._reference(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", value_of, text)

    def _condition(self, name: str) -> bool:
        return self._truth(self.template["Conditions"][name])

    def _truth(self, node: dict[str, Any]) -> bool:
        key, argument = next(iter(node.items()))
        if key == "Condition":
            return self._condition(argument)
        if key == "Fn::Equals":
            left, right = (str(self._value(side, "Conditions")) for side in argument)
            return left == right
        if key == "Fn::Not":
            return not self._truth(argument[0])
        if key == "Fn::And":
            return all(self._truth(item) for item in argument)
        if key == "Fn::Or":
            return any(self._truth(item) for item in argument)
        raise FixupError(f"fixups.py cannot evaluate the condition {key}.")


def main(stack_name: str | None = None) -> int:
    """Fixes the local stack and prints what was done."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        print("AWS_ENDPOINT_URL is not set: this command is for the local AWS only.", file=sys.stderr)
        return 2
    settings = deploy.read_settings(PROJECT / "samconfig.toml")
    try:
        report = run(deploy.Session(region_name=settings.region), stack_name or settings.stack_name)
    except FixupError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(dataclasses.asdict(report), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
