"use strict";
(() => {
  const templates = JSON.parse(document.getElementById("templates").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  const figures = [...document.querySelectorAll("script[data-for]")].map((script) => ({
    place: document.getElementById(script.dataset.for),
    source: script.textContent,
  }));

  function draw() {
    for (const { place, source } of figures) {
      const { data, layout } = JSON.parse(source);
      layout.template = dark.matches ? templates.dark : templates.light;
      layout.autosize = true;
      if (narrow.matches) {
        layout.title.font = { size: 13 };
        layout.font = { size: 10 };
        layout.margin.l = 40;
        const plotted = layout.height - layout.margin.t - layout.margin.b;
        layout.legend = { ...layout.legend, y: -96 / plotted, yanchor: "top" };
        if (layout.xaxis.type === "category") layout.xaxis.tickangle = -60;
      }
      Plotly.react(place, data, layout, { responsive: true, displaylogo: false });
    }
    Object.assign(document.documentElement.dataset, {
      drawn: figures.length,
      theme: dark.matches ? "dark" : "light",
      width: narrow.matches ? "narrow" : "wide",
    });
  }

  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
  draw();
})();
