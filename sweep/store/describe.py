"""The database for people who read it with SQL."""

from typing import Final

from sweep.store.schema import OUR_TABLES


def describe_schema() -> list[dict[str, str]]:
    """What each of our tables and columns holds.

    Returns:
        Rows with `table`, `column` (empty for the table itself), `type` and `meaning`.
    """
    rows = []
    for table in OUR_TABLES:
        rows.append(_row(table.name, "", "", table.comment))
        for column in table.columns:
            rows.append(_row(table.name, column.name, str(column.type), column.comment))
    return rows


def _row(table: str, column: str, kind: str, meaning: str | None) -> dict[str, str]:
    return {"table": table, "column": column, "type": kind, "meaning": meaning or ""}


# `->>` reads a setting out of `config`, in SQLite from 3.38 on as in PostgreSQL: that keeps one
# column for all settings, a new one needs no migration, and the same query serves both. It gives
# texts in PostgreSQL, so a number is cast.
EXAMPLE_QUERIES: Final[dict[str, str]] = {
    "Mean validation accuracy by activation and initializer": """\
SELECT t.config ->> 'activation' AS activation,
       t.config ->> 'kernel_initializer' AS initializer,
       count(*) AS trials,
       avg(e.val_accuracy) AS mean_val_accuracy
FROM sweep_studies s
JOIN sweep_trials t ON t.study_id = s.study_id
JOIN sweep_epochs e ON e.trial_id = t.trial_id AND e.epoch = t.kept_epoch
WHERE s.name = 'quickstart'
GROUP BY 1, 2
ORDER BY mean_val_accuracy DESC;
""",
    "Learning curve of the best trial": """\
SELECT t.number, e.epoch, e.loss, e.accuracy, e.val_loss, e.val_accuracy
FROM sweep_epochs e
JOIN sweep_trials t ON t.trial_id = e.trial_id
WHERE t.trial_id = (SELECT o.trial_id
                    FROM sweep_studies s
                    JOIN trials o ON o.study_id = s.study_id AND o.state = 'COMPLETE'
                    JOIN trial_values v ON v.trial_id = o.trial_id AND v.objective = 0
                    WHERE s.name = 'quickstart'
                    ORDER BY v.value DESC LIMIT 1)  -- ASC if the study minimizes
ORDER BY e.epoch;
""",
    "Failed and diverged trials, with the reason": """\
SELECT t.number, o.state, t.stop_reason, t.epochs, t.error,
       t.config ->> 'activation' AS activation,
       CAST(t.config ->> 'learning_rate' AS DOUBLE PRECISION) AS learning_rate
FROM sweep_studies s
JOIN sweep_trials t ON t.study_id = s.study_id
JOIN trials o ON o.trial_id = t.trial_id
WHERE s.name = 'quickstart' AND (o.state = 'FAIL' OR t.stop_reason = 'diverged')
ORDER BY t.number;
""",
    "Dead units and gradients layer by layer, by activation": """\
SELECT t.config ->> 'activation' AS activation,
       l.layer,
       count(*) AS trials,
       avg(l.dead) AS dead,
       avg(l.gradient_norm) AS gradient_norm
FROM sweep_studies s
JOIN sweep_trials t ON t.study_id = s.study_id
JOIN sweep_layers l ON l.trial_id = t.trial_id
WHERE s.name = 'quickstart'
GROUP BY 1, 2
ORDER BY 1, 2;
""",
}
