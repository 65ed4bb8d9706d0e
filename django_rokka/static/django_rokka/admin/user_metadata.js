/** The editor of user metadata: an input that fits the type, and as many rows as are wanted. */

import { addRow } from "./rows.js";

/** What the server gives each type as well; a type that is not here has a line of text. */
const INPUTS = {
  int: { type: "number", step: "1" },
  double: { type: "number", step: "any" },
  date: { type: "datetime-local", step: "1" },
  latlon: { type: "text", placeholder: "47.38,8.52" },
};
const WITH_LINES = ["text", "array", "array_text"];

const editor = document.querySelector("[data-rokka='user-metadata']");
const add = editor?.querySelector("[data-rokka='add']");

if (add) {
  add.hidden = false;
  add.addEventListener("click", () => {
    const [list, template] = ["rows", "empty"].map((part) => editor.querySelector(`[data-rokka='${part}']`));
    addRow(list, template, "user_metadata").querySelector("select").focus();
  });
  editor.addEventListener("change", ({ target }) => {
    if (target.dataset.rokka === "kind") {
      fit(target.closest("[data-rokka='row']"), target.value);
    }
  });
}

/** Let a row's input be what its type asks for. What was typed stays, where it can. */
function fit(row, kind) {
  const old = row.querySelector("[data-rokka='value']");
  const input = document.createElement(WITH_LINES.includes(kind) ? "textarea" : "input");
  for (const name of ["name", "id", "data-rokka", "aria-describedby", "aria-invalid"]) {
    if (old.hasAttribute(name)) {
      input.setAttribute(name, old.getAttribute(name));
    }
  }
  Object.assign(input, input.tagName === "TEXTAREA" ? { rows: 3 } : { type: "text", ...INPUTS[kind] });
  input.value = old.value;
  old.replaceWith(input);
}
