#!/usr/bin/env python3
"""The local AWS of this checkout: everything from an empty folder to an answered question, in one command.

    python3 local/stack.py up         build, start, deploy, create people, index the samples, ask one question
    python3 local/stack.py down       stop; the data stays
    python3 local/stack.py reset      stop and delete the data
    python3 local/stack.py status     what runs
    python3 local/stack.py build      only build, and put everything where the template looks for it
    python3 local/stack.py lint-tools install cfn-lint and sam, print where they are
    python3 local/stack.py invoke indexer events/indexer.object-created.json
    python3 local/stack.py test-stack --with-parent      a throw-away stack for tests

Every step looks at what is there and does the rest, so `up` may be repeated and interrupted at will. Standard library only
until the command runs again inside the virtual environment that it made. State lies in `.local/`:

    venv/  profiles/local.json  server.json  server.log  port.json  root-key.json  samples.json  lock  aws/{state,s3,tmp}

Order of reading: main, the commands, the steps of `up` in their order.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

import artifacts
import models
import server as emulator
from progress import Progress

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
HOME = PROJECT / ".local"
PROFILE = HOME / "profiles" / "local.json"
VENV, REQUIREMENTS = HOME / "venv", HERE / "requirements.txt"
LINT_VENV, LINT_REQUIREMENTS = HOME / "venv-lint", HERE / "requirements-lint.txt"
STAGE_PATH = "v1"  # the stage name in the template's API
SAMPLE_QUESTION = "How soon after recognising sepsis must antibiotics be given?"
# The commands that need the packages, and how many steps they count aloud.
STEPS = {"up": 8, "build": 3, "invoke": 0, "test-stack": 0}


def main() -> int:
    options = parse_options()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with contextlib.ExitStack() as held:
            if options.command in ("up", "down", "reset", "build"):
                held.enter_context(emulator.lock(HOME / "lock"))
            if options.command in STEPS:
                enter_venv(STEPS[options.command])
            return COMMANDS[options.command](options)
    except (emulator.ServerError, artifacts.ArtifactError) as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("Interrupted. Nothing is half-written: the same command continues.", code=130)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The local AWS of this checkout.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="build, start, deploy, create people, index the samples, ask one question")
    build = commands.add_parser("build", help="only build, and put everything where the template looks for it")
    for command in (up, build):
        command.add_argument("--no-build", action="store_true", help="take the binaries that are there")
    up.add_argument("--no-samples", action="store_true", help="do not index the sample documents")
    commands.add_parser("down", help="stop; the data stays")
    commands.add_parser("reset", help="stop and delete the data")
    commands.add_parser("lint-tools", help="install cfn-lint and sam; prints the folder of their commands")
    commands.add_parser("status", help="what runs").add_argument("--json", action="store_true")
    invoke = commands.add_parser("invoke", help="call a deployed function with an event file")
    invoke.add_argument("function", help="folder name below functions/")
    invoke.add_argument("event", type=Path)
    test = commands.add_parser("test-stack", help="a throw-away stack; prints its profile as one line of JSON and stays in the foreground")
    test.add_argument("--with-parent", action="store_true", help="end when standard input closes, that is when the parent dies")
    for command in (up, test):
        command.add_argument("--llm", choices=("off", *models.KINDS), default="off", help="who writes the answers: nobody, a double, the real providers")
        command.add_argument("--no-auth", dest="auth", action="store_false", help="do not enforce IAM policies and signatures")
    return parser.parse_args()


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def fail(message: str, code: int = 1) -> int:
    print(f"\n{message}", file=sys.stderr)
    return code


def enter_venv(steps: int) -> None:
    """Makes the virtual environment if it is not right, and goes on inside it."""
    is_right = artifacts.venv_is_right(VENV, REQUIREMENTS)
    if is_right and Path(sys.prefix) == VENV:
        return
    with Progress(steps).step("Python packages", noisy=not is_right):
        ensure_venv(VENV, REQUIREMENTS)
    sys.stdout.flush()
    python = VENV / "bin" / "python"
    os.execv(python, [str(python), *sys.argv])


def ensure_venv(venv: Path, requirements: Path) -> None:
    with emulator.lock(HOME / "venv.lock", wait=True):
        if not artifacts.venv_is_right(venv, requirements):  # another run may just have made it
            artifacts.make_venv(venv, requirements)


# ---------------------------------------------------------------- commands


def build(options: argparse.Namespace) -> int:
    make_artifacts(Progress(STEPS["build"], done=1), options)
    return 0


def up(options: argparse.Namespace) -> int:
    progress = Progress(STEPS["up"], done=1)
    make_artifacts(progress, options)
    with progress.step("Local AWS") as note:
        server, how = ensure_server(options.auth)
        note(f"{how}, {server.endpoint}")
    with progress.step("Deploy") as note:
        llm = models.start(PROJECT, HOME, options.llm)
        outputs, change = deploy_stack(server, HOME, llm)
        note(change if options.llm == "off" else f"{change}, language models: {options.llm}")
    with progress.step("People") as note:
        profile = make_profile(server, outputs, emulator.read_json(PROFILE))
        emulator.write_whole(PROFILE, json.dumps(profile, indent=2) + "\n")
        note(f"{len(profile['people'])}, profile in {PROFILE.relative_to(PROJECT)}")
    with progress.step("Sample documents", noisy=not options.no_samples) as note:
        note("skipped" if options.no_samples else upload_samples(profile))
    with progress.step("Sample question", noisy=not options.no_samples) as note:
        if options.no_samples:
            note("skipped")
        else:
            print(f"{SAMPLE_QUESTION}\n", flush=True)
            run_command_line("ask", SAMPLE_QUESTION)
    print_what_next(profile)
    return 0


def down(_: argparse.Namespace) -> int:
    models.stop(HOME)
    server = emulator.find(HOME)
    if server is None:
        print("The local AWS is not running.")
        return 0
    if not emulator.stop(HOME, server):
        return fail("The local AWS did not end by itself and was killed: its data is not kept. `up` starts with an empty one.")
    mark_running(False)
    print("The local AWS is stopped. Its data stays: `up` continues with it, `reset` deletes it.")
    return 0


def reset(_: argparse.Namespace) -> int:
    models.stop(HOME)
    server = emulator.find(HOME)
    if server is not None:
        emulator.stop(HOME, server)
    wipe_data()
    print("The local AWS is stopped and its data deleted.")
    return 0


def status(options: argparse.Namespace) -> int:
    server = emulator.find(HOME)
    profile = emulator.read_json(PROFILE)
    found = {
        "running": server is not None,
        "healthy": server is not None and emulator.healthy(server),
        "pid": server.pid if server else None,
        "endpoint": server.endpoint if server else None,
        "auth": server.auth if server else None,
        "api_url": profile["api_url"] if server and profile else None,
        "profile": str(PROFILE.relative_to(PROJECT)) if profile else None,
        "log": str((HOME / "server.log").relative_to(PROJECT)),
        "data_bytes": sum(path.stat().st_size for path in (HOME / "aws").rglob("*") if path.is_file()),
    }
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name.replace('_', ' '):<11} {value}")
    return 0 if found["healthy"] else 3


def invoke(options: argparse.Namespace) -> int:
    server = emulator.find(HOME)
    if server is None:
        return fail("The local AWS is not running: `up` starts it.")
    import base64

    import deploy

    name = f"{settings().stack_name}-{options.function}"
    answer = aws(server).client("lambda").invoke(FunctionName=name, Payload=options.event.read_bytes(), LogType="Tail")
    print(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"), file=sys.stderr)
    print(deploy.readable(answer["Payload"].read()))
    return 1 if answer.get("FunctionError") else 0


def test_stack(options: argparse.Namespace) -> int:
    """A stack of its own on a free port, with empty data. Leaves nothing behind, however it ends."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.with_parent:
        threading.Thread(target=_wait_for_parent, args=(ended,), daemon=True).start()
    home = Path(tempfile.mkdtemp(prefix="clinchat-test-"))
    server = None
    try:
        server = emulator.start(home, settings().region, options.auth, keep=False, port=emulator.free_port_any(), throw_away=True)
        llm = models.start(PROJECT, home, options.llm)
        outputs, _ = deploy_stack(server, home, llm)
        print(json.dumps({**make_profile(server, outputs, None), "llm": llm.urls}), flush=True)
        while not ended.wait(0.5):
            if not emulator.is_alive(home, server.pid):
                return fail(f"The local AWS ended by itself. The end of its log:\n{emulator.last_lines(home)}")
        return 0
    finally:
        models.stop(home)
        if server is not None:
            emulator.stop(home, server)
        shutil.rmtree(home, ignore_errors=True)


