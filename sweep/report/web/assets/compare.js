// The page that compares studies: asks the server for each part and shows it.

import { element, say } from "./dom.js";

const state = document.getElementById("state");
const parts = [...document.querySelectorAll("[data-part]")];

async function ask(part) {
  const answer = await fetch(part.dataset.part);
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text);
  throw new Refusal(answer.headers.get("Content-Type") === "application/json" ? JSON.parse(text).reason : text);
}

class Refusal extends Error {}

function show(part, found) {
  const places = [part, ...document.querySelectorAll(`[data-of="${part.id}"]`)];
  for (const place of places) {
    place.hidden = false;
    for (const box of place.querySelectorAll("[data-table]")) {
      const { rows } = found.tables[box.dataset.table];
      if (rows.length) box.replaceChildren(table(found.tables[box.dataset.table]));
    }
    for (const box of place.querySelectorAll("[data-list]")) {
      const said = found.sentences[box.dataset.list];
      if (said.length) box.replaceChildren(element("ul", {}, ...said.map((one) => element("li", {}, one))));
    }
    for (const box of place.querySelectorAll("[data-effects]")) {
      box.replaceChildren(...found.effects.map((one) => (
        element("details", {}, element("summary", {}, one.caption), table(one)))));
    }
    for (const box of place.querySelectorAll("[data-figures]")) {
      box.replaceChildren(...found.figures.map(figure));
    }
  }
  // The script of the report draws them.
  document.dispatchEvent(new Event("sweep:figures"));
}

function table({ caption, head, rows }) {
  const titles = head.map((title) => element("th", { scope: "col" }, title));
  const lines = rows.map(([name, ...cells]) => (
    element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell)))));
  const made = element(
    "table",
    { className: "wrapped" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...titles)),
    element("tbody", {}, ...lines),
  );
  const box = element("div", { className: "scroll", tabIndex: 0, role: "region" }, made);
  box.setAttribute("aria-label", caption);
  return box;
}

function figure({ key, text, wide, drawn }) {
  const place = element("div", { className: "plot", id: key, role: "img" });
  place.style.height = `${drawn.layout.height}px`;
  place.setAttribute("aria-describedby", `${key}-text`);
  const source = element("script", { type: "application/json" }, JSON.stringify(drawn));
  source.dataset.for = key;
  const caption = element("figcaption", { id: `${key}-text` }, text);
  return element("figure", { className: wide ? "wide" : "" }, place, caption, source);
}

async function load() {
  document.documentElement.dataset.loaded = "no";
  for (const part of parts) {
    say(state, part.id === "overview" ? "The studies are being read." : "The studies are being compared.");
    try {
      show(part, await ask(part));
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof TypeError)) throw error;
      say(state, `${error instanceof Refusal ? error.message : "The server does not answer."} Load the page again.`);
      return;
    }
  }
  say(state, "");
  document.documentElement.dataset.loaded = "yes";
}

if (parts.length) load();
