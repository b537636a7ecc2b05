"""A conversion whose anonymous memory is watched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..memory_watch import run_watched

CONVERSION = """
import json, sys
from anonymous_memory import AnonymousPeak
from belle_edge.convert import convert

with AnonymousPeak() as memory:
    report = convert(sys.argv[1], sys.argv[2], type=sys.argv[3], family="none", **json.loads(sys.argv[4]))
result = {"peak": memory.peak, "growth": memory.growth}
result |= {"source": report.source_bytes, "predicted": report.conversion_memory_bytes}
print(json.dumps(result))
"""


def watched_conversion(folder: Path, out: Path, type: str, **options: Any) -> dict[str, int]:
    """Bytes: peak and growth of anonymous memory, the peak that was predicted, source. `out` is removed again."""
    result = run_watched(CONVERSION, str(folder), str(out), type, json.dumps(options))
    out.unlink()  # pytest keeps its folders for a while
    return result
