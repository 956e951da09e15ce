"""The peer: a Lambda function in Python 3 and boto3 that makes the same AWS calls as ours, and nothing else.

    AWS_LAMBDA_RUNTIME_API=... python handler.py documents|chat

It is favoured: no runtime client of the platform, no framework, no logging, no checks, and the chat peer neither embeds the
question nor searches nor writes sentences. What it does is what boto3 costs.
"""

import http.client
import json
import os
import sys
import time
import uuid

import boto3
import botocore.config
import botocore.exceptions

TENANT = "main"
# Paths instead of host names, as any SDK does against an address of digits.
CONFIG = botocore.config.Config(retries={"mode": "standard", "max_attempts": 3}, s3={"addressing_style": "path"})


class Documents:
    """`GET /v1/documents/{id}`: one row of the registry."""

    def __init__(self):
        self.dynamodb = boto3.client("dynamodb", config=CONFIG)

    def prime(self):
        pass

    def handle(self, event):
        key = {"pk": {"S": f"TENANT#{TENANT}"}, "sk": {"S": event["pathParameters"]["id"]}}
        row = self.dynamodb.get_item(TableName=os.environ["DOCUMENTS_TABLE"], Key=key, ConsistentRead=True).get("Item")
        if row is None:
            return 404, {"title": "Not found"}
        return 200, {name: next(iter(value.values())) for name, value in row.items()}


class Chat:
    """`POST /v1/chat`: the manifest if it changed, the segments that are new, one audit row."""

    def __init__(self):
        self.s3 = boto3.client("s3", config=CONFIG)
        self.dynamodb = boto3.client("dynamodb", config=CONFIG)
        self.etag = None
        self.segments = {}

    def prime(self):
        self.look()

    def look(self):
        bucket = os.environ["INDEX_BUCKET"]
        condition = {"IfNoneMatch": self.etag} if self.etag else {}
        try:
            answer = self.s3.get_object(Bucket=bucket, Key=f"index/{TENANT}/manifest.json", **condition)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 304:
                return
            raise
        self.etag = answer["ETag"]
        for entry in json.loads(answer["Body"].read())["documents"].values():
            key = (entry["segment"] or {}).get("key")
            if key and key not in self.segments:
                self.segments[key] = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def handle(self, event):
        question = json.loads(event["body"])["question"]
        self.look()
        now, number = time.time(), str(uuid.uuid4())
        item = {
            "pk": f"TENANT#{TENANT}",
            "sk": number,
            "id": number,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "entity_type": "conversation",
            "entity_id": number,
            "data": json.dumps({"documents": [], "sentences": 0}),
            "event_type": "chat.answered",
            "action": "E",
            "outcome": "0",
            "agent": event["requestContext"]["authorizer"]["claims"]["sub"],
            "request_id": event["requestContext"]["requestId"],
        }
        row = {name: {"S": value} for name, value in item.items()}
        row["created_at"] = {"N": str(int(now * 1000))}
        self.dynamodb.put_item(TableName=os.environ["AUDIT_TABLE"], Item=row, ConditionExpression="attribute_not_exists(pk)")
        return 200, {"question": question, "segments": len(self.segments)}


def main():
    function = {"documents": Documents, "chat": Chat}[sys.argv[1]]()
    if os.environ.get("DEFAULT_TENANT"):
        function.prime()
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    base = "/2018-06-01/runtime/invocation"
    while True:
        connection.request("GET", f"{base}/next")
        polled = connection.getresponse()
        number = polled.headers["Lambda-Runtime-Aws-Request-Id"]
        status, body = function.handle(json.loads(polled.read()))
        answer = {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
        connection.request("POST", f"{base}/{number}/response", json.dumps(answer).encode())
        connection.getresponse().read()


main()
