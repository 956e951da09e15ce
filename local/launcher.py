"""Starts the local AWS: MiniStack, an AWS emulator in one Python process, with its gaps closed (gaps.py).

    python local/launcher.py --port 4566 --region eu-north-1 --data .local/aws --auth

gaps.py reaches into the emulator's internals, therefore the version is checked first and any other is refused.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

# The one version that gaps.py was written and tried against. Also in requirements.in.
MINISTACK_VERSION = "1.5.33"


def main() -> None:
    """Reads the options, prepares the emulator's environment, closes its gaps and serves until SIGTERM."""
    options = parse_options()
    check_version()
    prepare_environment(options)
    # The emulator reads its environment while it is imported, so everything of it is imported after this line.
    from ministack import app

    import gaps

    for close in gaps.ALL:
        close()
    if options.with_parent:
        threading.Thread(target=end_with_parent, daemon=True).start()
    sys.argv = sys.argv[:1]  # the emulator's main() reads the command line, too
    try:
        app.main()
    finally:
        end_functions()
        if options.remove:
            shutil.rmtree(options.remove, ignore_errors=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Starts the local AWS. Root's credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--region", required=True, help="the region that requests without one belong to")
    parser.add_argument("--data", type=Path, required=True, help="folder for state, objects and temporary files")
    parser.add_argument("--auth", action="store_true", help="enforce IAM policies and signatures, as AWS does")
    parser.add_argument("--keep", action="store_true", help="save the state on SIGTERM and load it at the next start")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes, that is when the parent dies")
    parser.add_argument("--remove", type=Path, help="folder to delete at the end")
    return parser.parse_args()


def check_version() -> None:
    found = importlib.metadata.version("ministack")
    if found != MINISTACK_VERSION:
        sys.exit(f"local/gaps.py is written for ministack {MINISTACK_VERSION}, but {found} is installed. See local/README.md, 'a newer emulator'.")


def prepare_environment(options: argparse.Namespace) -> None:
    """Sets the emulator's variables. Functions inherit this environment, AWS_ENDPOINT_URL above all."""
    temporary = options.data / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # unpacked code of last time
    temporary.mkdir(parents=True)
    keep = "1" if options.keep else "0"
    os.environ.update(
        {
            # An address, not a name: with a name the SDKs would put the bucket in front of it, which does not resolve.
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{options.port}",
            "AWS_REGION": options.region,
            "AWS_DEFAULT_REGION": options.region,
            "MINISTACK_REGION": options.region,
            "MINISTACK_HOST": "127.0.0.1",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(options.port),
            "AUTH": "true" if options.auth else "false",
            "PERSIST_STATE": keep,
            "STATE_DIR": str(options.data / "state"),
            "S3_PERSIST": keep,
            "S3_DATA_DIR": str(options.data / "s3"),
            "TMPDIR": str(temporary),
            # Listeners that we do not use and that would collide between two instances.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # Asynchronous invocations are retried within a second instead of a minute.
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
        }
    )


def end_with_parent() -> None:
    """Waits until the parent's end of our standard input closes, then ends this process the ordinary way."""
    # Below Python's own buffer, whose lock this thread would hold while the interpreter ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def end_functions() -> None:
    """Ends the function processes and what they started; without it they would go on asking a dead Runtime API for work."""
    from ministack.core import lambda_runtime

    lambda_runtime.reset()
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the group includes us
        os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    main()
