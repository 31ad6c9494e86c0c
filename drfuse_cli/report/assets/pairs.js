// The list of pairs, and the open one's pictures and scores.
const list = byId("list"), order = byId("order"), search = byId("search");
const metricChoice = byId("metric"), methodChoice = byId("method");
const leftChoice = byId("left"), rightChoice = byId("right");
const current = { pair: null, pictures: null, shown: [] }; // shown: the listed pairs, in order

const chosen = () => [Number(metricChoice.value || 0), Number(methodChoice.value || 0)];
const valueOf = (pair) => {
  const [metric, method] = chosen();
  return data.metrics.length && data.methods.length ? scoreOf(metric, method, pair) : null;
};

// ---- list ----

function listPairs() {
  const [metric] = chosen();
  const wanted = search.value.trim().toLowerCase();
  const pairs = data.pairs.map((_, pair) => pair)
    .filter((pair) => data.pairs[pair].toLowerCase().includes(wanted));
  const values = new Map(pairs.map((pair) => [pair, valueOf(pair)]));
  const sign = { worst: 1, best: -1 }[order.value];
  if (sign)
    pairs.sort((a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return sign * (goodness(metric, x) - goodness(metric, y)) || a - b;
    });
  current.shown = pairs;
  list.replaceChildren(...pairs.map((pair) =>
    make("li", { role: "option", id: `pair-${pair}`, "aria-selected": pair === current.pair },
      make("span", { title: data.pairs[pair] }, data.pairs[pair]),
      make("span", {}, values.get(pair) === null ? DASH : figure(metric, values.get(pair))))));
  byId("found").textContent = wanted
    ? `${pairs.length} of ${data.pairs.length} pairs` : `${data.pairs.length} pairs`;
  list.scrollTop = 0;
  markList();
}

function markList() {
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  const item = byId(`pair-${current.pair}`);
  item?.setAttribute("aria-selected", "true");
  if (item) list.setAttribute("aria-activedescendant", item.id);
  else list.removeAttribute("aria-activedescendant");
  const place = current.shown.indexOf(current.pair);
  byId("pair-place").textContent = place < 0 ? "" : `${place + 1} of ${current.shown.length}`;
  byId("previous").disabled = place === 0 || !current.shown.length;
  byId("next").disabled = place === current.shown.length - 1;
}

/** Scroll the list, and not the page as scrollIntoView would, to the open pair. */
function revealItem() {
  const item = byId(`pair-${current.pair}`);
  if (!item) return;
  const { offsetTop: top, offsetHeight: height } = item;
  if (top < list.scrollTop || top + height > list.scrollTop + list.clientHeight)
    list.scrollTop = top - (list.clientHeight - height) / 2;
}

/** Open the pair so many places further in the list; from outside the list, its first. */
function step(by) {
  const place = current.shown.indexOf(current.pair);
  const last = current.shown.length - 1;
  const next = current.shown[place < 0 ? 0 : Math.min(last, Math.max(0, place + by))];
  if (next !== undefined && next !== current.pair) openPair(next);
}

list.addEventListener("click", ({ target }) => {
  const item = target.closest("li");
  if (item) openPair(Number(item.id.slice("pair-".length)));
});
list.addEventListener("keydown", (event) => {
  const by = {
    ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity,
  }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  step(by);
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) return;
  if (event.key === "n") step(1);
  if (event.key === "p") step(-1);
});
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
order.addEventListener("change", listPairs);
search.addEventListener("input", listPairs);

// ---- pictures ----

/** The pair's embedded pictures, or null where they lie in files. */
function embedded(pair) {
  const block = byId(`pictures-${pair}`);
  return block && JSON.parse(block.textContent);
}

function address(column) {
  const inside = current.pictures?.[column];
  if (inside) return `data:image/webp;base64,${inside}`;
  return current.pictures ? null : data.files[current.pair][column];
}

/** Show the open pair's picture of a column in a frame or layer, or say why there is none. */
function fill(holder, column) {
  const img = holder.querySelector("img"), empty = holder.querySelector(".empty");
  const missing = data.files[current.pair][column] === null ? "no picture"
    : current.pictures ? "the picture cannot be read" : "the file is not beside this page";
  const fail = () => {
    img.hidden = true;
    img.removeAttribute("src");
    empty.textContent = missing;
  };
  const source = address(column);
  img.alt = data.columns[column].label;
  img.hidden = false;
  empty.textContent = "";
  img.onerror = fail;
  img.onload = () => { fitFrame(img, column); sharpen(img); };
  if (source) img.src = source;
  else fail();
}

/** Give the frames the shape of the pictures; of a degraded one only where it is all there is. */
function fitFrame(img, column) {
  if (data.frames[current.pair] || column !== Number(rightChoice.value)) return;
  setRatio(img.naturalWidth, img.naturalHeight);
}

const setRatio = (width, height) => viewer.style.setProperty("--ratio", width / height);

function fillStage() {
  const [left, right] = [Number(leftChoice.value), Number(rightChoice.value)];
  const [lower, upper] = compare.querySelectorAll(".layer");
  fill(lower, right);
  fill(upper, left);
  byId("tag-left").textContent = data.columns[left].label;
  byId("tag-right").textContent = data.columns[right].label;
  compare.setAttribute("aria-label",
    `${data.columns[left].label} and ${data.columns[right].label}; arrow keys move, + and - zoom`);
  setCut(cut);
  for (const [column, pane] of panes.entries()) {
    pane.querySelector(".to-left").setAttribute("aria-pressed", column === left);
    pane.querySelector(".to-right").setAttribute("aria-pressed", column === right);
  }
}

