"""Deploys template.yaml to the local AWS, the way `sam deploy` does it for the other stages.

`sam deploy` also works against the local AWS, but takes ten seconds of polling for each run; this does the same calls (put
the code into a bucket, create or update the stack) in about two. The template stays the only description of the stack.

Order of reading: settings (samconfig.toml), template, code archives, stack. As a command it deploys once:

    AWS_ENDPOINT_URL=http://127.0.0.1:4566 python local/deploy.py
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import platform
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Callable

import boto3
import botocore.exceptions
import yaml

PROJECT = Path(__file__).resolve().parent.parent

# CloudFormation's own limit for a template sent inside the request; above it the template goes through a bucket.
TEMPLATE_BODY_BYTES_MAX = 51_200
# A stack of ours takes about a second. Two minutes is for a machine that is busy compiling.
STACK_SECONDS_MAX = 120.0
# One fixed time for every archive entry, so that the same files always give the same archive.
ARCHIVE_TIME = (2020, 1, 1, 0, 0, 0)


class DeployError(Exception):
    """The stack could not be brought to what the template says. The message is for the person at the terminal."""


class Session(boto3.Session):
    """A session that makes each service's client once: making one costs more than most calls."""

    def client(self, service_name: str, *args: Any, **options: Any) -> Any:
        made = self.__dict__.setdefault("_made", {})
        if service_name not in made:
            made[service_name] = super().client(service_name, *args, **options)
        return made[service_name]


# ---------------------------------------------------------------- settings


@dataclasses.dataclass(frozen=True)
class Settings:
    """What samconfig.toml says about one stage."""

    stack_name: str
    region: str
    parameters: dict[str, str]


def read_settings(path: Path, stage: str = "local") -> Settings:
    """Reads `[<stage>.deploy.parameters]` of samconfig.toml.

    The few `key = "value"` lines are read by hand: the standard library has a TOML reader only from Python 3.11 on.
    """
    section = ""
    values: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        header = re.match(r"\s*\[([^\]]+)\]", line)
        pair = re.match(r'\s*(\w+)\s*=\s*"([^"]*)"', line)
        if header:
            section = header.group(1).strip()
        elif pair and section == f"{stage}.deploy.parameters":
            values[pair.group(1)] = pair.group(2)
    missing = [name for name in ("stack_name", "region") if name not in values]
    if missing:
        raise DeployError(f"{path.name}: [{stage}.deploy.parameters] lacks {', '.join(missing)}.")
    overrides = dict(pair.split("=", 1) for pair in values.get("parameter_overrides", "").split() if "=" in pair)
    return Settings(values["stack_name"], values["region"], overrides)


def host_architecture() -> str:
    """The processor in Lambda's words. The local AWS runs the functions as plain processes, so it must be this host's."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return "x86_64"
    if machine in ("aarch64", "arm64"):
        return "arm64"
    raise DeployError(f"Lambda knows no processor {machine!r}: only x86_64 and arm64.")


# ---------------------------------------------------------------- template


class _TemplateLoader(yaml.SafeLoader):
    """Reads YAML with CloudFormation's short tags (`!Ref`, `!Sub`, ...) into the long JSON form."""


def _construct_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _construct_tag)
# Dates stay text: "2010-09-09" is a version to CloudFormation, and JSON has no dates.
_TemplateLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_template(path: Path) -> dict[str, Any]:
    """The template as plain dictionaries, short tags and anchors resolved."""
    # A subclass of SafeLoader: it can build plain data only.
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_TemplateLoader)  # noqa: S506


def functions(template: dict[str, Any]) -> dict[str, str]:
    """Logical id -> code folder (relative to the project) of every function in the template."""
    return {
        logical_id: resource["Properties"]["CodeUri"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and isinstance(resource["Properties"].get("CodeUri"), str)
    }


# ---------------------------------------------------------------- code archives


def folder_hash(folder: Path) -> str:
    """SHA-256 over names and contents of every file in the folder: the identity of a function's code."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        digest.update(b"\0")
    return digest.hexdigest()


def zip_folder(folder: Path) -> bytes:
    """An archive of every file in the folder; `bootstrap` is executable, as Lambda wants it."""
    buffer = io.BytesIO()
    # Stored, not compressed: this archive travels over the loopback once, so seconds count and megabytes do not.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in _files(folder):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), ARCHIVE_TIME)
            entry.external_attr = (0o100755 if path.name == "bootstrap" else 0o100644) << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".tmp"))


def code_key(folder: Path) -> str:
    """The folder's archive is called by its content: what is there under this name is right."""
    if not (folder / "bootstrap").is_file():
        raise DeployError(f"{folder} holds no `bootstrap`: build the functions first.")
    return f"code/{folder.name}-{folder_hash(folder)}.zip"


def put_code(s3: Any, bucket: str, folders: dict[str, Path]) -> None:
    """Puts the archives (key -> folder) that the bucket lacks."""
    present = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="code/").get("Contents", [])}
    for key, folder in folders.items():
        if key not in present:
            s3.put_object(Bucket=bucket, Key=key, Body=zip_folder(folder))


def remove_old_code(s3: Any, bucket: str, folders: dict[str, Path]) -> None:
    """The emulator keeps objects in memory, and a day of building would fill it."""
    for item in s3.list_objects_v2(Bucket=bucket, Prefix="code/").get("Contents", []):
        if item["Key"] not in folders:
            s3.delete_object(Bucket=bucket, Key=item["Key"])


