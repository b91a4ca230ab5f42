"use strict";
// Trials are selected by ranges on the axes of parallel coordinates: by dragging, or by the lists
// below the figure. A sentence says how many they are and how good.
(() => {
  const states = new WeakMap();
  const NEAR = 1e-9;

  document.addEventListener("sweep:drawn", ({ target: place }) => {
    const about = place.layout.meta?.brush;
    if (!about) return;
    // A page that changes its colours draws anew; what was selected stays.
    const state = states.get(place) ?? made(place, about);
    state.traces = place.data.map((trace) => ({ ...trace }));
    states.set(place, state);
    show(place, state);
  });

  function made(place, about) {
    const state = { about, ranges: new Map(), ...controls(about) };
    place.after(state.box);
    state.reset.addEventListener("click", () => clear(place, state));
    state.lists.forEach((pair, axis) => {
      for (const list of pair) {
        list.addEventListener("change", () => choose(place, state, axis));
      }
    });
    place.on("plotly_selected", (event) => {
      if (event?.range) brush(place, state, event.range);
    });
    place.on("plotly_deselect", () => clear(place, state));
    return state;
  }

  // A drag sets the range of each axis that it crosses.
  function brush(place, state, { x, y }) {
    const [left, right] = [Math.min(...x), Math.max(...x)];
    state.about.axes.forEach((_, axis) => {
      if (axis < left || axis > right) return;
      state.ranges.set(axis, [Math.min(...y), Math.max(...y)]);
      for (const list of state.lists[axis]) list.value = "";
    });
    // Plotly has not finished with the drag yet.
    setTimeout(() => show(place, state));
  }

  function choose(place, state, axis) {
    const { ticks } = state.about.axes[axis];
    const chosen = state.lists[axis].map((list) => list.value).filter((value) => value !== "");
    const ends = chosen.flatMap((value) => [ticks[value].low, ticks[value].high]);
    if (ends.length) state.ranges.set(axis, [Math.min(...ends), Math.max(...ends)]);
    else state.ranges.delete(axis);
    show(place, state);
  }

  function clear(place, state) {
    state.ranges.clear();
    for (const list of state.lists.flat()) list.value = "";
    setTimeout(() => show(place, state));
  }

  function show(place, state) {
    const hidden = new Map(place.data.map((trace) => [trace.name, trace.visible]));
    const size = state.about.axes.length + 1;
    const selected = [];
    const others = { x: [], y: [] };
    const traces = state.traces.map((trace) => {
      const y = [...trace.y];
      trace.meta.numbers.forEach((number, line) => {
        const heights = trace.y.slice(line * size, (line + 1) * size);
        if (holds(state.ranges, heights)) {
          selected.push({ number, value: trace.meta.values[line] });
          return;
        }
        y.fill(null, line * size, (line + 1) * size);
        others.x.push(...trace.x.slice(0, size));
        others.y.push(...heights);
      });
      return { ...trace, y, visible: hidden.get(trace.name) ?? true };
    });
    const ghost = {
      ...others,
      mode: "lines",
      line: { color: "#7A828C", width: 1 },
      opacity: 0.15,
      hoverinfo: "skip",
      showlegend: false,
    };
    const layout = { ...place.layout, shapes: boxes(state.ranges), selections: [] };
    Plotly.react(place, [...(others.x.length ? [ghost] : []), ...traces], layout);
    state.sentence.textContent = sentence(state, selected);
    state.reset.disabled = state.ranges.size === 0;
  }

  function holds(ranges, heights) {
    for (const [axis, [low, high]] of ranges) {
      if (heights[axis] < low - NEAR || heights[axis] > high + NEAR) return false;
    }
    return true;
  }

  function boxes(ranges) {
    return [...ranges].map(([axis, [low, high]]) => ({
      type: "rect",
      x0: axis - 0.04,
      x1: axis + 0.04,
      y0: low,
      y1: high,
      line: { color: "#D55E00", width: 2 },
      fillcolor: "rgba(213,94,0,0.15)",
    }));
  }

  function sentence({ about, ranges }, selected) {
    const where = [...ranges].map(([axis, range]) => words(about.axes[axis], range)).join("; ");
    const whole = about.trials === 1 ? "1 trial" : `${about.trials} trials`;
    const counted = where ? `${selected.length} of ${whole} selected (${where})` : `All ${whole}`;
    if (!selected.length) return `${counted}.`;
    const sign = about.maximize ? 1 : -1;
    const values = selected.map(({ value }) => value).sort((a, b) => a - b);
    const middle = (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2;
    const best = selected.reduce((a, b) => (sign * (b.value - a.value) > 0 ? b : a));
    return `${counted}: best ${about.metric} ${short(best.value)} (trial ${best.number}), `
      + `median ${short(middle)}.`;
  }

  // What a range on an axis means.
  function words({ name, ticks, ends }, [low, high]) {
    const inside = ticks.filter((tick) => tick.high > low && tick.low < high);
    if (!ends) return `${name}: ${inside.map(({ label }) => label).join(", ") || "no value"}`;
    const parts = [];
    if (high >= 0 && low <= 1) {
      const [from, to] = [low, high].map((height) => at(ends, Math.min(1, Math.max(0, height))));
      parts.push(`${short(from)} to ${short(to)}`);
    }
    if (inside.some(({ idle }) => idle)) parts.push("no effect");
    return `${name}: ${parts.join(", ") || "no value"}`;
  }

  function at({ low, high, log }, height) {
    return log ? low * (high / low) ** height : low + (high - low) * height;
  }

  function short(value) {
    return String(Number(value.toPrecision(4)));
  }

  function controls(about) {
    const box = element("div", { className: "brush" });
    const sentence = element("p", { role: "status" });
    const reset = element("button", { type: "button", textContent: "Select all trials again" });
    const details = element("details");
    const hint = "Select by values: drag along axes above, or choose here";
    details.append(element("summary", { textContent: hint }));
    const lists = about.axes.map(({ name, ticks }) => {
      const group = element("fieldset");
      group.append(element("legend", { textContent: name }));
      const pair = ["from", "to"].map((end) => {
        const list = element("select", { ariaLabel: `${name} ${end}` });
        list.append(new Option("any", ""));
        ticks.forEach(({ label }, index) => list.append(new Option(label, index)));
        const words = element("label", { textContent: `${end} ` });
        words.append(list);
        group.append(words, " ");
        return list;
      });
      details.append(group);
      return pair;
    });
    box.append(sentence, reset, details);
    return { box, sentence, reset, lists };
  }

  function element(tag, properties = {}) {
    return Object.assign(document.createElement(tag), properties);
  }
})();
