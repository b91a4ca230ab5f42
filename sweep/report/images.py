"""Figures as image files; the one place that loads Kaleido, which the extra `images` brings.

Kaleido draws in a Chrome or Chromium of this machine, with the plotly.js of the Python package
plotly. The browser has no sandbox, which containers and root refuse it: it is shown our figures
alone. It looks up no name, so that neither it nor they ask anything of a network.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, Final, Literal, TypeVar

import plotly.graph_objects as go

from sweep.errors import SweepError, UsageError
from sweep.report.analysis.studies.comparison import overview, verdicts
from sweep.report.figures.catalogue import report_charts
from sweep.report.figures.comparison import overview_charts, verdict_charts
from sweep.report.figures.style import HEIGHT, Chart
from sweep.report.files import write_file
from sweep.report.frames import StudyFrames
from sweep.spec.names import file_name

ImageFormat = Literal["png", "svg", "pdf"]

WIDTH_PIXELS: Final = 700
WIDE_PIXELS: Final = 1100
# Two pixels of a PNG for each of the figure; the other formats are lines, as sharp at any size.
SCALES: Final[Mapping[ImageFormat, int]] = {"png": 2, "svg": 1, "pdf": 1}
# How a file begins; where a picture is too large for it, a browser gives something else.
_BEGINS: Final[Mapping[ImageFormat, bytes]] = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}
# Machines may be loaded; a browser that does nothing for so long does not come back.
START_SECONDS: Final = 120.0
DRAW_SECONDS: Final = 300.0
CLOSE_SECONDS: Final = 30.0
# Chromium asks for updates, time and accounts by itself.
_FLAGS: Final = ("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND")

Result = TypeVar("Result")


def page_charts(studies: Sequence[StudyFrames]) -> dict[str, Chart]:
    """The figures of a report by the names of their files, which have no ending yet.

    Args:
        studies: One, or several that are compared: each one's own figures are then in a directory
            of its name.
    """
    if len(studies) == 1:
        return {chart.key: chart for chart in report_charts(studies[0])}
    shared = (*overview_charts(overview(studies)), *verdict_charts(verdicts(studies)))
    own = {
        f"{file_name(frames.study)}/{chart.key}": chart
        for frames in studies
        for chart in report_charts(frames)
    }
    return {chart.key: chart for chart in shared} | own


def write_images(
    charts: Mapping[str, Chart],
    directory: Path,
    formats: Sequence[ImageFormat] = ("png",),
    *,
    wrote: Callable[[Path], None] | None = None,
) -> dict[str, list[Path]]:
    """Write figures as images: the light theme, 700 or 1,100 pixels wide, a PNG twice as many.

    One browser draws all of them. A file is complete or absent; one that is there is replaced.

    Args:
        charts: Figures by the names of their files, see `page_charts`.
        directory: Where to; made if missing.
        formats: A file is written in each of them.
        wrote: Called with each file once it is written.

    Returns:
        The files of each figure.

    Raises:
        UsageError: Kaleido or a browser is missing, or a file cannot be written.
        SweepError: The browser does not start, or does not draw a figure.
    """
    return _run(_write(charts, directory, formats, wrote or (lambda path: None)))


def still(chart: Chart) -> go.Figure:
    """A figure as it looks where nobody can click: without menus, as wide as an image is."""
    figure = go.Figure(chart.figure)
    figure.layout.updatemenus = ()
    figure.layout.width = WIDE_PIXELS if chart.wide else WIDTH_PIXELS
    figure.layout.height = figure.layout.height or HEIGHT
    return figure


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Do asynchronous work, also in a notebook, which runs a loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _write(
    charts: Mapping[str, Chart],
    directory: Path,
    formats: Sequence[ImageFormat],
    wrote: Callable[[Path], None],
) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    async with _browser() as browser:
        for name, chart in charts.items():
            files[name] = []
            for kind in formats:
                path = directory / f"{name}.{kind}"
                write_file(path, await _drawn(browser, name, chart, kind), what="an image")
                files[name].append(path)
                wrote(path)
    return files


@asynccontextmanager
async def _browser() -> AsyncIterator[Any]:
    """A Kaleido that is open, and closed afterwards."""
    try:
        from choreographer.browsers import Chromium
        from kaleido import Kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError as error:
        raise UsageError(
            "images of figures need Kaleido, which is not installed",
            expected="the Python package kaleido, 1.5 or later",
            received=str(error),
            next_step="pip install 'sweep[images]'",
        ) from error

    class Offline(Chromium):  # type: ignore[misc]  # an extra: to mypy it has no types
        def get_cli(self) -> Sequence[str]:
            return [*super().get_cli(), *_FLAGS]

    try:
        # MathJax would come from a server.
        kaleido = Kaleido(timeout=DRAW_SECONDS, mathjax=False, browser_cls=Offline)
    except ChromeNotFoundError as error:
        named = os.environ.get("BROWSER_PATH")
        raise UsageError(
            "images of figures need Chrome or Chromium, which was not found",
            expected="google-chrome, chromium or another browser made from it on the PATH, or "
            "its program named by BROWSER_PATH",
            received=f"BROWSER_PATH={named}" if named else "no such program on the PATH",
            next_step="install one (on Debian: apt install chromium), or set BROWSER_PATH",
        ) from error
    try:
        try:
            await asyncio.wait_for(kaleido.open(), START_SECONDS)
        except Exception as error:  # noqa: BLE001 - it depends on when the program ends
            if hasattr(kaleido, "subprocess"):
                _end(kaleido.subprocess)
            raise SweepError(
                "the browser that draws figures does not start",
                where=str(kaleido._browser_impl.path),
                expected="Chrome, Chromium or another browser made from it",
                received=type(error).__name__,
                next_step="name another one by BROWSER_PATH",
            ) from error
        yield kaleido
    finally:
        # Past that time it kills the browser.
        await asyncio.wait_for(kaleido.close(), CLOSE_SECONDS)


def _end(process: Popen[bytes]) -> None:
    """End what was started instead of a browser, with all its own processes.

    Once it is gone, closing does not ask it to close itself and wait for an answer.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


async def _drawn(browser: Any, name: str, chart: Chart, kind: ImageFormat) -> bytes:
    """The content of an image."""
    received = f"no {kind.upper()}"
    try:
        content: bytes = await browser.calc_fig(
            still(chart).to_dict(), {"format": kind, "scale": SCALES[kind]}
        )
        if content.startswith(_BEGINS[kind]):
            return content
        cause = None
    except Exception as error:  # noqa: BLE001 - Kaleido names few of the errors of a browser
        received = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        cause = error
    raise SweepError(
        "the browser did not draw a figure",
        where=f"{name}.{kind}",
        received=received,
        next_step="try again; if it fails again, try another browser, named by BROWSER_PATH",
    ) from cause