def ensure_bucket(s3: Any, bucket: str, region: str) -> None:
    """Creates the bucket for code and templates if it is missing."""
    try:
        s3.head_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **where)


# ---------------------------------------------------------------- stack


@dataclasses.dataclass(frozen=True)
class Deployed:
    """A stack that stands as the template says."""

    outputs: dict[str, str]
    # "created", "updated" or "unchanged".
    change: str


def deploy(session: boto3.Session, settings: Settings, project: Path = PROJECT) -> Deployed:
    """Creates or updates the stack; returns when it stands. Raises DeployError with the failing events."""
    s3, cloudformation = session.client("s3"), session.client("cloudformation")
    bucket = f"{settings.stack_name}-artifacts"
    ensure_bucket(s3, bucket, settings.region)
    template = load_template(project / "template.yaml")
    folders: dict[str, Path] = {}
    for logical_id, code_uri in functions(template).items():
        key = code_key(project / code_uri)
        folders[key] = project / code_uri
        template["Resources"][logical_id]["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    parameters = dict(settings.parameters)
    if "Architecture" in template.get("Parameters", {}):
        parameters["Architecture"] = host_architecture()
    put_code(s3, bucket, folders)
    change = _apply(s3, cloudformation, bucket, settings.stack_name, template, parameters)
    remove_old_code(s3, bucket, folders)
    return Deployed(read_outputs(cloudformation, settings.stack_name), change)


def read_outputs(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """The stack's outputs by name."""
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _apply(s3: Any, cloudformation: Any, bucket: str, name: str, template: dict[str, Any], parameters: dict[str, str]) -> str:
    body = json.dumps(template, sort_keys=True)
    # The emulator updates a stack even when nothing changed, so we keep a note of what stands. It lies beside the code.
    wanted = hashlib.sha256((body + json.dumps(parameters, sort_keys=True)).encode()).hexdigest()
    stack = _find_stack(cloudformation, name)
    if stack and stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        # Left behind by an interrupted or failed run; a stack in such a state takes no update.
        cloudformation.delete_stack(StackName=name)
        _wait(cloudformation, name, lambda status: status is None or status == "DELETE_COMPLETE")
        stack = None
    if stack and _read_note(s3, bucket, name) == wanted:
        return "unchanged"
    # The note goes before the change and returns after it: an interrupted run leaves none, and the next one does the work.
    s3.delete_object(Bucket=bucket, Key=_note_key(name))
    request = {
        "StackName": name,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        **_template_argument(s3, bucket, body),
    }
    if stack is None:
        cloudformation.create_stack(**request)
    else:
        try:
            cloudformation.update_stack(**request)
        except botocore.exceptions.ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
    status = _wait(cloudformation, name, lambda status: status is not None and not status.endswith("_IN_PROGRESS"))
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeployError(f"Stack {name} ended as {status}.\n" + "\n".join(failing_events(cloudformation, name)))
    s3.put_object(Bucket=bucket, Key=_note_key(name), Body=wanted.encode())
    return "created" if stack is None else "updated"


def _note_key(name: str) -> str:
    return f"deployed/{name}"


def _read_note(s3: Any, bucket: str, name: str) -> str:
    try:
        return s3.get_object(Bucket=bucket, Key=_note_key(name))["Body"].read().decode()
    except s3.exceptions.NoSuchKey:
        return ""


def _template_argument(s3: Any, bucket: str, body: str) -> dict[str, str]:
    if len(body.encode()) <= TEMPLATE_BODY_BYTES_MAX:
        return {"TemplateBody": body}
    key = f"template/{hashlib.sha256(body.encode()).hexdigest()}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
    return {"TemplateURL": f"{s3.meta.endpoint_url.rstrip('/')}/{bucket}/{key}"}


def _find_stack(cloudformation: Any, name: str) -> dict[str, Any] | None:
    try:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except botocore.exceptions.ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def _wait(cloudformation: Any, name: str, done: Callable[[str | None], bool]) -> str | None:
    """Polls the stack's status until `done` accepts it (None: there is no such stack)."""
    deadline = time.monotonic() + STACK_SECONDS_MAX
    while True:
        stack = _find_stack(cloudformation, name)
        status = stack["StackStatus"] if stack else None
        if done(status):
            return status
        if time.monotonic() > deadline:
            raise DeployError(f"Stack {name} is still {status} after {STACK_SECONDS_MAX:.0f} s.")
        time.sleep(0.1)


def failing_events(cloudformation: Any, name: str) -> list[str]:
    """One line for each resource that failed, oldest first."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', event['ResourceStatus'])}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED") or event.get("ResourceStatusReason")
    ]


def readable(payload: bytes) -> str:
    """A function's answer, indented if it is JSON."""
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except ValueError:
        return payload.decode(errors="replace")


def main() -> int:
    """Deploys to the AWS that AWS_ENDPOINT_URL names, and prints the outputs."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        print("AWS_ENDPOINT_URL is not set: this command deploys to the local AWS only.", file=sys.stderr)
        return 2
    settings = read_settings(PROJECT / "samconfig.toml")
    try:
        deployed = deploy(Session(region_name=settings.region), settings)
    except DeployError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"change": deployed.change, "outputs": deployed.outputs}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
