"""What a page says of several studies: what each reached, what differs, and whether it is real."""

from collections.abc import Sequence

from sweep.report.analysis.studies.comparison import StudiesOverview, StudiesVerdicts
from sweep.report.figures.comparison import overview_charts, verdict_charts
from sweep.report.page.elements import figures, sentences, table
from sweep.report.page.shell import filled
from sweep.report.page.tables import (
    TextTable,
    difference_table,
    effect_tables,
    summary_table,
    winner_table,
)
from sweep.report.text import escaped


def comparison_body(
    about: StudiesOverview, judged: StudiesVerdicts, sections: Sequence[str]
) -> str:
    """HTML about several studies, without a heading of its own.

    Args:
        about: What they reached.
        judged: How they differ.
        sections: For each study HTML about it alone, folded up below.
    """
    names = [frames.study for frames in about.studies]
    cautions = sentences(about.cautions)
    parts = {
        "links": " ".join(
            f'<a href="#study-{place}">{escaped(name)}</a>' for place, name in enumerate(names)
        ),
        "summary": _table(summary_table(about)),
        "contrasts": sentences(judged.contrasts["sentence"]),
        "paces": sentences(about.paces),
        "cautions": f"<p>To bear in mind:</p>{cautions}" if cautions else "",
        "figures": figures((*overview_charts(about), *verdict_charts(judged))),
        "differences": _table(difference_table(about)) or "<p>The study files say the same.</p>",
        "winners": _table(winner_table(about)),
        "effects": "".join(
            f"<details><summary>{escaped(effects.caption)}</summary>{_table(effects)}</details>"
            for effects in effect_tables(judged)
        ),
        "studies": "\n".join(
            f'<details class="study" id="study-{place}"><summary><h2>{escaped(name)}</h2>'
            f"</summary>{section}</details>"
            for place, (name, section) in enumerate(zip(names, sections, strict=True))
        ),
    }
    return filled("comparison.html", parts)


def _table(text: TextTable) -> str:
    """Nothing if there is no row."""
    return table(text.head, text.rows, text.caption) if text.rows else ""
