"""A process of its own that lets trials go on from checkpoints.

Arguments: the data as JSON, the engine, and a directory of checkpoints, one per configuration of
the contract. Writes the reports and the kept weights of each beside it.
"""

import json
import sys
from pathlib import Path

from engine_contract import CONTINUED, continued_task, finish

from sweep.data import DataRef
from sweep.engines import make_engine
from sweep.engines.checkpoint import Checkpoint

fields = json.loads(sys.argv[1])
data = DataRef(**fields | {"directory": Path(fields["directory"])})
engine = make_engine(sys.argv[2], data, "cpu:0")
for place, name in enumerate(CONTINUED):
    path = Path(sys.argv[3]) / str(place)
    engine.admit(continued_task(name), Checkpoint.from_bytes(path.read_bytes()))
    outcome = finish(engine, [], path.with_suffix(".keras"))
    path.with_suffix(".txt").write_text("\n".join(map(repr, outcome)))
