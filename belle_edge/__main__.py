"""`python -m belle_edge`: the command line, as `belle-edge`."""

from __future__ import annotations

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
