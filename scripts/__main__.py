"""`python -m scripts VERB`."""

import sys

from .cli import main

sys.exit(main())
