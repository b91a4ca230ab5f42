"""The report of a study as a page of the server: made anew when the study has changed."""

from bottle import Bottle, HTTPResponse

from sweep.report import links
from sweep.report.page import SCRIPTS, Shell, study_page
from sweep.report.web import answers
from sweep.report.web.reader import Reader
from sweep.report.web.static import PLOTLY, asset_url
from sweep.store import Store

SHEETS = ("page.css", "site.css")


def add_routes(app: Bottle, store: Store, reader: Reader) -> None:
    """Serve the page."""

    def report(study: str) -> HTTPResponse:
        navigation = answers.navigation(store, study, "report")
        shell = Shell(
            policy="",
            style="".join(f'<link rel="stylesheet" href="{asset_url(name)}">' for name in SHEETS),
            scripts="".join(
                f'<script src="{asset_url(name)}"></script>' for name in (PLOTLY, *SCRIPTS)
            ),
            navigation=navigation,
        )
        page = reader.answer(
            "report", [study], lambda read: study_page(read[0], store.record(study), shell)
        )
        return answers.answer(page.encode(), answers.HTML)

    app.get(f"{links.PREFIX}/report/<study:study>", callback=report)
