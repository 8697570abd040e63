"""The command ``pipecatapp``."""

from __future__ import annotations

import sys

from pipecatapp.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
