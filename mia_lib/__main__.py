"""`python -m mia_lib`."""

import sys

from mia_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
