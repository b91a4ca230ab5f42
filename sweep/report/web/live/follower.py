"""Those who follow studies for the pages: one reads for all visitors of a study's page."""

import threading
import time
from collections import OrderedDict
from typing import Any, Final

from sweep.errors import NotFoundError
from sweep.report.web.live import views
from sweep.report.web.live.feed import Feed
from sweep.report.web.live.picture import ENDED, Curve, Picture
from sweep.report.web.live.speed import Speed, seconds_left
from sweep.report.web.live.terms import Terms, about, counts, terms_of
from sweep.store import Store
from sweep.store.live import Seen

LEAST_SECONDS: Final = 0.4
"""How often the database is asked at most, however many visitors there are."""
MOST_FOLLOWED: Final = 32


class Followers:
    """A follower for each study that was looked at lately. May be used from several threads."""

    def __init__(self, store: Store) -> None:
        """Follow studies of this store."""
        self._store = store
        self._lock = threading.Lock()
        self._followers: OrderedDict[str, Follower] = OrderedDict()

    def answer(self, study: str, token: str) -> dict[str, Any]:
        """What is new of a study since the answer that gave the token: see `Follower.answer`."""
        with self._lock:
            follower = self._followers.setdefault(study, Follower(self._store, study))
            self._followers.move_to_end(study)
            if len(self._followers) > MOST_FOLLOWED:
                self._followers.popitem(last=False)
        try:
            return follower.answer(token)
        except NotFoundError:
            with self._lock:
                self._followers.pop(study, None)
            raise


class Follower:
    """Reads what is new of a study when somebody asks.

    One visitor at a time makes it read; others are answered meanwhile with what is known.
    """

    def __init__(self, store: Store, study: str) -> None:
        """Read nothing yet."""
        self._store = store
        self._study = study
        self._reading = threading.Lock()
        self._read_at: float | None = None
        self._picture: Picture | None = None
        self._feed = Feed()
        self._speed = Speed()
        self._configs: dict[int, str] = {}
        self._pulse: dict[str, Any] = {}

    def answer(self, token: str) -> dict[str, Any]:
        """What is new since an answer.

        Args:
            token: That of the answer; empty for the first one.

        Returns:
            What `Feed.since` gives; `pulse`, which changes all the time: time of the database,
            wall time, speed and time left; and `age`, how many seconds ago that was read.

        Raises:
            NotFoundError: There is no such study.
            StoreError: The database cannot be read.
        """
        if self._is_due() and self._reading.acquire(blocking=self._picture is None):
            try:
                if self._is_due():
                    self._read()
            finally:
                self._reading.release()
        age = time.monotonic() - (self._read_at or 0.0)
        return {**self._feed.since(token), "pulse": self._pulse, "age": round(age, 3)}

    def _is_due(self) -> bool:
        return self._read_at is None or time.monotonic() - self._read_at >= LEAST_SECONDS

    def _read(self) -> None:
        began = time.monotonic()
        is_driven = bool(self._store.drivers(self._study))
        news = self._store.news(self._study, self._picture.seen if self._picture else Seen())
        if self._picture is None or self._picture.news.study != news.study:
            self._picture, self._configs, self._speed = Picture(news), {}, Speed()
        else:
            self._picture.add(news)
        picture, terms = self._picture, terms_of(news.record["spec"])
        self._look_closer(picture, terms)
        parts = views.values(picture, self._configs, terms)
        parts["study"] = about(picture, terms, self._study)
        parts["counts"] = counts(picture, terms, is_driven=is_driven)
        self._feed.update(parts, views.lists(picture, terms))
        self._pulse = self._beat(picture, terms, is_driven=is_driven)
        self._read_at = began

    def _look_closer(self, picture: Picture, terms: Terms) -> None:
        """Read settings and curves of trials that are newly shown; forget those of others."""
        on_page = views.shown(picture)
        self._configs = {n: text for n, text in self._configs.items() if n in on_page}
        for number in picture.curves.keys() - on_page.keys():
            if picture.trials[number].outcome in ENDED:
                del picture.curves[number]
        unknown = on_page.keys() - self._configs.keys()
        if not unknown:
            return
        for number, (config, epochs) in self._store.portraits(self._study, unknown).items():
            self._configs[number] = terms.brief(config)
            # Of an open trial, only news tell the epochs, so that all of it is of one moment.
            if picture.trials[number].outcome in ENDED and number not in picture.curves:
                curve = picture.curves[number] = Curve()
                for row in epochs:
                    curve.add(row)

    def _beat(self, picture: Picture, terms: Terms, *, is_driven: bool) -> dict[str, Any]:
        speed = self._speed.epochs_per_second(
            picture, lambda since: self._store.epochs_since(self._study, since)
        )
        left = seconds_left(picture, terms.budget.trials, terms.most_epochs, speed)
        outlook = picture.news.outlook
        return {
            "now": picture.news.now,
            "epochs_per_second": speed,
            "seconds_left": left if is_driven else None,
            "wall_seconds": outlook.wall_seconds,
            "gpu_seconds": outlook.gpu_seconds,
        }
