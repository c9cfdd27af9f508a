// The page: puts pictures, sliders and forms together. It knows no physics.

import { Chart } from "./chart.js";
import { ImageView, shown } from "./image.js";
import { Link } from "./link.js";
import { DefectList, Form, element, toml } from "./panel.js";
import { ScanPage } from "./scan.js";

const $ = (id) => document.getElementById(id);
const BLINK_MS = 700, AFTER_CHANGE_MS = 220;

const sides = {};
const latencies = [];
let greeting = null, rule = null, gesture = 1, chosen = -1, blinkTimer = 0, blinkOn = "A";
let formsOf = null, region = null, curves = {};
let wasOne = false;
const timers = {};

const link = new Link(answered, connected);
window.weakbeam = { latencies, link, sides, views: {} };

// ---------------------------------------------------------------- messages

const side = () => (rule ? $("side").value : "A");
const say = (message, since) => link.send({ side: side(), ...message }, since);
// Where images take long, what is beside them waits longer, or it would stand in their way.
const later = (name, work) => {
  const usual = Math.max(0, ...latencies.slice(-3).map(({ ms }) => ms));
  clearTimeout(timers[name]);
  timers[name] = setTimeout(work, Math.max(AFTER_CHANGE_MS, 2 * usual));
};
// What is pressed or typed is a gesture of its own; a drag is one from its begin to its end.
const newGesture = () => { gesture += 1; };
gesture = Math.floor(Math.random() * 2 ** 40);

const actions = {
  set: (line) => say({ do: "set", settings: [line] }),
  reset: (key) => say({ do: "default", key }),
  remove: (number) => say({ do: "remove", number }),
  choose: (number) => choose(number),
};

function answered(head, sent) {
  if (head.do === "error") return refused(head);
  if (head.do !== "progress") $("notice").hidden = true;
  const doing = {
    scan: () => { startScan(head); painted(head, sent); },
    frame: () => { scan.frame(head); painted(head, sent); },
    hello: () => { greet(head); changed(head, sent); },
    frames: () => changed(head, sent),
    curve: () => { curves[head.side] = head; endProgress(); drawCurve(); },
    map: () => { endProgress(); showMap(head); },
    acceptance: () => showAcceptance(head),
    plane: () => showPlane(head),
    reflections: () => showReflections(head),
    slip: () => showSlip(head),
    export: () => exported(head),
    progress: () => progressed(head),
    run: () => finished(head),
    occupied: () => {},
    taken: () => {},
  }[head.do];
  doing?.();
}

function refused(head) {
  $("notice").textContent = head.line;
  $("notice").hidden = false;
  if ($("leave-dialog").open) $("run-says").textContent = head.line;
  if ($("add-dialog").open) $("add-doc").textContent = head.line;
  endProgress();
  // What was typed is put back to what holds.
  if (scan) return;
  updateForms();
  updateMotors();
}

function connected(state) {
  const text = {
    lost: "the program has ended, or cannot be reached; the page waits for it",
    occupied: "another page is using this microscope",
    taken: "another page has taken this microscope over",
  }[state];
  $("veil").hidden = state === "open";
  if (text) $("veil-text").textContent = text;
  $("veil-take").hidden = !["occupied", "taken"].includes(state);
  if (state === "open") {
    const hash = location.hash.match(/state=([\w-]+)/);
    if (hash) {
      history.replaceState(null, "", location.pathname + location.search);
      link.send({ do: "hello" });
      link.send({ do: "open", link: hash[1] });
    } else link.send({ do: "hello" });
  }
}

// ---------------------------------------------------------------- pictures

function makeView(name, words, events = {}) {
  const figure = $(`view-${name}`);
  const view = new ImageView(figure.querySelector(".picture"), words, {
    mostHeight: () => Math.max(220, Math.min(620, window.innerHeight * 0.52)),
    hover: (text) => { $("readout").textContent = text || "\u00a0"; },
    moved: (from) => Object.values(views).forEach((other) => {
      if (other === from || other.picture?.rows !== from.picture.rows
        || other.picture.columns !== from.picture.columns) return;
      other.zoom = from.zoom;
      other.middle = [...from.middle];
      other.draw();
    }),
    contrast: (from) => {
      if (from !== views.A && from !== views.B) return;
      for (const other of [views.A, views.B]) {
        if (other !== from) {
          other.limits = from.limits;
          other.paint();
        }
      }
    },
    region: (wanted) => {
      region = wanted;
      if (scan) scan.region = wanted;
      for (const other of Object.values(views)) {
        other.region = wanted;
        if (other.picture) other.draw();
      }
      askCurve();
    },
    ...events,
  });
  return view;
}

