"""`sweep`, whose agents train with the slow numpy engine of the chaos test."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from sweep.cli import agents, main

supervise = agents.supervise


def with_slow_engine(plans: Sequence[agents.AgentPlan]) -> int:
    return supervise([replace(plan, factory="chaos_engine:make_engine") for plan in plans])


if __name__ == "__main__":
    agents.supervise = with_slow_engine
    sys.exit(main())
