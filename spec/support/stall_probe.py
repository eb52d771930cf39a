"""Tells when this machine was too busy to let a process run that wanted to.

    python3 stall_probe.py READY LOG

READY (JSON) is written at the start; LOG gets a JSON line for each stall, in seconds of the monotonic
clock. It runs until it is killed.
"""

import json
import os
import sys
import time

NAP = 0.005
WORTH_TELLING = 0.01


def main():
    ready, log = sys.argv[1:]
    with open(log, "w") as file:
        with open(ready + ".new", "w") as ready_file:
            json.dump({"pid": os.getpid()}, ready_file)
        os.rename(ready + ".new", ready)
        while True:
            start = time.monotonic()
            time.sleep(NAP)
            late = time.monotonic() - start - NAP
            if late > WORTH_TELLING:
                print(json.dumps({"event": "stall", "from": start, "seconds": late}), file=file, flush=True)


main()
