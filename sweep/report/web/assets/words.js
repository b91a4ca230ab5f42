// Numbers, times and durations as people read them.

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return seconds < 10 ? `${seconds.toFixed(1)} s` : `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

export function ago(seconds) {
  return seconds < 1 ? "now" : `${duration(seconds)} ago`;
}

export function metric(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) < 1000 ? value.toFixed(4) : value.toPrecision(5);
}

export function count(number) {
  return number.toLocaleString("en");
}

export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function moment(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const time = new Date(seconds * 1000);
  const today = new Date().toDateString() === time.toDateString();
  const clock = time.toLocaleTimeString("en-GB");
  return today ? clock : `${time.toLocaleDateString("en-CA")} ${clock}`;
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Text that Plotly shows as it is, without reading tags in it.
export function escaped(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
