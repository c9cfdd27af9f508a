// The panel of the experiment: every table with its keys, and its defects.

import { shown } from "./axes.js";
import { DefectList, Form, element } from "./panel.js";

const $ = (id) => document.getElementById(id);

export function experimentOf(tools) {
  function makePanel() {
    const panel = $("panel");
    panel.replaceChildren(element("h2", { text: "experiment" }));
    tools.forms = { forms: [] };
    const open = ["defects"];
    for (const field of tools.greeting.panel) {
      if (field.key === "identify") continue;
      const title = field.key.replaceAll("_", " ");
      const body = element("details", { "data-table": field.key }, [
        element("summary", { text: title, title: field.doc }),
      ]);
      body.open = open.includes(field.key);
      if (field.holds === "kinds") {
        tools.forms.defects = new DefectList(field, tools.actions);
        tools.forms.defectField = field;
        body.append(tools.forms.defects.element, element("button", { type: "button", id: "add-open",
          text: "add a defect…", onclick: tools.dialogs.openAdd }));
      } else {
        const inner = field.holds === "table" && !field.optional
          ? new Form(field.fields, [field.key], tools.actions) : new Form([field], [], tools.actions);
        if (field.key === "reflection") {
          body.append(element("p", { class: "row" }, [
            element("button", { type: "button", id: "pick-open", text: "choose…",
              onclick: () => { tools.say({ do: "reflections" }); $("pick-dialog").showModal(); } }),
            element("span", { id: "bragg", class: "hint" }),
          ]), element("p", { id: "several", class: "row", hidden: "" }, [
            element("label", {}, ["shown ", element("select", { id: "reflection-number",
              onchange: (event) => tools.say({ do: "reflection", number: Number(event.target.value) }) })]),
          ]));
        }
        body.append(inner.element);
        tools.forms.forms.push([field, inner]);
      }
      panel.append(body);
    }
    panel.append(element("ul", { id: "notes", class: "notes" }));
  }

  function updateForms() {
    const one = tools.sides[tools.side()];
    if (!one?.values || !tools.forms) return;
    for (const [field, form] of tools.forms.forms) {
      if (field.holds === "table" && !field.optional) {
        form.update(one.values[field.key], one.given[field.key]);
      } else form.update(one.values, one.given);
    }
    tools.forms.defects.update(one.values.defects, one.given.defects, one.defects);
    const now = one.reflections[one.reflection];
    $("bragg").textContent = `θ = ${shown(now.theta_deg)}°, ${now.geometry}`;
    $("several").hidden = one.reflections.length < 2;
    $("reflection-number").replaceChildren(...one.reflections.map((each, number) =>
      element("option", { value: number, text: `(${each.hkl.join(" ")})` })));
    $("reflection-number").value = String(one.reflection);
    $("notes").replaceChildren(...one.notes.map((text) => element("li", { text })));
  }

  return { make: makePanel, update: updateForms };
}
