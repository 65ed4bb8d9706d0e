// Keeps the page of a bulk operation up to date, and lets the work be done where no task does it.
// The page works without it: there are buttons, and the browser reloads the page.

const root = document.getElementById("rokka-operation");
const form = document.getElementById("rokka-operation-form");
const trouble = document.getElementById("rokka-operation-trouble");
const status = document.getElementById("rokka-operation-status");
const live = () => document.getElementById("rokka-operation-live");
const opened = Date.now();

const POLL = 1500; // between two looks, in milliseconds
const WAIT = 10000; // while rokka wants a pause
const SLOWEST = 30000; // between two tries without a connection
const QUICK = 5000; // what is over so soon leads back to where it was begun

let title = live()?.dataset.title;
let failures = 0;
let told = { state: "", quarter: 0 };
let leaving = false;

class Gone extends Error {}

function address(url) {
  const found = new URL(url || location.href, location.href);
  found.searchParams.set("live", "1");
  const page = new URL(location.href).searchParams.get("page");
  if (page) found.searchParams.set("page", page);
  return found;
}

async function fetchLive() {
  const steps = live().dataset.mode === "step";
  const options = steps ? { method: "POST", body: new FormData(form) } : {};
  const response = await fetch(address(steps ? live().dataset.step : ""), { credentials: "same-origin", ...options });
  // A login page, or no right to see this any more: trying again does not help.
  if (response.redirected || (response.status >= 400 && response.status < 500)) throw new Gone();
  if (!response.ok) throw new Error(String(response.status));
  const text = await response.text();
  return new DOMParser().parseFromString(text, "text/html").getElementById("rokka-operation-live");
}

// Only what is different is replaced, so that the focus and a selection stay where they are.
function show(fresh) {
  for (const { name, value } of fresh.attributes) live().setAttribute(name, value);
  if (!("waits" in fresh.dataset)) live().removeAttribute("data-waits");
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = live().querySelector(`[data-part="${part.dataset.part}"]`);
    if (old.innerHTML === part.innerHTML) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : null;
    old.replaceChildren(...part.childNodes);
    if (focused !== null) (document.getElementById(focused) || live()).focus({ preventScroll: true });
  }
  document.title = document.title.replace(title, () => fresh.dataset.title);
  title = fresh.dataset.title;
  announce(fresh.dataset);
}

// A screen reader is told what changes in kind, and each quarter: not every number.
function announce({ state, percent }) {
  const quarter = Math.floor(Number(percent) / 25);
  if (state === told.state && quarter === told.quarter) return;
  told = { state, quarter };
  status.textContent = `${state} ${percent} %`;
}

function tell(text) {
  trouble.hidden = !text;
  if (trouble.textContent !== text) trouble.textContent = text;
}

function pause(before) {
  if (live().hasAttribute("data-waits")) return WAIT;
  const moved = live().dataset.closed !== before;
  return live().dataset.mode === "step" && moved ? 50 : POLL;
}

// What took a moment is like a click: back to where it came from. Else the result stays on the screen,
// and is still there when the page is reloaded.
function finish() {
  const here = new URL(location.href);
  if (!here.searchParams.has("fresh")) return;
  const stopped = document.getElementById("rokka-take-up");
  if (Date.now() - opened < QUICK && !stopped) {
    location.replace(here);
    return;
  }
  here.searchParams.delete("fresh");
  history.replaceState(null, "", here);
}

async function update() {
  const before = live().dataset.closed;
  try {
    const fresh = await fetchLive();
    if (leaving) return;
    if (!fresh) throw new Gone();
    show(fresh);
    failures = 0;
    tell("");
  } catch (error) {
    if (leaving) return;
    if (error instanceof Gone) {
      tell(root.dataset.gone);
      return;
    }
    failures += 1;
    tell(root.dataset.lost);
    setTimeout(update, Math.min(1000 * 2 ** failures, SLOWEST));
    return;
  }
  if (live().dataset.mode) setTimeout(update, pause(before));
  else finish();
}

if (root && live().dataset.mode) {
  root.classList.add("rokka-operation--live");
  told = { state: live().dataset.state, quarter: Math.floor(Number(live().dataset.percent) / 25) };
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  setTimeout(update, live().dataset.mode === "step" ? 0 : POLL);
}
