
for (const time of document.querySelectorAll("time[data-unix]")) {
  time.textContent = new Date(1000 * Number(time.dataset.unix)).toISOString().replace(".000", "");
}
for (const head of document.querySelectorAll("th")) {
  head.title = "sort";
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const text = (row) => row.cells[head.cellIndex].textContent;
    const down = (head.dataset.down = head.dataset.down === "1" ? "0" : "1") === "1";
    const compare = (a, b) => {
      const difference = Number.parseFloat(text(a)) - Number.parseFloat(text(b));
      return Number.isNaN(difference) ? text(a).localeCompare(text(b)) : difference;
    };
    const rows = [...body.rows].sort(compare);
    body.append(...(down ? rows : rows.reverse()));
  });
}
