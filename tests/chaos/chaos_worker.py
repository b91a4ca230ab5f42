"""`sweep worker` with one agent, whose engine is that of `chaos_engine`.

    python chaos_worker.py HOME [--idle-exit]

The URL of the database comes over standard input.
"""

import os
import sys
from pathlib import Path

from sweep.cli.agents import AgentPlan, supervise
from sweep.executors.devices import Device


def main() -> int:
    home = Path(sys.argv[1])
    core = sorted(os.sched_getaffinity(0))[0]
    plan = AgentPlan(
        storage=sys.stdin.readline().strip(),
        device=Device("cpu0", f"cpu:{core}", None, "-1"),
        pid=os.getpid(),
        artifacts=str(home / "artifacts"),
        logs=home / "artifacts" / "_logs",
        data_dir=None,
        studies=("*",),
        idle_exit="--idle-exit" in sys.argv,
        webhook=None,
        command=None,
        kinds=(),
        debug=False,
        factory="chaos_engine:make_engine",
    )
    return supervise([plan])


if __name__ == "__main__":
    sys.exit(main())
