"""How long does the report take to make and to open, beside a page of Optuna's own figures?

    python tests/benchmarks/report.py [--trials 1000 10000] [--rounds 3 1] [--epochs 50] --out FILE

One database holds Optuna's rows and ours, as a run leaves them. Each reading is a process of its
own, that opens the database anew: `report` (the whole page of `sweep report`, 13 figures, tables
and sentences), `optuna_page` (one HTML file, Plotly included, of seven figures of
`optuna.visualization` with their defaults, which show what ours do: history, intermediate values,
parallel coordinates, slices, importances, distribution of the objective and timeline; contours and
ranks, a plot for each pair of parameters, are left out) and `trials_dataframe`. Time from opening
the database until the file is written, imports left out, by the clock and by the processor, whose
time others disturb less; the ratios are of the latter. Memory is the peak of the process above
what it had after its imports.

Both files are then opened from disk in a Chromium of their own, in turn: seconds from navigation
until there is something to read, until the figures in view are on the screen, and until all are;
`busy` is what the page's main thread worked for that. A page that takes longer than `--patience`
is given up.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from frames import STUDY, TESTS, database, fill
from memory import MIB, Peak, apart, say
from throughput_machine import machine

FIGURES = (
    "plot_optimization_history",
    "plot_intermediate_values",
    "plot_parallel_coordinate",
    "plot_slice",
    "plot_param_importances",
    "plot_edf",
    "plot_timeline",
)
OURS = 13
VIEW = {"width": 1360, "height": 900}
# When each figure was on the screen: after the frame that follows its drawing.
RECORD = """
window.painted = new Map();
new MutationObserver(() => {
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    if (window.painted.has(plot)) continue;
    window.painted.set(plot, Infinity);
    requestAnimationFrame(() => setTimeout(() => window.painted.set(plot, performance.now())));
  }
}).observe(document, { subtree: true, childList: true, attributeFilter: ["class"] });
"""
DRAWN = "[...window.painted.values()].filter(Number.isFinite).length"
TIMES = """[
  performance.getEntriesByName("first-contentful-paint")[0].startTime,
  Math.max(...[...window.painted].filter(
    ([plot]) => plot.getBoundingClientRect().top < window.innerHeight).map(([, when]) => when)),
  Math.max(...window.painted.values()),
]"""


def write_report(url: str, path: Path) -> None:
    """Ours."""
    from sweep.report.page import write_report
    from sweep.store import Store

    with Store.open(url, create=False) as store:
        write_report(store, STUDY, path)


def write_optuna_page(url: str, path: Path) -> None:
    """Optuna's figures, all in one file."""
    study = optuna.load_study(study_name=STUDY, storage=url)
    figures = [getattr(optuna.visualization, name)(study) for name in FIGURES]
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=not place)
        for place, figure in enumerate(figures)
    ]
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{''.join(parts)}</body>")


def read_trials_dataframe(url: str, path: Path) -> None:
    """Optuna's frame of trials, which writes nothing."""
    optuna.load_study(study_name=STUDY, storage=url).trials_dataframe()


WAYS: dict[str, Callable[[str, Path], None]] = {
    "report": write_report,
    "optuna_page": write_optuna_page,
    "trials_dataframe": read_trials_dataframe,
}
PAGES = {"report": OURS, "optuna_page": len(FIGURES)}


def measure(name: str, url: str, path: str) -> dict[str, int]:
    """Milliseconds, those of the processor, bytes at the peak and bytes written."""
    # Imports are not what is measured.
    import sklearn.ensemble  # noqa: F401

    import sweep.report.analysis.fanova
    import sweep.report.page  # noqa: F401

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.visualization.is_available()
    with Peak() as peak:
        before = peak.bytes
        begun, busy = time.perf_counter(), time.process_time()
        WAYS[name](url, Path(path))
        took, busy = time.perf_counter() - begun, time.process_time() - busy
    return {
        "milliseconds": round(1000 * took),
        "busy_milliseconds": round(1000 * busy),
        "bytes": peak.bytes - before,
        "file_bytes": Path(path).stat().st_size if name in PAGES else 0,
    }


