/** Sort the rows by a column: the better values first, then, at the next click, the worse. */
function sortBy(head) {
  const row = head.parentElement;
  const { better } = head.dataset;
  const upwards = better !== "higher";
  const before = head.getAttribute("aria-sort");
  const order = (before ? before === "descending" : upwards) ? "ascending" : "descending";
  for (const other of row.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);

  const column = [...row.children].indexOf(head);
  const sign = order === "ascending" ? 1 : -1;
  const key = (line) => {
    const cell = line.children[column];
    if (better === "name") return cell.textContent;
    if (cell.dataset.value === undefined) return null;
    const value = Number(cell.dataset.value);
    return better === "zero" ? Math.abs(value) : value;
  };
  const body = byId("table").tBodies[0];
  const lines = [...body.rows].map((line) => [line, key(line)]);
  lines.sort(([, a], [, b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (better === "name" ? a.localeCompare(b) : a - b);
  });
  body.append(...lines.map(([line]) => line));
}

for (const head of byId("table").tHead.rows[0].children)
  head.firstElementChild.addEventListener("click", () => sortBy(head));
