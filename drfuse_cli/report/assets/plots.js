const AT_FIRST = 6;
const WIDTH = 1000, HEIGHT = 30;

const plots = []; // drawn ones: {metric, rows: [{points, ring}]}

/** The value below which a share of the sorted values lies, interpolated. */
function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

/** Where a pair's dot stands in its row: the same height for every method and metric. */
const height = (pair) => HEIGHT * (0.2 + 0.6 * ((pair * 0.618034 + 0.5) % 1));

const dots = (points) => points.map(({ x, y }) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");

function plot(metric) {
  const { id, title, arrow } = data.metrics[metric];
  const known = data.scores[metric].flat().filter((value) => value !== null);
  const reading = make("output");
  const card = make("figure", { class: "plot", "data-metric": id },
    make("figcaption", { title }, make("b", {}, `${id} ${arrow}`), " ", reading));
  if (!known.length) {
    card.append(make("p", { class: "hint" }, "No pair has a value."));
    return card;
  }
  let low = known.reduce((a, b) => Math.min(a, b));
  let high = known.reduce((a, b) => Math.max(a, b));
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const across = (value) => WIDTH * (0.02 + 0.96 * (value - low) / (high - low));
  const rows = data.methods.map((name, method) =>
    plotRow({ metric, method, name, across, reading, card }));
  plots.push({ metric, rows });
  const ticks = [low, (low + high) / 2, high].map((value) =>
    make("span", {}, figure(metric, value)));
  card.append(make("div", { class: "axis" }, ...ticks));
  return card;
}

function plotRow({ metric, method, name, across, reading, card }) {
  const points = data.scores[metric][method]
    .map((value, pair) => ({ pair, value, x: value === null ? 0 : across(value), y: height(pair) }))
    .filter(({ value }) => value !== null);
  const sorted = points.map(({ value }) => value).sort((a, b) => a - b);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
  const ring = make("path", { class: "ring" });
  const near = make("path", { class: "near" });
  if (sorted.length) {
    const [q1, median, q3] = [0.25, 0.5, 0.75].map((share) => across(quantile(sorted, share)));
    svg.append(
      make("rect", { class: "box", x: q1, y: 3, width: q3 - q1, height: HEIGHT - 6 }),
      make("path", { class: "dots", d: dots(points) }),
      make("line", { class: "median", x1: median, x2: median, y1: 3, y2: HEIGHT - 3 }),
      ring, near);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label",
      `${name}: median ${figure(metric, quantile(sorted, 0.5))}, ` +
      `from ${figure(metric, sorted[0])} to ${figure(metric, sorted.at(-1))}`);
  }

  let hovered = null;
  const hover = (event) => {
    hovered = nearest(points, svg.getBoundingClientRect(), event);
    near.setAttribute("d", hovered ? dots([hovered]) : "");
    svg.classList.toggle("clickable", hovered !== null);
    reading.textContent = hovered
      ? `${data.pairs[hovered.pair]}: ${figure(metric, hovered.value)}` : "";
  };
  svg.addEventListener("pointermove", hover);
  svg.addEventListener("pointerleave", () => hover({ clientX: NaN, clientY: NaN }));
  svg.addEventListener("click", (event) => {
    hover(event);
    if (hovered) showPair(hovered.pair, { metric, method });
  });
  card.append(make("div", { class: "row" }, make("span", { title: name }, name), svg));
  return { points, ring };
}

/** The point within a finger's reach of the pointer, or null. */
function nearest(points, box, { clientX, clientY }) {
  let found = null, least = 14;
  for (const point of points) {
    const distance = Math.hypot(
      box.left + point.x / WIDTH * box.width - clientX,
      box.top + point.y / HEIGHT * box.height - clientY);
    if (distance < least) [found, least] = [point, distance];
  }
  return found;
}

/** Put the ring of every plot around the open pair. */
function markPlots(pair) {
  for (const { rows } of plots)
    for (const { points, ring } of rows)
      ring.setAttribute("d", dots(points.filter((point) => point.pair === pair)));
}

const more = byId("more-plots");
const later = data.metrics.length - AT_FIRST;
byId("plots").append(...data.metrics.slice(0, AT_FIRST).map((_, metric) => plot(metric)));
if (later > 0) {
  more.textContent = later === 1 ? "Show one more metric" : `Show ${later} more metrics`;
  more.hidden = false;
}
more.addEventListener("click", () => {
  more.hidden = true;
  byId("plots").append(
    ...data.metrics.slice(AT_FIRST).map((_, metric) => plot(AT_FIRST + metric)));
  markPlots(current.pair);
});
