"use strict";
(() => {
  const templates = JSON.parse(document.getElementById("templates").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  const drawn = new Set();

  // Figures that are folded away have no size: they are drawn once they are seen.
  function drawNew() {
    for (const script of document.querySelectorAll("script[data-for]")) {
      const place = document.getElementById(script.dataset.for);
      if (drawn.has(place) || !place.checkVisibility()) continue;
      draw(place, script.textContent);
      drawn.add(place);
    }
    Object.assign(document.documentElement.dataset, {
      drawn: drawn.size,
      theme: dark.matches ? "dark" : "light",
      width: narrow.matches ? "narrow" : "wide",
    });
  }

  function draw(place, source) {
    const { data, layout } = JSON.parse(source);
    layout.template = dark.matches ? templates.dark : templates.light;
    layout.autosize = true;
    if (narrow.matches) {
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
    drawNew();
  }

  // A link to something folded away unfolds it.
  function unfold() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }

  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  document.addEventListener("toggle", drawNew, true);
  // What scripts add later.
  document.addEventListener("sweep:figures", drawNew);
  window.addEventListener("hashchange", unfold);
  unfold();
  drawNew();
})();
