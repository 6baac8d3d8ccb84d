"""`python -m ikpaper` is the command `ikpaper`."""

import sys

from ikpaper.cli import main

if __name__ == "__main__":
    sys.exit(main())
