/**
 * The editor of focal point, crop and named areas: a picture to work on above the numbers.
 *
 * The inputs of the form are the only state. Whatever is done on the picture is written into them, and
 * whatever is typed into them shows on the picture and in the previews.
 */

import { between, grown, placed, pointAt, rendered, stretched } from "./crop.js";
import { addRow } from "./rows.js";

const GRIPS = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** A pointer that moves less than this many CSS pixels clicks. */
const CLICK = 5;
/** Boxes smaller than this many CSS pixels have handles at their corners only. */
const ROOM = 130;

const find = (root, name) => root.querySelector(`[data-rokka="${name}"]`);

function make(tag, className, attributes = {}) {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  return element;
}

// --- An area is a group of inputs --------------------------------------------------------------

class Area {
  constructor(fieldset, size) {
    this.fieldset = fieldset;
    this.size = size;
    this.id = fieldset.id;
    this.inputs = {};
    for (const name of ["x", "y", "width", "height", "unit", "name", "role"]) {
      this.inputs[name] = find(fieldset, name);
    }
    this.remove = fieldset.querySelector("[name$='-DELETE']");
    this.unit = this.inputs.unit.value;
  }

  get isNamed() {
    return Boolean(this.inputs.name);
  }

  /** Whether it is what must stay visible, a point or a box, and no exact crop. */
  get isSubject() {
    return (this.inputs.role?.value ?? this.fieldset.dataset.rokkaArea) === "subject_area";
  }

  get isFrozen() {
    return this.inputs.x.disabled;
  }

  get isRemoved() {
    return Boolean(this.remove?.checked);
  }

  get isBlank() {
    const texts = ["x", "y", "width", "height", "name"];
    return texts.every((name) => !this.inputs[name]?.value);
  }

  get title() {
    return this.inputs.name?.value || this.fieldset.dataset.title;
  }

  /** By what name a recipe asks for it. */
  get key() {
    return this.isNamed ? `multi_areas.${this.inputs.name.value}` : this.fieldset.dataset.rokkaArea;
  }

  /** How many pixels the unit of the numbers is, across and down. */
  perUnit(unit = this.inputs.unit.value) {
    return this.size.map((side) => (unit === "%" ? side / 100 : 1));
  }

  /** The area in pixels of the full picture; null for none, or for numbers that make none. */
  get box() {
    return this.isRemoved ? null : this.read((name) => this.inputs[name].value, this.inputs.unit.value);
  }

  /** As the page had it. */
  get saved() {
    const form = this.inputs.x.form;
    const shown = (name) => form.elements[`initial-${this.inputs[name].name}`]?.value ?? "";
    return this.read(shown, shown("unit") || "px");
  }

  read(text, unit) {
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number.parseFloat(text(name)));
    const [across, down] = this.perUnit(unit);
    const least = this.isSubject ? 1 : Number.NaN;
    const box = {
      x: x * across,
      y: y * down,
      width: (width || least) * across,
      height: (height || least) * down,
    };
    return Object.values(box).every(Number.isFinite) ? box : null;
  }

  set box(box) {
    const per = this.perUnit();
    const limits = this.size.map((side, axis) => Math.round(side / per[axis]));
    const numbers = box && {
      ...this.whole("x", "width", box, per[0], limits[0]),
      ...this.whole("y", "height", box, per[1], limits[1]),
    };
    for (const name of ["x", "y", "width", "height"]) {
      this.inputs[name].value = numbers ? numbers[name] : "";
    }
  }

  /** Start and length in whole units, inside the picture. */
  whole(start, length, box, per, limit) {
    const long = Math.min(Math.max(Math.round(box[length] / per), 1), limit);
    return { [start]: Math.min(Math.round(box[start] / per), limit - long), [length]: long };
  }

  /** After the unit was changed: the same area in the other numbers. */
  convert() {
    const text = (name) => this.inputs[name].value;
    const box = this.read(text, this.unit);
    this.unit = this.inputs.unit.value;
    if (box) {
      this.box = box;
    }
  }
}

// --- The picture to work on --------------------------------------------------------------------

