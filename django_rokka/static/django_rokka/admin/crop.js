/**
 * Which part of a picture a render shows: rokka's rules for crops and resizes, without a pixel.
 *
 * Sizes are [width, height], boxes {x, y, width, height}, all in pixels. The test suite compares every
 * window with what the emulator renders, so the order of the arithmetic matters.
 */

/** Round as the renderer does: a half goes to the even neighbour. */
function round(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

const limited = (value, lowest, highest) => Math.min(Math.max(value, lowest), highest);
const isOn = (value) => ["true", "1"].includes(String(value).toLowerCase());
const number = (options, key, otherwise) => Number(options[key] ?? otherwise);
const center = (box) => [box.x + box.width / 2, box.y + box.height / 2];

/**
 * Follow the steps of a recipe, such as {steps: [["crop", {width: 16, height: 9, mode: "ratio"}]], dpr: 1}.
 *
 * `areas` are those of the picture: {subject_area, crop_area, "multi_areas.<name>"}, each a box.
 * Returns {window, size}: the part of the full picture that the render shows, and the render's size.
 */
export function rendered(size, recipe, areas) {
  let canvas = { size, corner: [0, 0], scale: [1, 1], areas };
  for (const [name, options] of recipe.steps) {
    const step = { crop, resize }[name];
    if (step && isOn(options.enabled ?? true)) {
      canvas = step(canvas, options, Number(recipe.dpr ?? 1));
    }
  }
  const [x, y] = canvas.corner;
  const [width, height] = canvas.size.map((side, axis) => side / canvas.scale[axis]);
  return { window: { x, y, width, height }, size: canvas.size };
}

// --- resize ------------------------------------------------------------------------------------

function resize(canvas, options, dpr) {
  const size = resized(canvas.size, options, dpr);
  const by = size.map((side, axis) => side / canvas.size[axis]);
  return {
    ...canvas,
    size,
    scale: canvas.scale.map((scale, axis) => scale * by[axis]),
    areas: moved(canvas.areas, [0, 0], by),
  };
}

function resized(size, options, dpr) {
  const mode = options.mode ?? "box";
  let [across, down] = ["width", "height"].map((key, axis) => factor(options, key, size[axis], dpr));
  if (across === null || down === null) {
    across = down = across ?? down ?? 1;
  } else if (mode !== "absolute") {
    across = down = mode === "fill" ? Math.max(across, down) : Math.min(across, down);
  }
  return [Math.max(round(size[0] * across), 1), Math.max(round(size[1] * down), 1)];
}

function factor(options, key, present, dpr) {
  if (options[key] === undefined || options[key] === null || options[key] === "") {
    return null;
  }
  let plain = Number(options[key]) / present;
  if (!isOn(options.upscale ?? true)) {
    plain = Math.min(plain, 1);
  }
  const scaled = plain * dpr;
  return isOn(options.upscale_dpr ?? true) ? scaled : Math.min(scaled, Math.max(plain, 1));
}

// --- crop --------------------------------------------------------------------------------------

function crop(canvas, options, dpr) {
  const box = cropped(canvas.size, options, canvas.areas, dpr);
  const corner = [round(box.x), round(box.y)];
  return {
    size: [Math.max(round(box.right - box.x), 1), Math.max(round(box.bottom - box.y), 1)],
    corner: canvas.corner.map((start, axis) => start + corner[axis] / canvas.scale[axis]),
    scale: canvas.scale,
    areas: moved(canvas.areas, corner, [1, 1]),
  };
}

function cropped(size, options, areas, dpr) {
  const area = chosen(options, areas);
  const mode = options.mode ?? "absolute";
  if (area && (mode === "box" || mode === "area")) {
    return around(area, size, options, mode);
  }
  const [width, height] = cropSize(size, options, mode, dpr);
  const [left, top] = cornerOf(size, [width, height], options, area);
  return edges(limited(left, 0, size[0] - width), limited(top, 0, size[1] - height), width, height);
}

const edges = (x, y, width, height) => ({ x, y, right: x + width, bottom: y + height });

/** The named area that is asked for; else the subject area, which comes before the crop area. */
function chosen(options, areas) {
  const named = options.area ? areas[`multi_areas.${options.area}`] : null;
  return named ?? areas.subject_area ?? areas.crop_area ?? null;
}

function cropSize(size, options, mode, dpr) {
  let [width, height] = [number(options, "width"), number(options, "height")];
  if (mode === "absolute") {
    [width, height] = [width * dpr, height * dpr];
  } else {
    const by = Math.min(size[0] / width, size[1] / height);
    [width, height] = [width * by, height * by];
  }
  const share = number(options, "scale", 100) / 100;
  return [Math.min(width * share, size[0]), Math.min(height * share, size[1])];
}

/** Mode `box`: the area itself; `area`: the smallest box of the ratio that holds it. */
function around(area, size, options, mode) {
  let { width, height } = area;
  if (mode === "area") {
    const ratio = number(options, "width") / number(options, "height");
    [width, height] = [Math.max(width, height * ratio), Math.max(height, width / ratio)];
  }
  [width, height] = [Math.min(width, size[0]), Math.min(height, size[1])];
  const [x, y] = center(area);
  const left = limited(x - width / 2, 0, size[0] - width);
  return edges(left, limited(y - height / 2, 0, size[1] - height), width, height);
}

function cornerOf(size, box, options, area) {
  let anchor = String(options.anchor ?? "auto");
  if (["auto", "subjectarea", "croparea", "face", "smart"].includes(anchor)) {
    if (area && anchor !== "smart") {
      const [x, y] = center(area);
      return [x - box[0] / 2, y - box[1] / 2];
    }
    anchor = String(options.fallback ?? "center_center");
    anchor = ["auto", "smart", "face"].includes(anchor) ? "center_center" : anchor;
  }
  const [across, down] = anchor.replaceAll("-", "_").split("_");
  return [offset(across, size[0] - box[0]), offset(down, size[1] - box[1])];
}

function offset(word, room) {
  const shares = { left: 0, top: 0, center: 0.5, right: 1, bottom: 1 };
  return word in shares ? room * shares[word] : Number(word);
}

function moved(areas, [left, top], [across, down]) {
  const move = (area) => ({
    x: (area.x - left) * across,
    y: (area.y - top) * down,
    width: area.width * across,
    height: area.height * down,
  });
  return Object.fromEntries(Object.entries(areas).map(([name, area]) => [name, move(area)]));
}

// --- Boxes that an editor moves ----------------------------------------------------------------

/** The box at another place, inside the picture. */
export function placed(box, x, y, size) {
  return {
    ...box,
    x: limited(Math.round(x), 0, size[0] - box.width),
    y: limited(Math.round(y), 0, size[1] - box.height),
  };
}

/** The box between two corners, in whichever order, inside the picture and at least a pixel large. */
export function between([x1, y1], [x2, y2], size) {
  const [left, right] = span(x1, x2, size[0]);
  const [top, bottom] = span(y1, y2, size[1]);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function span(one, other, limit) {
  const [low, high] = [one, other].map((at) => limited(Math.round(at), 0, limit)).sort((a, b) => a - b);
  return high > low ? [low, high] : [Math.min(low, limit - 1), Math.min(low, limit - 1) + 1];
}

/** The box with one or two of its edges, such as "n" or "se", moved to a place. */
export function stretched(box, grip, [x, y], size) {
  const right = box.x + box.width;
  const bottom = box.y + box.height;
  const across = grip.includes("w") ? [x, right] : [box.x, grip.includes("e") ? x : right];
  const down = grip.includes("n") ? [y, bottom] : [box.y, grip.includes("s") ? y : bottom];
  return between([across[0], down[0]], [across[1], down[1]], size);
}

/** The box with another width and height, inside the picture. */
export function grown(box, across, down, size) {
  return {
    ...box,
    width: limited(box.width + across, 1, size[0] - box.x),
    height: limited(box.height + down, 1, size[1] - box.y),
  };
}

/** The pixel of the picture at a place, as a box. */
export function pointAt([x, y], size) {
  return {
    x: limited(Math.floor(x), 0, size[0] - 1),
    y: limited(Math.floor(y), 0, size[1] - 1),
    width: 1,
    height: 1,
  };
}
