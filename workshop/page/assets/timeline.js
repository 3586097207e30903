// The picture of what happened: a table with a lane for each hop. Every word of it is set as text.
"use strict";

const LANES = ["client", "nginx", "server", "application"];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function span(seconds) {
  return seconds < 1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

function described(event) {
  const connection = event.connection ? `#${event.connection} ` : "";
  return connection + event.what + (event.size === null ? "" : ` (${event.size} bytes)`);
}

function drawTimeline(timeline) {
  const bytes = element("pre", { className: "bytes", tabIndex: 0, hidden: true });
  bytes.setAttribute("aria-live", "polite");
  bytes.setAttribute("aria-label", "What the chosen event carried");
  let chosen = null;
  const show = (button, event) => {
    if (chosen) chosen.setAttribute("aria-pressed", "false");
    chosen = button;
    button.setAttribute("aria-pressed", "true");
    bytes.hidden = false;
    bytes.textContent = `${event.lane}, ${span(event.at)}: ${described(event)}\n${event.data || "no bytes"}`;
  };
  const body = element("tbody");
  const waits = new Map(timeline.waits.map((wait) => [before(timeline.events, wait), wait]));
  timeline.events.forEach((event, index) => {
    if (timeline.left_out && index === Math.floor(timeline.events.length / 2))
      body.append(whole(`… ${timeline.left_out} events left out …`));
    body.append(row(event, show));
    const wait = waits.get(index);
    if (wait) body.append(whole(`nothing for ${span(wait.seconds)}, after ${wait.after}`));
  });
  const table = element("table", { className: "lanes" }, head(), body);
  const silent = Object.entries(timeline.silent).map(([lane, why]) => element("li", {}, `${lane}: ${why}`));
  const picture = element("div", { className: "picture" }, table, bytes);
  if (silent.length) picture.append(element("ul", { className: "silent" }, ...silent));
  return picture;
}

function before(events, wait) {
  let found = -1;
  events.forEach((event, index) => { if (event.at <= wait.start) found = index; });
  return found;
}

function head() {
  const cells = LANES.map((lane) => element("th", { scope: "col", className: lane }, lane));
  return element("thead", {}, element("tr", {}, element("th", { scope: "col", className: "at" }, "time"), ...cells));
}

function whole(text) {
  return element("tr", { className: "wait" }, element("td", { colSpan: LANES.length + 1 }, text));
}

function row(event, show) {
  const cells = LANES.map((lane) => {
    if (lane !== event.lane) return element("td");
    const button = element("button", { type: "button" }, element("span", { className: "lane" }, `${lane}: `), described(event));
    button.setAttribute("aria-pressed", "false");
    for (const what of ["mouseenter", "focus", "click"]) button.addEventListener(what, () => show(button, event));
    return element("td", { className: `has ${lane}` }, button);
  });
  return element("tr", { className: "event" }, element("td", { className: "at has" }, span(event.at)), ...cells);
}
