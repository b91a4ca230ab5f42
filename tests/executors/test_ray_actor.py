"""What an actor finds on its node."""

from pathlib import Path

from sweep.executors.ray_actor import claim_core


def test_cores_are_claimed_in_turn_and_come_free(tmp_path: Path) -> None:
    claims = [claim_core((0, 2), tmp_path) for _ in range(5)]
    assert [core for core, _ in claims] == [0, 2, 0, 2, 0]
    claims[1][1].close()
    core, claim = claim_core((0, 2), tmp_path)
    assert core == 2
    for _, held in [*claims, (core, claim)]:
        held.close()
