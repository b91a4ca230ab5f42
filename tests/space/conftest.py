"""Random studies are shared with the tests of the study files."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "spec"))
