"""Calls to the local AWS for the tests: a line of JSON in, a line of JSON out, until standard input ends.

First line: {"endpoint", "region", "access_key_id", "secret_access_key"}. Then {"service", "operation", "parameters"} and,
to act as somebody else, "credentials" as STS returns them. Bytes are {"$base64": text} both ways.
"""

import base64
import datetime
import json
import os
import sys

import boto3
import botocore.config
import botocore.exceptions


def main() -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    stack = json.loads(sys.stdin.readline())
    root = {"AccessKeyId": stack["access_key_id"], "SecretAccessKey": stack["secret_access_key"], "SessionToken": None}
    clients = {}
    for line in sys.stdin:
        call = json.loads(line, object_hook=to_bytes)
        who = call.get("credentials") or root
        at = (call["service"], who["AccessKeyId"])
        if at not in clients:
            clients[at] = client(stack, call["service"], who)
        try:
            answer = getattr(clients[at], call["operation"])(**call["parameters"])
            reply = {"ok": answer}
        except botocore.exceptions.ClientError as error:
            reply = {"error": error.response["Error"]["Code"]}
        except botocore.exceptions.BotoCoreError as error:
            reply = {"error": repr(error)}
        print(json.dumps(reply, default=to_json), flush=True)


def client(stack: dict, service: str, who: dict):
    return boto3.client(
        service,
        endpoint_url=stack["endpoint"],
        region_name=stack["region"],
        aws_access_key_id=who["AccessKeyId"],
        aws_secret_access_key=who["SecretAccessKey"],
        aws_session_token=who["SessionToken"],
        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def to_bytes(value: dict):
    return base64.b64decode(value["$base64"]) if set(value) == {"$base64"} else value


def to_json(value):
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return {"$base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, set):
        return sorted(value)
    return str(value)


main()
