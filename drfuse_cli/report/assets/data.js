"use strict";
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const DASH = "–";

/** An element with attributes, and children that are elements or plain text. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "line"].includes(tag);
  const made = svg
    ? document.createElementNS(byId("blank").namespaceURI, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const scoreOf = (metric, method, pair) => data.scores[metric][method][pair];
const reasonOf = (metric, method, pair) => data.reasons[`${metric}/${method}/${pair}`];
const figure = (metric, value) =>
  value === null ? DASH : value.toFixed(data.metrics[metric].decimals);

/** Larger is better, whatever the metric. */
function goodness(metric, value) {
  const { better } = data.metrics[metric];
  return better === "higher" ? value : better === "lower" ? -value : -Math.abs(value);
}

/** "best", "second" or "" for each of one pair's values; equal values share a mark. */
function marks(metric, values) {
  const merits = values.filter((value) => value !== null).map((value) => goodness(metric, value));
  const place = (merit) => merits.filter((other) => other > merit).length;
  return values.map((value) => value === null || values.length < 2
    ? "" : ["best", "second"][place(goodness(metric, value))] ?? "");
}

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
