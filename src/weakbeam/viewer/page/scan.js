// A scan of a file: its frames by sliders, beside them what is simulated at the same motors.

import { shown } from "./axes.js";
import { element } from "./panel.js";

const AT_REST_MS = 120;

const $ = (id) => document.getElementById(id);

export class ScanPage {
  // tools: {link, views, arrange, setTwo, rough}
  constructor(tools) {
    this.tools = tools;
    this.region = null;
    this.head = null;
  }

  start(head) {
    if (!this.head) {
      document.body.classList.add("scan");
      document.title = `weakbeam live – ${head.title}`;
      this.head = head;
      this.number = head.number;
      this.build();
    }
    this.frame(head);
    this.askCurve();
  }

  build() {
    const { head } = this;
    const by = head.grid ? head.motors : [{ name: "frame", symbol: "frame", unit: "", axis: null }];
    this.sliders = by.map((motor, place) => {
      const most = head.grid ? motor.axis.length - 1 : head.frames - 1;
      const slider = element("input", { type: "range", id: `motor-${motor.name}`, min: 0, max: most,
        step: 1, "aria-label": head.grid ? `${motor.symbol}, position` : "number of the frame",
        oninput: (event) => this.turn(place, Number(event.target.value), event.timeStamp) });
      const says = element("output", { for: `motor-${motor.name}` });
      $("motors").append(element("div", { class: "motor" }, [
        element("label", { for: `motor-${motor.name}`, text: motor.symbol }), slider, says,
        element("span", { class: "unit", text: motor.unit ?? "" }), element("span"),
      ]));
      return { slider, says, motor };
    });
    const kinds = { sum: "sum", brightest: "brightest", com: "centre of mass", peak: "peak",
      fwhm: "width" };
    $("layer").replaceChildren(element("option", { value: "", text: "none" }),
      ...head.kinds.flatMap((kind) => (["sum", "brightest"].includes(kind)
        ? [element("option", { value: kind, text: kinds[kind] })]
        : head.motors.map(({ name, symbol }) =>
          element("option", { value: `${kind} ${name}`, text: `${kinds[kind]} in ${symbol}` })))));
    const panel = $("panel");
    panel.replaceChildren(element("h2", { text: "scan" }), element("p", { text: head.title }));
    if (head.simulates) {
      const box = element("input", { type: "checkbox", id: "beside",
        onchange: () => { this.tools.setTwo(box.checked); this.ask(); } });
      panel.append(element("p", {}, [element("label", {}, [box, " simulate beside"])]),
        element("h2", { text: "at the Bragg setting" }),
        ...head.motors.map(({ name, symbol, unit, zero }) => element("div", { class: "field" }, [
          element("label", { for: `zero-${name}` }, [`${symbol} stands at`,
            element("span", { class: "unit", text: ` ${unit}` })]),
          element("input", { id: `zero-${name}`, type: "text", inputmode: "decimal",
            value: Number(zero.toPrecision(8)),
            onchange: (event) => this.zero(name, Number(event.target.value)) }),
        ])));
    }
    panel.append(element("ul", { id: "notes", class: "notes" },
      head.remarks.map((text) => element("li", { text }))));
  }

  beside() {
    return Boolean($("beside")?.checked);
  }

  turn(place, value, since) {
    if (this.head.grid) {
      const at = this.sliders.map(({ slider }) => Number(slider.value));
      at[place] = value;
      this.ask({ at }, since);
    } else this.ask({ number: value }, since);
  }

  ask(which = { number: this.number }, since = performance.now(), rough = true) {
    this.tools.link.send({ do: "frame", ...which, simulated: this.beside(), rough,
      slot: "frame" }, since);
  }

  zero(motor, value) {
    if (!Number.isFinite(value)) return;
    this.tools.link.send({ do: "zero", motor, value, number: this.number });
    if (!this.beside()) {
      $("beside").checked = true;
      this.tools.setTwo(true);
    }
  }

  frame(head) {
    this.number = head.number;
    const { views } = this.tools;
    for (const [name, picture] of Object.entries(head.pictures)) views[name].show(picture);
    if (!head.pictures.difference && !head.rough) {
      views.difference.picture = null;
    }
    this.sliders.forEach(({ slider, says, motor }, place) => {
      const value = this.head.grid ? head.places[place] : head.number;
      if (Number(slider.value) !== value) slider.value = value;
      says.textContent = this.head.grid ? shown(head.settings[motor.name]) : String(value);
    });
    const settings = this.head.motors.map(({ name, symbol, unit }) =>
      `${symbol} = ${shown(head.settings[name])} ${unit}`);
    this.caption = `frame ${head.number}: ${settings.join(", ")}`;
    this.tools.arrange();
    // A large frame is only glanced at while the slider moves.
    clearTimeout(this.settling);
    this.tools.rough(head.rough);
    if (head.rough) {
      this.settling = setTimeout(() => this.ask(undefined, undefined, false), AT_REST_MS);
    } else if (this.curve !== undefined && this.curve !== head.number) this.askCurve();
  }

  captionOf(name) {
    return name === "A" ? this.caption : "simulated at the same motors";
  }

  askCurve() {
    const { picture } = this.tools.views.A;
    if (!picture || !this.head.motors.length) return;
    const whole = [0, picture.rows, 0, picture.columns];
    this.tools.link.send({ do: "curve", region: this.region ?? whole, number: this.number,
      slot: "curve" });
  }

  askMap() {
    const [what, motor] = $("layer").value.split(" ");
    if (what) this.tools.link.send({ do: "map", what, ...(motor ? { motor } : {}), slot: "map" });
  }
}
