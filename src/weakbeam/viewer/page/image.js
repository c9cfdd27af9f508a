// A picture in its true proportions, with axes and a colour bar: zoom, pan, contrast, regions.

import { BAR, BOTTOM, LEFT, RIGHT, TOP, drawAxes, drawBar, shown } from "./axes.js";
import { DIVERGING, INTENSITY, MAPS, UNKNOWN } from "./colours.js";
import { HALF } from "./link.js";

const LINEAR_WIDTH = 0.02, GOES_ON_MS = 600;

export class ImageView {
  constructor(host, name, events = {}) {
    this.events = events;
    this.host = host;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", name);
    this.name = name;
    host.append(this.canvas);
    this.context = this.canvas.getContext("2d");
    this.buffer = document.createElement("canvas");
    this.scale = "linear";
    this.map = null;
    this.limits = null;
    this.zoom = 1;
    this.middle = [0.5, 0.5];
    this.cursor = null;
    this.region = null;
    this.marks = [];
    this.chosen = -1;
    this.showMarks = true;
    this.listen();
    new ResizeObserver(() => this.resize()).observe(host);
  }

  show(picture) {
    const fresh = !this.picture || this.picture.rows !== picture.rows
      || this.picture.columns !== picture.columns;
    if (fresh) {
      this.zoom = 1;
      this.middle = [0.5, 0.5];
      this.cursor = this.cursor && [Math.min(this.cursor[0], picture.rows - 1),
        Math.min(this.cursor[1], picture.columns - 1)];
      if (this.region && (this.region[1] > picture.rows || this.region[3] > picture.columns)) {
        this.region = null;
      }
    }
    this.picture = picture;
    if (fresh) this.resize();
    else this.paint();
    // Both have one range of colours.
    if (this.peer?.picture && !this.peer.host.hidden && !this.limits) this.peer.paint();
  }

  range() {
    if (this.limits) return this.limits;
    const own = this.ownRange();
    const peer = this.peer && !this.peer.host.hidden && this.peer.picture ? this.peer : null;
    if (!peer || this.picture.diverging || peer.picture.diverging) return own;
    const other = peer.ownRange();
    return [Math.min(own[0], other[0]), Math.max(own[1], other[1])];
  }

  // All but the darkest and the brightest thousandth, as figures have it; of a sample of the pixels.
  ownRange() {
    const { picture } = this;
    picture.ends ??= this.sampledEnds();
    const [low, high] = picture.ends;
    if (!Number.isFinite(low)) return picture.diverging ? [-1, 1] : [0, 1];
    if (picture.diverging) {
      const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
      return [-most, most];
    }
    if (this.scale === "log") return [Math.max(low, high * 1e-4) || 1e-6, high || 1];
    const floor = low >= 0 && low < 0.5 * high ? 0 : low;
    return [floor, high > floor ? high : floor + 1];
  }

  sampledEnds() {
    const { halves, value, across: columns } = this.picture;
    if (halves.length === 0) return [NaN, NaN];
    // A step that shares no factor with the columns visits all of them.
    let step = Math.max(1, Math.floor(halves.length / 30000));
    while (step > 1 && columns % step === 0) step += 1;
    const sample = new Float32Array(Math.ceil(halves.length / step));
    let count = 0;
    for (let k = 0; k < halves.length; k += step) {
      const one = value(k);
      if (Number.isFinite(one)) sample[count++] = one;
    }
    const sorted = sample.subarray(0, count).sort();
    if (!count) return [NaN, NaN];
    return [sorted[Math.floor(0.001 * (count - 1))], sorted[Math.ceil(0.999 * (count - 1))]];
  }

  // From a value to a share of the colour bar, and back.
  share() {
    const [low, high] = this.range();
    const scale = this.picture.diverging ? "linear" : this.scale;
    if (scale === "log" && low > 0) {
      const start = Math.log(low), all = Math.log(high) - start || 1;
      return { of: (v) => (v > 0 ? (Math.log(v) - start) / all : 0),
        value: (s) => Math.exp(start + s * all) };
    }
    if (scale === "asinh") {
      const width = LINEAR_WIDTH * Math.max(Math.abs(low), Math.abs(high)) || 1;
      const start = Math.asinh(low / width), all = Math.asinh(high / width) - start || 1;
      return { of: (v) => (Math.asinh(v / width) - start) / all,
        value: (s) => width * Math.sinh(start + s * all) };
    }
    return { of: (v) => (v - low) / (high - low), value: (s) => low + s * (high - low) };
  }