def _wait_for_parent(ended: threading.Event) -> None:
    # Below Python's own buffer, whose lock this thread would hold while the interpreter ends.
    while os.read(0, 4096):
        pass
    ended.set()


def lint_tools(_: argparse.Namespace) -> int:
    """cfn-lint and sam pin other versions of packages that the emulator pins, too: they get an environment of their own."""
    ensure_venv(LINT_VENV, LINT_REQUIREMENTS)
    print(LINT_VENV / "bin")
    return 0


COMMANDS = {
    "up": up,
    "down": down,
    "reset": reset,
    "status": status,
    "build": build,
    "invoke": invoke,
    "lint-tools": lint_tools,
    "test-stack": test_stack,
}


# ---------------------------------------------------------------- steps


def settings() -> Any:
    import deploy

    return deploy.read_settings(PROJECT / "samconfig.toml")


def make_artifacts(progress: Progress, options: argparse.Namespace) -> None:
    """Model, binaries, code folders: the two steps before anything runs."""
    import deploy

    with progress.step("Language model"):
        artifacts.fetch_model(PROJECT)
    with progress.step("Build", noisy=not options.no_build) as note:
        if not options.no_build:
            artifacts.build(PROJECT)
        code_uris = deploy.functions(deploy.load_template(PROJECT / "template.yaml")).values()
        changed = artifacts.stage(PROJECT, sorted(set(code_uris)))
        note(f"changed: {', '.join(changed)}" if changed else "nothing changed")


