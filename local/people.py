"""The people of a local stack: one for each role, one who does everything in the tour, and two of another hospital.

They are made through Cognito's public API, as an administrator would. Synthetic people only.
"""

from __future__ import annotations

import dataclasses
import secrets
from typing import Any

import boto3


@dataclasses.dataclass(frozen=True)
class Person:
    """Who somebody is. The key in PEOPLE is the name in the profile."""

    username: str
    groups: tuple[str, ...]
    tenant: str


PEOPLE = {
    "demo": Person("demo@clinchat.example", ("clinician", "document-admin"), "main"),
    "clinician": Person("clinician@clinchat.example", ("clinician",), "main"),
    "document-admin": Person("document-admin@clinchat.example", ("document-admin",), "main"),
    "auditor": Person("auditor@clinchat.example", ("auditor",), "main"),
    "operator": Person("operator@clinchat.example", ("operator",), "main"),
    # Another system, not a person.
    "audit-source": Person("audit-source@clinchat.example", ("audit-source",), "main"),
    # Another hospital: what these see, the others must not, and the other way round.
    "west-clinician": Person("west-clinician@clinchat.example", ("clinician",), "west"),
    "west-document-admin": Person("west-document-admin@clinchat.example", ("document-admin",), "west"),
}


def ensure(session: boto3.Session, user_pool_id: str, known: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Creates who is missing; returns everybody with their password. `known`: what this returned last time for this pool."""
    client = session.client("cognito-idp")
    tenant_of = _tenants(client, user_pool_id)
    result = {}
    for name, person in PEOPLE.items():
        before = (known or {}).get(name, {})
        password = before.get("password") or new_password()
        result[name] = {"username": person.username, "groups": list(person.groups), "tenant": person.tenant, "password": password}
        if tenant_of.get(person.username) != person.tenant or before != result[name]:
            _put(client, user_pool_id, person, password, is_new=person.username not in tenant_of)
    return result


def _tenants(client: Any, user_pool_id: str) -> dict[str, str]:
    """Address -> tenant of everybody in the pool."""
    pages = client.get_paginator("list_users").paginate(UserPoolId=user_pool_id)
    everybody = [{pair["Name"]: pair["Value"] for pair in user["Attributes"]} for page in pages for user in page["Users"]]
    return {attributes.get("email", ""): attributes.get("custom:tenant", "") for attributes in everybody}


def _put(client: Any, user_pool_id: str, person: Person, password: str, is_new: bool) -> None:
    where = {"UserPoolId": user_pool_id, "Username": person.username}
    attributes = [
        {"Name": "email", "Value": person.username},
        {"Name": "email_verified", "Value": "true"},
        {"Name": "custom:tenant", "Value": person.tenant},
    ]
    if is_new:
        # Our own temporary password: the one that the emulator would make is shorter than the pool's policy asks.
        client.admin_create_user(**where, UserAttributes=attributes, MessageAction="SUPPRESS", TemporaryPassword=new_password())
    else:
        client.admin_update_user_attributes(**where, UserAttributes=attributes)
    client.admin_set_user_password(**where, Password=password, Permanent=True)
    for group in person.groups:
        client.admin_add_user_to_group(**where, GroupName=group)
    for group in client.admin_list_groups_for_user(**where)["Groups"]:
        if group["GroupName"] not in person.groups:
            client.admin_remove_user_from_group(**where, GroupName=group["GroupName"])


def new_password() -> str:
    """A random password that the pool's policy takes: long, with capitals, small letters and a digit, none of them guessable."""
    return f"{secrets.token_hex(4)}-{secrets.token_hex(4).upper()}-Aa1-{secrets.token_hex(4)}"
