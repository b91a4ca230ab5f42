// The two figures of the live page: learning curves, and the objective of every ended trial.

import { capital, escaped, metric, plural } from "./words.js";

const GREEN = "#009E73";
const BLUE = "#0072B2";
const SKY = "#56B4E9";
const VERMILLION = "#D55E00";
const CONFIG = { responsive: true, displaylogo: false };
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 560px)");

export function isDark() {
  return dark.matches;
}

// Layout in the house style, as the report's.
export function layout(style, title, subtitle, more) {
  const lines = [`<b>${title}</b>`, ...subtitle.map((line) => `<span style='font-size:0.78em'>${line}</span>`)];
  return {
    template: dark.matches ? style.dark : style.light,
    title: { text: lines.join("<br>"), ...(narrow.matches ? { font: { size: 13 } } : {}) },
    height: 420,
    margin: { l: narrow.matches ? 44 : 60, r: 16, t: 26 + 19 * lines.length + 28, b: 46 },
    autosize: true,
    // What a reader zoomed into stays while data come in.
    uirevision: "kept",
    ...(narrow.matches ? { font: { size: 10 } } : {}),
    ...more,
  };
}

export class Figures {
  constructor(style) {
    this.style = style;
    this.curves = document.getElementById("curves");
    this.history = document.getElementById("history");
    this.again = () => {};
    for (const query of [dark, narrow]) query.addEventListener("change", () => this.again());
  }

  show(news, names, chosen) {
    this.again = () => {
      this.drawCurves(news, chosen);
      this.drawHistory(news);
    };
    const about = (kinds) => [...names].some((name) => kinds.includes(name.split(":")[0]));
    if (about(["curve", "outcome", "best", "study"]) || chosen !== this.chosen) this.drawCurves(news, chosen);
    if (about(["history", "steps", "thinning", "study"])) this.drawHistory(news);
  }

  drawCurves(news, chosen) {
    this.chosen = chosen;
    const study = news.values.get("study");
    const best = news.values.get("best")?.number;
    const curves = news.parts("curve", news.lists).filter(([, values]) => values.length);
    const isRunning = ([number]) => news.values.get(`outcome:${number}`) === "running";
    const running = curves.filter((curve) => isRunning(curve) && curve[0] !== chosen);
    const ended = curves.filter((curve) => !isRunning(curve) && curve[0] !== best && curve[0] !== chosen);
    const only = (number) => curves.filter((curve) => curve[0] === number);
    const soft = dark.matches ? "#7A828C" : "#A3ABB5";
    const traces = [
      lines(`ended (${ended.length})`, ended, { color: soft, width: 1, dash: "dot" }),
      lines(`in training (${running.length})`, running, { color: dark.matches ? SKY : BLUE, width: 1.8 }),
      ends(running, dark.matches ? SKY : BLUE),
      ...(chosen !== best ? [lines(`best, trial ${best}`, only(best), { color: GREEN, width: 3.5 })] : []),
      lines(`trial ${chosen}${chosen === best ? ", the best" : ""}`, only(chosen), { color: VERMILLION, width: 3, dash: "dash" }),
    ].filter((trace) => trace.x.length);
    draw(this.curves, traces, layout(this.style, "Learning curves", this.about(study), {
      xaxis: { title: { text: "epoch" }, rangemode: "tozero" },
      yaxis: { title: { text: study.curve } },
      hovermode: "closest",
      ...nothing(traces.length === 0, "No epoch has been reported yet"),
    }));
    const shown = best === undefined ? "" : ` The best, trial ${best}, stands out.`;
    document.getElementById("curves-text").textContent = traces.length === 0
      ? "No epoch has been reported yet."
      : `${capital(study.curve)} after each epoch of ${plural(running.length, "trial")} in training and of ${ended.length + only(best).length} that ended.${shown}`;
  }

