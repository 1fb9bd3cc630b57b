"""`python -m visavis`: the command line, where the script `visavis` is not on the path."""

from __future__ import annotations

import sys

from visavis.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
