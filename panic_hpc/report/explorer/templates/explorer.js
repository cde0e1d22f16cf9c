// The page: controls, pointer and keys, and what is drawn above the points.

const by = (id) => document.getElementById(id);
const view = new MapView(by("stage"), by("points"), by("overlay"));
const panes = {};
let maps = [], current = null, active = "A", hovered = -1, found = null;

function changed(pane, isOwn) {
  const other = panes[pane.side === "A" ? "B" : "A"];
  if (isOwn && by("together").checked && other && other.map) other.goToStep(pane.step(), false);
  view.redraw();
}

function activate(side) {
  active = side;
  for (const [name, pane] of Object.entries(panes)) pane.setActive(name === side);
  view.redraw();
}

// Levels by which points are told apart, in order; null where a shade tells.
function levels() {
  const how = by("colouring").value;
  if (how === "step") return null;
  const names = how === "network" ? about.networks : how === "prompt" ? about.prompts : null;
  const values = [...new Set(runNumbers.map((run) => about.runs[run][how]))].sort((a, b) => (a < b ? -1 : 1));
  return { how, values, names: values.map((value) => (names ? names[value] : value)) };
}

function restyle() {
  const told = levels(), wanted = by("network").value, looks = new Uint8Array(4 * current.n);
  const places = told && new Map(told.values.map((value, place) => [value, styleOf(place)]));
  const longest = Math.max(1, ...runNumbers.map((run) => about.runs[run].steps - 1));
  for (let i = 0; i < current.n; i++) {
    const run = about.runs[current.run[i]], own = told ? places.get(run[told.how]) : { colour: 8, mark: 0 };
    const isShown = (wanted === "" || run.network === Number(wanted)) && (!found || found[i]);
    looks.set([own.colour, own.mark, isShown ? 1 : 0, 0], 4 * i);
    if (!told) looks[4 * i + 3] = current.step[i] / longest * 255;
  }
  view.style(looks);
  showLegend(told);
}

function showLegend(told) {
  const entry = (mark, text) => {
    const item = document.createElement("li");
    if (mark) item.append(mark);
    item.append(text);
    return item;
  };
  const marked = (level) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 32;
    canvas.setAttribute("aria-hidden", "true");
    drawMark(canvas, level);
    return canvas;
  };
  const most = 24;
  const items = told ? told.names.slice(0, most).map((name, level) => entry(marked(level), name))
    : [entry(null, "dark: early, bright: late in the run")];
  if (told && told.names.length > most) items.push(entry(null, `and ${told.names.length - most} more, whose marks repeat`));
  by("legend").replaceChildren(...items);
}

function showPlaces() {
  const isMap = by("view").value === "map", share = (at) => `${(100 * current.shares[at]).toFixed(0)} % of the variance`;
  by("axes").textContent = isMap ? `Across: first component, ${share(0)}. Up: second, ${share(1)}.`
    : `Across: step. Up: cosine distance from the run's first state, to ${current.farthest}.`;
  if (isMap) { view.show(current.places, true); return; }
  const places = new Uint16Array(2 * current.n), longest = Math.max(1, current.step.reduce((a, b) => Math.max(a, b), 0));
  for (let i = 0; i < current.n; i++) {
    places[2 * i] = current.step[i] / longest * 65535;
    places[2 * i + 1] = current.away[i];
  }
  view.show(places, false);
}

function chooseMap() {
  current = maps[Number(by("model").value)];
  search();
  showPlaces();
  restyle();
  for (const pane of Object.values(panes)) pane.useMap(current);
}

function search() {
  const wanted = by("search").value.trim().toLowerCase();
  found = wanted && texts ? new Uint8Array(current.n) : null;
  let count = 0;
  if (found) {
    for (let i = 0; i < current.n; i++) {
      const caption = captionAt(current.run[i], current.step[i]);
      if (caption && caption.text.toLowerCase().includes(wanted)) { found[i] = 1; count++; }
    }
  }
  by("matches").textContent = found ? `${count.toLocaleString("en")} states` : "";
}

function drawAbove(pen) {
  const css = getComputedStyle(document.documentElement), ink = css.getPropertyValue("--ink");
  for (const side of ["B", "A"]) if (panes[side]) drawPath(pen, panes[side], css.getPropertyValue(`--${side.toLowerCase()}`));
  if (hovered >= 0) ring(pen, ...view.toScreen(hovered), 8, ink);
}

function drawPath(pen, pane, colour) {
  const [first, end] = pane.span();
  if (first >= end) return;
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = pane.side === active ? 2 : 1.3;
  pen.setLineDash(pane.side === "A" ? [] : [6, 4]);
  pen.beginPath();
  for (let i = first; i < end; i++) pen.lineTo(...view.toScreen(i));
  pen.globalAlpha = 0.75;
  pen.stroke();
  pen.globalAlpha = 1;
  pen.setLineDash([]);
  const [x, y] = view.toScreen(pane.point());
  ring(pen, x, y, 9, colour);
  pen.font = "bold 14px system-ui, sans-serif";
  pen.fillText(pane.side, x + 11, y - 9);
}

