// The curves of a load run, by uPlot; the same numbers stand in a table below. Every word is set as text.
"use strict";

const BLOCK_SECONDS = 0.5;
const STROKES = { yours: ["#c2410c", "#ff9b6a"], reference: ["#1d4ed8", "#8ab8ff"] };
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

function curvesOf(run, heightOf) {
  const starts = run.series.flatMap((one) => one.blocks.map((block) => block[0]));
  const first = Math.min(...starts);
  const times = [...new Set(starts)].sort((a, b) => a - b);
  const lines = run.series.map((one) => {
    const found = new Map(one.blocks.map((block) => [block[0], block]));
    return times.map((time) => {
      const block = found.get(time);
      return block && block[1] ? heightOf(block[1], block[2]) : null;
    });
  });
  return [times.map((time) => (time - first) * BLOCK_SECONDS), ...lines];
}

function seriesName(one) {
  return one.way ? `${one.side}, ${one.way}` : one.side;
}

const night = matchMedia("(prefers-color-scheme: dark)");

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

function drawCurve(place, run, title, heightOf) {
  const line = { stroke: () => colour("--line"), width: 1 };
  const axis = { stroke: () => colour("--soft"), grid: line, ticks: line };
  const series = run.series.map((one) => ({
    label: seriesName(one),
    stroke: () => (STROKES[one.side] || ["#555", "#aaa"])[night.matches ? 1 : 0],
    width: 2,
    dash: DASHES[run.ways.indexOf(one.way) % DASHES.length] || [],
    spanGaps: true,
    value: (_, value) => (value === null ? "-" : value.toFixed(1)),
  }));
  const seconds = { label: "second", value: (_, value) => (value === null ? "-" : value.toFixed(1)) };
  const options = {
    title, width: Math.max(260, place.clientWidth), height: 260, series: [seconds, ...series],
    axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} s`) }, axis],
    scales: { x: { time: false }, y: { range: (_, low, high) => [0, high * 1.1 || 1] } },
  };
  const chart = new uPlot(options, curvesOf(run, heightOf), place);
  night.addEventListener("change", () => chart.redraw());
  new ResizeObserver(() => chart.setSize({ width: Math.max(260, place.clientWidth), height: 260 })).observe(place);
}

function numbersTable(run) {
  const cells = (words, name) => words.map((word) => Object.assign(document.createElement(name), { textContent: word }));
  const row = (words, name) => { const made = document.createElement("tr"); made.append(...cells(words, name)); return made; };
  const table = Object.assign(document.createElement("table"), { className: "numbers" });
  table.append(row(["side", "requests", "failed", "mean"], "th"));
  for (const one of run.series) {
    const mean = one.requests ? `${(one.milliseconds / one.requests).toFixed(2)} ms` : "-";
    table.append(row([seriesName(one), one.requests, one.failed, mean], "td"));
  }
  return table;
}

function drawLoad(place, load) {
  const add = (name, properties) => place.appendChild(Object.assign(document.createElement(name), properties));
  place.replaceChildren();
  add("p", { className: `verdict ${load.verdict}`, textContent: [load.verdict, ...load.reasons.slice(0, 10)].join(" · ") });
  add("p", { textContent: `${load.users} visitors for ${load.seconds} s, yours (${load.target}) and the reference in turn, ${load.mode}.` });
  const run = load.runs[load.runs.length - 1];
  if (!run) return;
  drawCurve(add("div", { className: "curve" }), run, "Mean time of a request (ms)", (requests, ms) => ms / requests);
  drawCurve(add("div", { className: "curve" }), run, "Requests a second", (requests) => requests / BLOCK_SECONDS);
  place.append(numbersTable(run));
}
