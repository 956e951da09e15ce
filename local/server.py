"""The running emulator as one process: its port, its pid, its data, starting and stopping it.

Standard library only. What is known about the running process is in `<home>/server.json`, written as soon as the process exists.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PORT_PREFERRED = 4566
# Starting takes under a second; a minute is for a machine that is busy compiling.
START_SECONDS_MAX = 60.0
# Saving the state writes every object store to disk.
STOP_SECONDS_MAX = 30.0
LOG_LINES_SHOWN = 15
# What the functions may inherit from the developer's shell. Nothing else: a proxy setting or an AWS profile would change them.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


class ServerError(Exception):
    """The emulator could not be started or stopped. The message is for the person at the terminal."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running emulator. `build` names the launcher and packages that it was started from."""

    pid: int
    port: int
    region: str
    auth: bool
    build: str
    access_key_id: str
    secret_access_key: str

    @property
    def endpoint(self) -> str:
        # An address, not a name: with a name the SDKs would put the bucket in front of it, which does not resolve.
        return f"http://127.0.0.1:{self.port}"


# ---------------------------------------------------------------- files


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file so that no reader and no interruption ever leaves half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """The file's object, or None if there is no (readable) one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


@contextlib.contextmanager
def lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Holds the lock file; waits for it, or says who holds it. The system frees it when the holder dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise ServerError(
                f"Another run of local/stack.py is at work (process {file.read().strip() or 'unknown'}). Wait for it, or end it."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


# ---------------------------------------------------------------- a server of this checkout


def build_of(home: Path) -> str:
    """Changes when the launcher or its packages change: a server of another build is restarted."""
    digest = hashlib.sha256(str(home).encode())
    for name in ("launcher.py", "gaps.py", "requirements.txt"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def find(home: Path) -> Server | None:
    """The server that was started with this home and is still alive."""
    found = read_json(home / "server.json")
    try:
        server = Server(**found) if found else None
    except TypeError:  # written by another version of this file
        return None
    return server if server and is_alive(home, server.pid) else None


def is_alive(home: Path, pid: int) -> bool:
    """Whether this process is the launcher of this home. The number alone may have been given to another process since."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    command_file = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            command = command_file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return False
    else:
        command = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False).stdout
    return "launcher.py" in command and str(home) in command


def start(home: Path, region: str, auth: bool, keep: bool, port: int | None = None, throw_away: bool = False) -> Server:
    """Starts the launcher and waits until it answers.

    `keep`: load the state of last time, save it on stop. `throw_away`: end when our process dies, and delete `home`.
    """
    for attempt in range(3):
        server, process = _launch(home, region, auth, keep, port or free_port(last_port(home)), throw_away)
        if _wait_healthy(server, process):
            return server
        # Somebody may have taken the port between our look and the launcher's; then the next one is tried.
        if attempt == 2 or "already in use" not in last_lines(home):
            break
        port = None
    raise ServerError(f"The local AWS did not start. The end of its log ({home / 'server.log'}):\n{last_lines(home)}")


def _launch(home: Path, region: str, auth: bool, keep: bool, port: int, throw_away: bool) -> tuple[Server, subprocess.Popen[bytes]]:
    move_state(home, last_port(home), port)
    key = read_json(home / "root-key.json") or {"access_key_id": "LOCALROOT", "secret_access_key": secrets.token_hex(20)}
    write_whole(home / "root-key.json", json.dumps(key))
    command = [sys.executable, str(HERE / "launcher.py"), "--port", str(port), "--region", region, "--data", str(home / "aws")]
    command += ["--auth"] * auth + ["--keep"] * keep + ["--with-parent", "--remove", str(home)] * throw_away
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    # By environment, not by argument: arguments are readable by everybody on the machine.
    environment.update(AWS_ACCESS_KEY_ID=key["access_key_id"], AWS_SECRET_ACCESS_KEY=key["secret_access_key"])
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if throw_away else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=home,
            # Its own process group: Ctrl-C in the terminal is for us, and stop() can end what it leaves behind.
            start_new_session=True,
        )
    server = Server(process.pid, port, region, auth, build_of(home), key["access_key_id"], key["secret_access_key"])
    try:
        write_whole(home / "server.json", json.dumps(dataclasses.asdict(server)))
    except BaseException:
        process.kill()  # nobody would know of it
        raise
    return server, process


def _wait_healthy(server: Server, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        if healthy(server):
            return True
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
        process.wait()
    return False


def healthy(server: Server) -> bool:
    """Whether the server answers. The proxies of the environment are not asked: this is our own machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{server.endpoint}/_ministack/health", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def stop(home: Path, server: Server) -> bool:
    """Ends the server, saving its state if it was started to. Returns whether it ended properly, so that the state is whole."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while is_alive(home, server.pid) and time.monotonic() < deadline:
        _reap(server.pid)
        time.sleep(0.05)
    ended = not is_alive(home, server.pid)
    # What is left of the group: a hung launcher, or processes that functions started and did not end.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    _reap(server.pid)
    if ended:
        (home / "server.json").unlink(missing_ok=True)
    return ended


def _reap(pid: int) -> None:
    """Collects the process if it is our child, so that it does not stay as a zombie with its old name."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def last_lines(home: Path) -> str:
    """The end of the server's log."""
    try:
        lines = (home / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:])


# ---------------------------------------------------------------- ports


def free_port(preferred: int | None = None) -> int:
    """The preferred port, else 4566, else any that the system has free."""
    for port in (preferred, PORT_PREFERRED):
        if port and _is_free(port):
            return port
    return free_port_any()


def free_port_any() -> int:
    """Any free port, for stacks that live beside others."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Without it a port that we ourselves used a moment ago would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def last_port(home: Path) -> int | None:
    """The port that the kept state was made on."""
    found = read_json(home / "port.json") or {}
    return found.get("port")


def move_state(home: Path, old: int | None, new: int) -> None:
    """Queue addresses contain the port: with another port the kept state is rewritten to it."""
    if old is not None and old != new:
        for path in (home / "aws" / "state").glob("*.json"):
            text = path.read_text(encoding="utf-8")
            if f"127.0.0.1:{old}" in text:
                write_whole(path, text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}"))
    write_whole(home / "port.json", json.dumps({"port": new}))


def wipe(home: Path) -> None:
    """Deletes the emulator's data."""
    shutil.rmtree(home / "aws", ignore_errors=True)
    (home / "port.json").unlink(missing_ok=True)
