"use strict";
// Finding rows without a server: of the runs in data/runs.js, or of the table that is there.
(function () {
  const LIMIT = 300;
  const query = document.getElementById("query");
  const status = document.getElementById("status");
  const count = document.getElementById("count");
  const body = document.getElementById("rows");
  const lines = document.getElementById("lines");

  function words() {
    return query.value.toLowerCase().split(/\s+/).filter(Boolean);
  }

  function cell(text, kind) {
    const made = document.createElement("td");
    if (kind) made.className = kind;
    made.textContent = text;
    return made;
  }

  function row(run) {
    const [name, scenario, started, took, state, good, accel, nightly, page] = run;
    const made = document.createElement("tr");
    const link = document.createElement("a");
    link.href = page;
    link.textContent = name;
    const first = document.createElement("td");
    first.append(link);
    const seconds = took < 60 ? `${took} s` : `${Math.floor(took / 60)}:${String(Math.round(took % 60)).padStart(2, "0")}`;
    made.append(first, cell(scenario), cell(started, "when"), cell(seconds, "number"), cell(state, "when"), cell(good, "number"),
      cell(accel), cell(nightly));
    return made;
  }

  function findRuns() {
    const wanted = words();
    const found = window.rows.filter((run) => (!status.value || run[4] === status.value) &&
      wanted.every((word) => run.some((part, place) => place < 8 && String(part).toLowerCase().includes(word))));
    body.replaceChildren(...found.slice(0, LIMIT).map(row));
    count.textContent = found.length > LIMIT ? `${found.length} runs, the newest ${LIMIT} shown` : `${found.length} runs`;
  }

  function findLines() {
    const wanted = words();
    let shown = 0;
    for (const line of lines.rows) {
      const text = line.textContent.toLowerCase();
      line.hidden = !((!status.value || line.dataset.status === status.value) && wanted.every((word) => text.includes(word)));
      shown += line.hidden ? 0 : 1;
    }
    count.textContent = `${shown} lines`;
  }

  const find = body ? findRuns : findLines;
  const start = new URLSearchParams(location.search);
  query.value = start.get("q") || "";
  status.value = start.get("status") || "";
  for (const each of [query, status]) each.addEventListener("input", find);
  find();
})();