class Stage {
  /** `changed` is called after every change. */
  constructor(element, size, texts, changed) {
    this.size = size;
    this.texts = texts;
    this.changed = changed;
    element.style.setProperty("--ratio", size[0] / size[1]);
    element.style.setProperty("--width", `${element.querySelector("img").getAttribute("width")}px`);
    element.classList.add("rokka-areas__stage--open");
    this.overlay = make("div", "rokka-overlay", {
      role: "application",
      tabindex: "0",
      "aria-describedby": "rokka-areas-hint",
    });
    this.clip = make("div", "rokka-overlay__clip");
    this.others = make("div", "rokka-overlay__others");
    this.shade = make("div", "rokka-shade");
    this.clip.append(this.others, this.shade);
    this.box = make("div", "rokka-box", { "data-grip": "move" });
    for (const grip of GRIPS) {
      this.box.append(make("span", `rokka-box__grip rokka-box__grip--${grip}`, { "data-grip": grip }));
    }
    this.point = make("div", "rokka-point", { "data-grip": "move" });
    this.overlay.append(this.clip, this.box, this.point);
    element.append(this.overlay);
    this.listen();
  }

  listen() {
    const on = (event, handle) => this.overlay.addEventListener(event, handle.bind(this));
    on("pointerdown", this.grab);
    on("pointermove", this.drag);
    on("pointerup", this.drop);
    on("pointercancel", this.cancel);
    on("keydown", this.press);
  }

  show(area, areas) {
    this.area = area;
    this.overlay.classList.toggle("rokka-overlay--frozen", area.isFrozen);
    this.overlay.setAttribute("aria-label", this.describe());
    const box = area.box;
    const isPoint = box && area.isSubject && area.inputs.width.value <= 1 && area.inputs.height.value <= 1;
    this.box.hidden = !box || isPoint;
    this.box.classList.toggle("rokka-box--crop", !area.isSubject);
    this.shade.hidden = !box || area.isSubject;
    this.point.hidden = !isPoint;
    if (box) {
      this.put(this.box, box);
      this.put(this.shade, box);
      this.put(this.point, { x: box.x + box.width / 2, y: box.y + box.height / 2 });
      const shown = this.box.getBoundingClientRect();
      this.box.classList.toggle("rokka-box--small", Math.min(shown.width, shown.height) < ROOM);
    }
    const others = areas.filter((other) => other !== area && other.box);
    this.others.replaceChildren(...others.map((other) => this.ghost(other)));
  }

  ghost(area) {
    const ghost = make("div", "rokka-ghost");
    ghost.append(make("span", "rokka-ghost__name"));
    ghost.firstElementChild.textContent = area.title;
    this.put(ghost, area.box);
    return ghost;
  }

  put(element, box) {
    const [width, height] = this.size;
    element.style.left = `${(box.x / width) * 100}%`;
    element.style.top = `${(box.y / height) * 100}%`;
    if (box.width) {
      element.style.width = `${(box.width / width) * 100}%`;
      element.style.height = `${(box.height / height) * 100}%`;
    }
  }

  /** Where the area is, in words. */
  describe() {
    const box = this.area.box;
    const share = (part, axis) => Math.round((part / this.size[axis]) * 100);
    const middle = box && [box.x + box.width / 2, box.y + box.height / 2];
    const place = box
      ? this.texts.place.replace("{x}", share(middle[0], 0)).replace("{y}", share(middle[1], 1))
      : this.texts.none;
    const isLarge = box && (box.width > this.size[0] / 100 || box.height > this.size[1] / 100);
    const extent = isLarge
      ? this.texts.extent
          .replace("{width}", share(box.width, 0))
          .replace("{height}", share(box.height, 1))
      : "";
    return [`${this.area.title}: ${place}`, extent].filter(Boolean).join(", ");
  }

  set(box) {
    if (!this.area.isFrozen && !this.area.isRemoved) {
      this.area.box = box;
      this.changed();
    }
  }

  // Pointer: a click sets the point, a drag draws; what is there moves, and its handles stretch it.

  at(event) {
    const frame = this.overlay.getBoundingClientRect();
    const [width, height] = this.size;
    return [
      ((event.clientX - frame.left) / frame.width) * width,
      ((event.clientY - frame.top) / frame.height) * height,
    ];
  }

  grab(event) {
    if (event.button !== 0 || !event.isPrimary || this.area.isFrozen || this.area.isRemoved) {
      return;
    }
    this.overlay.setPointerCapture(event.pointerId);
    this.held = {
      grip: event.target.dataset.grip ?? "draw",
      from: this.at(event),
      pixel: [event.clientX, event.clientY],
      box: this.area.box,
      moved: false,
    };
  }

  drag(event) {
    const held = this.held;
    if (!held) {
      return;
    }
    const far = Math.hypot(event.clientX - held.pixel[0], event.clientY - held.pixel[1]);
    held.moved ||= far >= CLICK;
    if (held.moved) {
      this.overlay.classList.add("rokka-overlay--dragging");
      this.set(this.dragged(held, this.at(event)));
    }
  }

