// The live page: what the server tells each second, put into words, tables and figures.

import { element, say } from "./dom.js";
import { Figures } from "./live-figures.js";
import { Tables } from "./live-tables.js";
import { Trial } from "./live-trial.js";
import { News } from "./news.js";
import { count, duration, metric, plural } from "./words.js";

const OUTCOMES = ["complete", "pruned", "diverged", "failed"];
const at = (name) => document.getElementById(name);
const live = at("live");
const address = `${live.dataset.api}live/${encodeURIComponent(live.dataset.study)}`;
const style = JSON.parse(at("style").textContent);
const tables = new Tables();
const figures = new Figures(style);
const news = new News(address, changed, tick);
const trial = new Trial(at("trial"), live.dataset, style, () => redraw());

function changed(news, names) {
  if (names.size) {
    progress(news);
    tables.show(news);
    figures.show(news, names, trial.number);
    trial.update(names);
  }
  cards(news);
}

function redraw() {
  if (news.pulse !== null) figures.show(news, new Set(), trial.number);
}

function tick(news) {
  const alarm = at("alarm");
  const complaint = news.complaint || (news.isOld && news.pulse ? "The database does not answer." : "");
  alarm.hidden = !complaint;
  say(alarm, complaint && `${complaint} Trying again; what is shown may be old.`);
  live.classList.toggle("old", news.isOld);
  if (news.pulse === null) return;
  say(at("age"), `Updated ${news.age < 2 ? "just now" : `${duration(news.age)} ago`}`);
  at("age").dataset.seconds = news.age.toFixed(2);
  tables.tick(news);
}

function progress(news) {
  const study = news.values.get("study");
  const counts = news.values.get("counts");
  const best = news.values.get("best");
  say(at("state"), counts.state);
  at("state").dataset.state = counts.state;
  say(at("description"), study.description);
  at("description").hidden = !study.description;
  at("fallback").hidden = !study.is_fallback;
  say(at("fallback"), `${study.data} data (fallback): the data that the study asked for were not to be had; these figures say nothing about them.`);
  const [objective] = study.objectives;
  say(
    at("summary"),
    `${count(counts.finished)} of ${plural(counts.asked, "trial")} finished`
      + (counts.running ? `, ${count(counts.running)} ${counts.is_driven ? "in training" : "interrupted"}` : "")
      + (best ? `; best ${objective.name} ${metric(best.values[0])}, trial ${best.number}.` : "; none has completed."),
  );
  bar(counts);
}

function bar(counts) {
  const most = Math.max(counts.asked, counts.finished, 1);
  const there = OUTCOMES.filter((outcome) => counts[outcome]);
  at("bar").replaceChildren(...there.map((outcome) => {
    const part = element("span");
    part.style.width = `${(100 * counts[outcome]) / most}%`;
    part.style.background = style.colours[outcome];
    return part;
  }));
  const words = there.map((outcome) => {
    const swatch = element("span", { className: "swatch", "aria-hidden": "true" });
    swatch.style.background = style.colours[outcome];
    const item = element("li", {}, swatch, `${count(counts[outcome])} ${outcome}`);
    item.dataset.outcome = outcome;
    return item;
  });
  const more = [
    [counts.running, counts.is_driven ? "in training" : "interrupted"],
    [counts.waiting, "waiting"],
    [counts.retried, "tried again"],
  ];
  for (const [number, word] of more) {
    if (number) words.push(element("li", {}, `${count(number)} ${word}`));
  }
  at("outcomes").replaceChildren(...words);
}

function cards(news) {
  const { study, counts, best } = Object.fromEntries(news.values);
  const { epochs_per_second: speed, seconds_left: left, wall_seconds: wall, gpu_seconds: gpu } = news.pulse;
  const hours = study.most_gpu_hours;
  const rows = [
    ["finished", `${count(counts.finished)} of ${count(counts.asked)}`, "trials"],
    [`best ${study.objectives[0].name}`, best ? metric(best.values[0]) : "–", best ? element("a", { href: `#trial-${best.number}` }, `trial ${best.number}`) : ""],
    ["time left", left === null ? "–" : duration(left), left === null ? "" : "at this speed"],
    ["speed", speed === null ? "–" : speed.toPrecision(3), speed === null ? "" : "epochs a second, all trials, last 5 min"],
    ["trained", count(counts.trial_epochs), "epochs, all trials"],
    ["wall time", duration(wall), study.most_wall_seconds === null ? "" : `of ${duration(study.most_wall_seconds)}`],
    ...(gpu || hours !== null ? [["GPU hours", (gpu / 3600).toFixed(2), hours === null ? "" : `of ${hours}`]] : []),
    ...(study.target === null ? [] : [["target", metric(study.target), "ends the study"]]),
  ];
  const place = at("cards");
  while (place.children.length < rows.length) {
    place.append(element("div", {}, element("dt"), element("dd"), element("dd", { className: "soft" })));
  }
  rows.forEach(([name, value, more], index) => {
    const [title, number, note] = place.children[index].children;
    say(title, name);
    say(number, value);
    if (typeof more === "string") say(note, more);
    else if (note.textContent !== more.textContent) note.replaceChildren(more);
  });
}

news.start();
