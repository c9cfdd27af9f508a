// What opens above the page: saving and running, adding a defect, choosing a reflection.

import { shown } from "./axes.js";
import { element, toml } from "./panel.js";

const $ = (id) => document.getElementById(id);

export function dialogsOf(tools) {
  function openAdd() {
    tools.say({ do: "slip" });
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
    const one = tools.forms.defectField.kinds.find((each) => each.kind === kind);
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
    tools.newGesture();
    tools.say({ do: "add", table, toml: $("add-toml").value });
  }

  function showReflections(head) {
    $("pick-rows").replaceChildren(...head.rows.map((row) => element("tr", {}, [
      element("td", {}, [element("button", { type: "button", text: row.hkl.join(" "),
        onclick: () => {
          $("pick-dialog").close();
          tools.actions.set(`reflection.hkl=${toml(row.hkl)}`);
        } })]),
      element("td", { text: row.theta_deg.toFixed(2) }),
      element("td", { text: row.structure_factor === null ? "–" : row.structure_factor.toFixed(1) }),
      element("td", { text: row.g_dot_b.map((value) => shown(Number(value.toFixed(2)))).join(", ") }),
    ])));
  }

  function save(kind) {
    const view = tools.views[$("leave-side").value];
    tools.link.send({ do: "export", as: kind, side: $("leave-side").value, what: $("leave-what").value,
      ...tools.beside.curveRange(), scale: $("scale").value, limits: view.limits });
  }

  function exported(head) {
    if (head.text !== undefined) {
      // A notebook has no address of its own to put it behind.
      $("leave-text").value = head.as === "link" && !tools.link.notebook
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
    tools.newGesture();
    if (/#state=|^[\w-]+$/.test(text)) tools.link.send({ do: "open", link: text });
    else tools.link.send({ do: "load", side: $("leave-side").value, toml: text });
  }

  function run() {
    $("run-says").textContent = "";
    tools.link.send({ do: "run", side: $("leave-side").value, what: $("leave-what").value, ...tools.beside.curveRange(),
      folder: $("run-folder").value });
  }

  function progressed(head) {
    if (tools.scan) {
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
    $("run-says").textContent = `${tools.greeting.folder}/${head.file}: ${frames}`;
  }

  return {
    openAdd, showKind, showSlip, addDefect, showReflections, save, exported, openText, run,
    progressed, endProgress, finished,
  };
}
