"""The digest by which a resumed study is recognised."""

import hashlib
import json

from sweep.spec.model import StudySpec
from sweep.spec.study_file import check_study
from sweep.spec.tree import fixed_values


def space_hash(spec: StudySpec) -> str:
    """Digest of everything that makes trials of two runs comparable.

    That is search, rules, fixed settings, objectives, seed, engine, backend and data. The epochs
    of a trial count, whether `fixed.epochs` or `budget.epochs` set them: values after 5 and after
    50 epochs must not meet in one study. The number of trials, the wall time, sampler, pruner,
    description and kept weights may change from run to run.

    Returns:
        Sixteen hexadecimal digits.
    """
    whole = check_study(spec).model_dump(mode="json")
    parts = {key: whole[key] for key in ("search", "rules", "objectives", "seed", "engine")}
    if spec.backend != "tensorflow":
        # Left out where it is what it always was, so that older studies can be resumed.
        parts["backend"] = spec.backend
    data = {key: value for key, value in whole["data"].items() if key != "fallback"}
    text = json.dumps({**parts, "data": data, "fixed": fixed_values(spec)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
