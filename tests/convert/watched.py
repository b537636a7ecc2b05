"""A conversion in a process of its own, whose anonymous memory is watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# Converts while a thread watches the process's anonymous memory; prints its highest growth in bytes.
WATCHED = """
import json, sys, threading
from belle_edge.convert import convert

def anonymous_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

start = anonymous_bytes()
peak = start
done = threading.Event()

def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous_bytes())

watcher = threading.Thread(target=watch)
watcher.start()
options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
report = convert(sys.argv[1], sys.argv[2], type=sys.argv[3], family="none", **options)
done.set()
watcher.join()
predicted = report.conversion_memory_bytes
result = {"peak": peak, "growth": peak - start}
result |= {"source": report.source_bytes, "predicted": predicted}
print(json.dumps(result))
"""


def watched_conversion(folder: Path, out: Path, type: str, **options: Any) -> dict[str, int]:
    """Bytes: peak and growth of anonymous memory, the peak that was predicted, source. `out` is removed again."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(folder), str(out), type, json.dumps(options)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    out.unlink()  # pytest keeps its folders for a while
    result: dict[str, int] = json.loads(done.stdout)
    return result
