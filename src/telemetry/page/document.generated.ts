// Made of page.html, page.css and client/ by npm run generate: change it there.
export const SCRIPT_HASH = 'sha256-Qq4ioh6R+8lZGuQYg9tvU+z9BsToLdvMbUnvAKL7nd0=';
export const STYLE_HASH = 'sha256-y5+JGMRNVK+x7J6VwvGn1ZTfuXgpnKVuZ9dgx3q73HE=';
export const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>corax</title>
    <link
      rel="icon"
      href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M3 11 8 4l5 7' fill='none' stroke='%23888' stroke-width='1.5'/%3E%3Cpath d='M3 11h10' stroke='%232a8c6a' stroke-width='2'/%3E%3C/svg%3E"
    />
    <style>
/* Colour says one thing each: green goes direct, amber is on its way, red does not answer. Always with a shape or word. */
:root {
  color-scheme: light dark;
  --paper: #fbfaf8;
  --card: #fff;
  --ink: #1d1f22;
  --soft: #63676e;
  --faint: #a9adb3;
  --line: #e6e4df;
  --well: #1b7f5c;
  --trying: #9a6700;
  --bad: #c0362c;
  --bad-paper: #fdf1ef;
  --focus: #2f6fde;
  font:
    15px / 1.5 system-ui,
    -apple-system,
    "Segoe UI",
    Roboto,
    "Helvetica Neue",
    "Noto Sans",
    sans-serif;
  font-variant-numeric: tabular-nums;
}

@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141618;
    --card: #1b1e21;
    --ink: #e7e8ea;
    --soft: #9ba1a9;
    --faint: #5c636b;
    --line: #2b2f34;
    --well: #5bc79c;
    --trying: #e0ab4b;
    --bad: #f0827a;
    --bad-paper: #2a1c1c;
    --focus: #7fb0ff;
  }
}

* {
  box-sizing: border-box;
}

body {
  margin: 0 auto;
  padding: 40px 32px 64px;
  max-width: 1200px;
  background: var(--paper);
  color: var(--ink);
}

fieldset,
h1,
h2,
p,
dl,
dd,
ol,
ul {
  margin: 0;
  padding: 0;
}

h1 {
  font-size: 28px;
  font-weight: 600;
  letter-spacing: -0.015em;
  line-height: 1.2;
  overflow-wrap: anywhere;
}

h2 {
  font-size: 16px;
  font-weight: 600;
}

section {
  margin-top: 44px;
}

:focus-visible {
  outline: 2px solid var(--focus);
  outline-offset: 2px;
  border-radius: 4px;
}

#peers:focus {
  outline: none;
}

.hidden,
.shapes {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

.skip {
  position: absolute;
  left: -999px;
}

.skip:focus {
  left: 16px;
  top: 8px;
}

.quiet,
.soft {
  color: var(--soft);
}

header {
  display: flex;
  gap: 16px;
  justify-content: space-between;
  align-items: flex-start;
}

#place {
  color: var(--soft);
  margin-top: 2px;
}

.link {
  flex: none;
  display: flex;
  align-items: center;
  gap: 8px;
  margin-top: 6px;
  color: var(--soft);
  font-size: 14px;
}

.link::before {
  content: "";
  width: 9px;
  height: 9px;
  border-radius: 50%;
  border: 2px solid currentcolor;
}

.link[data-state="live"]::before {
  background: var(--well);
  border-color: var(--well);
}

.link[data-state="lost"] {
  color: var(--bad);
  font-weight: 600;
}

.link[data-state="lost"]::before {
  border-radius: 0;
  background: var(--bad);
}

.facts {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(210px, 1fr));
  gap: 20px 32px;
  margin-top: 32px;
  padding-top: 24px;
  border-top: 1px solid var(--line);
}

.facts dt,
th {
  color: var(--soft);
  font-size: 13px;
  font-weight: 400;
}

.facts dd {
  overflow-wrap: anywhere;
}

.facts small {
  display: block;
  font-size: 13px;
  color: var(--soft);
}

.bad {
  color: var(--bad);
}

#errors ul {
  list-style: none;
  margin-top: 12px;
  border-left: 3px solid var(--bad);
  background: var(--bad-paper);
  border-radius: 0 6px 6px 0;
}

#errors li {
  padding: 10px 16px;
  overflow-wrap: anywhere;
}

#errors li + li {
  border-top: 1px solid var(--line);
}

#errors b {
  font-weight: 600;
}

code,
#errors code {
  font:
    13px / 1.4 ui-monospace,
    "SF Mono",
    Menlo,
    Consolas,
    "DejaVu Sans Mono",
    monospace;
}

