"""The catalogues of translations, belle_edge/languages/catalogues/: made from the sources, checked, compiled.

python tools/catalogues.py update   take over new texts from the sources, drop those that are gone
python tools/catalogues.py check    are they complete, and what the sources say? (exit code 1 where not)
python tools/catalogues.py compile  write the .mo files, as a build does
python tools/catalogues.py extract  print the texts with their places
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from catalogue_build import compile_catalogues  # noqa: E402
from message_sources.all_sources import all_messages  # noqa: E402
from message_sources.catalogue_files import LANGUAGES, path_of, problems, read, updated, write  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the tasks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=("extract", "update", "check", "compile"))
    task = parser.parse_args(arguments).task
    if task == "extract":
        for found in all_messages():
            print(f"{found.path}:{found.line}: {found.text}")
    elif task == "update":
        for language in LANGUAGES:
            catalogue, path = updated(read(language), all_messages()), path_of(language)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                write(catalogue, file)
    elif task == "compile":
        compile_catalogues(ROOT)
    found = [problem for language in LANGUAGES for problem in problems(read(language), all_messages())]
    for problem in found if task in ("update", "check") else ():
        print(problem)
    return 1 if found and task == "check" else 0


if __name__ == "__main__":
    sys.exit(main())
