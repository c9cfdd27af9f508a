// The keys of the experiment as a form, made from what the program says of its tables.

export function toml(value) {
  if (value === null || value === undefined) return "";
  if (value === "inf" || value === "-inf") return value;
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (typeof value === "object") {
    const parts = Object.entries(value).filter(([, item]) => item !== null)
      .map(([key, item]) => `${key} = ${toml(item)}`);
    return parts.length ? `{ ${parts.join(", ")} }` : "{}";
  }
  return String(value);
}

export function element(kind, content = {}, children = []) {
  const made = document.createElement(kind);
  for (const [key, value] of Object.entries(content)) {
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const pathText = (path) => path.map((part, k) =>
  typeof part === "number" ? `[${part}]` : k ? `.${part}` : part).join("");

// The name of a key without the unit that stands in it.
function wordsOf({ key, unit }) {
  const ending = unit && !/per/.test(key) ? /_[^_]+$/ : /$^/;
  return key.replace(ending, "").replaceAll("_", " ");
}

let serial = 0;

// One key: a label, something to change it with, and a way back to the default.
class Field {
  constructor(field, path, actions) {
    this.field = field;
    this.path = path;
    this.actions = actions;
    serial += 1;
    const id = `key-${serial}`;
    const title = [`${field.key}: ${field.doc}`, field.allowed && `must be ${field.allowed}`]
      .filter(Boolean).join("; ");
    this.input = this.make(id, title);
    this.back = element("button", {
      type: "button", class: "back", text: "↺", title: "back to the default",
      "aria-label": `${pathText(path)}: back to the default`,
      onclick: () => actions.reset(path),
    });
    this.element = element("div", { class: "field", "data-key": pathText(path) }, [
      element("label", { for: id, title }, [
        wordsOf(field), ...(field.unit ? [element("span", { class: "unit", text: ` ${field.unit}` })] : []),
      ]),
      this.input, this.back,
    ]);
  }

  make(id, title) {
    const { field } = this;
    if (field.holds === "flag") {
      return element("input", { id, title, type: "checkbox",
        onchange: (event) => this.set(String(event.target.checked)) });
    }
    if (field.holds === "choice") {
      const options = field.choices.map((word) => element("option", { value: word, text: word }));
      if (field.optional) options.unshift(element("option", { value: "", text: "–" }));
      return element("select", { id, title, onchange: (event) => {
        if (event.target.value === "") this.actions.reset(this.path);
        else this.set(JSON.stringify(event.target.value));
      } }, options);
    }
    const number = field.holds === "number" || field.holds === "integer";
    return element("input", {
      id, title, type: "text", spellcheck: "false", autocomplete: "off",
      inputmode: number ? "decimal" : undefined,
      placeholder: field.default === null ? "–" : toml(field.default),
      onchange: (event) => this.typed(event.target.value.trim()),
      onkeydown: (event) => number && this.step(event),
    });
  }

  typed(text) {
    if (text === "") this.actions.reset(this.path);
    else if (this.field.holds === "text" && !/^["']/.test(text)) this.set(JSON.stringify(text));
    else this.set(text);
  }

  // Arrow keys change a number in its second digit.
  step(event) {
    const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const value = Number(this.input.value || this.field.default || 0);
    if (!Number.isFinite(value)) return;
    const unit = this.field.holds === "integer" ? 1
      : 10 ** Math.floor(Math.log10(Math.abs(value) || 0.1) - 1);
    let next = value + way * Math.max(unit, this.field.holds === "integer" ? 1 : 0);
    next = Math.min(this.field.high, Math.max(this.field.low, Number(next.toPrecision(6))));
    this.input.value = String(next);
    this.set(String(next));
  }

  set(text) {
    this.actions.set(`${pathText(this.path)}=${text}`);
  }

  update(value, given) {
    const changed = given !== undefined;
    this.element.classList.toggle("given", changed);
    this.back.hidden = !changed;
    if (this.field.holds === "flag") this.input.checked = Boolean(value);
    else if (this.field.holds === "choice") this.input.value = value ?? "";
    else if (document.activeElement !== this.input || !this.dirty()) {
      this.input.value = this.field.holds === "text" ? value ?? "" : toml(value);
    }
  }

  dirty() {
    return false;
  }
}

// The keys of a table, one below the other; tables in it are made anew where their kind changes.
export class Form {
  constructor(fields, path, actions) {
    this.actions = actions;
    this.path = path;
    this.element = element("div", { class: "form" });
    this.parts = fields.map((field) => {
      const place = [...path, field.key];
      const part = field.holds === "kind" ? new KindField(field, place, actions)
        : field.holds === "table" ? new TableField(field, place, actions)
          : new Field(field, place, actions);
      this.element.append(part.element);
      return [field.key, part];
    });
  }

  update(values, given) {
    for (const [key, part] of this.parts) part.update(values?.[key], given?.[key]);
  }
}

class TableField {
  constructor(field, path, actions) {
    this.field = field;
    this.path = path;
    this.actions = actions;
    this.element = element("div");
  }

  update(value, given) {
    const kind = value === null || value === undefined ? "text" : "form";
    if (kind !== this.kind) {
      this.kind = kind;
      this.inner = kind === "text" ? new Field(this.field, this.path, this.actions)
        : new Form(this.field.fields, this.path, this.actions);
      const content = kind === "text" ? [this.inner.element] : [
        element("fieldset", {}, [
          element("legend", { title: this.field.doc }, [this.field.key, " ", ...(
            this.field.optional ? [element("button", { type: "button", class: "back", text: "↺",
              title: "take away", "aria-label": `${pathText(this.path)}: take away`,
              onclick: () => this.actions.reset(this.path) })] : [])]),
          this.inner.element,
        ]),
      ];
      this.element.replaceChildren(...content);
    }
    this.inner.update(value, kind === "text" ? given : given === true ? {} : given);
  }
}

class KindField {
  constructor(field, path, actions) {
    this.field = field;
    this.path = path;
    this.actions = actions;
    const options = field.kinds.map(({ kind, doc }) =>
      element("option", { value: kind, text: kind.replaceAll("_", " "), title: doc }));
    this.select = element("select", {
      "aria-label": pathText(path), onchange: (event) => this.choose(event.target.value),
    }, [element("option", { value: "", text: "none" }), ...options]);
    this.inside = element("div");
    this.element = element("fieldset", {}, [
      element("legend", { text: field.key, title: field.doc }), this.select, this.inside,
    ]);
  }

  choose(kind) {
    if (!kind) this.actions.reset(this.path);
    else this.actions.set(`${pathText(this.path)}=${toml(starting(this.field, kind))}`);
  }

  update(value, given) {
    const kind = value?.kind ?? "";
    this.select.value = kind;
    if (kind !== this.kind) {
      this.kind = kind;
      const fields = this.field.kinds.find((one) => one.kind === kind)?.fields;
      this.inner = fields ? new Form(fields, this.path, this.actions) : null;
      this.inside.replaceChildren(...(this.inner ? [this.inner.element] : []));
    }
    this.inner?.update(value, given);
  }
}

// A table of a kind with what it must have: 50 of any unit of length.
export function starting(field, kind) {
  const { fields } = field.kinds.find((one) => one.kind === kind);
  const needed = fields.filter((one) => !one.optional && one.default === null);
  return { kind, ...Object.fromEntries(needed.map((one) => [one.key, 50])) };
}

// Every defect with its keys, to be opened, changed and taken away.
export class DefectList {
  constructor(field, actions) {
    this.field = field;
    this.actions = actions;
    this.element = element("div", { class: "defects" });
    this.items = [];
  }

  update(values, given, marks) {
    const kinds = values.map((value) => value.kind).join();
    if (kinds !== this.kinds) {
      this.kinds = kinds;
      const open = this.items.map((item) => item.element.open);
      this.items = values.map((value, number) => {
        const { fields } = this.field.kinds.find((one) => one.kind === value.kind);
        const form = new Form(fields, ["defects", number], this.actions);
        const words = element("span");
        const item = element("details", { "data-defect": number }, [
          element("summary", {}, [
            words, " ",
            element("button", { type: "button", class: "remove", text: "✕",
              title: "take this defect away", "aria-label": `take defect ${number} away`,
              onclick: (event) => {
                event.preventDefault();
                this.actions.remove(number);
              } }),
          ]),
          form.element,
        ]);
        item.open = Boolean(open[number]);
        item.addEventListener("toggle", () => item.open && this.actions.choose(number));
        return { element: item, form, words };
      });
      this.element.replaceChildren(...this.items.map((item) => item.element));
    }
    this.items.forEach((item, number) => {
      item.words.textContent = `${number}: ${marks[number]?.label ?? values[number].kind}`;
      item.form.update(values[number], given?.[number] ?? {});
    });
  }
}