.bar {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 10px 20px;
  margin-bottom: 8px;
}

.groups {
  display: flex;
  flex-wrap: wrap;
  gap: 4px;
  flex: 1;
  border: 0;
}

button {
  font: inherit;
  color: inherit;
  background: none;
  border: 0;
  cursor: pointer;
}

.groups button {
  padding: 3px 11px;
  border-radius: 99px;
  color: var(--soft);
  font-size: 14px;
}

.groups button:hover {
  background: var(--line);
}

.groups button[aria-pressed="true"] {
  background: var(--ink);
  color: var(--paper);
}

.groups button b {
  font-weight: 600;
  margin-right: 3px;
}

.groups button[data-urgency="silent"]:not([aria-pressed="true"]) {
  color: var(--bad);
}

.filter input {
  font: inherit;
  font-size: 14px;
  width: 200px;
  padding: 5px 12px;
  color: inherit;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 8px;
}

table {
  width: 100%;
  border-collapse: collapse;
}

th {
  text-align: left;
  padding: 8px 16px 8px 0;
  border-bottom: 1px solid var(--line);
}

tbody tr:not(.detail) > td,
tbody th {
  vertical-align: top;
  padding: 12px 16px 12px 0;
  border-bottom: 1px solid var(--line);
}

tbody tr.open:not(.detail) > * {
  border-bottom-color: transparent;
}

tbody th {
  color: inherit;
  font-size: inherit;
  min-width: 190px;
}

.number {
  text-align: right;
  white-space: nowrap;
}

.name {
  display: block;
  padding: 0;
  font-weight: 600;
  text-align: left;
  overflow-wrap: anywhere;
}

.name:hover {
  text-decoration: underline;
  text-underline-offset: 3px;
}

.sub {
  display: block;
  font-size: 13px;
  font-weight: 400;
  color: var(--soft);
  overflow-wrap: anywhere;
}

.path {
  display: flex;
  align-items: center;
  gap: 9px;
  white-space: nowrap;
  font-weight: 600;
}

.path svg {
  width: 24px;
  height: 16px;
  flex: none;
  fill: currentcolor;
  stroke: currentcolor;
  stroke-width: 1.6;
}

.path svg path,
#path-direct path,
#path-relay path,
#path-punching path,
#path-none path {
  fill: none;
}

.path circle,
symbol circle {
  stroke: none;
}

.path + .sub {
  padding-left: 33px;
}

tr[data-path="direct"] .path {
  color: var(--well);
}

tr[data-path="punching"] .path {
  color: var(--trying);
}

tr[data-path="none"] .path,
tr[data-urgency="silent"] .path {
  color: var(--bad);
}

.plane {
  white-space: nowrap;
}

.plane .ms {
  display: inline-block;
  min-width: 82px;
}

.plane.carries .ms {
  font-weight: 600;
}

.plane.dead .ms {
  color: var(--bad);
  min-width: 0;
}

.plane.dead .spark {
  display: none;
}

.spark {
  width: 88px;
  height: 26px;
  vertical-align: middle;
  overflow: visible;
}

.spark path {
  fill: none;
  stroke: var(--faint);
  stroke-width: 1.25;
  stroke-linejoin: round;
  stroke-linecap: round;
  vector-effect: non-scaling-stroke;
}

.plane.carries .spark path {
  stroke: var(--ink);
  stroke-width: 1.75;
}

tr[data-path="direct"] .plane.carries .spark path {
  stroke: var(--well);
}

.why {
  min-width: 230px;
  overflow-wrap: anywhere;
}

.detail > td {
  padding: 0 0 20px;
  border-bottom: 1px solid var(--line);
}

.detail dl {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(250px, 1fr));
  gap: 16px 32px;
  padding: 14px 18px;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 8px;
  font-size: 14px;
}

.detail dt {
  font-size: 13px;
  color: var(--soft);
}

.detail dd {
  overflow-wrap: anywhere;
  white-space: pre-line;
}

#more {
  margin-top: 16px;
  padding: 6px 14px;
  border: 1px solid var(--line);
  border-radius: 8px;
  background: var(--card);
  font-size: 14px;
}

#empty {
  padding: 20px 0;
}

.changes {
  list-style: none;
  margin-top: 8px;
}

.changes li {
  display: grid;
  grid-template-columns: 76px minmax(110px, 190px) 180px 1fr;
  gap: 4px 16px;
  padding: 7px 0;
  border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere;
}

.changes time {
  color: var(--soft);
}

