"""`python -m flambeau.export`."""

import sys

from .cli import main

sys.exit(main())
