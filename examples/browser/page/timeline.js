// The time line: for each track two rows, the page's and Go's, with a block for
// each state.
import { Canvas, css } from "./plots.js";

const TRACKS = ["signaling", "gathering", "ice", "dtls", "connection", "chat", "ping", "bulk"];
const NAMES = { ice: "ICE", dtls: "DTLS" };
const SIDES = ["page", "go"];
const REACHED = new Set(["stable", "complete", "connected", "completed", "open"]);
const LEFT = 92, TOP = 22, ROW = 15, BETWEEN = 8;

// Most happens within some milliseconds, and then nothing for a long time. So
// the axis is not even: the room between two events grows with the logarithm
// of the time between them, and stays readable at any scale.
const room = (ms) => Math.log1p(ms / 2) + 0.12;

export class Timeline extends Canvas {
  constructor(element, tip, now) {
    super(element);
    Object.assign(this, { tip, now, rows: new Map(), blocks: [], goBegan: Infinity });
    element.style.height = `${TOP + TRACKS.length * (2 * ROW + BETWEEN)}px`;
    element.addEventListener("pointermove", (event) => this.point(event));
    element.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  // add takes an event at a time of its own side. goBegan, on the page's clock,
  // is when that of Go's was zero.
  add({ side, track, state, at }) {
    const key = `${track} ${side}`;
    if (!this.rows.has(key)) this.rows.set(key, []);
    this.rows.get(key).push({ side, state, at });
  }

  when({ side, at }) { return side === "go" ? this.goBegan + at : at; }

  stop() {
    this.end ??= this.now();
    super.stop();
  }

  // scale places every event from left to right, and tells where a time is.
  scale(left, right) {
    const end = this.end === undefined ? this.now() : this.end + 400;
    const times = [...new Set([0, end, ...[...this.rows.values()].flat().map((e) => this.when(e))])].sort((a, b) => a - b);
    let sum = 0;
    const places = times.map((at, i) => (i === 0 ? 0 : (sum += room(at - times[i - 1]))));
    const place = new Map(times.map((at, i) => [at, left + (places[i] / (sum || 1)) * (right - left)]));
    return { times, end, x: (at) => place.get(at) };
  }

  paint(g, width, height) {
    const { times, end, x } = this.scale(LEFT, width - 2);
    this.font(g, 11);

    // When it was, wherever there is room to say so.
    let free = LEFT - 1;
    g.textAlign = "left";
    g.textBaseline = "alphabetic";
    for (const at of times) {
      if (x(at) < free || at === end) continue;
      const label = clock(at), wide = g.measureText(label).width;
      if (x(at) + wide > width) break;
      g.fillStyle = css("--muted");
      g.fillText(label, x(at) + 3, 11);
      g.fillStyle = css("--grid");
      g.fillRect(Math.round(x(at)), 2, 1, height);
      free = x(at) + wide + 14;
    }

    this.blocks = [];
    TRACKS.forEach((track, i) => {
      const top = TOP + i * (2 * ROW + BETWEEN);
      g.fillStyle = css("--text");
      g.textBaseline = "middle";
      this.font(g, 12);
      g.textAlign = "left";
      g.fillText(NAMES[track] ?? track, 0, top + ROW);
      SIDES.forEach((side, j) => this.paintRow(g, track, side, top + j * ROW, end, x));
    });
  }

  paintRow(g, track, side, top, end, x) {
    const events = this.rows.get(`${track} ${side}`) ?? [];
    this.font(g, 10.5, 500);
    events.forEach((event, i) => {
      const { state } = event, at = this.when(event);
      const from = x(at), to = x(events[i + 1] ? this.when(events[i + 1]) : end);
      const style = look(state, side);
      g.globalAlpha = style.alpha;
      g.fillStyle = css(style.color);
      g.beginPath();
      g.roundRect(from, top + 0.5, Math.max(1.5, to - from - 1), ROW - 2, 3);
      g.fill();
      g.globalAlpha = 1;
      this.blocks.push({ from, to, top, text: `${side === "go" ? "Go" : "page"}: ${track} ${state}, from ${clock(at)}` });
      if (g.measureText(state).width + 8 <= to - from) {
        g.fillStyle = css(style.text);
        g.fillText(state, from + 5, top + ROW / 2);
      }
    });
  }

  point(event) {
    const { offsetX: px, offsetY: py } = event;
    const block = this.blocks.find((b) => px >= b.from && px < b.to && py >= b.top && py < b.top + ROW);
    this.tip.hidden = !block;
    if (!block) return;
    this.tip.textContent = block.text;
    this.tip.style.left = `${Math.min(px + 12, this.element.clientWidth - this.tip.offsetWidth)}px`;
    this.tip.style.top = `${py + 16}px`;
  }
}

// look is how a state is drawn: what was reached is full, what leads there is
// pale.
function look(state, side) {
  const color = `--${side}`;
  switch (true) {
    case state === "failed": return { color: "--failed", alpha: 1, text: "--on-color" };
    case state === "closed": return { color: "--closed", alpha: 0.3, text: "--muted" };
    case state === "new": return { color, alpha: 0.13, text: "--muted" };
    case REACHED.has(state): return { color, alpha: 1, text: "--on-color" };
    default: return { color, alpha: 0.36, text: "--text" };
  }
}

function clock(ms) {
  if (ms < 1) return "0";
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
