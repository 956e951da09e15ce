"""Passes cargo's test output through and closes with one line of true counts over all test binaries."""

import re
import sys

RESULT = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")


def main() -> int:
    passed = failed = ignored = 0
    broken = False
    for line in sys.stdin:
        sys.stdout.write(line)
        sys.stdout.flush()
        found = RESULT.search(line)
        if found:
            passed, failed, ignored = (a + int(b) for a, b in zip((passed, failed, ignored), found.groups()))
        broken = broken or line.startswith(("error: could not compile", "error: test failed", "error: 1 target failed"))
        broken = broken or re.match(r"error: \d+ targets? failed", line) is not None
    print(f"\n{passed} passed, {failed} failed, {ignored} skipped")
    return 1 if failed or broken or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
