// The page: puts pictures, sliders and forms together. It knows no physics.

import { shown } from "./axes.js";
import { besideOf } from "./beside.js";
import { dialogsOf } from "./dialogs.js";
import { experimentOf } from "./experiment.js";
import { ImageView } from "./image.js";
import { Link } from "./link.js";
import { motorsOf } from "./motors.js";
import { element } from "./panel.js";
import { ScanPage } from "./scan.js";

const $ = (id) => document.getElementById(id);
const BLINK_MS = 700, AFTER_CHANGE_MS = 220, AT_REST_MS = 120;

const ANSWERS = ["hello", "frames", "scan", "frame", "export", "run"];

const latencies = [];
const timers = {};
const stood = {};
let chosen = -1, blinkTimer = 0, blinkOn = "A", wasOne = false;

// What all parts of the page know: the sides and their rule, what the program said first, the
// region of the curve, the scan if it is one.
const page = {
  sides: {}, rule: null, greeting: null, region: null, scan: null, forms: null,
  gesture: Math.floor(Math.random() * 2 ** 40),
};

const link = new Link(answered, connected);
const { sides } = page;
// rough: sides whose image is a quick one, until the hand rests.
window.weakbeam = { latencies, link, sides, views: {}, rough: [] };

// ---------------------------------------------------------------- messages

const side = () => (page.rule ? $("side").value : "A");
const say = (message, since) => link.send({ side: side(), ...message }, since);
// What a hand does while it moves something: a quick image will do.
const drag = (message, since) => say({ rough: true, gesture: page.gesture, ...message }, since);
// Where images take long, what is beside them waits longer, or it would stand in their way.
const later = (name, work, least = AFTER_CHANGE_MS) => {
  const usual = Math.max(0, ...latencies.slice(-3).map(({ ms }) => ms));
  clearTimeout(timers[name]);
  timers[name] = setTimeout(work, Math.max(least, Math.min(1000, 2 * usual)));
};
// What is pressed or typed is a gesture of its own; a drag is one from its begin to its end.
const newGesture = () => { page.gesture += 1; };

const actions = {
  set: (line) => say({ do: "set", settings: [line] }),
  reset: (key) => say({ do: "default", key }),
  remove: (number) => say({ do: "remove", number }),
  choose: (number) => choose(number),
};

function answered(head, sent) {
  if (head.do === "error") return refused(head);
  // What the page asks for of its own takes no message away.
  if (ANSWERS.includes(head.do) && sent?.message.do !== "settle") $("notice").hidden = true;
  const doing = {
    scan: () => { startScan(head); painted(head, sent); },
    frame: () => { page.scan.frame(head); painted(head, sent); },
    hello: () => { greet(head); changed(head, sent); },
    frames: () => {
      if (sent?.message.do === "add") $("add-dialog").close();
      changed(head, sent);
    },
    curve: () => { beside.keepCurve(head); dialogs.endProgress(); beside.drawCurve(); },
    map: () => { dialogs.endProgress(); beside.showMap(head); },
    acceptance: () => beside.showAcceptance(head),
    plane: () => beside.showPlane(head),
    reflections: () => dialogs.showReflections(head),
    slip: () => dialogs.showSlip(head),
    export: () => dialogs.exported(head),
    progress: () => dialogs.progressed(head),
    later: () => later(sent?.message.slot ?? sent?.message.do, () => sent && link.send(sent.message)),
    run: () => dialogs.finished(head),
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
  dialogs.endProgress();
  // What was typed is put back to what holds.
  if (page.scan) return;
  experiment.update();
  motors.update();
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
    const state = stateOfHash();
    link.send({ do: "hello" });
    if (state) link.send({ do: "open", link: state });
  }
}

// The state of the link by which the page was opened, which is then forgotten.
function stateOfHash() {
  const found = location.hash.match(/state=([\w-]+)/);
  if (found) history.replaceState(null, "", location.pathname + location.search);
  return found?.[1];
}

// ---------------------------------------------------------------- pictures

function makeView(name, words, events = {}) {
  const figure = $(`view-${name}`);
  const view = new ImageView(figure.querySelector(".picture"), words, {
    mostHeight: () => Math.max(220, Math.min(620, window.innerHeight * 0.52)),
    hover: (text) => { $("readout").textContent = text || "\u00a0"; },
    point: (place) => name !== "map" && beside.pointAt(place),
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
      page.region = wanted;
      if (page.scan) page.scan.region = wanted;
      for (const other of Object.values(views)) {
        other.region = wanted;
        if (other.picture) other.draw();
      }
      beside.askCurve();
    },
    ...events,
  });
  return view;
}

