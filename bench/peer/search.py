"""The peer of the figure `search`: BM25 in bm25s and vectors in numpy, one thread, on a corpus of the same shape.

    python search.py CHUNKS WORDS_OF_CHUNK VOCABULARY LIMIT SEARCHES

Prints {"search_ms": [...], "words_ms": [...], "meaning_ms": [...], "load_ms", "resident_mb"}, CPU milliseconds of this process.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import bm25s
import numpy

DIMENSIONS = 384
QUESTION_WORDS = 9


def resident_mb():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def words(random, vocabulary, shape):
    """Numbers of words whose frequency falls with their rank, as that of real words does (Zipf)."""
    return numpy.rint(vocabulary ** random.random(shape)).astype(numpy.int64)


def vectors(random, count):
    found = random.random((count, DIMENSIONS), dtype=numpy.float32) - 0.5
    return found / numpy.linalg.norm(found, axis=1, keepdims=True)


def write(folder, chunks, words_of_chunk, vocabulary, random):
    corpus = [[f"word{word}" for word in chunk] for chunk in words(random, vocabulary, (chunks, words_of_chunk))]
    retriever = bm25s.BM25(k1=0.9, b=0.6)
    retriever.index(corpus, show_progress=False)
    retriever.save(folder)
    numpy.save(Path(folder) / "vectors.npy", vectors(random, chunks))


def cpu_ms(work):
    begun = time.process_time_ns()
    found = work()
    return found, (time.process_time_ns() - begun) / 1e6


def main():
    chunks, words_of_chunk, vocabulary, limit, searches = map(int, sys.argv[1:])
    random = numpy.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        write(folder, chunks, words_of_chunk, vocabulary, random)
        before = resident_mb()
        (retriever, matrix), load_ms = cpu_ms(lambda: (bm25s.BM25.load(folder), numpy.load(Path(folder) / "vectors.npy")))
        resident = resident_mb() - before
    found = {"search_ms": [], "words_ms": [], "meaning_ms": [], "load_ms": load_ms, "resident_mb": resident}
    for _ in range(searches):
        question = [f"word{word}" for word in set(words(random, vocabulary, QUESTION_WORDS).tolist())]
        vector = vectors(random, 1)[0]
        lexical, words_ms = cpu_ms(lambda: retriever.get_scores([word for word in question if word in retriever.vocab_dict]))
        cosine, meaning_ms = cpu_ms(lambda: matrix @ vector)

        def fuse():
            scores = (cosine + 1) / (cosine.max() + 1) + 0.5 * lexical / max(lexical.max(), 1e-9)
            top = numpy.argpartition(scores, -limit)[-limit:]
            return top[numpy.argsort(-scores[top])]

        top, fuse_ms = cpu_ms(fuse)
        assert len(top) == limit
        found["words_ms"].append(words_ms)
        found["meaning_ms"].append(meaning_ms)
        found["search_ms"].append(words_ms + meaning_ms + fuse_ms)
    print(json.dumps(found))


main()