.changes b {
  font-weight: 600;
}

.to-direct {
  color: var(--well);
}

.to-punching {
  color: var(--trying);
}

footer {
  margin-top: 48px;
  color: var(--soft);
  font-size: 13px;
}

@media (max-width: 860px) {
  body {
    padding: 24px 18px 48px;
  }

  h1 {
    font-size: 24px;
  }

  .facts {
    grid-template-columns: 1fr 1fr;
    gap: 16px 20px;
    margin-top: 24px;
    padding-top: 18px;
  }

  .facts > :first-child {
    grid-column: 1 / -1;
  }

  section {
    margin-top: 34px;
  }

  .groups {
    order: 3;
    flex-basis: 100%;
    margin-left: -11px;
  }

  .filter {
    flex: 1;
  }

  .filter input {
    width: 100%;
    /* Below 16px phones zoom in on focus */
    font-size: 16px;
  }

  table,
  tbody,
  tbody th,
  tbody td {
    display: block;
    max-width: none;
  }

  thead {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
  }

  tbody tr:not(.detail) {
    display: grid;
    grid-template-columns: 1fr 1fr;
    gap: 8px 16px;
    padding: 16px 0;
    border-bottom: 1px solid var(--line);
  }

  tbody tr:not(.detail) > th,
  tbody tr:not(.detail) > td {
    padding: 0;
    border: 0;
    min-width: 0;
  }

  tbody tr.open {
    border-bottom: 0;
  }

  .detail {
    display: block;
  }

  .plane::before,
  .loss::before {
    content: attr(data-label);
    display: block;
    font-size: 13px;
    color: var(--soft);
  }

  .plane .ms {
    min-width: 76px;
  }

  .spark {
    width: 72px;
  }

  .loss {
    display: none;
  }

  .why {
    grid-column: 1 / -1;
  }

  .changes li {
    grid-template-columns: auto 1fr;
    padding: 12px 0;
  }

  .changes .move,
  .changes .reason {
    grid-column: 1 / -1;
  }

  .changes .reason {
    color: var(--soft);
  }
}

@media (max-width: 360px) {
  .spark {
    display: block;
    margin-top: 4px;
  }
}

@media (prefers-reduced-motion: no-preference) {
  .changed {
    animation: changed 2.4s ease-out;
  }

  @keyframes changed {
    from {
      background: color-mix(in srgb, var(--well) 16%, transparent);
    }
  }
}
</style>
  </head>
  <body>
    <a class="skip" href="#peers">Skip to the gateways</a>
    <svg class="shapes" aria-hidden="true" focusable="false">
      <symbol id="path-direct" viewBox="0 0 24 16">
        <path d="M3 11h18" />
        <circle cx="3" cy="11" r="2.5" />
        <circle cx="21" cy="11" r="2.5" />
      </symbol>
      <symbol id="path-relay" viewBox="0 0 24 16">
        <path d="M3 12 12 4l9 8" />
        <circle cx="3" cy="12" r="2.5" />
        <circle cx="12" cy="4" r="2.5" />
        <circle cx="21" cy="12" r="2.5" />
      </symbol>
      <symbol id="path-punching" viewBox="0 0 24 16">
        <path d="M3 12h18" stroke-dasharray="2 3" />
        <path d="M3 12 12 4l9 8" opacity="0.45" />
        <circle cx="3" cy="12" r="2.5" />
        <circle cx="21" cy="12" r="2.5" />
      </symbol>
      <symbol id="path-none" viewBox="0 0 24 16">
        <path d="m9 5 6 6m0-6-6 6" />
        <circle cx="3" cy="8" r="2.5" />
        <circle cx="21" cy="8" r="2.5" />
      </symbol>
    </svg>

    <header>
      <div class="title">
        <h1 id="node">corax</h1>
        <p id="place"></p>
      </div>
      <p id="link" class="link" role="status" data-state="waiting">connecting</p>
    </header>

    <main>
      <dl id="facts" class="facts"></dl>

      <section id="errors" aria-labelledby="errors-title" hidden>
        <h2 id="errors-title">Errors</h2>
        <ul></ul>
      </section>

      <section id="peers" aria-labelledby="peers-title" tabindex="-1">
        <div class="bar">
          <h2 id="peers-title">Gateways</h2>
          <fieldset id="groups" class="groups">
            <legend class="hidden">Show only</legend>
          </fieldset>
          <label class="filter">
            <span class="hidden">Filter by gateway, node, subnet, address or reason</span>
            <input id="filter" type="search" placeholder="Filter" autocomplete="off" spellcheck="false" />
          </label>
        </div>
        <!-- The roles are said once more because a table that is laid out as a grid on phones loses its own -->
        <table role="table">
          <caption class="hidden">
            The path to every gateway, worst first
          </caption>
          <thead role="rowgroup">
            <tr role="row">
              <th role="columnheader" scope="col">Gateway</th>
              <th role="columnheader" scope="col">Path</th>
              <th role="columnheader" scope="col">Relay</th>
              <th role="columnheader" scope="col">Direct</th>
              <th role="columnheader" scope="col" class="number">Loss</th>
              <th role="columnheader" scope="col">Why</th>
            </tr>
          </thead>
          <tbody id="rows" role="rowgroup"></tbody>
        </table>
        <p id="empty" class="quiet">Nothing is known yet.</p>
        <button id="more" type="button" hidden></button>
      </section>

      <section aria-labelledby="changes-title">
        <h2 id="changes-title">Path changes</h2>
        <ol id="changes" class="changes"></ol>
        <p id="no-changes" class="quiet">None since the agent started.</p>
      </section>
    </main>

    <footer>
      <p id="version"></p>
    </footer>
    <p id="announce" class="hidden" aria-live="polite"></p>
    <noscript>This page is drawn by its script, which is switched off here. <code>corax status</code> says the same.</noscript>
    <script>