  drawHistory(news) {
    const study = news.values.get("study");
    const thinning = news.values.get("thinning");
    const steps = news.lists.get("steps") ?? [];
    const points = placed(news.lists.get("history") ?? [], thinning);
    const usual = points.filter((p) => p.value !== null && p.outcome !== "diverged").map((p) => p.value);
    const low = usual.length ? usual.reduce((a, b) => Math.min(a, b)) : 0;
    const high = usual.length ? usual.reduce((a, b) => Math.max(a, b)) : 1;
    const traces = ["complete", "pruned", "diverged", "failed"].map((outcome) => {
      const of = points.filter((point) => point.outcome === outcome);
      return {
        name: thinning.stride > 1 ? outcome : `${outcome} (${of.length})`,
        x: of.map((point) => point.place),
        y: of.map((point) => Math.min(high, Math.max(low, point.value ?? low))),
        text: of.map((point) => `trial ${point.number}, ${outcome}: ${metric(point.value)}`),
        customdata: of.map((point) => point.number),
        mode: "markers",
        marker: { color: this.style.colours[outcome], symbol: this.style.symbols[outcome], size: 8, opacity: 0.85 },
        hovertemplate: "%{text}<extra></extra>",
      };
    });
    if (steps.length) traces.push(stairs(steps, thinning.ended));
    const shown = traces.filter((trace) => trace.x.length);
    const notes = thinning.stride > 1 ? [`every ${thinning.stride}th trial and the last ones; the line is exact`] : [];
    const [objective] = study.objectives;
    draw(this.history, shown, layout(this.style, "Best so far", [...this.about(study), ...notes], {
      xaxis: { title: { text: "ended trials, in the order of their end" }, rangemode: "tozero" },
      yaxis: { title: { text: objective.name } },
      hovermode: "closest",
      ...nothing(shown.length === 0, "No trial has ended yet"),
    }));
    const last = steps.at(-1);
    document.getElementById("history-text").textContent = last
      ? `${capital(objective.name)} of ${plural(thinning.ended, "ended trial")}: the best so far is ${metric(last[1])}, trial ${last[0]}, the ${plural(steps.length, "trial")} that took the lead one after the other joined by a line.`
      : "No trial has completed yet.";
  }

  about(study) {
    const data = escaped(study.data);
    return [study.is_fallback ? `<span style='color:${VERMILLION}'><b>${data} data (fallback)</b></span>` : `data: ${data}`];
  }
}

function draw(place, traces, shape) {
  const isNew = !place.classList.contains("js-plotly-plot");
  Plotly.react(place, traces, shape, CONFIG);
  place.dataset.drawn = Number(place.dataset.drawn ?? 0) + 1;
  if (isNew) {
    place.on("plotly_click", ({ points: [point] }) => {
      if (point.customdata !== undefined) window.location.hash = `trial-${point.customdata}`;
    });
  }
}

export function nothing(isEmpty, reason) {
  if (!isEmpty) return { annotations: [] };
  const text = { text: reason, x: 0.5, y: 0.5, xref: "paper", yref: "paper", showarrow: false, font: { size: 14 } };
  return { xaxis: { visible: false }, yaxis: { visible: false }, annotations: [text] };
}

// Many curves as one trace, with gaps between them.
function lines(name, curves, line) {
  const trace = { name, x: [], y: [], customdata: [], mode: "lines", line, connectgaps: false };
  for (const [number, values] of curves) {
    values.forEach((value, index) => {
      trace.x.push(index + 1);
      trace.y.push(value);
      trace.customdata.push(number);
    });
    trace.x.push(null);
    trace.y.push(null);
    trace.customdata.push(number);
  }
  // A line of one point is no line.
  if (curves.some(([, values]) => values.length === 1)) trace.mode = "lines+markers";
  trace.hovertemplate = "trial %{customdata}, epoch %{x}: %{y:.4f}<extra></extra>";
  return trace;
}

function ends(curves, color) {
  return {
    x: curves.map(([, values]) => values.length),
    y: curves.map(([, values]) => values.at(-1)),
    customdata: curves.map(([number]) => number),
    mode: "markers",
    marker: { color, size: 7 },
    showlegend: false,
    hovertemplate: "trial %{customdata}, epoch %{x}: %{y:.4f}<extra></extra>",
  };
}

function placed(history, { ended, stride, latest }) {
  const point = ([number, value, outcome], place) => ({ number, value, outcome, place: place + 1 });
  const points = history.map((one, index) => point(one, index * stride));
  latest.forEach((one, index) => {
    const place = ended - latest.length + index;
    if (place % stride !== 0) points.push(point(one, place));
  });
  return points;
}

function stairs(steps, ended) {
  return {
    name: "best so far",
    x: [...steps.map((step) => step[3] + 1), ended],
    y: [...steps.map((step) => step[1]), steps.at(-1)[1]],
    mode: "lines",
    line: { color: GREEN, width: 2.5, shape: "hv" },
    hoverinfo: "skip",
  };
}