function ring(pen, x, y, radius, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.stroke();
}

function hover(x, y) {
  const point = view.nearest(x, y), tip = by("tip");
  if (point !== hovered) {
    hovered = point;
    view.redraw();
    tip.hidden = point < 0;
    if (point >= 0) showTip(tip, point);
  }
  if (point < 0) return;
  const left = x + 16 + tip.offsetWidth > view.stage.clientWidth ? x - 16 - tip.offsetWidth : x + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 16, view.stage.clientHeight - tip.offsetHeight - 4))}px`;
}

function showTip(tip, point) {
  const run = current.run[point], step = current.step[point], caption = captionAt(run, step);
  const canvas = tip.querySelector("canvas");
  const shown = drawPicture(canvas, run, step, () => { if (hovered === point) drawPicture(canvas, run, step, () => {}); });
  canvas.hidden = shown === null;
  tip.querySelector(".who").textContent = `step ${step} · ${nameOf(run)}`;
  tip.querySelector(".said").textContent = caption ? caption.text : "";
}

function listen() {
  const overlay = by("overlay"), pointers = new Map();
  let moved = 0, spread = 0;
  const at = (event) => [event.offsetX, event.offsetY];
  overlay.addEventListener("pointerdown", (event) => {
    overlay.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    moved = spread = 0;
  });
  overlay.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId), now = at(event);
    if (!before) { hover(...now); return; }
    pointers.set(event.pointerId, now);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    if (pointers.size === 2) {
      const [p, q] = [...pointers.values()], width = Math.hypot(p[0] - q[0], p[1] - q[1]);
      if (spread) view.zoomBy(width / spread, (p[0] + q[0]) / 2, (p[1] + q[1]) / 2);
      spread = width;
    } else if (moved > 4) view.move(dx, dy);
  });
  const lift = (event) => {
    const wasHeld = pointers.delete(event.pointerId);
    if (!wasHeld || moved > 4 || event.type !== "pointerup") return;
    const point = view.nearest(...at(event), event.pointerType === "touch" ? 26 : 14);
    const side = event.shiftKey ? (active === "A" ? "B" : "A") : active;
    if (point >= 0) panes[side].goToPoint(point);
  };
  overlay.addEventListener("pointerup", lift);
  overlay.addEventListener("pointercancel", lift);
  overlay.addEventListener("pointerleave", () => { by("tip").hidden = true; hovered = -1; view.redraw(); });
  overlay.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...at(event));
  }, { passive: false });
  overlay.addEventListener("keydown", press);
  by("zoom-in").addEventListener("click", () => view.zoomBy(1.5));
  by("zoom-out").addEventListener("click", () => view.zoomBy(1 / 1.5));
  by("zoom-all").addEventListener("click", () => view.showAll());
  by("model").addEventListener("change", chooseMap);
  by("view").addEventListener("change", showPlaces);
  by("colouring").addEventListener("change", restyle);
  by("network").addEventListener("change", restyle);
  by("controls").addEventListener("submit", (event) => event.preventDefault());
  let typing = 0;
  by("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => { search(); restyle(); }, 150);
  });
}

function press(event) {
  const pane = panes[active], far = 60;
  const shifted = { ArrowLeft: () => view.move(far, 0), ArrowRight: () => view.move(-far, 0),
    ArrowUp: () => view.move(0, far), ArrowDown: () => view.move(0, -far) };
  const plain = { ArrowLeft: () => pane.goTo(pane.place - 1), ArrowRight: () => pane.goTo(pane.place + 1),
    ArrowUp: () => pane.goToRun(-1), ArrowDown: () => pane.goToRun(1), Home: () => pane.goTo(0),
    End: () => pane.goTo(pane.last()), " ": () => pane.play(), a: () => activate("A"), b: () => activate("B"),
    "+": () => view.zoomBy(1.5), "=": () => view.zoomBy(1.5), "-": () => view.zoomBy(1 / 1.5), 0: () => view.showAll() };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = (event.shiftKey && shifted[event.key]) || plain[event.key] || plain[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
}

function addOptions(select, names) {
  select.append(...names.map((name, value) => new Option(name, String(value))));
}

async function start() {
  addOptions(by("model"), about.maps.map((map) => map.model));
  addOptions(by("network"), about.networks);
  maps = unpackMaps(await inflated("packed"));
  current = maps[0];
  view.above = drawAbove;
  for (const side of "AB") {
    panes[side] = new Pane(side, changed);
    panes[side].part("pick").addEventListener("click", () => activate(side));
    panes[side].root.addEventListener("focusin", () => activate(side));
  }
  view.resize();
  chooseMap();
  panes.B.goToRun(1);
  activate("A");
  listen();
  by("loading").hidden = true;
  document.documentElement.dataset.drawn = performance.now().toFixed(0);
  unpackTexts(await inflated("texts"));
  for (const pane of Object.values(panes)) pane.show();
  search();
  restyle();
  document.documentElement.dataset.ready = performance.now().toFixed(0);
}

start().catch((error) => {
  by("loading").hidden = false;
  by("loading").textContent = `This browser could not show the map: ${error.message}`;
  console.error(error);
});