  dragged({ grip, from, box }, to) {
    if (grip === "draw") {
      return between(from, to, this.size);
    }
    if (grip === "move") {
      return placed(box, box.x + to[0] - from[0], box.y + to[1] - from[1], this.size);
    }
    return stretched(box, grip, to, this.size);
  }

  drop(event) {
    const held = this.held;
    this.release();
    if (held && !held.moved && (held.grip === "draw" || this.area.isSubject)) {
      this.set(this.clicked(held.box, this.at(event)));
    }
  }

  /** A click sets the point. A box to cut out comes to where it is; there is a first one for it. */
  clicked(box, at) {
    if (this.area.isSubject) {
      return pointAt(at, this.size);
    }
    const wanted = box ?? this.half();
    return placed(wanted, at[0] - wanted.width / 2, at[1] - wanted.height / 2, this.size);
  }

  half() {
    const [width, height] = this.size.map((side) => Math.max(Math.round(side / 2), 1));
    const [x, y] = this.size.map((side, axis) => Math.floor((side - [width, height][axis]) / 2));
    return { x, y, width, height };
  }

  cancel() {
    const held = this.held;
    this.release();
    if (held?.moved) {
      this.set(held.box);
    }
  }

  release() {
    this.held = null;
    this.overlay.classList.remove("rokka-overlay--dragging");
  }

  // Keys: arrows move, with Ctrl or Alt they stretch; Shift makes larger steps.

  press(event) {
    const action = this.actionFor(event);
    if (action) {
      event.preventDefault();
      action();
    }
  }

  actionFor(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      return () => this.step(arrow, event);
    }
    return {
      Escape: () => (this.held ? this.cancel() : this.undo()),
      Delete: () => this.set(null),
      Backspace: () => this.set(null),
      Enter: () => this.area.box ?? this.set(this.first()),
    }[event.key];
  }

  step(arrow, { shiftKey, ctrlKey, altKey }) {
    const box = this.area.box;
    if (!box) {
      this.set(this.first());
      return;
    }
    const least = this.area.perUnit();
    const share = shiftKey ? 0.1 : 0.01;
    const far = this.size.map((side, axis) => Math.max(Math.round(side * share), least[axis]));
    const [across, down] = arrow.map((way, axis) => way * far[axis]);
    this.set(
      ctrlKey || altKey
        ? grown(box, across, down, this.size)
        : placed(box, box.x + across, box.y + down, this.size),
    );
  }

  /** What a key begins with. */
  first() {
    const middle = this.size.map((side) => side / 2);
    return this.area.isSubject ? pointAt(middle, this.size) : this.half();
  }

  undo() {
    this.set(this.area.saved);
  }
}

// --- Previews ----------------------------------------------------------------------------------

class Preview {
  constructor(element, image, size) {
    this.recipe = JSON.parse(element.dataset.recipe);
    this.size = size;
    this.frame = find(element, "frame");
    this.picture = make("img", "", { alt: "" });
    this.frame.replaceChildren(this.picture);
    this.frame.dataset.live = "";
    this.frame.style.filter = this.filter();
    const follow = () => (this.picture.src = image.currentSrc || image.src);
    image.addEventListener("load", follow);
    follow();
  }

  /** What steps do to colours, as far as a browser can show it. */
  filter() {
    const known = { grayscale: "grayscale(1)", sepia: "sepia(1)" };
    return this.recipe.steps.map(([name]) => known[name] ?? "").join(" ");
  }

  show(areas, active) {
    const { window: part, size } = rendered(this.size, this.asked(active), areas);
    this.frame.style.setProperty("--ratio", size[0] / size[1]);
    this.picture.style.width = `${(this.size[0] / part.width) * 100}%`;
    this.picture.style.height = `${(this.size[1] / part.height) * 100}%`;
    this.picture.style.left = `${(-part.x / part.width) * 100}%`;
    this.picture.style.top = `${(-part.y / part.height) * 100}%`;
  }

  /** A shape that is no stack shows how the named area that is worked on would be cropped. */
  asked(active) {
    if (!this.recipe.shape || !active.isNamed) {
      return this.recipe;
    }
    const steps = this.recipe.steps.map(([name, options]) => [name, { ...options, area: active.inputs.name.value }]);
    return { ...this.recipe, steps };
  }
}

// --- All together ------------------------------------------------------------------------------

