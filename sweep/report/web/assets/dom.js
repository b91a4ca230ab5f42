// Elements and tables. Whatever is shown is set as text, never read as HTML.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function trialLink(number) {
  return element("a", { href: `#trial-${number}` }, `${number}`);
}

// Set a text only when it differs, so that selections and screen readers are left alone.
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// A table that keeps its rows, so that what a reader holds on to stays where it is.
//
// `columns` are titles; a row is a list with a cell for each: a text, or a list of nodes.
export class Table {
  constructor(place, caption, columns, nothing) {
    this.body = element("tbody");
    this.caption = element("caption", {}, caption);
    this.titles = columns.map((title) => element("th", { scope: "col" }, title));
    const head = element("thead", {}, element("tr", {}, ...this.titles));
    const table = element("table", {}, this.caption, head, this.body);
    this.box = element("div", { className: "scroll", tabIndex: 0, role: "region" }, table);
    this.box.setAttribute("aria-label", caption);
    this.nothing = element("p", {}, nothing);
    this.rows = new Map();
    place.replaceChildren(this.nothing, this.box);
    this.show([]);
  }

  rename(column, title) {
    say(this.titles[column], title);
  }

  // `rows` are pairs of a key and the cells; they come to stand in this order.
  show(rows) {
    this.box.hidden = rows.length === 0;
    this.nothing.hidden = rows.length > 0;
    const kept = new Set(rows.map(([key]) => key));
    for (const [key, row] of this.rows) {
      if (!kept.has(key)) {
        row.remove();
        this.rows.delete(key);
      }
    }
    rows.forEach(([key, cells], place) => {
      const row = this.row(key, cells.length);
      cells.forEach((cell, index) => fill(row.cells[index], cell));
      if (this.body.rows[place] !== row) this.body.insertBefore(row, this.body.rows[place] ?? null);
    });
  }

  row(key, width) {
    if (!this.rows.has(key)) {
      const row = element("tr", {}, element("th", { scope: "row" }));
      for (let index = 1; index < width; index += 1) row.append(element("td"));
      row.dataset.key = key;
      this.rows.set(key, row);
    }
    return this.rows.get(key);
  }
}

function fill(cell, content) {
  if (typeof content === "string") {
    say(cell, content);
    return;
  }
  const text = content.map((node) => node.textContent ?? node).join("");
  if (cell.textContent !== text) cell.replaceChildren(...content);
}
