"""A study for a notebook: `sweep.load`."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Final, Literal, get_args

import pandas as pd
import plotly.graph_objects as go

from sweep.errors import UsageError
from sweep.report.analysis.dependence import partial_dependence
from sweep.report.analysis.effects import effects
from sweep.report.analysis.importances import importances_frame
from sweep.report.analysis.interactions import interactions
from sweep.report.files import write_file
from sweep.report.frames import StudyFrames, studies_frame, study_frames
from sweep.report.images import ImageFormat, page_charts, write_images
from sweep.store import Store, storage_url

FrameFormat = Literal["parquet", "csv"]
FRAME_FORMATS: Final[tuple[FrameFormat, ...]] = get_args(FrameFormat)


class LoadedStudy:
    """A study as pandas frames, all of it as of the moment when it was loaded.

    Attributes:
        name: Name of the study.
        study: One row: see `sweep.report.frames.studies_frame`.
        trials: One row a trial: see `sweep.report.frames.trials_frame`.
        epochs: One row an epoch: see `sweep.report.frames.epochs_frame`.
        layers: One row a layer of a trial's network: see `sweep.report.frames.layers_frame`.
        workers: One row a worker process: see `sweep.report.frames.workers_frame`.
    """

    def __init__(self, frames: StudyFrames, study: pd.DataFrame) -> None:
        """Hold frames that were read; `load` reads them."""
        self.name = frames.study
        self.study = study
        self.trials = frames.trials
        self.epochs = frames.epochs
        self.layers = frames.layers
        self.workers = frames.workers
        self._frames = frames

    def __repr__(self) -> str:
        """Name and size."""
        return f"LoadedStudy({self.name!r}, {len(self.trials)} trials, {len(self.epochs)} epochs)"

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row for each value of each setting that varied: see `analysis.effects`."""
        return effects(self._frames)

    @cached_property
    def interactions(self) -> pd.DataFrame:
        """One row for each pair of settings: see `analysis.interactions`."""
        return interactions(self._frames)

    @cached_property
    def importances(self) -> pd.DataFrame:
        """One row for each method and setting: see `analysis.importances`. Takes seconds."""
        return importances_frame(self._frames)

    def dependence(self, setting: str) -> pd.DataFrame:
        """How the objective follows one setting: see `sweep.report.analysis.dependence`.

        Raises:
            UsageError: The setting does not vary in this study.
        """
        return partial_dependence(self._frames, setting)

    @cached_property
    def figures(self) -> Mapping[str, go.Figure]:
        """The figures of the report by name: `study.figures["momentum"].show()`."""
        return {name: chart.figure for name, chart in page_charts([self._frames]).items()}

    def write_figures(
        self, directory: Path | str, formats: Sequence[ImageFormat] = ("png",)
    ) -> list[Path]:
        """Write the figures of the report as images, `momentum.png` and so on.

        Needs Kaleido (the extra `sweep[images]`) and a Chrome or Chromium, and no network; a
        figure's own `write_image` would load MathJax from one.

        Args:
            directory: Where to; made if missing. Images that are there are replaced.
            formats: Some of `png`, `svg` and `pdf`.

        Returns:
            The files.

        Raises:
            UsageError: Kaleido or a browser is missing, or a file cannot be written.
            SweepError: The browser does not draw.
        """
        files = write_images(page_charts([self._frames]), Path(directory), formats)
        return [path for paths in files.values() for path in paths]

    def frames(self) -> Mapping[str, pd.DataFrame]:
        """All frames by name."""
        return {
            "study": self.study,
            "trials": self.trials,
            "epochs": self.epochs,
            "layers": self.layers,
            "workers": self.workers,
            "effects": self.effects,
            "interactions": self.interactions,
        }

    def export(
        self, directory: Path | str, format: FrameFormat = "parquet", *, force: bool = False
    ) -> list[Path]:
        """Write every frame to a file of its own, `trials.parquet` and so on.

        Args:
            directory: Where to; made if missing.
            format: `parquet`, which keeps types and needs pyarrow (the extra `sweep[parquet]`),
                or `csv`.
            force: Replace files that hold something else.

        Returns:
            The files.

        Raises:
            UsageError: A file cannot be written, or pyarrow is missing.
        """
        files = []
        for name, frame in self.frames().items():
            path = Path(directory) / f"{name}.{format}"
            write_file(path, _content(frame, format), what="a frame", force=force)
            files.append(path)
        return files


def load(study: str, storage: str | Path) -> LoadedStudy:
    """Read a study; see `sweep.load`."""
    with Store.open(storage_url(str(storage)), create=False) as store:
        return loaded(store, study)


def loaded(store: Store, study: str) -> LoadedStudy:
    """Read a study from a store that is open.

    Raises:
        StoreError: There is no such study.
    """
    frames = study_frames(store, study)
    studies = studies_frame(store)
    return LoadedStudy(frames, studies[studies["study"] == study].reset_index(drop=True))


def _content(frame: pd.DataFrame, format: FrameFormat) -> bytes:
    if format == "csv":
        return frame.to_csv(index=False).encode()
    buffer = BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError as error:
        raise UsageError(
            "Parquet files need pyarrow, which is not installed",
            next_step="pip install 'sweep[parquet]', or take --format csv",
        ) from error
    return buffer.getvalue()