function makePane({ label, method }, column) {
  const frame = make("div", { class: "frame", role: "group",
    "aria-label": `${label}; arrow keys move, + and - zoom` },
    make("img", { alt: "", draggable: "false" }), make("p", { class: "empty" }));
  linkFrame(frame);
  const put = (choice, side) => {
    const button = make("button", { type: "button", class: `to-${side}`,
      "aria-label": `${label} to the ${side} of the divider` }, side === "left" ? "◧" : "◨");
    button.addEventListener("click", () => { choice.value = column; fillStage(); });
    return button;
  };
  const file = make("a", { class: "file", "aria-label": `Open the file of ${label}`,
    target: "_blank", rel: "noopener" }, "↗");
  return make("figure", { class: "pane" }, frame,
    make("figcaption", {},
      make("span", { class: "name", title: label }, label),
      make("span", { class: "value" }),
      make("span", { class: "actions" },
        file, put(leftChoice, "left"), put(rightChoice, "right"))));
}

function fillPanes() {
  const [metric] = chosen();
  const values = data.methods.map((_, method) => scoreOf(metric, method, current.pair));
  const ranked = marks(metric, values);
  for (const [column, pane] of panes.entries()) {
    const { method } = data.columns[column];
    fill(pane, column);
    const file = data.files[current.pair][column];
    const link = pane.querySelector(".file");
    link.hidden = file === null;
    if (file !== null) link.setAttribute("href", file);
    const value = pane.querySelector(".value");
    value.textContent = method === null
      ? "" : `${data.metrics[metric].id} ${figure(metric, values[method])}`;
    value.className = `value ${method === null ? "" : ranked[method]}`;
  }
}

// ---- scores ----

function fillScores() {
  const head = make("tr", {}, make("th", { scope: "col" }, "Method"),
    ...data.metrics.map(({ id, arrow, title }) =>
      make("th", { scope: "col", title }, `${id} ${arrow}`)));
  const ranked = data.metrics.map((_, metric) =>
    marks(metric, data.methods.map((_, method) => scoreOf(metric, method, current.pair))));
  const rows = data.methods.map((name, method) =>
    make("tr", {}, make("th", { scope: "row", title: name }, name),
      ...data.metrics.map((_, metric) => scoreCell(metric, method, ranked[metric][method]))));
  byId("pair-table").replaceChildren(
    make("thead", {}, head), make("tbody", {}, ...rows));
  const missing = data.methods.flatMap((name, method) =>
    data.metrics.map(({ id }, metric) => [`${name}, ${id}: `, reasonOf(metric, method, current.pair)]));
  byId("pair-missing").replaceChildren(...missing
    .filter(([, reason]) => reason)
    .map((words) => make("li", {}, words.join(""))));
}

function scoreCell(metric, method, mark) {
  const value = scoreOf(metric, method, current.pair);
  if (value === null)
    return make("td", { title: reasonOf(metric, method, current.pair) ?? "not scored" },
      make("span", { class: "none" }, DASH));
  const tag = { best: "b", second: "u" }[mark] ?? "span";
  return make("td", {}, make(tag, {}, figure(metric, value)));
}

// ---- the open pair ----

function openPair(pair) {
  current.pair = pair;
  current.pictures = embedded(pair);
  if (data.frames[pair]) setRatio(...data.frames[pair]);
  byId("pair-name").textContent = data.pairs[pair];
  setView(1, 0, 0);
  if (data.columns.length) {
    fillStage();
    fillPanes();
  }
  fillScores();
  markList();
  revealItem();
  markPlots(pair);
}

/** Open a pair from elsewhere on the page, the list ordered by a metric of a method. */
function showPair(pair, { metric, method }) {
  metricChoice.value = metric;
  methodChoice.value = method;
  if (!data.pairs[pair].toLowerCase().includes(search.value.trim().toLowerCase()))
    search.value = "";
  current.pair = pair;
  listPairs();
  openPair(pair);
  byId("pairs").scrollIntoView();
}

function options(choice, labels, value) {
  choice.append(...labels.map((label, index) => make("option", { value: index }, label)));
  if (labels.length) choice.value = value;
}

options(metricChoice, data.metrics.map(({ id, arrow }) => `${id} ${arrow}`), data.start);
options(methodChoice, data.methods, 0);
const labels = data.columns.map(({ label }) => label);
const firstMethod = Math.max(0, data.columns.findIndex(({ method }) => method === 0));
options(leftChoice, labels, firstMethod > 0 ? firstMethod - 1 : labels.length - 1);
options(rightChoice, labels, firstMethod);
const panes = data.columns.map(makePane);
byId("inputs").append(...panes.filter((_, column) => data.columns[column].method === null));
byId("results").append(...panes.filter((_, column) => data.columns[column].method !== null));
stage.hidden = !data.columns.length;

for (const choice of [metricChoice, methodChoice])
  choice.addEventListener("change", () => {
    listPairs();
    if (choice === metricChoice && current.pair !== null && data.columns.length) fillPanes();
  });
for (const choice of [leftChoice, rightChoice]) choice.addEventListener("change", fillStage);
byId("swap").addEventListener("click", () => {
  [leftChoice.value, rightChoice.value] = [rightChoice.value, leftChoice.value];
  fillStage();
});

listPairs();
// The blocks of pictures stand below this script.
addEventListener("DOMContentLoaded", () => {
  if (current.pair === null && current.shown.length) openPair(current.shown[0]);
});