const dragging = (name) => ({
  choose: (number) => {
    newGesture();
    choose(number);
    if (number >= 0) link.send({ do: "grasp", side: name, number, slot: "grasp" });
  },
  drag: (number, to, view, since) => {
    if (page.rule && $("side").value !== name) $("side").value = name;
    drag({ do: "place", side: name, number, to, slot: "place" }, since);
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

const tools = Object.assign(page, { link, views, side, say, drag, newGesture, actions, arrange });
const beside = besideOf(tools);
tools.beside = beside;
const dialogs = dialogsOf(tools);
tools.dialogs = dialogs;
const motors = motorsOf(tools);
const experiment = experimentOf(tools);
window.weakbeam.acceptance = beside.acceptance;
window.weakbeam.plane = beside.plane;

function changed(head, sent) {
  page.rule = head.rule;
  const turned = turnedSince(head.sides);
  for (const name of ["A", "B"]) {
    if (head.sides[name]) sides[name] = { ...sides[name], ...head.sides[name] };
    else delete sides[name];
  }
  document.body.classList.toggle("two", Boolean(page.rule));
  $("undo").disabled = !head.undo;
  $("redo").disabled = !head.redo;
  $("rule").value = page.rule ?? "off";
  if (!page.rule) $("side").value = "A";
  for (const [name, picture] of Object.entries(head.pictures)) views[name]?.show(picture);
  arrange();
  for (const name of ["A", "B"]) {
    if (!sides[name]) continue;
    views[name].marks = sides[name].defects;
    views[name].chosen = chosen;
    if (views[name].picture) views[name].draw();
  }
  const others = Object.keys(head.sides).some((name) => head.sides[name].values);
  if (others) experiment.update();
  motors.update();
  if (sent?.message.do !== "settle" || others) painted(head, sent);
  window.weakbeam.rough = head.rough;
  if (head.rough.length) later("settle", () => link.send({ do: "settle", slot: "settle" }), AT_REST_MS);
  else {
    clearTimeout(timers.settle);
    if (sent?.message.do !== "settle") warmUp();
  }
  if (sent?.message.do !== "settle" || others) follow(sent?.message, others, turned);
}

// Which motors stand elsewhere than in the answer before.
function turnedSince(answered) {
  const name = $("side").value in answered ? $("side").value : "A";
  const { motors } = answered[name];
  const turned = Object.keys(motors).filter((motor) => motors[motor] !== stood[name]?.[motor]);
  for (const one of Object.keys(answered)) stood[one] = { ...answered[one].motors };
  return turned;
}

// Quick images are prepared while nothing else is to be done.
function warmUp() {
  later("settle", () => link.send({ do: "settle", slot: "settle" }), 2 * AFTER_CHANGE_MS);
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

function startScan(head) {
  if (!page.scan) {
    page.scan = new ScanPage({
      link, views, arrange,
      rough: (is) => { window.weakbeam.rough = is ? ["A"] : []; },
      setTwo: (two) => {
        page.rule = two ? "simulated" : null;
        document.body.classList.toggle("two", two);
        if (!two) views.B.picture = null;
        arrange();
      },
    });
    window.weakbeam.scan = page.scan;
  }
  page.scan.start(head);
  window.weakbeam.ready ??= performance.now();
}

// What is shown beside the image follows when the hand rests.
function follow(message, others, turned) {
  const only = (...motors) => message?.do === "motors" && !others
    && turned.every((motor) => motors.includes(motor));
  if (only($("curve-motor").value) && beside.hasCurves && !page.rule) beside.drawCurve();
  else later("curve", beside.askCurve);
  if (only("phi", $("across").value)) beside.markAcceptance();
  else later("acceptance", beside.askAcceptance);
  if (others) later("plane", beside.askPlane);
  if ($("layer").value) later("map", beside.askMap);
}

function arrange() {
  const mode = page.rule ? $("view").value : "A";
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
  if (mode === "blink" && page.rule) {
    blinkTimer = setTimeout(() => {
      blinkOn = blinkOn === "A" ? "B" : "A";
      arrange();
    }, BLINK_MS);
  }
  $("view-A").querySelector("figcaption").hidden = !page.rule && !page.scan;
  for (const name of ["A", "B"]) {
    const text = page.scan ? page.scan.captionOf(name) : sides[name] ? `${name}: ${titleOf(sides[name], name)}` : name;
    $(`view-${name}`).querySelector("figcaption").textContent = text;
  }
}

function titleOf(one, name) {
  const where = page.greeting?.motors.filter(({ name: motor }) => one.motors[motor])
    .map(({ name: motor, symbol, unit }) => `${symbol} = ${shown(one.motors[motor])} ${unit}`);
  const said = where?.length ? where.join(", ") : "at the peak";
  return name === "B" && page.rule ? `${page.greeting?.rules[page.rule]}; ${said}` : said;
}

function choose(number) {
  chosen = number;
  for (const name of ["A", "B"]) {
    views[name].chosen = number;
    if (views[name].picture) views[name].draw();
  }
  page.forms?.defects?.items.forEach((item, k) => {
    if (k === number) item.element.scrollIntoView({ block: "nearest" });
  });
}

// ---------------------------------------------------------------- the page itself

function greet(head) {
  if (page.greeting) return;
  page.greeting = head;
  document.title = `weakbeam live – ${head.folder}`;
  motors.make();
  experiment.make();
  const fill = (id, entries) => $(id).replaceChildren(...entries.map(([value, text, title]) =>
    element("option", { value, text, title })));
  const group = (label, kind, entries) => element("optgroup", { label }, entries.map(([name, title]) =>
    element("option", { value: `${kind} ${name}`, text: name, title })));
  $("template").replaceChildren(element("option", { value: "", text: "…" }),
    group("experiments", "template", head.templates.map(({ name, doc }) => [name, doc])),
    group("instruments", "preset", head.presets.map((name) => [name, "the experiment, with this instrument"])));
  fill("rule", [["off", "none"], ...Object.entries(head.rules)]);
  fill("add-kind", page.forms.defectField.kinds.map(({ kind, doc }) => [kind, kind, doc]));
  $("curve-motor").value = "phi";
  beside.setCurveRange(head.sides.A);
  $("add-character-says").textContent = "90°, edge";
  window.weakbeam.ready = performance.now();
}

function wire() {
  const on = (id, event, work) => $(id).addEventListener(event, work);
  on("template", "change", (event) => {
    const [kind, name] = event.target.value.split(" ");
    if (kind === "template") link.send({ do: "template", name });
    if (kind === "preset") say({ do: "set", settings: [`preset=${name}`] });
    event.target.value = "";
  });
  on("undo", "click", () => link.send({ do: "undo" }));
  on("redo", "click", () => link.send({ do: "redo" }));
  on("rule", "change", (event) => {
    if (event.target.value === "off") beside.forgetCurves();
    link.send({ do: "second", rule: event.target.value });
  });
  on("view", "change", arrange);
  on("side", "change", () => { experiment.update(); motors.update(); beside.askAcceptance(); beside.askPlane(); });
  on("layer", "change", () => { arrange(); beside.askMap(); });
  on("scale", "change", (event) => {
    for (const view of Object.values(views)) {
      view.scale = event.target.value;
      view.limits = null;
      view.paint();
    }
  });
  on("colours", "change", (event) => {
    for (const view of [...Object.values(views), beside.acceptance, beside.plane]) {
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
  on("curve-motor", "change", () => { beside.setCurveRange(); beside.askCurve(); });
  on("curve-range", "change", () => { beside.askCurve(); beside.askMap(); });
  on("curve-steps", "change", () => { beside.askCurve(); beside.askMap(); });
  on("curve-log", "change", (event) => { beside.curve.logarithmic = event.target.checked; beside.curve.draw(); });
  on("across", "change", beside.askAcceptance);
  on("leave", "click", () => {
    $("leave-side").value = side();
    $("leave-dialog").showModal();
  });
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => dialogs.save(button.dataset.save));
  }
  on("open-text", "click", dialogs.openText);
  on("run", "click", dialogs.run);
  on("cancel", "click", () => link.send({ do: "cancel" }));
  on("add", "click", dialogs.addDefect);
  on("add-kind", "change", dialogs.showKind);
  on("add-character", "input", (event) => {
    const angle = Number(event.target.value);
    const name = angle === 0 ? ", screw" : angle === 90 ? ", edge" : "";
    $("add-character-says").textContent = `${angle}°${name}`;
  });
  // A link that is pasted into the address of this page.
  window.addEventListener("hashchange", () => {
    const state = stateOfHash();
    if (state) link.send({ do: "open", link: state });
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
  for (const view of [beside.acceptance, beside.plane]) view.canvas.addEventListener("pointerup", newGesture);
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  if (!link.notebook) localStorage.setItem("weakbeam-theme", name);
  $("theme").setAttribute("aria-pressed", String(name === "dark"));
  for (const view of [...Object.values(views), beside.acceptance, beside.plane]) if (view.picture) view.draw();
  beside.curve.draw();
}

theme((link.notebook ? link.notebook.dark && "dark" : localStorage.getItem("weakbeam-theme"))
  || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
wire();
link.open();
