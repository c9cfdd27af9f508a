// Numbers on a picture: axes, ticks and the colour bar.

export const LEFT = 62, RIGHT = 92, TOP = 12, BOTTOM = 42, BAR = 14;

export function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= 0.7 * rough) || power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) {
    found.push(Math.abs(k) < 1e-9 ? 0 : k * step);
  }
  return found;
}

export function shown(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5)
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)));
  return text.replaceAll("-", "−");
}

export function drawAxes(view, ink, seen) {
  const { context } = view;
  const { rows, columns, extent, labels } = view.picture;
  const [x, y, wide, tall] = view.box;
  const [left, right, bottom, top] = extent;
  const at = (share, low, high) => low + share * (high - low);
  const ends = {
    x: [at(seen.left / columns, left, right), at((seen.left + seen.columns) / columns, left, right)],
    y: [at(seen.top / rows, top, bottom), at((seen.top + seen.rows) / rows, top, bottom)],
  };
  context.fillStyle = ink;
  context.strokeStyle = ink;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const value of ticks(Math.min(...ends.x), Math.max(...ends.x), wide / 52)) {
    const px = x + ((value - ends.x[0]) / (ends.x[1] - ends.x[0])) * wide;
    context.fillRect(px - 0.5, y + tall, 1, 4);
    context.fillText(shown(value), px, y + tall + 6);
  }
  context.fillText(labels.across, x + wide / 2, y + tall + 22);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of ticks(Math.min(...ends.y), Math.max(...ends.y), tall / 34)) {
    const py = y + ((value - ends.y[0]) / (ends.y[1] - ends.y[0])) * tall;
    context.fillRect(x - 4, py - 0.5, 4, 1);
    context.fillText(shown(value), x - 7, py);
  }
  context.save();
  context.translate(14, y + tall / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  const small = context.measureText(labels.along).width > tall + TOP + BOTTOM;
  if (small) context.font = "9px system-ui, sans-serif";
  context.fillText(labels.along, 0, 0);
  context.restore();
}

export function drawBar(view, ink) {
  const { context } = view;
  const [x, y, wide, tall] = view.barBox();
  const map = view.colours();
  for (let row = 0; row < tall; row += 1) {
    const k = Math.min(255, Math.floor(256 * (1 - (row + 0.5) / tall)));
    context.fillStyle = `rgb(${map[3 * k]},${map[3 * k + 1]},${map[3 * k + 2]})`;
    context.fillRect(x, y + row, wide, 1.5);
  }
  context.strokeStyle = ink;
  context.strokeRect(x + 0.5, y + 0.5, wide - 1, tall - 1);
  context.fillStyle = ink;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "middle";
  const share = view.share();
  const count = Math.max(2, Math.min(6, Math.floor(tall / 40) + 1));
  const even = view.picture.diverging || view.scale === "linear";
  const values = even ? ticks(...view.range(), count)
    : Array.from({ length: count }, (_, k) => Number(share.value(k / (count - 1)).toPrecision(2)));
  for (const value of values) {
    const py = y + tall * (1 - Math.min(1, Math.max(0, share.of(value))));
    context.fillRect(x + wide, py - 0.5, 3, 1);
    context.fillText(shown(value), x + wide + 6, Math.min(y + tall - 5, Math.max(y + 5, py)));
  }
  context.save();
  context.translate(x + wide + 62, y + tall / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  const label = view.picture.labels.values;
  if (context.measureText(label).width > tall + TOP + BOTTOM) {
    context.font = "9px system-ui, sans-serif";
  }
  context.fillText(label, 0, 0);
  context.restore();
}
