"use strict";
// A page that needs no other file carries Plotly compressed. All else can be read meanwhile.
(async () => {
  if (!("DecompressionStream" in window)) {
    const note = document.createElement("p");
    note.className = "warning";
    note.textContent = "The figures need a browser of 2023 or later; the sentences below them and the tables do not.";
    document.querySelector("main").prepend(note);
    return;
  }
  const packed = document.getElementById("plotly");
  const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
  packed.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  document.dispatchEvent(new Event("sweep:figures"));
})();
