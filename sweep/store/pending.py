"""What waits to be written about open trials: ours and Optuna's, in one transaction."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, insert

from sweep.store import leases
from sweep.store.optuna_tables import KEYS, End, end_trials, ended_at

Rows = dict[Table, dict[tuple[int, Any], dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Note:
    """Something of ours to be written about open trials.

    Attributes:
        trial_ids: The trials.
        write: (connection, those of the trials that are still held): writes it.
    """

    trial_ids: frozenset[int]
    write: Callable[[Connection, Collection[int]], None]


@dataclass(slots=True)
class Pending:
    """What waits to be written.

    Attributes:
        notes: Ours, in order.
        rows: Optuna's, by table and key.
        ends: Trials that end, by id.
    """

    notes: list[Note] = field(default_factory=list)
    rows: Rows = field(default_factory=lambda: defaultdict(dict))
    ends: dict[int, End] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self.notes or self.rows or self.ends)

    @property
    def trial_ids(self) -> set[int]:
        """The trials concerned."""
        of_notes = (note.trial_ids for note in self.notes)
        of_rows = ({trial_id for trial_id, _ in rows} for rows in self.rows.values())
        return set().union(*of_notes, *of_rows, self.ends)

    def ended(self, connection: Connection) -> set[int]:
        """The trials whose ends are there already: if there are any, all else is there too."""
        found = ended_at(connection, self.ends)
        return {each for each, end in self.ends.items() if found[each] == end.at}

    def write(self, connection: Connection, held: Collection[int]) -> None:
        """Write what concerns trials that are held, over what is there, and last their ends."""
        for note in self.notes:
            note.write(connection, held)
        for table, rows in self.rows.items():
            mine = {key: row for key, row in rows.items() if key[0] in held}
            if not mine:
                continue
            same = and_(
                table.c.trial_id == bindparam("of_trial"),
                table.c[KEYS[table]] == bindparam("of_key"),
            )
            places = [{"of_trial": trial_id, "of_key": key} for trial_id, key in mine]
            connection.execute(delete(table).where(same), places)
            connection.execute(insert(table), list(mine.values()))
        ends = {trial_id: end for trial_id, end in self.ends.items() if trial_id in held}
        if ends:
            end_trials(connection, ends)
            leases.give_up(connection, ends)
