// A student's page: the timelines of the checks that failed, from the file beside it (window.timelines).
"use strict";

function lay(place, runs) {
  place.hidden = false;
  place.addEventListener("toggle", () => {
    if (place.childElementCount > 1) return;
    runs.forEach((timeline, index) => {
      if (runs.length > 1) place.append(element("h3", {}, index ? "Once more, alone" : "The first run"));
      place.append(drawTimeline(timeline));
    });
  });
}

function unfoldChosen() {
  const chosen = document.getElementById(location.hash.slice(1));
  const folded = chosen && chosen.querySelector("details");
  if (folded) folded.open = true;
}

addEventListener("DOMContentLoaded", () => {
  document.getElementById("no-timelines").hidden = Boolean(window.timelines);
  for (const place of document.querySelectorAll("[data-timeline]")) {
    const runs = window.timelines && window.timelines[place.dataset.timeline];
    if (runs) lay(place, runs);
  }
});
addEventListener("hashchange", unfoldChosen);
