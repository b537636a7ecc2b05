"""lm-eval and `datasets` kept to this machine, and quiet."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from ...folders import cache_folder

SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")
_LOGGERS = ("lm_eval", "datasets", "evaluate", "lm-eval")


def stay_offline() -> None:
    """Nothing is downloaded from now on, and what `datasets` makes of local files lies in our own cache folder.

    A folder that the user chose ($HF_DATASETS_CACHE) stays. To be called before lm-eval is imported.
    """
    for switch in SWITCHES:
        os.environ[switch] = "1"
    os.environ.setdefault("HF_DATASETS_CACHE", str(cache_folder() / "datasets"))
    os.environ.setdefault("HF_EVALUATE_CACHE", str(cache_folder() / "evaluate"))
    if "datasets" in sys.modules:  # it read the environment when it was imported
        import datasets.config

        datasets.config.HF_DATASETS_OFFLINE = True


@contextmanager
def quietly(*, verbose: bool = False) -> Iterator[None]:
    """What lm-eval prints, its bars and its log lines go nowhere; errors and, with `verbose`, all log lines do."""
    level = logging.INFO if verbose else logging.ERROR
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(level)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