class Editor {
  constructor(root) {
    this.root = root;
    this.size = [root.dataset.width, root.dataset.height].map(Number);
    this.tabs = find(root, "tabs");
    this.numbers = find(root, "numbers");
    this.status = find(root, "status");
    this.areas = [...root.querySelectorAll("[data-rokka-area]")].map((each) => new Area(each, this.size));
    this.spare = this.areas.filter((area) => area.isNamed && area.isBlank && !this.hasErrors(area));
    this.areas = this.areas.filter((area) => !this.spare.includes(area));
    const image = root.querySelector("[data-rokka='stage'] img");
    if (image && this.size.every((side) => side > 0)) {
      this.open(image);
    }
    this.listen();
    this.choose(this.startArea());
  }

  open(image) {
    this.stage = new Stage(find(this.root, "stage"), this.size, this.root.dataset, () => this.draw(true));
    this.previews = [...document.querySelectorAll("[data-recipe]")].map(
      (element) => new Preview(element, image, this.size),
    );
    image.addEventListener("load", () => this.draw());
    find(this.root, "hint").hidden = false;
  }

  listen() {
    this.numbers.addEventListener("input", () => this.draw());
    this.numbers.addEventListener("change", ({ target }) => {
      if (target.dataset.rokka === "unit") {
        this.active.convert();
      }
      this.drawTabs();
      this.draw();
    });
    this.tabs.addEventListener("change", ({ target }) => this.choose(this.areas.find((area) => area.id === target.value)));
    this.button("undo", () => this.stage?.undo());
    this.button("clear", () => this.stage?.set(null));
    this.button("add", () => this.add());
    window.addEventListener("resize", () => this.draw());
  }

  button(name, handle) {
    const button = find(this.root, name);
    if (button) {
      button.hidden = false;
      button.addEventListener("click", handle);
    }
  }

  hasErrors(area) {
    return Boolean(area.fieldset.querySelector(".errorlist"));
  }

  /** The area that has something to correct, else the one of the address, else the first. */
  startArea() {
    const wanted = window.location.hash.slice(1);
    return (
      this.areas.find((area) => this.hasErrors(area)) ??
      this.areas.find((area) => area.id === wanted) ??
      this.areas[0]
    );
  }

  choose(area) {
    this.active = area;
    for (const other of [...this.areas, ...this.spare]) {
      other.fieldset.hidden = other !== area;
    }
    this.drawTabs();
    this.draw();
  }

  add() {
    const list = find(this.root, "named");
    const row = this.spare.shift()?.fieldset ?? addRow(list, find(this.root, "empty"), "multi_areas");
    const area = new Area(row, this.size);
    this.areas.push(area);
    this.choose(area);
    area.inputs.name.focus();
  }

  drawTabs() {
    const focused = document.activeElement?.value;
    const hadFocus = this.tabs.contains(document.activeElement);
    this.tabs.replaceChildren(...this.areas.map((area) => this.tab(area)));
    if (hadFocus) {
      this.tabs.querySelector(`[value="${focused}"]`)?.focus();
    }
  }

  tab(area) {
    const label = make("label", "rokka-tab");
    const radio = make("input", "rokka-visually-hidden", { type: "radio", name: "_area", value: area.id });
    radio.checked = area === this.active;
    const text = make("span", "rokka-tab__text");
    text.textContent = area.title;
    label.append(radio, text);
    label.classList.toggle("rokka-tab--set", Boolean(area.box));
    label.classList.toggle("rokka-tab--removed", area.isRemoved);
    label.classList.toggle("rokka-tab--error", this.hasErrors(area));
    return label;
  }

  /** Show the inputs' numbers everywhere; say them too, if they came from the picture. */
  draw(aloud = false) {
    this.areas.forEach((area, index) => {
      const tab = this.tabs.children[index];
      tab.lastElementChild.textContent = area.title;
      tab.classList.toggle("rokka-tab--set", Boolean(area.box));
    });
    if (!this.stage) {
      return;
    }
    this.stage.show(this.active, this.areas);
    const boxes = this.areas.filter((area) => area.box).map((area) => [area.key, area.box]);
    this.previews.forEach((preview) => preview.show(Object.fromEntries(boxes), this.active));
    if (aloud) {
      this.say();
    }
  }

  /** Not every step of a drag, only where it rests. */
  say() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => (this.status.textContent = this.stage.describe()), 300);
  }
}

const root = document.querySelector("[data-rokka='areas']");
if (root) {
  new Editor(root);
}
