// Curves over a motor, drawn in a canvas.

import { shown, ticks } from "./axes.js";

const LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 38;

export class Chart {
  constructor(host, name) {
    this.host = host;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", name);
    this.name = name;
    host.append(this.canvas);
    this.logarithmic = false;
    new ResizeObserver(() => this.draw()).observe(host);
  }

  // content: {label, values, at, curves: [{x, y, name, dots}]}
  show(content) {
    this.content = content;
    this.draw();
    const words = content.curves.filter((curve) => curve.y.length).map((curve) => {
      const best = curve.y.indexOf(Math.max(...curve.y));
      return `${curve.name}: highest ${shown(curve.y[best])} at ${shown(curve.x[best])}`;
    });
    this.canvas.setAttribute("aria-label", `${this.name}. ${words.join("; ")}`);
  }

  draw() {
    if (!this.content) return;
    const { label, values, at, curves } = this.content;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(220, this.host.clientWidth), height = 210;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.host);
    const ink = style.getPropertyValue("--ink").trim();
    const colours = [style.getPropertyValue("--curve-0").trim(),
      style.getPropertyValue("--curve-1").trim(), style.getPropertyValue("--curve-2").trim()];
    const all = curves.flatMap((curve) => curve.y).filter(Number.isFinite);
    const xs = curves.flatMap((curve) => curve.x);
    if (!xs.length || !all.length) return;
    const ends = [Math.min(...xs), Math.max(...xs)];
    const most = Math.max(...all, 0) * 1.05 || 1;
    const least = this.logarithmic ? most * 1e-5 : Math.min(0, ...all);
    const tall = height - TOP - BOTTOM, wide = width - LEFT - RIGHT;
    const px = (x) => LEFT + ((x - ends[0]) / (ends[1] - ends[0] || 1)) * wide;
    const py = (y) => TOP + tall * (1 - (this.logarithmic
      ? Math.log(Math.max(y, least) / least) / Math.log(most / least)
      : (y - least) / (most - least)));
    context.strokeStyle = ink;
    context.fillStyle = ink;
    context.lineWidth = 1;
    context.strokeRect(LEFT + 0.5, TOP + 0.5, wide, tall);
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const x of ticks(ends[0], ends[1], wide / 60)) {
      context.fillRect(px(x) - 0.5, TOP + tall, 1, 4);
      context.fillText(shown(x), px(x), TOP + tall + 6);
    }
    context.fillText(label, LEFT + wide / 2, TOP + tall + 21);
    context.textAlign = "right";
    context.textBaseline = "middle";
    const levels = this.logarithmic
      ? [0, 1, 2, 3, 4, 5].map((k) => 10 ** (Math.floor(Math.log10(most)) - k)).filter((y) => y >= least)
      : ticks(least, most, tall / 36);
    for (const y of levels) {
      context.fillRect(LEFT - 4, py(y) - 0.5, 4, 1);
      context.fillText(shown(y), LEFT - 7, py(y));
    }
    context.save();
    context.translate(10, TOP + tall / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(values, 0, 0);
    context.restore();
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP, wide, tall);
    context.clip();
    if (Number.isFinite(at)) {
      context.strokeStyle = ink;
      context.setLineDash([4, 3]);
      context.beginPath();
      context.moveTo(px(at), TOP);
      context.lineTo(px(at), TOP + tall);
      context.stroke();
      context.setLineDash([]);
    }
    curves.forEach((curve, number) => {
      context.strokeStyle = colours[number % colours.length];
      context.fillStyle = context.strokeStyle;
      context.lineWidth = 1.6;
      context.beginPath();
      curve.x.forEach((x, k) => context.lineTo(px(x), py(curve.y[k])));
      context.stroke();
      if (curve.dots) {
        curve.x.forEach((x, k) => context.fillRect(px(x) - 1.5, py(curve.y[k]) - 1.5, 3, 3));
      }
    });
    context.restore();
    context.textAlign = "left";
    context.textBaseline = "top";
    curves.forEach((curve, number) => {
      context.fillStyle = colours[number % colours.length];
      context.fillText(curve.name, LEFT + 8, TOP + 5 + 14 * number);
    });
  }
}