"use strict";
(() => {
  function formatAge(time, now) {
    if (time === null) return "–";
    if (time === 0) return "never";
    return formatDuration(Math.max(0, now - time));
  }
  function formatDuration(seconds) {
    if (seconds < 120) return \`\${Math.floor(seconds)} s\`;
    if (seconds < 2 * 3600) return \`\${Math.floor(seconds / 60)} min\`;
    if (seconds < 2 * 86400) return \`\${Math.floor(seconds / 3600)} h\`;
    return \`\${Math.floor(seconds / 86400)} d\`;
  }
  function formatRtt(ms) {
    if (ms === null || ms === void 0) return "–";
    return ms < 1e3 ? ms.toFixed(1) : ms.toFixed(0);
  }
  function formatLoss(loss) {
    if (loss === null || loss === void 0) return "–";
    const percent = loss * 100;
    return \`\${percent > 0 && percent < 1 ? "<1" : Math.round(percent)} %\`;
  }
  function formatBytes(bytes) {
    if (bytes === null) return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let value = bytes;
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return \`\${unit === 0 ? value : value.toFixed(1)} \${units[unit]}\`;
  }

  function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }
  function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }
  function byId(id) {
    const element = document.getElementById(id);
    if (element === null) throw new Error(\`the page has no #\${id}\`);
    return element;
  }
  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
  function setAttribute(element, name, value) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  function showHead(head, now) {
    document.title = \`\${head.errorCount > 0 ? \`(\${head.errorCount}) \` : ""}\${head.node} · corax\`;
    setText(byId("node"), head.node);
    setText(byId("place"), \`\${head.role ?? "no role yet"} of \${head.gateway ?? "no gateway"}\`);
    setText(byId("version"), \`corax \${head.version}, read-only. The same in a terminal: corax status --watch\`);
    showFacts(head, now);
    showErrors(head.errors, head.errorCount, now);
  }
  function showFacts({ nat, store, driver, startedAt, remarks = [] }, now) {
    const behaviour = [
      nat.mapping === null ? [] : [\`mapping \${nat.mapping}\`],
      nat.filtering === null ? [] : [\`filtering \${nat.filtering}\`]
    ].flat();
    const facts = [
      { label: "NAT", value: nat.type ?? "not known yet", small: behaviour.join(", ") },
      { label: "Hole", value: nat.hole ?? "not known yet", small: "" },
      {
        label: "Store",
        value: \`\${store.kind}, \${store.synced ? "read" : "not read yet"}\`,
        small: store.lastError ?? "",
        bad: store.lastError !== null || !store.synced
      },
      {
        label: "Agent",
        value: \`up \${formatDuration(Math.max(0, now - startedAt))}\`,
        small: [driver, ...remarks].join("; ")
      }
    ];
    const list = byId("facts");
    if (list.childElementCount === 0) {
      list.append(...facts.map(({ label }) => el("div", {}, el("dt", {}, label), el("dd", {}, el("span"), el("small")))));
    }
    facts.forEach(({ value, small, bad = false }, index) => {
      const entry = list.children[index]?.querySelector("dd");
      if (!entry?.firstElementChild || !entry.lastElementChild) return;
      setText(entry.firstElementChild, value);
      setText(entry.lastElementChild, small);
      entry.classList.toggle("bad", bad);
    });
  }
  function showErrors(errors, count, now) {
    const section = byId("errors");
    section.hidden = errors.length === 0;
    const list = section.querySelector("ul");
    const key = JSON.stringify([errors, count]);
    if (list === null || list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(
      ...errors.map(({ code, gateway, message, since }) => {
        const who = gateway === null ? [] : [el("b", {}, gateway), ": "];
        const age = since === null ? "" : \`, for \${formatDuration(Math.max(0, now - since))}\`;
        return el("li", {}, ...who, message, " ", el("span", { class: "soft" }, el("code", {}, code), age));
      }),
      ...count > errors.length ? [el("li", { class: "soft" }, \`and \${count - errors.length} more: corax status\`)] : []
    );
  }

  var URGENCIES = ["silent", "punching", "relayed", "waiting", "well"];
  function urgencyOf({ path, state: state2, mayBeDirect, planes }) {
    if (path === null || planes[path]?.alive === false) return "silent";
    if (state2 === "punching") return "punching";
    if (path === "relay" && mayBeDirect === true) return "relayed";
    return planes[path]?.alive === true ? "well" : "waiting";
  }
  function byUrgency(a, b) {
    return URGENCIES.indexOf(urgencyOf(a)) - URGENCIES.indexOf(urgencyOf(b)) || Number(a.path === "direct") - Number(b.path === "direct") || (a.gateway < b.gateway ? -1 : Number(a.gateway > b.gateway));
  }

  function applyPeers(peers, delta) {
    for (const [gateway, changed] of delta.peers ?? []) {
      peers.set(gateway, { ...peers.get(gateway), ...changed });
    }
    for (const gateway of delta.gone ?? []) peers.delete(gateway);
  }

  var TRACE_LENGTH = 120;
  var CHANGES_SHOWN = 60;
  var PageState = class {
    peers = /* @__PURE__ */ new Map();
    #traces = /* @__PURE__ */ new Map();
    head = null;
    /** Newest first. */
    changes = [];
    /** The agent's clock at its latest word, Unix seconds. */
    now = 0;
    /** @returns the agent is another process than before */
    reset({ now, head, changes }) {
      const restarted = this.head !== null && this.head.startedAt !== head.startedAt;
      this.peers.clear();
      this.head = head;
      this.changes = changes;
      this.#skip(this.now === 0 ? 0 : now - this.now);
      this.now = now;
      return restarted;
    }
    /** A part of what a delta says; the second is not over yet. */
    part(delta) {
      applyPeers(this.peers, delta);
    }
    /** One second of the agent's. @returns the new path changes */
    delta(delta) {
      applyPeers(this.peers, delta);
      for (const gateway of this.#traces.keys()) if (!this.peers.has(gateway)) this.#traces.delete(gateway);
      if (delta.head !== void 0) this.head = delta.head;
      const fresh = delta.changes ?? [];
      this.changes = [...fresh, ...this.changes].slice(0, CHANGES_SHOWN);
      this.#skip(delta.now - this.now - 1);
      this.now = delta.now;
      for (const [gateway, peer] of this.peers) this.#sample(gateway, peer);
      return fresh;
    }
    trace(gateway) {
      return this.#traces.get(gateway);
    }
    /** Those that are asked for, the worst first. */
    select(words, urgency) {
      const terms = words.toLowerCase().split(/\\s+/).filter(Boolean);
      return [...this.peers.values()].filter((peer) => isIn(peer, urgency) && matches(peer, terms)).sort(byUrgency);
    }
    count(urgency) {
      let count = 0;
      for (const peer of this.peers.values()) if (isIn(peer, urgency)) count += 1;
      return count;
    }
    #sample(gateway, { planes }) {
      let trace = this.#traces.get(gateway);
      if (trace === void 0) {
        trace = { relay: emptyTrace(), direct: emptyTrace() };
        this.#traces.set(gateway, trace);
      }
      for (const plane of ["relay", "direct"]) {
        const now = planes[plane];
        push(trace[plane], now === null || now.alive === false || now.rttMs === null ? Number.NaN : now.rttMs);
      }
    }
    /** Seconds of which nothing was heard. */
    #skip(seconds) {
      const missed = Math.min(TRACE_LENGTH, Math.max(0, Math.round(seconds)));
      for (let index = 0; index < missed; index += 1) {
        for (const { relay, direct } of this.#traces.values()) {
          push(relay, Number.NaN);
          push(direct, Number.NaN);
        }
      }
    }
  };
  function emptyTrace() {
    return new Float32Array(TRACE_LENGTH).fill(Number.NaN);
  }
  function push(trace, value) {
    trace.copyWithin(0, 1);
    trace[trace.length - 1] = value;
  }
  function isIn(peer, group) {
    if (group === null) return true;
    const urgency = urgencyOf(peer);
    if (group === "direct") return peer.path === "direct" && urgency !== "silent";
    if (group === "relayed") return peer.path === "relay" && urgency !== "silent" && urgency !== "punching";
    return urgency === group;
  }
  function matches(peer, terms) {
    if (terms.length === 0) return true;
    const { gateway, node, subnets, path, state: state2, reason, planes } = peer;
    const text = [
      gateway,
      node,
      ...subnets,
      path ?? "none",
      state2,
      reason,
      planes.relay?.endpoint,
      planes.direct?.endpoint
    ].join(" ").toLowerCase();
    return terms.every((term) => text.includes(term));
  }

  function showChanges(changes) {
    byId("no-changes").hidden = changes.length > 0;
    byId("changes").replaceChildren(...changes.slice(0, CHANGES_SHOWN).map(line));
  }
  function line({ at, gateway, from, to, reason }) {
    const date = new Date(at * 1e3);
    return el(
      "li",
      {},
      el("time", { datetime: date.toISOString(), title: date.toLocaleString() }, clock(date)),
      el("b", {}, gateway),
      el("span", { class: "move" }, \`\${from} → \`, el("span", { class: \`to-\${to}\` }, to)),
      el("span", { class: "reason" }, reason)
    );
  }
  function clock(date) {
    return date.toLocaleTimeString("en-GB");
  }
  function announce(changes) {
    const [latest] = changes;
    if (latest === void 0) return;
    const text = \`\${latest.gateway}: \${latest.from} to \${latest.to}, \${latest.reason}\`;
    setText(byId("announce"), changes.length === 1 ? text : \`\${changes.length} paths changed, at last \${text}\`);
  }

  var SILENCE_MS = 15e3;
  var FIRST_PAUSE_MS = 500;
  var LAST_PAUSE_MS = 5e3;
  function connect(listener) {
    let pause = FIRST_PAUSE_MS;
    let silence;
    const open = () => {
      const source = new EventSource("/events");
      const again = (why) => {
        source.close();
        clearTimeout(silence);
        listener.state(why);
        setTimeout(open, pause);
        pause = Math.min(pause * 2, LAST_PAUSE_MS);
      };
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => again("The agent says nothing"), SILENCE_MS);
      };
      const on = (event, act) => source.addEventListener(event, (message) => {
        heard();
        act(JSON.parse(message.data));
      });
      on("reset", (message) => {
        pause = FIRST_PAUSE_MS;
        listener.reset(message);
        listener.state(null);
      });
      on("part", (message) => listener.part(message));
      on("delta", (message) => listener.delta(message));
      source.onerror = () => again("The agent does not answer");
      heard();
    };
    open();
  }

  var WIDTH = 96;
  var HEIGHT = 26;
  var LEAST_TOP = 5;
  var HEADROOM = 1.15;
  function topOf({ relay, direct }) {
    let top = LEAST_TOP;
    for (const value of relay) if (value > top) top = value;
    for (const value of direct) if (value > top) top = value;
    return top * HEADROOM;
  }
  function lineOf(values, top) {
    const step = WIDTH / (values.length - 1);
    let d = "";
    let pen = false;
    values.forEach((value, index) => {
      if (Number.isNaN(value)) {
        pen = false;
        return;
      }
      const x = (index * step).toFixed(1);
      const y = (HEIGHT - Math.min(value, top) / top * HEIGHT).toFixed(1);
      d += pen ? \`L\${x} \${y}\` : \`M\${x} \${y}h0\`;
      pen = true;
    });
    return d;
  }

  var PLANES = ["relay", "direct"];
  function pathOf({ path, state: state2 }) {
    if (path === null) return "none";
    return state2 === "punching" ? "punching" : path;
  }
  var WORDS = { none: "no path", punching: "punching", relay: "relayed", direct: "direct" };
  function planeCell(plane) {
    const ms = el("span", { class: "ms" });
    const line2 = svg("path");
    const label = plane === "relay" ? "Relay" : "Direct";
    const spark = svg("svg", { class: "spark", viewBox: \`0 0 \${WIDTH} \${HEIGHT}\`, "aria-hidden": "true" }, line2);
    const cell = el("td", { role: "cell", class: "plane", "data-label": label }, ms, spark);
    return { cell, ms, line: line2 };
  }
  var Row = class {
    element;
    /** Beside the row while it is open. */
    detail;
    #name = el("button", { type: "button", class: "name", "aria-expanded": "false" });
    #node = el("span", { class: "sub" });
    #use = svg("use");
    #word = el("span");
    #since = el("span", { class: "sub" });
    #planes = { relay: planeCell("relay"), direct: planeCell("direct") };
    #loss = el("td", { role: "cell", class: "number loss", "data-label": "Loss" });
    #why = el("td", { role: "cell", class: "why" });
    #list = el("dl");
    #peer = null;
    #now = 0;
    constructor() {
      const shape = svg("svg", { "aria-hidden": "true" }, this.#use);
      const path = el("td", { role: "cell" }, el("span", { class: "path" }, shape, this.#word), this.#since);
      const name = el("th", { role: "rowheader", scope: "row" }, this.#name, this.#node);
      const { relay, direct } = this.#planes;
      this.element = el("tr", { role: "row" }, name, path, relay.cell, direct.cell, this.#loss, this.#why);
      this.detail = el("tr", { role: "row", class: "detail" }, el("td", { role: "cell", colspan: "6" }, this.#list));
      this.#name.addEventListener("click", () => this.#toggle());
    }
    get isOpen() {
      return this.#name.getAttribute("aria-expanded") === "true";
    }
    show(peer, trace, now) {
      const moved = this.#peer !== null && this.#peer.path !== peer.path;
      this.#peer = peer;
      this.#now = now;
      const path = pathOf(peer);
      setAttribute(this.element, "data-path", path);
      setAttribute(this.element, "data-urgency", urgencyOf(peer));
      setText(this.#name, peer.gateway);
      setText(this.#node, peer.node ?? "no active node");
      setAttribute(this.#use, "href", \`#path-\${path}\`);
      setText(this.#word, WORDS[path]);
      setText(this.#since, peer.since === null ? "" : \`for \${formatDuration(Math.max(0, now - peer.since))}\`);
      const top = trace === void 0 ? 1 : topOf(trace);
      for (const plane of PLANES) this.#showPlane(peer, plane, trace === void 0 ? "" : lineOf(trace[plane], top));
      setText(this.#loss, formatLoss(peer.path === null ? null : peer.planes[peer.path]?.loss));
      setText(this.#why, peer.reason);
      if (this.isOpen) this.#showDetail(peer, now);
      if (moved) this.#flash();
    }
    #showPlane(peer, plane, line2) {
      const { cell, ms, line: path } = this.#planes[plane];
      const known = peer.planes[plane];
      const dead = known?.alive === false;
      setAttribute(cell, "class", \`plane\${peer.path === plane ? " carries" : ""}\${dead ? " dead" : ""}\`);
      setText(ms, dead ? "no answer" : known === null || known.rttMs === null ? "–" : \`\${formatRtt(known.rttMs)} ms\`);
      setAttribute(path, "d", line2);
    }
    #flash() {
      this.element.classList.remove("changed");
      void this.element.offsetWidth;
      this.element.classList.add("changed");
    }
    #toggle() {
      const open = !this.isOpen;
      this.#name.setAttribute("aria-expanded", String(open));
      this.element.classList.toggle("open", open);
      if (!open) this.detail.remove();
      else if (this.#peer !== null) {
        this.#showDetail(this.#peer, this.#now);
        this.element.after(this.detail);
      }
    }
    #showDetail(peer, now) {
      const entries = [["Subnets", peer.subnets.join(", ")]];
      for (const plane of PLANES) {
        entries.push([\`\${plane === "relay" ? "Relay" : "Direct"} plane\`, describePlane(peer.planes[plane], now)]);
      }
      entries.push(["More", \`corax explain \${peer.gateway}\`]);
      const texts = entries.flat();
      const present = [...this.#list.querySelectorAll("dt, dd")];
      if (present.length === texts.length) {
        present.forEach((element, index) => {
          setText(element, texts[index]);
        });
      } else {
        this.#list.replaceChildren(
          ...entries.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))
        );
      }
    }
  };
  function describePlane(plane, now) {
    if (plane === null) return "none";
    const handshake = plane.lastHandshake === null ? "no handshake" : \`handshake \${formatAge(plane.lastHandshake, now)} ago\`;
    return [
      plane.endpoint ?? "no endpoint",
      handshake,
      \`loss \${formatLoss(plane.loss)}\`,
      \`\${formatBytes(plane.rxBytes)} in, \${formatBytes(plane.txBytes)} out\`
    ].join("\\n");
  }

  var ROWS_AT_FIRST = 100;
  var GROUPS = [
    [null, "all", true],
    ["silent", "not answering", false],
    ["punching", "punching", false],
    ["relayed", "relayed", true],
    ["direct", "direct", true]
  ];
  var Table = class {
    #state;
    #rows = /* @__PURE__ */ new Map();
    #body = byId("rows");
    #filter = byId("filter");
    #more = byId("more");
    #groups;
    #group = null;
    #most = ROWS_AT_FIRST;
    constructor(state2) {
      this.#state = state2;
      this.#groups = GROUPS.map(([group, word, always]) => {
        const count = el("b", {}, "0");
        const button = el("button", { type: "button", "data-urgency": group ?? "all" }, count, \` \${word}\`);
        button.addEventListener("click", () => this.#choose(group));
        return { group, always, button, count };
      });
      byId("groups").append(...this.#groups.map(({ button }) => button));
      this.#filter.addEventListener("input", () => this.#begin());
      this.#more.addEventListener("click", () => {
        this.#most += ROWS_AT_FIRST;
        this.show();
      });
      document.addEventListener("keydown", (event) => this.#onKey(event));
    }
    show() {
      for (const { group, always, button, count } of this.#groups) {
        const number = this.#state.count(group);
        setText(count, String(number));
        setAttribute(button, "aria-pressed", String(group === this.#group));
        button.hidden = !always && number === 0 && group !== this.#group;
      }
      const selected = this.#state.select(this.#filter.value, this.#group);
      const shown = selected.slice(0, this.#most);
      this.#place(shown.map((peer) => peer.gateway));
      for (const peer of shown) {
        this.#rows.get(peer.gateway)?.show(peer, this.#state.trace(peer.gateway), this.#state.now);
      }
      const left = selected.length - shown.length;
      this.#more.hidden = left === 0;
      setText(this.#more, \`Show \${Math.min(left, ROWS_AT_FIRST)} more of \${left}\`);
      this.#sayIfEmpty(selected.length);
    }
    #sayIfEmpty(selected) {
      const { head, peers } = this.#state;
      const empty = byId("empty");
      empty.hidden = selected > 0;
      const none = head?.store.synced === false ? "No gateways read yet." : "No other gateways.";
      setText(empty, head === null ? "Nothing is known yet." : peers.size === 0 ? none : "None that fits.");
    }
    /** Rows are moved only where the order is another, and what has the focus keeps it. */
    #place(names) {
      const focused = document.activeElement;
      const wanted = new Set(names);
      for (const [name, row] of this.#rows) {
        if (wanted.has(name)) continue;
        row.element.remove();
        row.detail.remove();
        this.#rows.delete(name);
      }
      let next = this.#body.firstElementChild;
      for (const name of names) {
        let row = this.#rows.get(name);
        if (row === void 0) {
          row = new Row();
          this.#rows.set(name, row);
        }
        for (const element of row.isOpen ? [row.element, row.detail] : [row.element]) {
          if (element === next) next = next.nextElementSibling;
          else this.#body.insertBefore(element, next);
        }
      }
      if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus();
    }
    #choose(group) {
      this.#group = this.#group === group ? null : group;
      this.#begin();
    }
    #begin() {
      this.#most = ROWS_AT_FIRST;
      this.show();
    }
    #onKey(event) {
      if (event.key === "/" && document.activeElement !== this.#filter && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        this.#filter.focus();
      }
      if (event.key === "Escape" && document.activeElement === this.#filter) {
        this.#filter.value = "";
        this.#begin();
      }
    }
  };

  var state = new PageState();
  var table = new Table(state);
  var drawing = false;
  function draw() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      if (state.head !== null) showHead(state.head, state.now);
      table.show();
    });
  }
  connect({
    reset(message) {
      const restarted = state.reset(message);
      if (restarted) setText(byId("announce"), "The agent was restarted");
      showChanges(state.changes);
    },
    part: (message) => state.part(message),
    delta(message) {
      const fresh = state.delta(message);
      if (fresh.length > 0) {
        showChanges(state.changes);
        announce(fresh);
      }
      draw();
    },
    state(lost) {
      const link = byId("link");
      setAttribute(link, "data-state", lost === null ? "live" : "lost");
      setText(link, lost === null ? "live" : \`\${lost}; shown is \${shownOf()}\`);
    }
  });
  function shownOf() {
    return state.now === 0 ? "nothing yet" : clock(new Date(state.now * 1e3));
  }
})();
</script>
  </body>
</html>
`;
