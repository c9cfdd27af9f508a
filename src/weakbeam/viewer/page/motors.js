// The sliders of the motors.

import { element } from "./panel.js";

const $ = (id) => document.getElementById(id);

export function motorsOf(tools) {
  const sliders = {};

  function makeMotors() {
    for (const { name, symbol, unit } of tools.greeting.motors) {
      const slider = element("input", { type: "range", id: `motor-${name}`, step: "any",
        "aria-label": `${symbol} in ${unit}`,
        oninput: (event) => turn(name, Number(event.target.value), event.timeStamp),
        onchange: tools.newGesture,
        onkeydown: (event) => key(event, name) });
      const number = element("input", { type: "text", inputmode: "decimal", "aria-label": `${symbol}, value`,
        onchange: (event) => { tools.newGesture(); turn(name, Number(event.target.value)); },
        onkeydown: (event) => key(event, name) });
      const wider = (factor) => {
        sliders[name].reach = Math.min(1000, sliders[name].reach * factor);
        sliders[name].fixed = true;
        updateMotors();
      };
      sliders[name] = { slider, number, reach: 1 };
      $("motors").append(element("div", { class: "motor" }, [
        element("label", { for: `motor-${name}`, text: symbol }), slider, number,
        element("span", { class: "unit", text: unit }),
        element("span", {}, [
          element("button", { type: "button", text: "0", title: "to zero",
            "aria-label": `${symbol} to zero`, onclick: () => { tools.newGesture(); turn(name, 0); } }),
          element("button", { type: "button", text: "−", title: "a narrower slider",
            "aria-label": `${symbol}: narrower slider`, onclick: () => wider(0.5) }),
          element("button", { type: "button", text: "+", title: "a wider slider",
            "aria-label": `${symbol}: wider slider`, onclick: () => wider(2) }),
        ]),
      ]));
      $("curve-motor").append(element("option", { value: name, text: `${symbol} (${unit})` }));
    }
  }

  // Arrow keys go a hundredth of the slider, with Shift a tenth of that, PageUp and PageDown ten.
  function key(event, name) {
    const { reach } = sliders[name];
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    if (event.key === "Home") turn(name, 0, event.timeStamp);
    else if (event.key in steps && !(event.target.type === "text" && /Left|Right/.test(event.key))) {
      const step = (steps[event.key] * reach * (event.shiftKey ? 0.1 : 1)) / 100;
      turn(name, Number((tools.sides[tools.side()].motors[name] + step).toFixed(6)), event.timeStamp);
    } else return;
    tools.newGesture();
    event.preventDefault();
  }

  function turn(name, value, since = performance.now()) {
    if (!Number.isFinite(value)) {
      updateMotors();
      return;
    }
    const there = Number(value.toPrecision(6));
    sliders[name].number.value = String(there);
    // Steps by keys add up before the answer comes.
    tools.sides[tools.side()].motors = { ...tools.sides[tools.side()].motors, [name]: there };
    tools.drag({ do: "motors", ...tools.sides[tools.side()].motors, slot: "motors" }, since);
  }

  function updateMotors() {
    const one = tools.sides[tools.side()];
    if (!one) return;
    for (const [name, { slider, number, reach, fixed }] of Object.entries(sliders)) {
      const value = one.motors[name];
      const wanted = Math.max(fixed ? reach : one.reach[name], Math.abs(value));
      sliders[name].reach = wanted;
      slider.min = -wanted;
      slider.max = wanted;
      if (document.activeElement !== slider || Number(slider.value) !== value) slider.value = value;
      if (document.activeElement !== number) number.value = String(Number(value.toPrecision(6)));
    }
  }

  return { make: makeMotors, update: updateMotors };
}