def ensure_server(auth: bool) -> tuple[emulator.Server, str]:
    """The running server if it is the right one, else a new one with the kept data."""
    server = emulator.find(HOME)
    if server is not None and server.build == emulator.build_of(HOME) and server.auth == auth and emulator.healthy(server):
        return server, "running"
    how = "started"
    if server is not None:
        how = "restarted"
        if emulator.stop(HOME, server):
            mark_running(False)
    if (HOME / "running").exists():
        # It was killed, or the machine went down: objects are on the disk that the saved state knows nothing of.
        wipe_data()
        how = "started empty, because it was not stopped properly"
    mark_running(True)
    return emulator.start(HOME, settings().region, auth, keep=True), how


def mark_running(running: bool) -> None:
    """Notes that the data on the disk is behind the server's memory; gone again after a proper stop."""
    if running:
        emulator.write_whole(HOME / "running", "")
    else:
        (HOME / "running").unlink(missing_ok=True)


def wipe_data() -> None:
    emulator.wipe(HOME)
    for path in (PROFILE, HOME / "samples.json", HOME / "server.json", HOME / "running"):
        path.unlink(missing_ok=True)


def aws(server: emulator.Server) -> Any:
    """A session that can reach this server and nothing else: whatever AWS settings the shell has are forgotten."""
    import deploy

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AWS_ENDPOINT_URL=server.endpoint,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
    )
    return deploy.Session(server.access_key_id, server.secret_access_key, region_name=server.region)