const dragging = (name) => ({
  choose: (number) => { newGesture(); choose(number); },
  drag: (number, to) => {
    if (rule && $("side").value !== name) $("side").value = name;
    link.send({ do: "place", side: name, number, to, gesture, slot: "place" });
  },
  dropped: newGesture,
});

const views = {
  A: makeView("A", "image A", dragging("A")),
  B: makeView("B", "image B", dragging("B")),
  difference: makeView("difference", "difference of the images"),
  map: makeView("map", "map"),
};
views.A.peer = views.B;
views.B.peer = views.A;
window.weakbeam.views = views;
const curve = new Chart($("curve"), "curve");
const small = { mostHeight: () => 200, hover: (text) => { $("readout").textContent = text || "\u00a0"; } };
const acceptance = new ImageView($("acceptance"), "intensity of the perfect crystal", small);
acceptance.free = true;
acceptance.unit = "mrad";
acceptance.pick = ([x, y]) => {
  say({ do: "motors", [$("across").value]: round(x), phi: round(y), gesture, slot: "motors" });
};
const plane = new ImageView($("plane"), "back focal plane", { ...small, mostHeight: () => 230 });
window.weakbeam.acceptance = acceptance;
window.weakbeam.plane = plane;
const round = (value) => Number(value.toPrecision(5));

function changed(head, sent) {
  rule = head.rule;
  for (const name of ["A", "B"]) {
    if (head.sides[name]) sides[name] = { ...sides[name], ...head.sides[name] };
    else delete sides[name];
  }
  document.body.classList.toggle("two", Boolean(rule));
  $("undo").disabled = !head.undo;
  $("redo").disabled = !head.redo;
  $("rule").value = rule ?? "off";
  if (!rule) $("side").value = "A";
  for (const [name, picture] of Object.entries(head.pictures)) views[name]?.show(picture);
  arrange();
  for (const name of ["A", "B"]) {
    if (!sides[name]) continue;
    views[name].marks = sides[name].defects;
    views[name].chosen = chosen;
    if (views[name].picture) views[name].draw();
  }
  const others = Object.keys(head.sides).some((name) => head.sides[name].values);
  if (others) updateForms();
  updateMotors();
  painted(head, sent);
  follow(sent?.message, others);
}

// How long it took from the hand to the eye: a message behind the next frame comes once that is
// painted.
function painted(head, sent) {
  if (!sent) return;
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => latencies.push({
      do: sent.message.do, ms: performance.now() - sent.since, engine: head.ms,
    });
    channel.port2.postMessage(0);
  });
}

let scan = null;

function startScan(head) {
  if (!scan) {
    scan = new ScanPage({
      link, views, arrange,
      setTwo: (two) => {
        rule = two ? "simulated" : null;
        document.body.classList.toggle("two", two);
        if (!two) views.B.picture = null;
        arrange();
      },
    });
    window.weakbeam.scan = scan;
  }
  scan.start(head);
  window.weakbeam.ready ??= performance.now();
}

// What is shown beside the image follows when the hand rests.
function follow(message, others) {
  const moved = message?.do === "motors" && !others
    ? ["phi", "chi", "two_theta", "z"].filter((motor) => motor in message) : null;
  const only = (...motors) => moved && moved.every((motor) => motors.includes(motor));
  if (only($("curve-motor").value) && Object.keys(curves).length && !rule) drawCurve();
  else later("curve", askCurve);
  if (only("phi", $("across").value)) markAcceptance();
  else later("acceptance", askAcceptance);
  if (others) later("plane", askPlane);
  if ($("layer").value) later("map", askMap);
}

