"use strict";
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, at) => {
    const cell = row.cells[at];
    const number = cell.dataset.n;
    return number === undefined ? cell.textContent : Number(number);
  };
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const way = button.dataset.way === "1" ? -1 : 1;
      for (const other of table.querySelectorAll("th button")) delete other.dataset.way;
      button.dataset.way = way;
      const rows = [...body.rows].map((row, place) => [key(row, at), place, row]);
      rows.sort(([a, i], [b, j]) => (a < b ? -way : a > b ? way : i - j));
      body.replaceChildren(...rows.map(([, , row]) => row));
    });
  });
}