def deploy_stack(server: emulator.Server, home: Path, llm: models.Models) -> tuple[dict[str, str], str]:
    import deploy
    import fixups

    session = aws(server)
    try:
        chosen = settings()
        chosen.parameters.update(llm.parameters)
        deployed = deploy.deploy(session, chosen, PROJECT)
        models.put_keys(session, deployed.outputs, llm)
        report = fixups.run(session, settings().stack_name)
    except (deploy.DeployError, fixups.FixupError) as error:
        raise emulator.ServerError(f"{error}\nThe log of the local AWS: {home / 'server.log'}") from None
    return deployed.outputs, f"{deployed.change}, {len(report.applied)} properties fixed up"


def make_profile(server: emulator.Server, outputs: dict[str, str], before: dict[str, Any] | None) -> dict[str, Any]:
    """Everything that a client needs to know about this stack. People keep the passwords that they had `before`."""
    import people

    same_pool = before and before.get("user_pool_id") == outputs["UserPoolId"]
    everybody = people.ensure(aws(server), outputs["UserPoolId"], before["people"] if before and same_pool else None)
    return {
        "name": "local",
        "api_url": f"{server.endpoint}/_aws/execute-api/{outputs['ApiId']}/{STAGE_PATH}",
        "endpoint": server.endpoint,
        "region": server.region,
        "client_id": outputs["UserPoolClientId"],
        "user_pool_id": outputs["UserPoolId"],
        "username": everybody["demo"]["username"],
        "password": everybody["demo"]["password"],
        "people": everybody,
        "outputs": outputs,
        "credentials": {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key},
    }


def upload_samples(profile: dict[str, Any]) -> str:
    """Uploads the sample documents unless just these are already in this stack."""
    documents = sorted(path for path in (PROJECT / "samples" / "documents").iterdir() if path.is_file())
    digest = hashlib.sha256(profile["user_pool_id"].encode())
    for path in documents:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    wanted = {"uploaded": digest.hexdigest()}
    if emulator.read_json(HOME / "samples.json") == wanted:
        return f"{len(documents)}, already there"
    # A run that was interrupted here has uploaded some: those are not uploaded again.
    there = uploaded_names()
    missing = [str(path.relative_to(PROJECT)) for path in documents if path.name not in there]
    if missing:
        run_command_line("upload", "--wait", *missing)
    emulator.write_whole(HOME / "samples.json", json.dumps(wanted))
    return f"{len(missing)} uploaded"


def uploaded_names() -> set[str]:
    """The file names of the documents that are searchable or on their way."""
    program = PROJECT / "target" / "debug" / "clinchat"
    listed = subprocess.run([str(program), "ls", "--json"], cwd=PROJECT, check=False, capture_output=True)
    if listed.returncode != 0:
        return set()
    documents = json.loads(listed.stdout)["documents"]
    return {document["name"] for document in documents if document["status"] in ("indexed", "indexing")}


def run_command_line(*arguments: str) -> None:
    """Runs the product's own command, as a person would."""
    program = PROJECT / "target" / "debug" / "clinchat"
    if not program.exists():
        raise artifacts.ArtifactError(f"There is no {program.relative_to(PROJECT)}: build the workspace first.")
    sys.stdout.flush()
    if subprocess.run([str(program), *arguments], cwd=PROJECT, check=False).returncode != 0:
        raise artifacts.ArtifactError(f"`clinchat {arguments[0]}` failed; it says why above. The log of the local AWS: {HOME / 'server.log'}")


def print_what_next(profile: dict[str, Any]) -> None:
    print(
        f"""
API       {profile["api_url"]}
Sign in   {profile["username"]} / {profile["password"]}
          everybody else: {PROFILE.relative_to(PROJECT)}
Next      make ask Q="When is a second unit check needed before a transfusion?"
          make upload F=path/to/document.pdf
          make down      stop, keep the data
          make reset     stop, delete the data"""
    )


if __name__ == "__main__":
    sys.exit(main())