function arrange() {
  const mode = rule ? $("view").value : "A";
  const both = { both: ["A", "B"], all: ["A", "B", "difference"], blink: [blinkOn] }[mode] || [mode];
  const seen = $("layer").value ? [...both, "map"] : both;
  for (const name of Object.keys(views)) {
    const figure = $(`view-${name}`);
    const hide = !seen.includes(name) || (name !== "map" && !views[name].picture);
    if (figure.hidden !== hide) {
      figure.hidden = hide;
      views[name].host.hidden = hide;
      if (!hide) views[name].resize();
    }
  }
  if ($("stage").classList.toggle("one", seen.length === 1) !== wasOne) {
    wasOne = !wasOne;
    for (const view of Object.values(views)) view.resize();
  }
  $("views").classList.toggle("many", seen.length > 1);
  clearInterval(blinkTimer);
  if (mode === "blink" && rule) {
    blinkTimer = setTimeout(() => {
      blinkOn = blinkOn === "A" ? "B" : "A";
      arrange();
    }, BLINK_MS);
  }
  $("view-A").querySelector("figcaption").hidden = !rule && !scan;
  for (const name of ["A", "B"]) {
    const text = scan ? scan.captionOf(name) : sides[name] ? `${name}: ${titleOf(sides[name], name)}` : name;
    $(`view-${name}`).querySelector("figcaption").textContent = text;
  }
}

function titleOf(one, name) {
  const where = greeting?.motors.filter(({ name: motor }) => one.motors[motor])
    .map(({ name: motor, symbol, unit }) => `${symbol} = ${shown(one.motors[motor])} ${unit}`);
  const said = where?.length ? where.join(", ") : "at the peak";
  return name === "B" && rule ? `${greeting?.rules[rule]}; ${said}` : said;
}

function choose(number) {
  chosen = number;
  for (const name of ["A", "B"]) {
    views[name].chosen = number;
    if (views[name].picture) views[name].draw();
  }
  formsOf?.defects?.items.forEach((item, k) => {
    if (k === number) item.element.scrollIntoView({ block: "nearest" });
  });
}

// ---------------------------------------------------------------- beside the image

const curveRange = () => ({
  motor: $("curve-motor").value,
  half_range: Number($("curve-range").value),
  steps: Number($("curve-steps").value),
});

function askCurve() {
  if (scan) return scan.askCurve();
  const { picture } = views.A;
  if (!picture) return;
  for (const name of rule ? ["A", "B"] : ["A"]) {
    const of = views[name].picture ?? picture;
    const whole = [0, of.rows, 0, of.columns];
    const fits = region && region[1] <= of.rows && region[3] <= of.columns;
    link.send({ do: "curve", side: name, region: fits ? region : whole, slot: `curve-${name}`,
      ...curveRange() });
  }
  if (!rule) delete curves.B;
}

function drawCurve() {
  const first = curves.A;
  if (!first) return;
  if (scan) scan.curve = true;
  const [r0, r1, c0, c1] = first.stored;
  $("curve-of").textContent = !region ? "the whole image"
    : r1 - r0 === 1 && c1 - c0 === 1 ? `pixel ${r0}, ${c0}` : `region ${r0}:${r1}, ${c0}:${c1}`;
  const shownCurves = [{ x: first.x, y: first.y, name: rule ? "A" : "image", dots: true }];
  if (rule && curves.B) shownCurves.push({ x: curves.B.x, y: curves.B.y, name: "B", dots: true });
  shownCurves.push({ ...first.perfect, name: first.perfect.x.length ? "perfect crystal" : "" });
  curve.show({
    label: first.label, values: first.values ?? "intensity",
    at: scan ? first.at : sides.A?.motors[first.motor],
    curves: scan ? shownCurves.slice(0, 1) : shownCurves,
  });
}

const askAcceptance = () =>
  link.send({ do: "acceptance", side: side(), across: $("across").value, slot: "acceptance" });

function showAcceptance(head) {
  acceptance.point = head.at;
  acceptance.show(head.pictures.plane);
}

function markAcceptance() {
  if (!acceptance.picture) return;
  const { motors } = sides[side()];
  acceptance.point = [motors[$("across").value], motors.phi];
  acceptance.draw();
}

function askPlane() {
  const stop = sides[side()]?.stop;
  $("plane-part").hidden = !stop;
  if (stop) link.send({ do: "plane", side: side(), slot: "plane" });
}

function showPlane(head) {
  const along = head.axis === "two_theta" ? "up and down" : "across";
  const moves = head.axis ? `; drag to move it ${along}` : "";
  $("passes").textContent = `passes ${shown(100 * head.passes)} % of the beam${moves}`;
  plane.pick = head.axis
    ? ([x, y]) => say({ do: "stop", to: [round(x), round(y)], gesture, slot: "stop" }) : null;
  plane.point = head.axis
    ? (head.axis === "two_theta" ? [0, head.position] : [head.position, 0]) : null;
  plane.show(head.pictures.plane);
}

