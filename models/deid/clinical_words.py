#!/usr/bin/env python3
"""Counts the words of openly licensed medical text into `clinical-words.txt`. Run by hand when the texts change:

    python3 models/deid/clinical_words.py TEXT.jsonl... > models/deid/clinical-words.txt

Each file has JSON Lines with `text` (and optionally labelled `spans`, which are cut out). A line of the result is a
folded word, how often it stood in lower case and how often capitalised inside a sentence, both as levels: 0 never, then
1 + log2 of the count up to 9. The second number is what tells "Parkinson" and "Lasix" from a patient's name.
The list in the repository was counted from MedQuAD (CC BY 4.0), PubMedQA (MIT), MTS-Dialog and ACI-BENCH (CC BY 4.0).
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from fetch_deid import fold  # noqa: E402

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
LEVEL_MAX = 9


def level(count):
    return min(count.bit_length(), LEVEL_MAX)


def main():
    lower, capital = Counter(), Counter()
    for path in sys.argv[1:]:
        for line in open(path, encoding="utf-8"):
            document = json.loads(line)
            text = document["text"]
            for span in sorted(document.get("spans", []), key=lambda span: -span["start"]):
                text = text[: span["start"]] + ". " + text[span["end"] :]
            for match in WORD.finditer(text):
                word = match.group()
                if word.islower():
                    lower[fold(word)] += 1
                elif word[0].isupper():
                    before = text[: match.start()].rstrip(" \"'([")
                    # A capital says something only where no sentence, list item or heading begins.
                    if before and (before[-1].isalnum() or before[-1] in ",;/-'’") and not text[match.start() - 1] == "\n":
                        capital[fold(word)] += 1
    for word in sorted(set(lower) | set(capital)):
        if len(word) > 1 and lower[word] + capital[word] > 1:
            print(word, level(lower[word]), level(capital[word]))


if __name__ == "__main__":
    main()
