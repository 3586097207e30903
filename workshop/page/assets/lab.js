// The lab page: one stream of states, drawn as they come. What was said by programs is set as text, never as markup.
"use strict";

const bar = document.querySelector(".bar");
const at = bar.dataset.at;
const SIGNS = { PASS: "✓", SKIPPED: "·", "": "·" };
const drawn = new Map(); // of each check: its element, and what it was drawn from
let tasksDrawn = "";
let loadDrawn = "";

function isFailed(check) {
  return check.verdict !== "" && check.verdict !== "PASS" && check.verdict !== "SKIPPED";
}

function draw(state) {
  if (String(state.lab) !== bar.dataset.lab) return location.reload(); // another lab is watched now
  drawStatus(state);
  drawTasks(state);
  drawYours(state);
  const load = JSON.stringify(state.load);
  if (state.load && load !== loadDrawn) drawLoad(document.getElementById("curves"), state.load);
  loadDrawn = load;
}

function drawStatus(state) {
  const status = document.getElementById("status");
  const { judging, saved, whole } = state.status;
  const checks = state.tasks.flatMap((task) => task.checks);
  const passed = checks.filter((check) => check.verdict === "PASS").length;
  status.className = judging ? "judging" : "";
  const known = `${passed} of ${checks.length} checks pass${whole ? "" : ", as far as is known: the last run gave no whole verdict"}`;
  status.textContent = judging ? `judging${saved ? ` ${saved}` : ""} …` : known;
  document.getElementById("points").textContent = `${state.points} of ${state.of} points`;
  document.title = `${state.points}/${state.of} · ${document.title.replace(/^\d+\/\d+ · /, "")}`;
}

function drawTasks(state) {
  const list = document.getElementById("list");
  const shape = JSON.stringify(state.tasks.map((task) => [task.title, task.checks.map((check) => check.name)]));
  if (shape !== tasksDrawn) {
    tasksDrawn = shape;
    drawn.clear();
    list.replaceChildren(...state.tasks.map(taskOf));
  }
  const checks = state.tasks.flatMap((task) => task.checks);
  const first = checks.find(isFailed);
  for (const check of checks) drawCheck(check, check === first);
}

function taskOf(task) {
  const items = task.checks.map((check) => {
    const item = element("li", { className: "check" });
    drawn.set(check.name, { item, from: "" });
    return item;
  });
  const heading = element("h3", {}, `Task ${task.number} · ${task.title}`);
  return element("section", {}, heading, element("ul", { className: "checks" }, ...items));
}

function drawCheck(check, isFirst) {
  const known = drawn.get(check.name);
  const { due, ...rest } = check;
  known.item.classList.toggle("due", due);
  const from = JSON.stringify(rest);
  if (from === known.from) return;
  const before = [...known.item.querySelectorAll("details")];
  const wasOpen = before.length ? before[0].open : isFirst;
  const opened = new Set(before.filter((one) => one.open).map((one) => one.querySelector("summary").textContent));
  const hadFocus = known.item.contains(document.activeElement);
  known.from = from;
  known.item.className = `check ${isFailed(check) ? "failed" : check.verdict || "unknown"}${due ? " due" : ""}`;
  if (!isFailed(check)) {
    known.item.replaceChildren(headline(check, "div"));
    return;
  }
  const details = element("details", { open: wasOpen }, headline(check, "summary"), findingOf(check), ...hintsOf(check));
  if (check.timeline !== null) details.append(timelineOf(check));
  for (const one of details.querySelectorAll("details")) one.open = opened.has(one.querySelector("summary").textContent);
  known.item.replaceChildren(details);
  if (hadFocus) details.querySelector("summary").focus();
}

function wordOf(check) {
  return { PASS: "", FAIL: "failed", "": "not judged yet", SKIPPED: "later" }[check.verdict] ?? check.verdict;
}

function headline(check, name) {
  const sign = element("span", { className: "sign" }, SIGNS[check.verdict] || "✗");
  sign.setAttribute("aria-hidden", "true");
  const title = element("span", { className: "title" }, check.title);
  const word = wordOf(check);
  if (word) title.append(element("span", { className: "word" }, word));
  return element(name, { className: "headline" }, sign, title, element("span", { className: "of" }, `${check.points}/${check.of}`));
}

function findingOf(check) {
  const finding = check.finding;
  const list = element("dl", { className: "finding" });
  const add = (label, content, kind = "") => {
    if (content) list.append(element("dt", {}, label), element("dd", { className: kind }, content));
  };
  add("sent", finding.sent, "mono");
  add("got", finding.got, "got mono");
  add("trace", finding.trace.join("\n"), "trace mono");
  add("expected", finding.expected, "expected mono");
  const rule = check.link ? element("a", { href: check.link, target: "_blank", rel: "noreferrer" }, finding.rule) : finding.rule;
  add("rule", rule);
  add("where", finding.where);
  add("again", finding.again.join("\n"), "mono");
  return list;
}

function hintsOf(check) {
  const template = check.hint && document.getElementById(check.hint);
  return template ? [template.content.cloneNode(true)] : [];
}

function timelineOf(check) {
  const details = element("details", {}, element("summary", {}, "What happened, on every hop"));
  details.addEventListener("toggle", async () => {
    if (!details.open || details.dataset.drawn) return;
    details.dataset.drawn = "yes";
    const answer = await fetch(`${at}/timelines/${check.name}`).catch(() => null);
    details.append(answer && answer.ok ? drawTimeline(await answer.json()) : element("p", {}, "It is not there any more: save once more."));
  });
  return details;
}

// The learner's own column beside the real servers.
function drawYours(state) {
  const checks = new Map(state.tasks.flatMap((task) => task.checks).map((check) => [check.name, check]));
  const cells = [...document.querySelectorAll(".compared [data-check]")];
  for (const cell of cells) {
    const check = checks.get(cell.dataset.check);
    if (check) drawOwnCell(cell, check);
  }
  const held = document.getElementById("held");
  if (held) held.textContent = cells.filter((cell) => checks.get(cell.dataset.check)?.verdict === "PASS").length;
}

function drawOwnCell(cell, check) {
  const sign = element("span", {}, SIGNS[check.verdict] || "✗");
  sign.setAttribute("aria-hidden", "true");
  cell.className = `yours ${isFailed(check) ? "differs" : check.verdict === "PASS" ? "holds" : "not-reached"}`;
  cell.classList.toggle("due", check.due);
  cell.replaceChildren(sign, element("span", { className: "spoken" }, wordOf(check) || "passes"));
}

// What a link leads to is folded away.
function unfold() {
  const place = document.getElementById(location.hash.slice(1));
  if (!place || place.localName !== "details") return;
  place.open = true;
  place.scrollIntoView();
  place.querySelector("summary").focus({ preventScroll: true });
}

function listen() {
  const source = new EventSource(`${at}/events`);
  source.addEventListener("state", (event) => draw(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    const status = document.getElementById("status");
    status.className = "lost";
    status.textContent = "no connection: is make lab running? Trying again …";
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    source.close(); // after a 502, say, it does not
    setTimeout(listen, 1000);
  });
}

addEventListener("hashchange", unfold);
unfold();
listen();
