"""Who writes the answers of the local stack: nobody, a double of the providers, or the real ones.

The double (`target/debug/llm-double`) is a server of its own that speaks the providers' formats; the functions reach it over
real sockets, with keys from the local Secrets Manager. `real` takes keys from the environment (GEMINI_API_KEY, GROQ_API_KEY),
puts them into the local Secrets Manager and leaves the addresses as the template has them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from artifacts import ArtifactError

KINDS = ("double", "real")
# The outputs of the template that name the secrets, and where a real key comes from.
KEYS = {"GeminiKey": "GEMINI_API_KEY", "GroqKey": "GROQ_API_KEY"}


@dataclasses.dataclass(frozen=True)
class Models:
    """What the deployment has to know: parameters of the template, keys by output, addresses of the double."""

    parameters: dict[str, str] = dataclasses.field(default_factory=dict)
    keys: dict[str, str] = dataclasses.field(default_factory=dict)
    urls: dict[str, str] = dataclasses.field(default_factory=dict)


def start(project: Path, home: Path, kind: str) -> Models:
    """Starts what is needed; ends what an earlier run has left."""
    stop(home)
    if kind == "double":
        urls = _start_double(project, home)
        where = {"GeminiUrl": urls["gemini"], "GroqUrl": urls["groq"]}
        return Models({"PrimaryProvider": "gemini", "SecondaryProvider": "groq", **where}, dict.fromkeys(KEYS, "key-of-the-double"), urls)
    if kind == "real":
        keys = {output: os.environ[name] for output, name in KEYS.items() if os.environ.get(name)}
        if not keys:
            raise ArtifactError(f"Set one of {', '.join(KEYS.values())}: without a key no provider answers.")
        chosen = [output.removesuffix("Key").lower() for output in keys]
        return Models(dict(zip(("PrimaryProvider", "SecondaryProvider"), chosen)), keys)
    return Models()


def _start_double(project: Path, home: Path) -> dict[str, str]:
    program = project / "target" / "debug" / "llm-double"
    if not program.exists():
        raise ArtifactError(f"There is no {program.relative_to(project)}: build the workspace first.")
    home.mkdir(parents=True, exist_ok=True)
    # In a session of its own, so that Ctrl-C in this terminal does not end it; it stays until `stop`.
    double = subprocess.Popen([str(program), "--stay"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    assert double.stdout is not None
    line = double.stdout.readline()
    if not line:
        raise ArtifactError("The double of the language models did not start.")
    urls: dict[str, str] = json.loads(line)
    (home / "llm-double.json").write_text(json.dumps({"pid": double.pid, **urls}))
    return urls


def stop(home: Path) -> None:
    """Ends the double that this stack has started, if it is still that process."""
    note = home / "llm-double.json"
    try:
        pid = json.loads(note.read_text())["pid"]
        command = Path(f"/proc/{pid}/cmdline")
        if not command.exists() or b"llm-double" in command.read_bytes():
            os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError, ValueError, KeyError):
        pass
    note.unlink(missing_ok=True)


def put_keys(session: Any, outputs: dict[str, str], models: Models) -> None:
    """Puts the keys where an operator would."""
    for output, key in models.keys.items():
        if output in outputs:
            session.client("secretsmanager").put_secret_value(SecretId=outputs[output], SecretString=key)