function askMap() {
  if (scan) return scan.askMap();
  const what = $("layer").value;
  if (what) link.send({ do: "map", side: side(), what, ...curveRange(), slot: "map" });
}

function showMap(head) {
  views.map.show(head.pictures.map);
  $("view-map").querySelector("figcaption").textContent =
    `${head.pictures.map.labels.values}${rule && !scan ? `, of ${head.side}` : ""}`;
  arrange();
}

// ---------------------------------------------------------------- motors

const sliders = {};

function makeMotors() {
  for (const { name, symbol, unit } of greeting.motors) {
    const slider = element("input", { type: "range", id: `motor-${name}`, step: "any",
      "aria-label": `${symbol} in ${unit}`,
      oninput: (event) => turn(name, Number(event.target.value), event.timeStamp),
      onchange: newGesture,
      onkeydown: (event) => key(event, name) });
    const number = element("input", { type: "text", inputmode: "decimal", "aria-label": `${symbol}, value`,
      onchange: (event) => { newGesture(); turn(name, Number(event.target.value)); },
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
          "aria-label": `${symbol} to zero`, onclick: () => { newGesture(); turn(name, 0); } }),
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
    turn(name, Number((sides[side()].motors[name] + step).toFixed(6)), event.timeStamp);
  } else return;
  newGesture();
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
  sides[side()].motors = { ...sides[side()].motors, [name]: there };
  say({ do: "motors", ...sides[side()].motors, gesture, slot: "motors" }, since);
}

