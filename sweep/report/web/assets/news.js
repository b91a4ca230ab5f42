// What the server knows of the study: asked for each second, merged from what has changed.

const EVERY_MILLISECONDS = 1000;
const HIDDEN_MILLISECONDS = 15000;
const PATIENCE_MILLISECONDS = 5000;
const OLD_SECONDS = 5;

export class News {
  // `changed(news, names)` is called after each answer, `tick(news)` also while none comes.
  constructor(address, changed, tick) {
    this.address = address;
    this.changed = changed;
    this.tick = tick;
    this.values = new Map();
    this.lists = new Map();
    this.pulse = null;
    this.token = "";
    this.complaint = "";
    this.readAt = null;
    this.timer = null;
    this.isAsking = false;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.ask();
    });
    setInterval(() => this.tick(this), EVERY_MILLISECONDS);
    this.ask();
  }

  // Seconds since the database was read.
  get age() {
    return this.readAt === null ? Infinity : (performance.now() - this.readAt) / 1000;
  }

  get isOld() {
    return this.complaint !== "" || this.age > OLD_SECONDS;
  }

  // The time now, by the clock of the database, in seconds since 1970.
  get now() {
    return this.pulse === null ? Date.now() / 1000 : this.pulse.now + this.age;
  }

  // Parts whose names begin with `kind:`, by what follows.
  parts(kind, from = this.values) {
    const begin = `${kind}:`;
    return [...from].filter(([name]) => name.startsWith(begin))
      .map(([name, value]) => [Number(name.slice(begin.length)), value])
      .sort((a, b) => a[0] - b[0]);
  }

  async ask() {
    if (this.isAsking) return;
    this.isAsking = true;
    clearTimeout(this.timer);
    const begun = performance.now();
    try {
      await this.receive();
    } catch (error) {
      this.complain(error);
    } finally {
      this.isAsking = false;
      const every = document.hidden ? HIDDEN_MILLISECONDS : EVERY_MILLISECONDS;
      this.timer = setTimeout(() => this.ask(), Math.max(0, every - (performance.now() - begun)));
    }
    this.tick(this);
  }

  async receive() {
    const address = `${this.address}?since=${encodeURIComponent(this.token)}`;
    const answer = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) });
    if (!answer.ok) throw new Refusal(answer.status, await reason(answer));
    this.take(await answer.json());
  }

  take(news) {
    if (news.all) {
      this.values.clear();
      this.lists.clear();
    }
    const names = new Set([...Object.keys(news.values), ...Object.keys(news.lists), ...news.gone]);
    for (const name of news.gone) {
      this.values.delete(name);
      this.lists.delete(name);
    }
    for (const [name, value] of Object.entries(news.values)) this.values.set(name, value);
    for (const [name, [place, items]] of Object.entries(news.lists)) {
      this.lists.set(name, (this.lists.get(name) ?? []).slice(0, place).concat(items));
    }
    this.pulse = news.pulse;
    this.token = news.token;
    this.readAt = performance.now() - 1000 * news.age;
    this.complaint = "";
    this.changed(this, names);
  }

  complain(error) {
    if (error instanceof Refusal) {
      this.complaint = error.status === 401
        ? "The server asks for a password again: load this page anew."
        : error.message;
    } else if (error instanceof TypeError || error.name === "TimeoutError") {
      this.complaint = "The server does not answer.";
    } else {
      throw error;
    }
  }
}

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function reason(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).reason;
  } catch {
    return text.trim() || answer.statusText;
  }
}
