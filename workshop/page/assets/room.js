// The room's two pages: one stream of states, drawn as they come. What learners typed is set as text, never as markup.
"use strict";

const at = document.querySelector(".bar").dataset.at;
const LONG_SECONDS = 10 * 60; // at one task: worth a visit
const TICK_MS = 5000; // how often minutes are counted on between two states
const drawn = new Map(); // of each learner, or lab: its element, and what it was drawn from
let state = null;
let heard = 0; // when the state came, by this page's own clock

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function now() {
  return state.now + (performance.now() - heard) / 1000; // the room's clock, whatever this machine's says
}

function spoken(seconds) {
  const minutes = Math.floor(Math.max(0, seconds) / 60);
  if (minutes < 1) return "under a minute";
  if (minutes < 120) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function isThrough(learner) {
  return learner.verdict === "PASS";
}

function isSilent(learner) {
  return now() - learner.seen > state.silent;
}

function draw() {
  if (state === null) return;
  document.getElementById("trouble").textContent = state.trouble;
  document.getElementById("nobody").hidden = state.learners.length > 0;
  drawStatus();
  if (document.getElementById("learners")) drawLearners();
  else drawLabs();
}

function drawStatus() {
  const silent = state.learners.filter(isSilent).length;
  const count = state.learners.length;
  const status = document.getElementById("status");
  status.className = "";
  const text = `${count} ${count === 1 ? "learner" : "learners"}${silent ? `, ${silent} silent` : ""}`;
  if (status.textContent !== text) status.textContent = text;
}

// Children in this order, each made or moved only where it must be: a reader keeps place, selection and focus.
function arrange(parent, items, keyOf, make) {
  const keys = new Set(items.map(keyOf));
  for (const [key, known] of drawn) {
    if (keys.has(key)) continue;
    known.node.remove();
    drawn.delete(key);
  }
  items.forEach((item, index) => {
    const key = keyOf(item);
    const { node, from } = make(item);
    const known = drawn.get(key);
    if (known && known.from === from) {
      if (parent.children[index] !== known.node) parent.insertBefore(known.node, parent.children[index] ?? null);
      return;
    }
    const place = known ? known.node : null;
    if (place && parent.children[index] === place) place.replaceWith(node);
    else {
      if (place) place.remove();
      parent.insertBefore(node, parent.children[index] ?? null);
    }
    drawn.set(key, { node, from });
  });
}

// --- the host's page

function rank(learner) {
  return isThrough(learner) ? 2 : isSilent(learner) ? 1 : 0;
}

function drawLearners() {
  const sorted = [...state.learners].sort((a, b) => rank(a) - rank(b) || a.since - b.since || a.learner - b.learner);
  const table = document.getElementById("learners");
  table.hidden = sorted.length === 0;
  arrange(table.tBodies[0], sorted, (learner) => learner.learner, rowOf);
}

function rowOf(learner) {
  const silent = isSilent(learner);
  const through = isThrough(learner);
  const atTask = now() - learner.since;
  const cells = [
    ["last report", silent ? `silent for ${spoken(now() - learner.seen)}` : "now", "silence"],
    ["in this lab", `${learner.minutes} min`, ""],
    ["hints", learner.hint ? `${learner.hint} of ${state.hints}` : "none", ""],
    ["for", through ? "" : spoken(atTask), "for"],
  ];
  const kind = [through ? "through" : "", silent ? "quiet" : "", !through && !silent && atTask > LONG_SECONDS ? "long" : ""];
  const from = JSON.stringify([kind, cells, learner.name, learner.number, learner.lab, learner.task, learner.check, learner.verdict, learner.through]);
  const known = drawn.get(learner.learner);
  if (known && known.from === from) return known;
  const row = element("tr", { className: kind.filter(Boolean).join(" ") });
  const name = element("th", { scope: "row" }, element("span", { className: "person", dir: "auto" }, learner.name));
  if (learner.number !== null) name.append(element("span", { className: "word" }, `no. ${learner.number}`));
  row.append(name, whereOf(learner));
  for (const [label, text, className] of cells.reverse()) {
    const cell = element("td", { className }, text);
    cell.dataset.label = label;
    row.append(cell);
  }
  return { node: row, from };
}

function whereOf(learner) {
  const cell = element("td", { className: "where" });
  cell.dataset.label = "where";
  const lab = `lab ${learner.lab}${learner.lab_title ? ` · ${learner.lab_title}` : ""}`;
  if (isThrough(learner)) {
    cell.append(element("strong", {}, "✓ through"), ` ${lab}`);
    return cell;
  }
  cell.append(element("strong", {}, `task ${learner.task}`), `${learner.task_title ? ` · ${learner.task_title}` : ""} `, element("span", { className: "soft" }, lab));
  if (learner.task <= learner.through) cell.append(element("span", { className: "word" }, `was at task ${Math.min(learner.through + 1, learner.tasks)}`));
  const check = learner.check ? learner.check_title : "not judged yet";
  const line = element("div", { className: "check-line" }, check);
  if (learner.verdict && learner.verdict !== "FAIL") line.append(element("span", { className: "word" }, learner.verdict));
  cell.append(line);
  return cell;
}

// --- the projector's

function drawLabs() {
  const sorted = [...state.labs].sort((a, b) => a.number - b.number);
  arrange(document.getElementById("labs"), sorted, (lab) => lab.number, labOf);
}

function labOf(lab) {
  const from = JSON.stringify([lab.learners, lab.tasks]);
  const known = drawn.get(lab.number);
  if (known && known.from === from) return known;
  const head = element("h2", { id: `lab-${lab.number}` }, `Lab ${lab.number} · ${lab.title}`);
  const list = element("ol", { className: "through-list" });
  for (const task of lab.tasks) {
    const bar = element("progress", { max: lab.learners, value: task.through });
    bar.setAttribute("aria-hidden", "true"); // the numbers beside it say the same
    const title = element("span", { className: "task-title" }, `Task ${task.number} · ${task.title}`);
    list.append(element("li", {}, title, bar, element("span", { className: "count" }, `${task.through} of ${lab.learners}`)));
  }
  const section = element("section", {}, head, list);
  section.setAttribute("aria-labelledby", head.id);
  return { node: section, from };
}

// --- the stream

function listen() {
  const source = new EventSource(`${at}/events`);
  source.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    heard = performance.now();
    draw();
  });
  source.addEventListener("error", () => {
    const status = document.getElementById("status");
    status.className = "lost";
    status.textContent = "no connection: is make room running? Trying again …";
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    source.close();
    setTimeout(listen, 1000);
  });
}

setInterval(() => {
  if (document.getElementById("status").className !== "lost") draw();
}, TICK_MS);
listen();
