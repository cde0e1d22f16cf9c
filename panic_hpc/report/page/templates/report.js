"use strict";
// Tables can be sorted by their headers and, where they are long, filtered; all else needs no script.
(() => {
  const numberOf = (cell) => {
    const text = cell.textContent.trim().replace(/,/g, "");
    return text === "" ? NaN : Number(text);
  };

  const compare = (isNumber, sign) => (a, b) => {
    if (!isNumber) return sign * a.cell.textContent.localeCompare(b.cell.textContent);
    const [x, y] = [numberOf(a.cell), numberOf(b.cell)];
    // What is no number comes last, whatever the direction.
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };

  const sort = (header) => {
    const table = header.closest("table");
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, cell: row.cells[header.cellIndex] }));
    rows.sort(compare(header.classList.contains("num"), descending ? -1 : 1));
    table.tBodies[0].append(...rows.map((one) => one.row));
  };

  const addFilter = (details) => {
    const rows = [...details.querySelectorAll("tbody tr")];
    if (rows.length < 12) return;
    const input = document.createElement("input");
    input.type = "search";
    input.className = "filter";
    input.placeholder = "Filter rows";
    input.setAttribute("aria-label", "Filter the rows of this table");
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    details.querySelector(".links").prepend(input);
  };

  for (const button of document.querySelectorAll("button.sort")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }
  for (const details of document.querySelectorAll("details.table")) addFilter(details);
  // A link to a table that is folded away must open it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (const details of target ? target.querySelectorAll("details.table") : []) details.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
