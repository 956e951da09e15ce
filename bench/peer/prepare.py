"""Puts small documents where an indexer under measurement finds them: a bucket that notifies nobody.

    python prepare.py BUCKET RUNS EVENTS

`tenants/run-{run}/note-{event}.txt` for every run and event, so that each run indexes into an empty tenant.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.config

NOTE = """Hand hygiene, note {number}

Clean your hands before touching a patient, before a clean or aseptic procedure, after a risk of exposure to body fluids, after
touching a patient and after touching what surrounds a patient. Gloves do not replace it. Note {number} of the infection team.
"""


def main():
    bucket, runs, events = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    s3 = boto3.client("s3", config=botocore.config.Config(s3={"addressing_style": "path"}))
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    keys = [f"tenants/run-{run}/note-{event}.txt" for run in range(runs) for event in range(events)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=NOTE.format(number=key).encode()), keys))


main()