  colours() {
    if (this.picture.diverging) return MAPS[DIVERGING];
    return MAPS[this.map || INTENSITY];
  }

  colour() {
    const { halves, across } = this.picture;
    const down = halves.length / across;
    if (this.buffer.width !== across || this.buffer.height !== down) {
      this.buffer.width = across;
      this.buffer.height = down;
      this.painted = null;
    }
    const context = this.buffer.getContext("2d");
    this.painted ??= context.createImageData(across, down);
    const image = this.painted;
    const words = new Uint32Array(image.data.buffer);
    const map = this.colours();
    const table = new Uint32Array(257);
    for (let k = 0; k < 256; k += 1) {
      table[k] = 0xff000000 | (map[3 * k + 2] << 16) | (map[3 * k + 1] << 8) | map[3 * k];
    }
    table[256] = 0xff000000 | (UNKNOWN << 16) | (UNKNOWN << 8) | UNKNOWN;
    const share = this.share();
    // There are fewer numbers in half precision than pixels in a large image.
    const colourOf = new Uint32Array(65536);
    for (let bits = 0; bits < 65536; bits += 1) {
      const value = HALF[bits] * this.picture.scale + this.picture.offset;
      const place = 256 * share.of(value);
      colourOf[bits] = table[Number.isNaN(value) ? 256 : place <= 0 ? 0 : place >= 255 ? 255 : place | 0];
    }
    for (let k = 0; k < words.length; k += 1) words[k] = colourOf[halves[k]];
    context.putImageData(image, 0, 0);
  }

