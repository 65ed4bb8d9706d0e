/** Rows of a Django formset that are added in the page, from its empty form in a <template>. */

/** Append a new row to `list`; returns it. `prefix` is the formset's. */
export function addRow(list, template, prefix) {
  const total = document.querySelector(`[name="${prefix}-TOTAL_FORMS"]`);
  const row = template.content.firstElementChild.cloneNode(true);
  for (const element of [row, ...row.querySelectorAll("*")]) {
    for (const { name, value } of [...element.attributes]) {
      if (value.includes("__prefix__")) {
        element.setAttribute(name, value.replaceAll("__prefix__", total.value));
      }
    }
  }
  total.value = Number(total.value) + 1;
  list.append(row);
  return row;
}
