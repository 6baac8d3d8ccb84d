"""`python -m benchmarks`: see `benchmarks.suite`, which processes of its own can import."""

import sys

from benchmarks.suite import main

sys.exit(main())
