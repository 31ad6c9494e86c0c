// Zoom and pan, one state for all frames, in shares of a frame's size; and the divider.
const MOST = 32, STEP = 1.5;
const view = { zoom: 1, x: 0, y: 0 };
const stage = byId("stage"), compare = byId("compare"), divider = byId("divider");
const viewer = byId("viewer");

function setView(zoom, x, y) {
  view.zoom = Math.min(MOST, Math.max(1, zoom));
  const inside = (shift) => Math.min(0, Math.max(1 - view.zoom, shift));
  [view.x, view.y] = view.zoom === 1 ? [0, 0] : [inside(x), inside(y)];
  viewer.style.setProperty("--zoom", view.zoom);
  viewer.style.setProperty("--x", `${100 * view.x}%`);
  viewer.style.setProperty("--y", `${100 * view.y}%`);
  viewer.classList.toggle("zoomed", view.zoom > 1);
  byId("zoom").textContent = `${Number(view.zoom.toFixed(view.zoom < 10 ? 1 : 0))}×`;
  viewer.querySelectorAll(".frame img").forEach(sharpen);
}

/** Square pixels once they are large enough to be looked at one by one. */
function sharpen(img) {
  const enlarged = view.zoom * img.clientWidth / (img.naturalWidth || Infinity);
  img.classList.toggle("pixels", view.zoom > 1 && enlarged >= 2);
}

/** Zoom by a factor, and move what stands at one point of the frame to another, or keep it. */
function zoomAt(factor, [u, v] = [0.5, 0.5], [s, t] = [u, v]) {
  const zoom = Math.min(MOST, Math.max(1, view.zoom * factor));
  const change = zoom / view.zoom;
  setView(zoom, s - (u - view.x) * change, t - (v - view.y) * change);
}

const share = (frame, { clientX, clientY }) => {
  const box = frame.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
};

// ---- divider ----

let cut = 50;

function setCut(percent) {
  cut = Math.min(100, Math.max(0, percent));
  stage.style.setProperty("--cut", `${cut}%`);
  const [left, right] = [byId("tag-left").textContent, byId("tag-right").textContent];
  divider.setAttribute("aria-valuenow", Math.round(cut));
  divider.setAttribute("aria-valuetext", `${Math.round(cut)} % ${left}, the rest ${right}`);
  divider.setAttribute("aria-label", `Divider between ${left} and ${right}`);
}

const cutTo = (event) => setCut(100 * share(compare, event)[0]);

divider.addEventListener("pointerdown", (event) => {
  divider.setPointerCapture(event.pointerId);
  cutTo(event);
});
divider.addEventListener("pointermove", (event) => {
  if (divider.hasPointerCapture(event.pointerId)) cutTo(event);
});
divider.addEventListener("keydown", (event) => {
  const step = event.shiftKey ? 10 : 2;
  const target = {
    ArrowLeft: cut - step, ArrowDown: cut - step, ArrowRight: cut + step, ArrowUp: cut + step,
    PageDown: cut - 10, PageUp: cut + 10, Home: 0, End: 100,
  }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  setCut(target);
});

// ---- frames ----

/** Let a frame answer to wheel, drag, pinch, double click and keys. */
function linkFrame(frame) {
  const fingers = new Map(); // pointer id -> its last event
  frame.tabIndex = 0;

  frame.addEventListener("wheel", (event) => {
    const asked = event.ctrlKey || event.metaKey;
    const active = asked || view.zoom > 1 || document.activeElement === frame;
    if (!active || (!asked && view.zoom === 1 && event.deltaY > 0)) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const pull = Math.max(-120, Math.min(120, event.deltaY * lines));
    zoomAt(Math.exp(-pull * (event.ctrlKey ? 0.006 : 0.003)), share(frame, event));
  }, { passive: false });

  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    fingers.set(event.pointerId, event);
    frame.setPointerCapture(event.pointerId);
    if (frame === compare && view.zoom === 1 && fingers.size === 1) cutTo(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    fingers.set(event.pointerId, event);
    const after = [...fingers.values()];
    if (after.length === 2) pinch(frame, before, after);
    else if (view.zoom > 1) zoomAt(1, share(frame, before[0]), share(frame, event));
    else if (frame === compare) cutTo(event);
  });
  for (const end of ["pointerup", "pointercancel"])
    frame.addEventListener(end, (event) => fingers.delete(event.pointerId));

  frame.addEventListener("dblclick", () => setView(1, 0, 0));
  frame.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const [dx, dy] = move[event.key] ?? [0, 0];
    if ((dx || dy) && view.zoom > 1) setView(view.zoom, view.x + 0.1 * dx, view.y + 0.1 * dy);
    else if (event.key === "+" || event.key === "=") zoomAt(STEP);
    else if (event.key === "-") zoomAt(1 / STEP);
    else if (event.key === "0") setView(1, 0, 0);
    else return;
    event.preventDefault();
  });
}

function pinch(frame, before, after) {
  const span = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  const middle = ([a, b]) => share(frame, {
    clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2,
  });
  zoomAt(span(after) / (span(before) || 1), middle(before), middle(after));
}

linkFrame(compare);
byId("zoom-in").addEventListener("click", () => zoomAt(STEP));
byId("zoom-out").addEventListener("click", () => zoomAt(1 / STEP));
byId("zoom-reset").addEventListener("click", () => setView(1, 0, 0));
addEventListener("resize", () => setView(view.zoom, view.x, view.y));
