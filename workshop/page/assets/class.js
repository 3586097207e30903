// The class's page: a search, and a filter. What can't be seen is hidden row by row; nothing is drawn anew.
"use strict";

const rows = [...document.querySelectorAll(".grid tbody tr")];
const search = document.getElementById("search");
const filter = document.getElementById("filter");
const ROW_HEADS = 2; // cells before the first check's: score and raw

function isShown(row, words, kind) {
  if (!words.every((word) => row.dataset.who.includes(word))) return false;
  if (kind === "") return true;
  if (kind === "flaky") return row.querySelector("[data-flaky]") !== null;
  const check = Number(kind);
  return check ? row.querySelectorAll("td")[ROW_HEADS + check - 1].className !== "PASS" : row.dataset.is === kind;
}

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !isShown(row, words, filter.value);
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("status").textContent =
    shown === rows.length ? `${rows.length} ${rows.length === 1 ? "student" : "students"}` : `${shown} of ${rows.length} students`;
}

document.querySelector(".controls").hidden = false;
for (const control of [search, filter]) control.addEventListener("input", show);
show(); // a browser may remember what was chosen
