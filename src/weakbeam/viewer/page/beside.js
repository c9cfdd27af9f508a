// What stands beside the image: curve, acceptance, back focal plane, map.

import { shown } from "./axes.js";
import { Chart } from "./chart.js";
import { ImageView } from "./image.js";

const $ = (id) => document.getElementById(id);
const round = (value) => Number(value.toPrecision(5));

export function besideOf(tools) {
  let curves = {}, pointed = null, asked = 0;
  const curve = new Chart($("curve"), "curve");
  const small = { mostHeight: () => 200, hover: (text) => { $("readout").textContent = text || "\u00a0"; } };
  const acceptance = new ImageView($("acceptance"), "intensity of the perfect crystal", small);
  acceptance.free = true;
  acceptance.unit = "mrad";
  acceptance.pick = ([x, y]) => {
    tools.drag({ do: "motors", [$("across").value]: round(x), phi: round(y), slot: "motors" });
  };
  const plane = new ImageView($("plane"), "back focal plane", { ...small, mostHeight: () => 230 });

  const curveRange = () => ({
    motor: $("curve-motor").value,
    half_range: Number($("curve-range").value),
    steps: Number($("curve-steps").value),
  });

  function askCurve() {
    if (tools.scan) return tools.scan.askCurve();
    const { picture } = tools.views.A;
    if (!picture) return;
    asked = performance.now();
    for (const name of tools.rule ? ["A", "B"] : ["A"]) {
      const of = tools.views[name].picture ?? picture;
      const whole = [0, of.rows, 0, of.columns];
      const wanted = tools.region ?? (pointed && [pointed[0], pointed[0] + 1, pointed[1], pointed[1] + 1]);
      const fits = wanted && wanted[1] <= of.rows && wanted[3] <= of.columns;
      tools.link.send({ do: "curve", side: name, region: fits ? wanted : whole, slot: `curve-${name}`,
        ...curveRange() });
    }
    if (!tools.rule) delete curves.B;
  }

  // The pixel under the pointer, unless a region was chosen; null where there is none.
  function pointAt(place) {
    const pixel = place && place.map((one) => Math.max(0, Math.round(one)));
    if (tools.scan || String(pixel) === String(pointed)) return;
    pointed = pixel;
    if (!asked && !tools.region) askCurve();
  }

  const forgetCurves = () => { curves = {}; };
  const keepCurve = (head) => {
    curves[head.side] = head;
    const [r0, , c0] = head.region;
    asked = 0;
    // The pointer has gone on meanwhile.
    if (!tools.scan && !tools.region && pointed && (r0 !== pointed[0] || c0 !== pointed[1])) askCurve();
  };

  function drawCurve() {
    const first = curves.A;
    if (!first) return;
    if (tools.scan) tools.scan.curve = tools.scan.number;
    const [r0, r1, c0, c1] = first.stored;
    const { rows, columns } = tools.views.A.picture;
    const all = (r1 - r0) * (c1 - c0) === rows * columns && rows * columns > 1;
    $("curve-of").textContent = all ? "the whole image"
      : r1 - r0 === 1 && c1 - c0 === 1 ? `pixel ${r0}, ${c0}` : `region ${r0}:${r1}, ${c0}:${c1}`;
    const shownCurves = [{ x: first.x, y: first.y, name: tools.rule ? "A" : "image", dots: true }];
    if (tools.rule && curves.B) shownCurves.push({ x: curves.B.x, y: curves.B.y, name: "B", dots: true });
    shownCurves.push({ ...first.perfect, name: first.perfect.x.length ? "perfect crystal" : "" });
    curve.show({
      label: first.label, values: first.values ?? "intensity",
      at: tools.scan ? first.at : tools.sides.A?.motors[first.motor],
      curves: tools.scan ? shownCurves.slice(0, 1) : shownCurves,
    });
  }

  const askAcceptance = () =>
    tools.link.send({ do: "acceptance", side: tools.side(), across: $("across").value, slot: "acceptance" });

  function showAcceptance(head) {
    acceptance.point = head.at;
    acceptance.show(head.pictures.plane);
  }

  function markAcceptance() {
    if (!acceptance.picture) return;
    const { motors } = tools.sides[tools.side()];
    acceptance.point = [motors[$("across").value], motors.phi];
    acceptance.draw();
  }

  function askPlane() {
    const stop = tools.sides[tools.side()]?.stop;
    $("plane-part").hidden = !stop;
    if (stop) tools.link.send({ do: "plane", side: tools.side(), slot: "plane" });
  }

  function showPlane(head) {
    const along = head.axis === "two_theta" ? "up and down" : "across";
    const moves = head.axis ? `; drag to move it ${along}` : "";
    $("passes").textContent = `passes ${shown(100 * head.passes)} % of the beam${moves}`;
    plane.pick = head.axis
      ? ([x, y]) => tools.drag({ do: "stop", to: [round(x), round(y)], slot: "stop" }) : null;
    plane.point = head.axis
      ? (head.axis === "two_theta" ? [0, head.position] : [head.position, 0]) : null;
    plane.show(head.pictures.plane);
  }

  function askMap() {
    if (tools.scan) return tools.scan.askMap();
    const what = $("layer").value;
    if (what) tools.link.send({ do: "map", side: tools.side(), what, ...curveRange(), slot: "map" });
  }

  function showMap(head) {
    tools.views.map.show(head.pictures.map);
    $("view-map").querySelector("figcaption").textContent =
      `${head.pictures.map.labels.values}${tools.rule && !tools.scan ? `, of ${head.side}` : ""}`;
    tools.arrange();
  }

  function setCurveRange(one) {
    const motor = $("curve-motor").value;
    $("curve-range").value = shown((one ?? tools.sides[tools.side()]).reach[motor]).replaceAll("−", "-");
    $("curve-steps").value = motor === "z" ? "11" : "61";
  }

  return {
    curve, acceptance, plane, curveRange, setCurveRange, askCurve, keepCurve, forgetCurves,
    pointAt, drawCurve, askAcceptance, showAcceptance, markAcceptance, askPlane, showPlane, askMap, showMap,
    get hasCurves() { return Object.keys(curves).length > 0; },
  };
}