function updateMotors() {
  const one = sides[side()];
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

// ---------------------------------------------------------------- side panel

function makePanel() {
  const panel = $("panel");
  panel.replaceChildren(element("h2", { text: "experiment" }));
  formsOf = { forms: [] };
  const open = ["defects"];
  for (const field of greeting.panel) {
    if (field.key === "identify") continue;
    const title = field.key.replaceAll("_", " ");
    const body = element("details", { "data-table": field.key }, [
      element("summary", { text: title, title: field.doc }),
    ]);
    body.open = open.includes(field.key);
    if (field.holds === "kinds") {
      formsOf.defects = new DefectList(field, actions);
      formsOf.defectField = field;
      body.append(formsOf.defects.element, element("button", { type: "button", id: "add-open",
        text: "add a defect…", onclick: openAdd }));
    } else {
      const inner = field.holds === "table" && !field.optional
        ? new Form(field.fields, [field.key], actions) : new Form([field], [], actions);
      if (field.key === "reflection") {
        body.append(element("p", { class: "row" }, [
          element("button", { type: "button", id: "pick-open", text: "choose…",
            onclick: () => { say({ do: "reflections" }); $("pick-dialog").showModal(); } }),
          element("span", { id: "bragg", class: "hint" }),
        ]), element("p", { id: "several", class: "row", hidden: "" }, [
          element("label", {}, ["shown ", element("select", { id: "reflection-number",
            onchange: (event) => say({ do: "reflection", number: Number(event.target.value) }) })]),
        ]));
      }
      body.append(inner.element);
      formsOf.forms.push([field, inner]);
    }
    panel.append(body);
  }
  panel.append(element("ul", { id: "notes", class: "notes" }));
}

function updateForms() {
  const one = sides[side()];
  if (!one?.values || !formsOf) return;
  for (const [field, form] of formsOf.forms) {
    if (field.holds === "table" && !field.optional) {
      form.update(one.values[field.key], one.given[field.key]);
    } else form.update(one.values, one.given);
  }
  formsOf.defects.update(one.values.defects, one.given.defects, one.defects);
  const now = one.reflections[one.reflection];
  $("bragg").textContent = `θ = ${shown(now.theta_deg)}°, ${now.geometry}`;
  $("several").hidden = one.reflections.length < 2;
  $("reflection-number").replaceChildren(...one.reflections.map((each, number) =>
    element("option", { value: number, text: `(${each.hkl.join(" ")})` })));
  $("reflection-number").value = String(one.reflection);
  $("notes").replaceChildren(...one.notes.map((text) => element("li", { text })));
}

// ---------------------------------------------------------------- dialogs

function openAdd() {
  say({ do: "slip" });
  $("add-dialog").showModal();
  showKind();
}

const FURTHER = {
  dislocation: "position_um = [0, 0, 0]",
  wall: "spacing_um = 2.0\ncount = 5",
  loop: "radius_um = 1.0\nposition_um = [0, 0, 0]",
  random: "count = 30\nseed = 1",
  boundary: 'recipe = "leds_eq11"\nangle_deg = 0.02',
  uniform: "rotation_mrad = [0, 0.1, 0]",
  polyline: "burgers = [1, 0, -1]\npoints_um = [[-2, 0, 0], [0, 0.5, 0], [2, 0, 0]]\nends = \"straight\"",
};

function showKind() {
  const kind = $("add-kind").value;
  const one = formsOf.defectField.kinds.find((each) => each.kind === kind);
  $("add-doc").textContent = one.doc;
  const keys = one.fields.map((field) => field.key);
  const slips = ["dislocation", "wall", "loop"].includes(kind);
  $("add-slip-row").hidden = !slips;
  $("add-character-row").hidden = !(slips && keys.includes("angle_deg"));
  const needed = one.fields.filter((field) => !field.optional && field.default === null);
  $("add-toml").value = FURTHER[kind] ?? needed.map((field) => `${field.key} = `).join("\n");
}

function showSlip(head) {
  $("add-slip").replaceChildren(...head.systems.map((system) => element("option", {
    value: JSON.stringify(system),
    text: `(${system.plane.join(" ")}) [${system.burgers.join(" ")}]  ${system.family}`,
  })));
}

function addDefect() {
  const table = { kind: $("add-kind").value };
  const slip = $("add-slip").value;
  if (!$("add-slip-row").hidden && slip) {
    const { plane: normal, burgers } = JSON.parse(slip);
    Object.assign(table, { plane: normal, burgers });
  }
  if (!$("add-character-row").hidden) table.angle_deg = Number($("add-character").value);
  newGesture();
  say({ do: "add", table, toml: $("add-toml").value });
}

function showReflections(head) {
  $("pick-rows").replaceChildren(...head.rows.map((row) => element("tr", {}, [
    element("td", {}, [element("button", { type: "button", text: row.hkl.join(" "),
      onclick: () => {
        $("pick-dialog").close();
        actions.set(`reflection.hkl=${toml(row.hkl)}`);
      } })]),
    element("td", { text: row.theta_deg.toFixed(2) }),
    element("td", { text: row.structure_factor === null ? "–" : row.structure_factor.toFixed(1) }),
    element("td", { text: row.g_dot_b.map((value) => shown(Number(value.toFixed(2)))).join(", ") }),
  ])));
}

function save(kind) {
  const view = views[$("leave-side").value];
  link.send({ do: "export", as: kind, side: $("leave-side").value, what: $("leave-what").value,
    ...curveRange(), scale: $("scale").value, limits: view.limits });
}

function exported(head) {
  if (head.text !== undefined) {
    $("leave-text").value = head.as === "link"
      ? `${location.origin}${location.pathname}#state=${head.text}` : head.text;
    $("leave-text").select();
  }
  for (const [name, file] of Object.entries(head.files)) {
    const address = URL.createObjectURL(new Blob([file.content]));
    const anchor = element("a", { href: address, download: name });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }
  window.weakbeam.exported = head;
}

function openText() {
  const text = $("leave-text").value.trim();
  newGesture();
  if (/#state=|^[\w-]+$/.test(text)) link.send({ do: "open", link: text });
  else link.send({ do: "load", side: $("leave-side").value, toml: text });
}

function run() {
  $("run-says").textContent = "";
  link.send({ do: "run", side: $("leave-side").value, what: $("leave-what").value, ...curveRange(),
    folder: $("run-folder").value });
}

function progressed(head) {
  if (scan) {
    $("readout").textContent = `${head.name}: ${Math.round(100 * head.share)} %`;
    return;
  }
  $("progress").hidden = false;
  $("cancel").hidden = false;
  $("progress").value = head.share;
  $("run-says").textContent = `${head.name}: ${Math.round(100 * head.share)} %`;
}

function endProgress() {
  $("progress").hidden = true;
  $("cancel").hidden = true;
}

function finished(head) {
  endProgress();
  const frames = head.frames === 1 ? "one image" : `${head.frames} images`;
  $("run-says").textContent = `${greeting.folder}/${head.file}: ${frames}`;
}

// ---------------------------------------------------------------- the page itself

function greet(head) {
  if (greeting) return;
  greeting = head;
  document.title = `weakbeam live – ${head.folder}`;
  makeMotors();
  makePanel();
  const fill = (id, entries) => $(id).replaceChildren(...entries.map(([value, text, title]) =>
    element("option", { value, text, title })));
  fill("template", [["", "…"], ...head.templates.map(({ name, doc }) => [name, name, doc])]);
  fill("rule", [["off", "none"], ...Object.entries(head.rules)]);
  fill("add-kind", formsOf.defectField.kinds.map(({ kind, doc }) => [kind, kind, doc]));
  $("curve-motor").value = "phi";
  setCurveRange(head.sides.A);
  $("add-character-says").textContent = "90°, edge";
  window.weakbeam.ready = performance.now();
}

function setCurveRange(one) {
  const motor = $("curve-motor").value;
  $("curve-range").value = shown((one ?? sides[side()]).reach[motor]).replaceAll("−", "-");
  $("curve-steps").value = motor === "z" ? "11" : "61";
}

function wire() {
  const on = (id, event, work) => $(id).addEventListener(event, work);
  on("template", "change", (event) => {
    if (event.target.value) link.send({ do: "template", name: event.target.value });
    event.target.value = "";
  });
  on("undo", "click", () => link.send({ do: "undo" }));
  on("redo", "click", () => link.send({ do: "redo" }));
  on("rule", "change", (event) => {
    if (event.target.value === "off") curves = {};
    link.send({ do: "second", rule: event.target.value });
  });
  on("view", "change", arrange);
  on("side", "change", () => { updateForms(); updateMotors(); askAcceptance(); askPlane(); });
  on("layer", "change", () => { arrange(); askMap(); });
  on("scale", "change", (event) => {
    for (const view of Object.values(views)) {
      view.scale = event.target.value;
      view.limits = null;
      view.paint();
    }
  });
  on("colours", "change", (event) => {
    for (const view of [...Object.values(views), acceptance, plane]) {
      view.map = event.target.value;
      view.paint();
    }
  });
  on("marks", "change", (event) => {
    for (const view of Object.values(views)) {
      view.showMarks = event.target.checked;
      if (view.picture) view.draw();
    }
  });
  on("theme", "click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  on("curve-motor", "change", () => { setCurveRange(); askCurve(); });
  on("curve-range", "change", () => { askCurve(); askMap(); });
  on("curve-steps", "change", () => { askCurve(); askMap(); });
  on("curve-log", "change", (event) => { curve.logarithmic = event.target.checked; curve.draw(); });
  on("across", "change", askAcceptance);
  on("leave", "click", () => {
    $("leave-side").value = side();
    $("leave-dialog").showModal();
  });
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => save(button.dataset.save));
  }
  on("open-text", "click", openText);
  on("run", "click", run);
  on("cancel", "click", () => link.send({ do: "cancel" }));
  on("add", "click", addDefect);
  on("add-kind", "change", showKind);
  on("add-character", "input", (event) => {
    const angle = Number(event.target.value);
    const name = angle === 0 ? ", screw" : angle === 90 ? ", edge" : "";
    $("add-character-says").textContent = `${angle}°${name}`;
  });
  on("veil-take", "click", () => link.open(true));
  document.addEventListener("keydown", (event) => {
    const typing = /^(text|textarea)$/.test(event.target.type ?? "");
    if (typing || !(event.ctrlKey || event.metaKey)) return;
    const wanted = event.key.toLowerCase();
    if (wanted === "z") link.send({ do: event.shiftKey ? "redo" : "undo" });
    else if (wanted === "y") link.send({ do: "redo" });
    else return;
    event.preventDefault();
  });
  for (const view of [acceptance, plane]) view.canvas.addEventListener("pointerup", newGesture);
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("weakbeam-theme", name);
  $("theme").setAttribute("aria-pressed", String(name === "dark"));
  for (const view of [...Object.values(views), acceptance, plane]) if (view.picture) view.draw();
  curve.draw();
}

theme(localStorage.getItem("weakbeam-theme")
  ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
wire();
link.open();