def open_page(path: str, figures: int, patience: float) -> dict[str, float] | None:
    """Seconds until something can be read, figures in view are drawn, all are; None if never."""
    sys.path[:0] = [str(TESTS / "report")]
    from browser_pages import ARGUMENTS
    from playwright.sync_api import Error, sync_playwright

    # Optuna's parallel coordinates need WebGL.
    arguments = (*ARGUMENTS, "--enable-unsafe-swiftshader")
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        page = browser.new_page(viewport=VIEW)
        page.set_default_timeout(1000 * patience)
        page.add_init_script(RECORD)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        until = time.monotonic() + patience
        try:
            page.goto(Path(path).as_uri(), wait_until="commit")
            while page.evaluate(DRAWN) < figures:
                if time.monotonic() > until:
                    return None
                page.wait_for_timeout(200)
        except Error:
            return None
        times = page.evaluate(TIMES)
        metrics = session.send("Performance.getMetrics")["metrics"]
        busy = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
        browser.close()
    readable, in_view, drawn = (round(one / 1000, 3) for one in times)
    return {"readable": readable, "in_view": in_view, "all": drawn, "busy": round(busy, 3)}


def rounds(url: str, count: int, patience: float) -> dict[str, dict[str, Any]]:
    """Every way, some rounds of all of them in turn; medians."""
    made: dict[str, list[dict[str, int]]] = {name: [] for name in WAYS}
    opened: dict[str, list[dict[str, float] | None]] = {name: [] for name in PAGES}
    with tempfile.TemporaryDirectory() as directory:
        paths = {name: f"{directory}/{name}.html" for name in WAYS}
        for _ in range(count):
            for name, path in paths.items():
                made[name].append(apart(measure, name, url, path))
            for name, figures in PAGES.items():
                if shutil.which("chromium") and None not in opened[name]:
                    opened[name].append(apart(open_page, paths[name], figures, patience))
    return {
        name: {
            "seconds": median(one["milliseconds"] for one in taken) / 1000,
            "busy_seconds": median(one["busy_milliseconds"] for one in taken) / 1000,
            "mib": round(median(one["bytes"] for one in taken) / MIB, 1),
            "file_mb": round(median(one["file_bytes"] for one in taken) / 1e6, 2),
            "opening_seconds": _opening(opened.get(name, [])),
        }
        for name, taken in made.items()
    }


def _opening(taken: list[dict[str, float] | None]) -> dict[str, float] | None:
    known = [one for one in taken if one is not None]
    if not known or None in taken:
        return None
    return {what: round(median(one[what] for one in known), 3) for what in known[0]}


def show(found: dict[str, dict[str, Any]], patience: float) -> None:
    """Print what was found at one size."""
    ours = found["report"]["busy_seconds"]
    for name, made in found.items():
        say(
            f"  {name:17}{made['seconds']:8.2f} s, busy {made['busy_seconds']:7.2f} s "
            f"{made['mib']:6.0f} MiB {made['busy_seconds'] / ours:7.1f} times report"
        )
        opening = made["opening_seconds"]
        if opening:
            say(
                f"  {'':17}{made['file_mb']:8.2f} MB, read after {opening['readable']:.2f} s, "
                f"figures in view after {opening['in_view']:.2f} s, all after "
                f"{opening['all']:.2f} s, busy {opening['busy']:.2f} s"
            )
        elif name in PAGES:
            say(f"  {'':17}{made['file_mb']:8.2f} MB, not open after {patience:.0f} s")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--rounds", type=int, nargs="+", default=[3, 1], help="for each size")
    parser.add_argument("--patience", type=float, default=120, help="seconds for a page to open")
    parser.add_argument("--postgresql", action="store_true", help="a server instead of a file")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    kind = "PostgreSQL" if arguments.postgresql else "SQLite"
    facts: dict[str, Any] = machine() | {
        "database": kind,
        "epochs": arguments.epochs,
        "patience_seconds": arguments.patience,
        "optuna_figures": FIGURES,
        "sizes": [],
    }
    for trials, count in zip(arguments.trials, arguments.rounds, strict=True):
        with database(arguments.postgresql) as url:
            apart(fill, url, trials, arguments.epochs)
            found = rounds(url, count, arguments.patience)
        facts["sizes"].append({"trials": trials, "rounds": count, "ways": found})
        say(f"{trials} trials of {arguments.epochs} epochs, {kind}")
        show(found, arguments.patience)
    if arguments.out:
        arguments.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
