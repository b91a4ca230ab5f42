"use strict";
(() => {
  const templates = JSON.parse(document.getElementById("templates").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  const root = document.documentElement;
  const drawn = new Set();
  let isPrinting = false;
  let timer = null;

  // Figures that are folded away have no size: they are drawn once they are seen.
  function waiting() {
    return [...document.querySelectorAll("script[data-for]")]
      .map((script) => ({ place: document.getElementById(script.dataset.for), source: script.textContent }))
      .filter(({ place }) => !drawn.has(place) && place.checkVisibility());
  }

  // How far a figure is from what is in view.
  function distance({ place }) {
    const { top, bottom } = place.getBoundingClientRect();
    return Math.max(top - window.innerHeight, -bottom, 0);
  }

  function drawLater() {
    timer ??= window.setTimeout(drawNext);
  }

  // One figure at a time, those in view first: between two of them the page can be scrolled.
  function drawNext() {
    timer = null;
    const found = window.Plotly ? waiting() : [];
    if (found.length) {
      // Before it is drawn, so that one that fails keeps no other from being drawn.
      drawLater();
      draw(found.reduce((near, one) => (distance(one) < distance(near) ? one : near)));
    }
    Object.assign(root.dataset, {
      drawn: drawn.size,
      theme: dark.matches ? "dark" : "light",
      width: narrow.matches ? "narrow" : "wide",
    });
  }

  function draw({ place, source }) {
    drawn.add(place);
    const { data, layout } = JSON.parse(source);
    layout.template = dark.matches && !isPrinting ? templates.dark : templates.light;
    layout.autosize = true;
    if (narrow.matches && !isPrinting) {
      layout.title.font = { size: 13 };
      layout.font = { size: 10 };
      layout.margin.l = 40;
      layout.margin.t -= layout.meta?.legend_pixels ?? 0;
      layout.legend = { ...layout.legend, yref: "container", y: 0, yanchor: "bottom" };
      if (layout.xaxis.type === "category") layout.xaxis.tickangle = -60;
    }
    Plotly.react(place, data, layout, { responsive: true, displaylogo: false });
    place.dispatchEvent(new CustomEvent("sweep:drawn", { bubbles: true }));
  }

  function drawAll() {
    drawn.clear();
    drawLater();
  }

  // On paper figures are light, as wide as a sheet, and all there.
  function print(isBegun) {
    isPrinting = isBegun;
    root.classList.toggle("paper", isBegun);
    drawAll();
    if (isBegun && window.Plotly) waiting().forEach(draw);
  }

  // A link to something folded away unfolds it.
  function unfold() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }

  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  document.addEventListener("toggle", drawLater, true);
  // What scripts add later: figures, or Plotly itself.
  document.addEventListener("sweep:figures", drawLater);
  window.addEventListener("hashchange", unfold);
  unfold();
  drawLater();
})();
