// The details of one trial, opened by an address such as `#trial-12`.

import { Table, element, say } from "./dom.js";
import { isDark, layout, nothing } from "./live-figures.js";
import { count, duration, metric, moment } from "./words.js";

const BLUE = "#0072B2";
const SKY = "#56B4E9";
const ORANGE = "#E69F00";
const TEXTS = { traceback: "Traceback", log: "Last lines that its worker wrote" };

export class Trial {
  constructor(place, { study, api }, style, opened) {
    this.place = place;
    this.address = (number) => `${api}trial/${number}/${encodeURIComponent(study)}`;
    this.style = style;
    this.opened = opened;
    this.number = null;
    window.addEventListener("hashchange", () => this.open());
    this.open();
  }

  open() {
    const found = /^#trial-([0-9]{1,9})$/.exec(window.location.hash);
    this.number = found ? Number(found[1]) : null;
    this.place.hidden = this.number === null;
    this.place.replaceChildren();
    this.opened();
    if (this.number === null) return;
    this.head = element("h2", { id: "trial-head", tabIndex: -1 }, `Trial ${this.number}`);
    this.links = element("p", {}, element("a", { href: "#" }, "Close"));
    this.body = null;
    this.place.append(this.head, this.links);
    this.place.scrollIntoView();
    this.head.focus({ preventScroll: true });
    this.load();
  }

  // A trial in training is read again with each of its epochs.
  update(names) {
    const kinds = ["slot", "outcome", "curve"];
    if (this.number !== null && kinds.some((kind) => names.has(`${kind}:${this.number}`))) this.load();
  }

  async load() {
    const { number } = this;
    const answer = await fetch(this.address(number)).catch(() => null);
    const trial = answer && (await answer.json());
    if (number !== this.number) return;
    if (answer?.ok) this.show(trial);
    else if (this.body === null) say(this.head, `Trial ${number}: ${trial?.reason ?? "the server does not answer"}`);
  }

  show(trial) {
    say(this.head, `Trial ${trial.number}: ${trial.outcome}`);
    this.body ??= this.build(trial);
    const { error, facts, caption, settings, messages, texts } = this.body;
    error.hidden = !trial.error;
    say(error, trial.error ?? "");
    const cards = factsOf(trial).map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text)));
    facts.replaceChildren(...cards);
    say(caption, curveText(trial));
    settings.show(trial.config.map(([name, value, searched]) => [name, [name.replaceAll("_", " "), value, searched ? "yes" : "–"]]));
    messages.show(trial.messages.map(([when, level, worker, text], i) => [i, [moment(when), level, worker ?? "–", text]]));
    for (const [name, box] of Object.entries(texts)) {
      box.hidden = !trial[name];
      say(box.lastElementChild, trial[name] ?? "");
    }
    this.place.dataset.trial = trial.number;
    this.draw(trial);
  }

  build(trial) {
    this.links.append(" · ", element("a", { href: trial.optuna }, "Optuna's page of this trial"));
    const error = element("p", { className: "warning" });
    const facts = element("dl", { className: "cards" });
    const caption = element("figcaption", { id: "trial-text" });
    this.plot = element("div", { className: "plot", id: "trial-plot", role: "img", "aria-describedby": "trial-text" });
    const [settings, messages] = [element("div"), element("div")];
    const texts = Object.fromEntries(Object.entries(TEXTS).map(([name, title]) => (
      [name, element("details", {}, element("summary", {}, title), element("pre", { tabIndex: 0 }))]
    )));
    const tables = element("div", { className: "pair" }, settings, messages);
    this.place.append(error, facts, element("figure", {}, this.plot, caption), tables, ...Object.values(texts));
    return {
      error,
      facts,
      caption,
      texts,
      settings: new Table(
        settings,
        "Settings that have an effect, the searched ones first",
        ["setting", "value", "searched"],
        "The trial has not started.",
      ),
      messages: new Table(
        messages,
        "Messages about this trial",
        ["when", "level", "worker", "message"],
        "Nothing was logged about this trial.",
      ),
    };
  }

  draw(trial) {
    const { epoch, accuracy, val_accuracy: valid, loss, val_loss: validLoss } = trial.curves;
    const line = (name, y, axis, look) => ({
      name,
      x: epoch,
      y,
      yaxis: axis,
      mode: epoch.length > 1 ? "lines" : "markers",
      line: look,
      marker: { color: look.color },
      showlegend: axis === "y",
      hovertemplate: `${name}, epoch %{x}: %{y:.4f}<extra></extra>`,
    });
    const validation = { color: isDark() ? SKY : BLUE, width: 2.5 };
    const training = { color: ORANGE, width: 2, dash: "dash" };
    const traces = [
      line("validation", valid, "y", validation),
      line("training", accuracy, "y", training),
      line("validation", validLoss, "y2", validation),
      line("training", loss, "y2", training),
    ];
    const isEmpty = epoch.length === 0;
    Plotly.react(this.plot, isEmpty ? [] : traces, layout(this.style, `Trial ${trial.number}`, [], {
      xaxis: { title: { text: "epoch" }, rangemode: "tozero", anchor: "y2" },
      yaxis: { title: { text: "accuracy" }, domain: [0.56, 1] },
      yaxis2: { title: { text: "loss" }, domain: [0, 0.44] },
      ...nothing(isEmpty, "No epoch has been reported yet"),
    }), { responsive: true, displaylogo: false });
  }
}

function factsOf(trial) {
  const facts = [
    ...trial.values.map(([name, value]) => [name, metric(value)]),
    ["epochs", trial.epochs],
    ["kept epoch", trial.kept_epoch],
    ["stopped", trial.stop_reason?.replaceAll("_", " ")],
    ["repeats trial", trial.retry_of],
    ["attempt", trial.attempt],
    ["worker", trial.worker],
    ["device", trial.device],
    ["engine", trial.engine],
    ["parameters", trial.parameters === null ? null : count(trial.parameters)],
    ["seed", trial.seed],
    ["trained for", trial.seconds === null ? null : duration(trial.seconds)],
    ["began", trial.started === null ? null : moment(trial.started)],
    ["ended", trial.ended === null ? null : moment(trial.ended)],
    ["remark", trial.remark],
  ];
  return facts.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => [name, `${value}`]);
}

function curveText(trial) {
  const { val_accuracy: valid, accuracy } = trial.curves;
  if (valid.length === 0) return "No epoch has been reported yet.";
  const after = valid.length === 1 ? "one epoch" : `${valid.length} epochs`;
  return `After ${after} the validation accuracy is ${metric(valid.at(-1))}, that on the training images ${metric(accuracy.at(-1))}.`;
}
