// The connection to the program: messages out as JSON, answers in as bytes.

// What the page asks for of its own can wait; whatever else a hand does ends the computing of it.
const PATIENT = ["curve", "map", "acceptance", "plane", "settle", "grasp", "slip", "reflections"];

// Every half-precision number as a float, by its 16 bits.
export const HALF = (() => {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits += 1) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    table[bits] = exponent === 31
      ? (fraction ? NaN : sign * Infinity)
      : exponent === 0
        ? sign * fraction * 2 ** -24
        : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
})();

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  for (const picture of Object.values(head.pictures)) {
    const { scale, offset } = picture;
    const halves = new Uint16Array(buffer, start + picture.at, picture.rows * picture.columns);
    picture.halves = halves;
    // Of every so many rows and columns the mean is told, where an image is only glanced at.
    picture.step ??= 1;
    picture.across = picture.columns;
    if (picture.step > 1) [picture.rows, picture.columns] = picture.whole;
    picture.value = (k) => HALF[halves[k]] * scale + offset;
    picture.at = (row, column) => {
      const place = (index, most) => Math.min(most - 1, Math.floor(index / picture.step));
      return picture.value(place(row, halves.length / picture.across) * picture.across
        + place(column, picture.across));
    };
  }
  for (const file of Object.values(head.files)) {
    file.content = new Uint8Array(buffer, start + file.at, file.bytes);
  }
  return head;
}

export class Link {
  // onAnswer(head, sent): sent is when the message that is answered was sent, if it was one of ours.
  constructor(onAnswer, onState) {
    this.onAnswer = onAnswer;
    this.onState = onState;
    this.number = 0;
    this.sent = new Map();
    this.retry = 0;
    // In a notebook the frame around the page carries its messages.
    this.notebook = window.frameElement?.weakbeam ?? null;
    if (this.notebook) return;
    const known = sessionStorage.getItem("weakbeam-page");
    this.page = known || Math.random().toString(36).slice(2);
    sessionStorage.setItem("weakbeam-page", this.page);
  }

  open(take = false) {
    this.sent.clear();
    if (this.notebook) this.openNotebook();
    else this.openSocket(take);
  }

  openNotebook() {
    this.notebook.open((heard) => {
      if (typeof heard !== "string") this.hear(heard);
      else {
        this.isOpen = heard === "open";
        this.onState(heard);
      }
    });
  }

  openSocket(take) {
    const address = new URL("socket", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    address.search = `page=${this.page}${take ? "&take" : ""}`;
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.retry = 0;
      this.isOpen = true;
      this.onState("open");
    };
    socket.onmessage = (event) => this.hear(event.data);
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.isOpen = false;
      if (event.code === 4001) this.onState("occupied");
      else if (event.code === 4002) this.onState("taken");
      else {
        this.onState("lost");
        this.retry += 1;
        setTimeout(() => this.open(), Math.min(3000, 400 * this.retry));
      }
    };
  }

  hear(bytes) {
    const head = unpack(bytes);
    const sent = this.sent.get(head.id);
    for (const number of this.sent.keys()) if (number <= head.id) this.sent.delete(number);
    this.onAnswer(head, sent);
  }

  send(message, since = performance.now()) {
    if (!this.isOpen) return;
    this.number += 1;
    this.sent.set(this.number, { since, message });
    const urgent = !PATIENT.includes(message.do);
    const text = JSON.stringify({ ...message, id: this.number, urgent });
    if (this.notebook) this.notebook.send(text);
    else this.socket.send(text);
  }
}
