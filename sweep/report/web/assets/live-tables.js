// The tables of the live page.

import { Table, element, trialLink } from "./dom.js";
import { ago, capital, duration, metric, moment, plural } from "./words.js";

const MOST_LINKS = 12;

export class Tables {
  constructor() {
    const at = (name) => document.getElementById(name);
    this.slots = new Table(
      at("slots"),
      "Trials in training, by number",
      ["trial", "worker", "epoch", "value", "an epoch takes", "last epoch", "settings"],
      "No trial is in training.",
    );
    this.workers = new Table(
      at("workers"),
      "Worker processes that live or were lost; where none lives, those of the last run",
      ["worker", "device", "process", "state", "trials", "at epoch", "an epoch takes", "since"],
      "No worker has been ready yet.",
    );
    this.problems = new Table(
      at("problems"),
      "Trials that did not train to their end, the latest first",
      ["trial", "outcome", "epochs", "value", "reason", "ended"],
      "No trial was pruned, diverged or failed.",
    );
    this.runs = new Table(
      at("runs"),
      "Processes that drive or drove the study, the latest first",
      ["run", "process", "state", "began", "workers", "holds", "training"],
      "The study has not been run yet.",
    );
    this.messages = new Table(
      at("messages"),
      "Messages, the latest first",
      ["when", "level", "about", "message"],
      "Nothing was logged.",
    );
  }

  // What hangs on the time alone.
  tick(news) {
    this.slots.show(news.parts("slot").map((part) => slot(news, ...part)));
    this.runs.show(news.parts("run").reverse().map((part) => run(news, ...part)));
  }

  show(news) {
    const study = news.values.get("study");
    this.slots.rename(3, study.curve);
    this.problems.rename(3, study.objectives[0].name);
    this.tick(news);
    this.workers.show(news.parts("worker").map((part) => worker(...part)));
    const problems = news.parts("problem").sort((a, b) => b[1].ended - a[1].ended);
    this.problems.show(problems.map((part) => problem(...part)));
    const messages = news.lists.get("messages") ?? [];
    this.messages.show(messages.map((line, index) => message(line, index)).reverse());
  }
}

function slot(news, number, trial) {
  const most = news.values.get("study").most_epochs;
  return [
    number,
    [
      [trialLink(number)],
      trial.worker + (trial.attempt > 1 ? `, attempt ${trial.attempt}` : ""),
      most === null ? `${trial.epoch}` : `${trial.epoch} of ${most}`,
      metric(trial.value),
      duration(trial.seconds),
      trial.reported === null ? "–" : ago(news.now - trial.reported),
      news.values.get(`config:${number}`) ?? "",
    ],
  ];
}

function worker(id, one) {
  const epochs = one.epochs.length === 0 ? "–" : range(one.epochs);
  const links = one.trials.slice(0, MOST_LINKS).flatMap((n, i) => [...(i ? [" "] : []), trialLink(n)]);
  if (one.trials.length > MOST_LINKS) links.push(` and ${one.trials.length - MOST_LINKS} more`);
  const state = one.reason === null
    ? one.trials.length ? `training ${plural(one.trials.length, "trial")}` : "idle"
    : one.is_lost ? `lost: ${one.reason}` : "ended with its run";
  return [
    id,
    [
      one.worker,
      one.device,
      `${one.pid} on ${one.host}`,
      one.is_lost ? [element("strong", { className: "alarm" }, state)] : state,
      links.length ? links : "–",
      epochs,
      duration(one.seconds),
      moment(one.ready),
    ],
  ];
}

function range(numbers) {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  return low === high ? `${low}` : `${low} to ${high}`;
}

function problem(number, trial) {
  return [
    number,
    [
      [trialLink(number)],
      trial.outcome,
      `${trial.epochs}`,
      metric(trial.value),
      capital(trial.reason),
      moment(trial.ended),
    ],
  ];
}

function run(news, id, one) {
  const left = one.expires - news.now;
  const state = one.ended !== null
    ? `ended ${moment(one.ended)}`
    : left > 0 ? `alive, lease for ${Math.round(left)} s` : "silent: its lease ran out";
  return [
    id,
    [
      `${id}`,
      `${one.pid} on ${one.host}`,
      state,
      moment(one.started),
      `${one.workers}`,
      one.trials ? plural(one.trials, "trial") : "–",
      one.training === null ? "–" : `${(100 * one.training).toFixed(0)} % of workers' time`,
    ],
  ];
}

function message([when, level, number, worker, text], index) {
  const about = number === null ? worker ?? "–" : `trial ${number}`;
  return [`${when}-${index}`, [moment(when), level, about, text]];
}
