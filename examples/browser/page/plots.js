// Plots of a value over the last seconds, and what all canvases here share.

export const median = (values) => quantile(values, 0.5);

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const FONT = () => getComputedStyle(document.body).fontFamily;

// Canvas draws itself when something has changed, at the screen's resolution.
export class Canvas {
  constructor(element) {
    this.element = element;
    this.live = true; // time goes on, so that it is drawn all the time
    new ResizeObserver(() => this.draw()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const frame = (at) => {
      if (!(at - this.drawn < 50)) { this.draw(); this.drawn = at; }
      if (this.live) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  stop() {
    this.live = false;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    const w = Math.round(width * ratio), h = Math.round(height * ratio);
    if (this.element.width !== w) this.element.width = w;
    if (this.element.height !== h) this.element.height = h;
    const g = this.element.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    this.paint(g, width, height);
  }

  font(g, size, weight = 400) { g.font = `${weight} ${size}px ${FONT()}`; }
}

const SPAN = 10000; // ms that a plot shows

// Plot has one or more lines of points, each in a color of the style sheet.
export class Plot extends Canvas {
  constructor(element, now, unit, lines) {
    super(element);
    Object.assign(this, { now, unit, lines: lines.map((line) => ({ ...line, points: [] })) });
  }

  add(line, value) { this.lines[line].points.push({ at: this.now(), value }); }
  gap(line) { this.lines[line].points.push({ at: this.now(), value: NaN }); }

  stop() {
    this.end ??= this.now();
    super.stop();
  }

  paint(g, width, height) {
    const end = this.end ?? this.now(), from = end - SPAN;
    const left = 38, right = width - 4, top = 8, bottom = height - 20;
    let most = 0;
    for (const { points } of this.lines) {
      while (points.length && points[0].at < from - 1000) points.shift();
      for (const p of points) if (p.value > most) most = p.value;
    }
    // Single dots far above the others would press these to the ground.
    const dotted = this.lines.filter((line) => line.dots).flatMap(({ points }) => points.map((p) => p.value));
    if (dotted.length) most = Math.min(most, 1.5 * quantile(dotted, 0.97));
    const step = niceStep(most || 1), highest = step * Math.max(1, Math.ceil(most / step));
    const x = (at) => left + ((at - from) / SPAN) * (right - left);
    const y = (value) => bottom - (value / highest) * (bottom - top);

    this.font(g, 11);
    g.lineWidth = 1;
    g.textBaseline = "middle";
    g.textAlign = "right";
    for (let value = 0; value <= highest * 1.001; value += step) {
      const line = Math.round(y(value)) + 0.5;
      g.strokeStyle = css("--grid");
      g.beginPath(); g.moveTo(left, line); g.lineTo(right, line); g.stroke();
      g.fillStyle = css("--muted");
      g.fillText(Number(value.toFixed(3)), left - 7, line);
    }
    g.textBaseline = "alphabetic";
    for (let ago = 0; ago <= SPAN; ago += 2500) {
      g.textAlign = ago === 0 ? "right" : ago === SPAN ? "left" : "center";
      g.fillText(ago === 0 ? (this.live ? "now" : "end") : `−${ago / 1000} s`, x(end - ago), height - 4);
    }
    g.textAlign = "left";
    g.fillText(this.unit, left + 4, top + 8);

    g.save();
    g.beginPath(); g.rect(left, 0, right - left + 4, height); g.clip();
    for (const { points, color, dots } of this.lines) {
      g.strokeStyle = g.fillStyle = css(color);
      if (dots) {
        for (const p of points) {
          const above = p.value > highest; // it stands at the edge, and is hollow
          g.beginPath(); g.arc(x(p.at), above ? top - 3 : y(p.value), 1.8, 0, 7);
          if (above) g.stroke(); else g.fill();
        }
        continue;
      }
      for (const piece of pieces(points)) {
        g.beginPath();
        for (const p of piece) g.lineTo(x(p.at), y(p.value));
        g.lineWidth = 2;
        g.lineJoin = "round";
        g.stroke();
        g.lineTo(x(piece.at(-1).at), bottom);
        g.lineTo(x(piece[0].at), bottom);
        g.globalAlpha = 0.13;
        g.fill();
        g.globalAlpha = 1;
      }
    }
    g.restore();
  }
}

// pieces are the runs of points between the gaps.
function pieces(points) {
  const all = [[]];
  for (const p of points) {
    if (Number.isNaN(p.value)) all.push([]);
    else all.at(-1).push(p);
  }
  return all.filter((piece) => piece.length > 0);
}

// niceStep divides up to a value into two to five steps of 1, 2 or 5.
function niceStep(most) {
  const power = 10 ** Math.floor(Math.log10(most / 2));
  return power * [1, 2, 5].find((f) => most / (f * power) <= 4.5);
}
