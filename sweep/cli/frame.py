"""One frame of the live view: pure functions from `Progress` to styled lines."""

from collections.abc import Iterable, Mapping

from rich.console import Group
from rich.text import Text

from sweep.budget import Ending
from sweep.cli.text import compact, differences, duration, metric, sparkline
from sweep.driver.progress import Progress, SlotView, WorkerView
from sweep.trial import TrialConfig, Value

CURVE_WIDTH = 12
STATES = {"starting": "starting: Keras loads, 10 seconds or more"}
"""Words for the states of workers that need more than their name."""
BAR_STYLES = (("complete", "green"), ("pruned", "yellow"), ("failed", "red"), ("running", "cyan"))


def last_words(progress: Progress) -> str | None:
    """How a run that is about to end winds down; None if it does not, or has nothing to do."""
    match progress.ending:
        case Ending.INTERRUPTED:
            return "stopping: running trials finish their epoch (Ctrl-C again leaves at once)"
        case Ending.STOPPED:
            return "stopped: running trials train to their end, no other begins"
        case Ending.TARGET | Ending.WALL | Ending.GPU_HOURS | Ending.PAUSED:
            return f"{progress.ending}: running trials finish their epoch and are set aside"
        case _:
            return None


class Frame:
    """Draws the progress of one run, in any width from 40 columns and any height from 9 lines."""

    def __init__(
        self, fixed: Mapping[str, Value], searched: Iterable[str], metrics: tuple[str, ...]
    ) -> None:
        """Keep what tells trials apart.

        Args:
            fixed: The study's fixed settings.
            searched: Names of the searched fields.
            metrics: Names of the objectives.
        """
        self._fixed = dict(fixed)
        self._searched = tuple(searched)
        self._metrics = metrics
        self._earlier: int | None = None

    def render(self, progress: Progress, width: int, height: int) -> Group:
        """The frame: head, counts, best trial, speed, and a row for each worker that fits."""
        if self._earlier is None:
            self._earlier = progress.finished
        head = [
            self._title(progress),
            self._bar(progress, width),
            self._counts(progress),
            *self._best(progress, width),
            self._speed(progress),
        ]
        rows = self._workers(progress, width)
        room = max(1, height - len(head) - 2)
        if len(rows) > room:
            hidden = len(rows) - room + 1
            rows = [*rows[: room - 1], Text(f"… and {hidden} more", style="dim")]
        lines = [*head, Text(""), *rows]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
        return Group(*lines)

    def brief(self, config: TrialConfig) -> str:
        """What tells a trial from the others, in one line."""
        return compact(differences(config, self._fixed, self._searched))

    def _title(self, progress: Progress) -> Text:
        title = Text.assemble((progress.study, "bold"), " on ", progress.data)
        if (text := last_words(progress)) is not None:
            title.append(f"  {text}", style="yellow")
        return title

    def _bar(self, progress: Progress, width: int) -> Text:
        room = min(width, 100) - len(f" {progress.finished}/{progress.asked}")
        bar = Text()
        filled, covered = 0, 0
        for name, style in BAR_STYLES:
            covered += getattr(progress, name)
            cells = min(room, round(room * covered / max(1, progress.asked))) - filled
            bar.append("━" * max(0, cells), style=style)
            filled += max(0, cells)
        bar.append("─" * (room - filled), style="dim")
        bar.append(f" {progress.finished}/{progress.asked}", style="bold")
        return bar

    def _counts(self, progress: Progress) -> Text:
        counts = Text()
        for name, style in BAR_STYLES:
            number = getattr(progress, name)
            counts.append(f"{number} {name}", style=style if number else "dim")
            if name == "complete" and progress.diverged:
                counts.append(f" ({progress.diverged} diverged)", style="dim")
            counts.append("  ")
        counts.rstrip()
        return counts

    def _best(self, progress: Progress, width: int) -> list[Text]:
        best = progress.best
        if best is None:
            return [Text("best   none yet", style="dim")]
        values = ", ".join(
            f"{name} {metric(value)}"
            for name, value in zip(self._metrics, best.values, strict=False)
        )
        head = Text.assemble("best   ", (values, "bold green"), f"  trial {best.number}")
        words = self.brief(best.config)
        if len(head.plain) + 2 + len(words) <= width:
            head.append(f"  {words}")
            return [head]
        return [head, Text(f"       {words}")]

    def _speed(self, progress: Progress) -> Text:
        parts = [f"time   {duration(progress.seconds)}"]
        finished = progress.finished - (self._earlier or 0)
        if progress.seconds > 0 and finished:
            parts.append(f"{finished / progress.seconds * 3600:.0f} trials/h")
        if progress.seconds > 0 and progress.trial_epochs:
            parts.append(f"{progress.trial_epochs / progress.seconds * 60:.1f} epochs/min")
        if progress.eta_seconds:
            parts.append(f"about {duration(progress.eta_seconds)} left")
        return Text("  ".join(parts))

    def _workers(self, progress: Progress, width: int) -> list[Text]:
        curves = [value for w in progress.workers for s in w.slots for value in s.val_accuracy]
        low, high = min(curves, default=0.0), max(curves, default=1.0)
        name_width = max((len(_label(worker)) for worker in progress.workers), default=0)
        rows = []
        for worker in progress.workers:
            label = _label(worker).ljust(name_width)
            if not worker.slots:
                state = STATES.get(worker.state, worker.state)
                rows.append(Text.assemble((label, "bold"), (f"  {state}", "dim")))
            for slot in worker.slots:
                rows.append(self._slot(label, slot, low, high))
                label = " " * name_width
        return rows

    def _slot(self, label: str, slot: SlotView, low: float, high: float) -> Text:
        curve = sparkline(slot.val_accuracy, width=CURVE_WIDTH, low=low, high=high)
        latest = metric(slot.val_accuracy[-1]) if slot.val_accuracy else "      "
        digits = len(str(slot.config.epochs))
        return Text.assemble(
            (label, "bold"),
            f"  trial {slot.number:<4}",
            f" {slot.epoch:>{digits}}/{slot.config.epochs}",
            (f"  {curve:<{CURVE_WIDTH}}", "cyan"),
            f" {latest}",
            (f"  {self.brief(slot.config)}", "dim"),
        )


def _label(worker: WorkerView) -> str:
    return worker.device if worker.device and worker.name in worker.device else worker.name
