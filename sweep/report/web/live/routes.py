"""The page that follows a study, what it asks for each second, and the details of a trial."""

from bottle import Bottle, HTTPResponse, request

from sweep.report import links
from sweep.report.figures.style import OUTCOME_COLOURS, OUTCOME_SYMBOLS, template
from sweep.report.web import answers
from sweep.report.web.live.details import trial_details
from sweep.report.web.live.follower import Followers
from sweep.report.web.static import PLOTLY
from sweep.store import Store


def add_routes(app: Bottle, store: Store) -> None:
    """Serve them."""
    followers = Followers(store)
    style = {
        "light": template(),
        "dark": template(dark=True),
        "colours": OUTCOME_COLOURS,
        "symbols": OUTCOME_SYMBOLS,
    }

    def page(study: str) -> HTTPResponse:
        navigation = answers.navigation(store, study, "live")
        return answers.html("live", study=study, navigation=navigation, style=style, plotly=PLOTLY)

    def news(study: str) -> HTTPResponse:
        return answers.document(followers.answer(study, str(request.query.since)))

    def trial(number: str, study: str) -> HTTPResponse:
        return answers.document(trial_details(store, study, int(number)))

    app.get(f"{links.PREFIX}/live/<study:study>", callback=page)
    app.get(f"{links.API}live/<study:study>", callback=news)
    app.get(f"{links.API}trial/<number:re:[0-9]{{1,9}}>/<study:study>", callback=trial)
