"""``python -m tfreg.cli``."""

import sys

from tfreg.cli import main

sys.exit(main())
