// The page in a notebook: a frame with the same page in it, whose messages the notebook carries.
// FILES, the files of the page by their names, are put in front of this module.

const ASK_MS = 2000, PATIENCE_MS = 5000;

function pageOf(files) {
  const address = (text, type) => URL.createObjectURL(new Blob([text], { type }));
  const modules = Object.entries(files).filter(([name]) => name.endsWith(".js"))
    .map(([name, text]) => [`weakbeam/${name}`,
      address(text.replace(/from "\.\//g, 'from "weakbeam/'), "text/javascript")]);
  const map = JSON.stringify({ imports: Object.fromEntries(modules) });
  return files["index.html"]
    .replace(/<link rel="icon"[^>]*>/, "")
    .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${files["style.css"]}</style>`)
    .replace(/<script type="module"[^>]*><\/script>/, () =>
      `<script type="importmap">${map}</script><script type="module">import "weakbeam/main.js";</script>`);
}

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.title = "weakbeam microscope";
  frame.style.cssText = "width: 100%; height: 820px; border: 0; display: block";
  const page = crypto.randomUUID?.() ?? Math.random().toString(36).slice(2);
  let heard = () => {};
  const say = (message) => model.send({ ...message, page });
  // What link.js in the frame talks through.
  frame.weakbeam = {
    dark: document.body.dataset.jpThemeLight === "false",
    open(listen) {
      heard = listen;
      say({ open: true });
    },
    send: (text) => say({ said: text }),
  };
  // A kernel that has ended does not say so: it is asked, one question at a time.
  let asked = 0, lost = false;
  const ask = () => {
    if (!asked) {
      asked = Date.now();
      say({ ask: true });
    } else if (Date.now() - asked > PATIENCE_MS && !lost) {
      lost = true;
      heard("lost");
    }
  };
  const asking = setInterval(ask, ASK_MS);
  const custom = (message, buffers) => {
    if (message.page !== page) return;
    if (message.state === "there") {
      asked = 0;
      if (lost) say({ open: true });
      lost = false;
      return;
    }
    const [part] = buffers ?? [];
    const bytes = part && (part instanceof ArrayBuffer ? part
      : part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength));
    heard(bytes ?? message.state);
  };
  const gone = () => { lost = true; heard("lost"); };
  model.on("msg:custom", custom);
  model.on("comm_live_update", gone);
  frame.srcdoc = pageOf(FILES);
  el.append(frame);
  return () => {
    model.off("msg:custom", custom);
    model.off("comm_live_update", gone);
    clearInterval(asking);
    say({ open: false });
  };
}

export default { render };
