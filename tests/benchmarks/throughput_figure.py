"""Draws the scaling curve of a result that throughput.py wrote with --device gpu or --slots.

python tests/benchmarks/throughput_figure.py RESULT.json FIGURE.html|FIGURE.png
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import plotly.graph_objects as go


def scaling_figure(result: dict[str, Any]) -> go.Figure:
    """Trial-epochs per second over the slots of a cohort, a line for each structure."""
    figure = go.Figure()
    for name, measured in result["variants"].items():
        rows = [row for row in measured["slots"] if "error" not in row]
        color = "#1f77b4" if name.startswith("adam") else "#d95f02"
        dash = {"": "solid", "batch_norm": "dash", "dropout": "dot"}.get(
            name.partition(" ")[2], "dashdot"
        )
        figure.add_scatter(
            x=[row["slots"] for row in rows],
            y=[row["trial_epochs_per_second"] for row in rows],
            name=name.replace("_", " "),
            mode="lines+markers",
            line={"color": color, "dash": dash},
        )
    fits = [1.0 / measured["fit_epoch_seconds"] for measured in result["variants"].values()]
    figure.add_hrect(y0=min(fits), y1=max(fits), fillcolor="grey", opacity=0.4, line_width=0)
    figure.add_annotation(
        text="Keras fit",
        x=1,
        xref="paper",
        y=math.log10(max(fits)),
        yref="y",
        showarrow=False,
        yshift=10,
    )
    device = (result["gpu"] or result["processor"]).split(",")[0]
    figure.update_layout(
        title=f"Trial-epochs per second on {device}, Keras on {result['backend']}",
        template="plotly_white",
        width=900,
        height=520,
    )
    slots = sorted({row["slots"] for m in result["variants"].values() for row in m["slots"]})
    figure.update_xaxes(title="slots of the cohort", type="log", tickvals=slots)
    figure.update_yaxes(title="trial-epochs per second", type="log")
    return figure


def write_figure(result: dict[str, Any], path: Path) -> None:
    """Draw it into a `.png` file, or into an `.html` file that loads Plotly from the network."""
    figure = scaling_figure(result)
    if path.suffix == ".html":
        figure.write_html(path, include_plotlyjs="cdn")
    else:
        figure.write_image(path, scale=2)


if __name__ == "__main__":
    write_figure(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
