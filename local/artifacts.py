"""What a deployment is made of, before it is deployed: Python packages, the language model file, the functions' binaries.

Standard library only: this runs before the packages are there. Everything is skipped when it is already right, and nothing is
left half-made when it is interrupted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON_OLDEST = (3, 10)  # the emulator's and boto3's own limit
MODEL = Path("models") / "minilm-l6-v2-int8.bin"
IDENTIFIERS = Path("models") / "deid-en.bin"
# Files that lie beside a function's binary, by the last part of its CodeUri: what embeds text and what finds identifiers.
FILES_OF_FUNCTION = {"chat": [MODEL, IDENTIFIERS], "indexer": [MODEL, IDENTIFIERS]}


class ArtifactError(Exception):
    """Something to deploy is missing and could not be made. The message is for the person at the terminal."""


# ---------------------------------------------------------------- Python packages


def venv_is_right(venv: Path, requirements: Path) -> bool:
    """Whether the virtual environment holds exactly the pinned packages for this Python."""
    try:
        return (venv / "stamp").read_text() == _stamp(venv, requirements) and (venv / "bin" / "python").exists()
    except FileNotFoundError:
        return False


def make_venv(venv: Path, requirements: Path) -> None:
    """Makes the virtual environment anew. The stamp is written last: an interrupted run is done again."""
    python = usable_python()
    shutil.rmtree(venv, ignore_errors=True)
    made = subprocess.run([python, "-m", "venv", str(venv)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ArtifactError(f"`{python} -m venv` failed (on Debian and Ubuntu it needs the package python3-venv):\n{made.stdout}{made.stderr}")
    # No dependencies: the file names every package, and pip would ask for a second pin of those that are wanted with extras.
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    if subprocess.run([*pip, "-r", str(requirements)], check=False).returncode != 0:
        raise ArtifactError(f"Installing the packages of {requirements.name} failed; pip says why above. It needs the Python package index once.")
    (venv / "stamp").write_text(_stamp(venv, requirements))


def _stamp(venv: Path, requirements: Path) -> str:
    """The packages and the Python below the links: an upgraded system Python would not find what its predecessor installed."""
    return f"{hashlib.sha256(requirements.read_bytes()).hexdigest()} {os.path.realpath(venv / 'bin' / 'python')}"


def usable_python() -> str:
    """This Python if it is new enough, else a newer one from the path."""
    if sys.version_info >= PYTHON_OLDEST:
        # Inside a virtual environment: the Python that it was made from.
        return getattr(sys, "_base_executable", sys.executable)
    for minor in range(14, PYTHON_OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        # Asked, because a version manager may have put a stand-in there that only says what is not installed.
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    raise ArtifactError(f"Python {'.'.join(map(str, PYTHON_OLDEST))} or newer is needed; this is {sys.version.split()[0]}.")


# ---------------------------------------------------------------- model and binaries


def fetch_model(project: Path) -> None:
    """Runs the scripts that make the model files; they do nothing if the files are right."""
    for name in ("fetch.py", "fetch_deid.py"):
        script = project / "models" / name
        if script.exists() and subprocess.run([sys.executable, str(script), "--quiet"], check=False).returncode != 0:
            raise ArtifactError(f"models/{name} failed; it says why above.")


def build(project: Path) -> None:
    """Builds every binary. One command for the whole workspace: building one package would compile the SDKs again."""
    if not shutil.which("cargo"):
        raise ArtifactError("cargo is not installed. See https://rustup.rs")
    if subprocess.run(["cargo", "build", "--workspace", "--bins"], cwd=project, check=False).returncode != 0:
        raise ArtifactError("The build failed; cargo says why above.")


def stage(project: Path, code_uris: list[str]) -> list[str]:
    """Puts binary and model into each function's code folder; returns the functions whose folder changed."""
    changed = []
    for code_uri in code_uris:
        folder = project / code_uri
        name = folder.name
        binary, bootstrap = project / "target" / "debug" / name, folder / "bootstrap"
        if not binary.exists() and not bootstrap.exists():
            raise ArtifactError(f"There is no {binary.relative_to(project)}: build the workspace first.")
        differs = binary.exists() and _place(binary, bootstrap)
        for file in FILES_OF_FUNCTION.get(name, []):
            if not (project / file).exists():
                raise ArtifactError(f"There is no {file}: run models/fetch.py and models/fetch_deid.py.")
            differs = _place(project / file, folder / file.name) or differs
        if differs:
            changed.append(name)
    return changed


def _place(source: Path, target: Path) -> bool:
    """Makes `target` the same file as `source`; returns whether it was not. A hard link where the file system has them."""
    if target.exists() and (os.path.samefile(source, target) or _same_content(source, target)):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copy2(source, temporary)
    os.replace(temporary, target)
    return True


def _same_content(left: Path, right: Path) -> bool:
    if left.stat().st_size != right.stat().st_size:
        return False
    return _hash(left) == _hash(right)


def _hash(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.digest()