  resize() {
    if (!this.picture) return;
    const width = Math.max(280, this.host.clientWidth);
    const [left, right, bottom, top] = this.picture.extent;
    const aspect = Math.abs(top - bottom) / Math.abs(right - left) || 1;
    const most = this.events.mostHeight ? this.events.mostHeight() : 560;
    let inner = width - LEFT - RIGHT;
    let tall = this.free ? most : inner * aspect;
    if (!this.free && tall > most) {
      tall = most;
      inner = tall / aspect;
    }
    if (inner < 60) inner = 60;
    this.box = [LEFT, TOP, inner, Math.max(24, tall)];
    const ratio = window.devicePixelRatio || 1;
    const size = [LEFT + inner + RIGHT, TOP + this.box[3] + BOTTOM];
    this.canvas.width = Math.round(size[0] * ratio);
    this.canvas.height = Math.round(size[1] * ratio);
    this.canvas.style.width = `${size[0]}px`;
    this.canvas.style.height = `${size[1]}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paint();
  }

  // The part of the picture that is seen, in rows and columns.
  window() {
    const { rows, columns } = this.picture;
    const half = 0.5 / this.zoom;
    for (const axis of [0, 1]) {
      this.middle[axis] = Math.min(1 - half, Math.max(half, this.middle[axis]));
    }
    return { top: (this.middle[0] - half) * rows, left: (this.middle[1] - half) * columns,
      rows: rows / this.zoom, columns: columns / this.zoom };
  }

  toScreen(row, column) {
    const seen = this.window(), [x, y, wide, tall] = this.box;
    return [x + ((column + 0.5 - seen.left) / seen.columns) * wide,
      y + ((row + 0.5 - seen.top) / seen.rows) * tall];
  }

  toPicture(x, y) {
    const seen = this.window(), [left, top, wide, tall] = this.box;
    return [seen.top + ((y - top) / tall) * seen.rows - 0.5,
      seen.left + ((x - left) / wide) * seen.columns - 0.5];
  }

  paint() {
    if (!this.picture || !this.box) return;
    this.colour();
    this.draw();
  }

  draw() {
    const { context } = this;
    const style = getComputedStyle(this.host);
    const ink = style.getPropertyValue("--ink").trim() || "#222";
    const accent = style.getPropertyValue("--mark").trim() || "#56b4e9";
    const [x, y, wide, tall] = this.box;
    const seen = this.window();
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = false;
    const { step } = this.picture;
    context.drawImage(this.buffer, seen.left / step, seen.top / step, seen.columns / step,
      seen.rows / step, x, y, wide, tall);
    context.save();
    context.beginPath();
    context.rect(x, y, wide, tall);
    context.clip();
    if (this.region) {
      const [a, b] = this.toScreen(this.region[0] - 0.5, this.region[2] - 0.5);
      const [c, d] = this.toScreen(this.region[1] - 0.5, this.region[3] - 0.5);
      context.strokeStyle = accent;
      context.lineWidth = 1.5;
      context.strokeRect(a, b, Math.max(3, c - a), Math.max(3, d - b));
    }
    if (this.showMarks) this.drawMarks(accent);
    if (this.point) this.drawPoint(accent);
    context.restore();
    context.strokeStyle = ink;
    context.fillStyle = ink;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, wide - 1, tall - 1);
    drawAxes(this, ink, seen);
    drawBar(this, ink);
  }

  drawMarks(accent) {
    const { context } = this;
    this.marks.forEach((mark, number) => {
      context.strokeStyle = accent;
      context.lineWidth = number === this.chosen ? 2.5 : 1.2;
      for (const [r0, c0, r1, c1] of mark.lines) {
        context.beginPath();
        context.moveTo(...this.toScreen(r0, c0));
        context.lineTo(...this.toScreen(r1, c1));
        context.stroke();
      }
      if (mark.handle) {
        const [px, py] = this.toScreen(...mark.handle);
        const radius = number === this.chosen ? 9 : 7;
        for (const [colour, width] of [["rgba(0,0,0,0.7)", 3.5], [accent, 1.6]]) {
          context.strokeStyle = colour;
          context.lineWidth = width;
          context.beginPath();
          context.arc(px, py, radius, 0, 7);
          context.stroke();
        }
        context.font = "11px system-ui, sans-serif";
        context.textAlign = "left";
        context.textBaseline = "bottom";
        context.strokeStyle = "rgba(0,0,0,0.7)";
        context.lineWidth = 3;
        context.strokeText(String(number), px + radius, py - radius + 4);
        context.fillStyle = accent;
        context.fillText(String(number), px + radius, py - radius + 4);
      }
    });
  }

  // A cross at a place in the units of the axes.
  drawPoint(accent) {
    const { context } = this;
    const { extent, rows, columns } = this.picture;
    const [left, right, bottom, top] = extent;
    const [px, py] = this.toScreen(
      ((this.point[1] - top) / (bottom - top)) * rows - 0.5,
      ((this.point[0] - left) / (right - left)) * columns - 0.5,
    );
    for (const [colour, width] of [["#000", 4], [accent, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(px - 9, py);
      context.lineTo(px + 9, py);
      context.moveTo(px, py - 9);
      context.lineTo(px, py + 9);
      context.stroke();
    }
  }

  inUnits([row, column]) {
    const { extent, rows, columns } = this.picture;
    const [left, right, bottom, top] = extent;
    return [left + ((column + 0.5) / columns) * (right - left),
      top + ((row + 0.5) / rows) * (bottom - top)];
  }

  barBox() {
    const [x, y, wide, tall] = this.box;
    return [x + wide + 12, y, BAR, tall];
  }

  // What is under a place of the picture, in words.
  words(place) {
    const { rows, columns, extent, stored } = this.picture;
    let [row, column] = place.map(Math.round);
    row = Math.min(rows - 1, Math.max(0, row));
    column = Math.min(columns - 1, Math.max(0, column));
    const [left, right, bottom, top] = extent;
    const across = left + ((column + 0.5) / columns) * (right - left);
    const along = top + ((row + 0.5) / rows) * (bottom - top);
    let text = `${shown(this.picture.at(row, column))}  at ${shown(across)}, ${shown(along)} ${this.unit || "µm"}`;
    if (stored) {
      let pixel = [stored.rows ? rows - 1 - row : row,
        stored.columns ? columns - 1 - column : column];
      if (stored.swapped) pixel = [pixel[1], pixel[0]];
      text += `  (pixel ${pixel[0] + stored.first[0]}, ${pixel[1] + stored.first[1]})`;
    }
    return text;
  }

  nearMark(x, y) {
    if (!this.showMarks) return -1;
    let best = -1, least = 14;
    this.marks.forEach((mark, number) => {
      if (!mark.handle) return;
      const [px, py] = this.toScreen(...mark.handle);
      const far = Math.hypot(px - x, py - y);
      if (far < least) [best, least] = [number, far];
    });
    return best;
  }

  inside(x, y, [left, top, wide, tall], slack = 0) {
    return x >= left - slack && x <= left + wide + slack && y >= top - slack && y <= top + tall + slack;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => {
      if (!this.picture || this.held) return;
      const [x, y] = [event.offsetX, event.offsetY];
      canvas.style.cursor = this.nearMark(x, y) >= 0 ? "grab"
        : this.inside(x, y, this.barBox(), 8) ? "ns-resize" : "crosshair";
      const place = this.inside(x, y, this.box) ? this.toPicture(x, y) : null;
      if (place) this.events.hover?.(this.words(place), this);
      this.events.point?.(place, this);
    });
    canvas.addEventListener("pointerleave", () => {
      this.events.hover?.("", this);
      this.events.point?.(null, this);
    });
    canvas.addEventListener("wheel", (event) => {
      if (!this.picture || !this.inside(event.offsetX, event.offsetY, this.box)) return;
      event.preventDefault();
      this.magnify(Math.exp(-0.0015 * event.deltaY), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => {
      if (this.inside(event.offsetX, event.offsetY, this.barBox(), 10)) this.setLimits(null);
      else {
        this.reset();
        this.forgetRegion();
      }
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  magnify(factor, x, y) {
    const [left, top, wide, tall] = this.box;
    const before = this.toPicture(x, y);
    this.zoom = Math.min(64, Math.max(1, this.zoom * factor));
    const seen = this.window();
    const { rows, columns } = this.picture;
    this.middle = [
      (before[0] + 0.5 - ((y - top) / tall - 0.5) * seen.rows) / rows,
      (before[1] + 0.5 - ((x - left) / wide - 0.5) * seen.columns) / columns,
    ];
    this.window();
    this.draw();
    this.events.moved?.(this);
  }

  reset() {
    this.zoom = 1;
    this.middle = [0.5, 0.5];
    this.draw();
    this.events.moved?.(this);
  }

  setLimits(limits) {
    this.limits = limits;
    this.paint();
    this.events.contrast?.(this);
  }

  press(event) {
    if (!this.picture) return;
    const start = [event.offsetX, event.offsetY];
    const inBar = this.inside(...start, this.barBox(), 8);
    const mark = inBar ? -1 : this.nearMark(...start);
    if (!inBar && mark < 0 && !this.inside(...start, this.box)) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.held = true;
    const middle = [...this.middle], range = [...this.range()];
    const tall = this.box[3];
    const first = this.toPicture(...start);
    const upper = start[1] < this.box[1] + tall / 2;
    const share = this.share();
    let far = 0;
    if (mark >= 0) this.events.choose?.(mark, this);
    const picks = this.pick && !inBar;
    if (picks) this.pick(this.inUnits(first));
    const move = (now) => {
      const [dx, dy] = [now.offsetX - start[0], now.offsetY - start[1]];
      far = Math.max(far, Math.hypot(dx, dy));
      if (far < 3) return;
      if (picks) {
        this.pick(this.inUnits(this.toPicture(now.offsetX, now.offsetY)));
      } else if (inBar) {
        const value = share.value(upper ? 1 + dy / tall : dy / tall);
        const limits = upper ? [range[0], value] : [value, range[1]];
        if (limits[1] > limits[0]) this.setLimits(limits);
      } else if (mark >= 0) {
        this.events.drag?.(mark, this.toPicture(now.offsetX, now.offsetY), this, now.timeStamp);
      } else if (event.shiftKey) {
        const last = this.toPicture(now.offsetX, now.offsetY);
        this.setRegion(first, last);
        this.draw();
      } else {
        this.middle = [middle[0] - dy / tall / this.zoom, middle[1] - dx / this.box[2] / this.zoom];
        this.draw();
        this.events.moved?.(this);
      }
    };
    const end = () => {
      this.canvas.removeEventListener("pointermove", move);
      this.canvas.removeEventListener("pointerup", end);
      this.canvas.removeEventListener("pointercancel", end);
      this.held = false;
      if (picks) return;
      if (far < 3 && !inBar && mark < 0) this.setRegion(first, first);
      if (!inBar && mark < 0 && (far < 3 || event.shiftKey)) {
        this.draw();
        this.events.region?.(this.region, this);
      }
      if (mark >= 0) this.events.dropped?.(mark, this);
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
  }

  setRegion(first, last) {
    const { rows, columns } = this.picture;
    const clip = (value, most) => Math.min(most - 1, Math.max(0, Math.round(value)));
    const a = [clip(first[0], rows), clip(first[1], columns)];
    const b = [clip(last[0], rows), clip(last[1], columns)];
    this.region = [Math.min(a[0], b[0]), Math.max(a[0], b[0]) + 1,
      Math.min(a[1], b[1]), Math.max(a[1], b[1]) + 1];
    this.cursor = b;
  }

  // The next defect that stands somewhere, for the arrow keys to move.
  chooseNext() {
    const count = this.marks.length;
    for (let k = 1; k <= count; k += 1) {
      const number = (Math.max(this.chosen, -1) + k) % count;
      if (!this.marks[number].handle) continue;
      this.events.choose?.(number, this);
      this.events.hover?.(`${this.wordsOfMark(number)}: arrow keys move it, Escape lets it go`, this);
      return;
    }
    this.events.hover?.("there is no defect to be moved", this);
  }

  wordsOfMark(number) {
    const [x, y] = this.inUnits(this.marks[number].handle);
    return `defect ${number}, ${this.marks[number].label}, at ${shown(x)}, ${shown(y)} ${this.unit || "µm"}`;
  }

  // Steps add up before the answers come; those that follow each other are one step back.
  moveMark([rows, columns], since) {
    const number = this.chosen, mark = this.marks[number];
    const goesOn = this.goal?.number === number && since - this.goal.since < GOES_ON_MS;
    if (!goesOn) this.events.dropped?.(number, this);
    const from = goesOn ? this.goal.to : mark.handle;
    this.goal = { number, since, to: [from[0] + rows, from[1] + columns] };
    mark.handle = this.goal.to;
    this.draw();
    this.events.hover?.(this.wordsOfMark(number), this);
    this.events.drag?.(number, this.goal.to, this, since);
  }

  forgetRegion() {
    this.region = null;
    this.draw();
    this.events.region?.(null, this);
  }

  key(event) {
    if (!this.picture) return;
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step],
      ArrowRight: [0, step] };
    const [x, y, wide, tall] = this.box;
    const mark = this.showMarks && this.marks[this.chosen]?.handle ? this.marks[this.chosen] : null;
    if (event.key === "d" && this.events.drag) this.chooseNext();
    else if (event.key === "Escape" && mark) {
      this.events.choose?.(-1, this);
      this.events.hover?.("arrow keys move the pixel of the curve", this);
    } else if (event.key === "Escape" && this.region) this.forgetRegion();
    else if (moves[event.key] && mark) {
      this.moveMark(moves[event.key].map((one) => one * (event.altKey ? 0.1 : 1)), event.timeStamp);
    } else if (moves[event.key] && this.pick) {
      const [left, right, bottom, top] = this.picture.extent;
      const at = this.point || [0, 0];
      this.pick([at[0] + (moves[event.key][1] * (right - left)) / 200,
        at[1] + (moves[event.key][0] * (bottom - top)) / 200]);
    } else if (moves[event.key]) {
      const { rows, columns } = this.picture;
      const from = this.cursor || [rows >> 1, columns >> 1];
      const to = [from[0] + moves[event.key][0], from[1] + moves[event.key][1]];
      this.setRegion(to, to);
      this.draw();
      this.events.hover?.(this.words(this.cursor), this);
      this.events.region?.(this.region, this);
    } else if (event.key === "+" || event.key === "=") {
      this.magnify(1.25, x + wide / 2, y + tall / 2);
    } else if (event.key === "-") this.magnify(0.8, x + wide / 2, y + tall / 2);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
  }
}
