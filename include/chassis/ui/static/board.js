// Keeps the board up to date, seldom when nothing goes on. What comes is HTML from the same templates as the
// page's, already escaped.
(() => {
  const ACTIVE_MS = 2000;
  const IDLE_MS = 15000;
  const WHOLE_EVERY = 30; // polls: what slipped through between clocks is caught here
  const ATTENTION = new Set(["failed", "upstream_failed", "up_for_retry", "awaiting_input"]);
  const UNDER_WAY = new Set(["running", "deferred", "restarting", "up_for_retry", "up_for_reschedule", "awaiting_input"]);

  const board = document.getElementById("board");
  const head = document.getElementById("head");
  const graph = document.getElementById("graph");
  const table = board.querySelector("table.board");
  const live = document.getElementById("live");
  const text = document.getElementById("filter-text");
  const state = document.getElementById("filter-state");
  let since = board.dataset.since;
  let active = board.dataset.active === "yes";
  let polls = 0;

  const element = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    return template.content.firstElementChild;
  };

  // Nobody may lose their place: what has the focus, in what is replaced, has it afterwards.
  const replace = (old, fresh) => {
    const links = [...old.querySelectorAll("a, button")];
    const at = links.indexOf(document.activeElement);
    old.replaceWith(fresh);
    if (at >= 0) fresh.querySelectorAll("a, button")[at]?.focus({ preventScroll: true });
  };

  const rowOf = (key) => table.querySelector(`tr[data-key="${CSS.escape(key)}"]`);

  const bodyOf = (group) => {
    let body = table.querySelector(`tbody[data-group="${CSS.escape(group)}"]`);
    if (!body) {
      body = document.createElement("tbody");
      body.dataset.group = group;
      table.append(body);
    }
    return body;
  };

  const putRow = ({ key, group, index, html }) => {
    const fresh = element(html);
    window.chassis.localize(fresh);
    const old = rowOf(key);
    if (old) {
      if (old.dataset.state !== fresh.dataset.state) fresh.classList.add("fresh");
      replace(old, fresh);
      return;
    }
    const body = bodyOf(group);
    const rows = [...body.querySelectorAll("tr[data-index]")];
    // A mapped task has one row without a number until its items are known.
    if (index >= 0) rows.find((row) => row.dataset.index === "-1")?.remove();
    const next = rows.find((row) => Number(row.dataset.index) > index);
    if (next) next.before(fresh);
    else body.append(fresh);
  };

  const putHead = (group, html) => {
    const body = bodyOf(group);
    body.classList.add("mapped");
    const fresh = element(html);
    const old = body.querySelector("tr.group");
    if (old) replace(old, fresh);
    else body.prepend(fresh);
  };

  const matches = (row) => {
    const wanted = text.value.trim().toLowerCase();
    const now = row.dataset.state;
    const group = row.parentElement.querySelector("tr.group")?.textContent ?? "";
    if (wanted && !`${group} ${row.textContent}`.toLowerCase().includes(wanted)) return false;
    if (!state.value) return true;
    if (state.value === "attention") return ATTENTION.has(now);
    if (state.value === "active") return UNDER_WAY.has(now);
    return state.value.split(" ").includes(now);
  };

  // Many items are folded down to those that need a look; whoever filters sees all that match.
  const arrange = () => {
    const filtering = Boolean(text.value.trim() || state.value);
    let shown = 0;
    for (const body of table.tBodies) {
      const button = body.querySelector("button.fold");
      body.classList.toggle("folded", Boolean(button) && !filtering && body.dataset.open !== "yes");
      if (button) {
        button.hidden = filtering;
        button.textContent = body.dataset.open === "yes" ? "Show fewer" : "Show all";
        button.setAttribute("aria-expanded", body.dataset.open === "yes" ? "true" : "false");
      }
      let here = 0;
      for (const row of body.querySelectorAll("tr[data-index]")) {
        row.hidden = filtering && !matches(row);
        if (!row.hidden) here += 1;
      }
      const top = body.querySelector("tr.group");
      if (top) top.hidden = filtering && here === 0;
      shown += here;
    }
    document.getElementById("nothing").hidden = shown > 0;
  };

  const say = (words) => {
    if (live.textContent !== words) live.textContent = words;
  };

  const show = (news) => {
    since = news.since;
    if (head.innerHTML !== news.head) {
      head.innerHTML = news.head;
      window.chassis.localize(head);
    }
    if (graph && news.graph !== null && !graph.contains(document.activeElement)) {
      graph.innerHTML = news.graph;
      window.chassis.fit();
    }
    for (const row of news.rows) putRow(row);
    for (const [group, html] of Object.entries(news.groups)) putHead(group, html);
    if (news.rows.length) arrange();
    // What changed last of a run that has just ended may have been written a moment before.
    const ended = active && !news.active;
    active = news.active;
    if (ended) since = "";
    return ended;
  };

  table.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.fold");
    if (!button) return;
    const body = button.closest("tbody");
    body.dataset.open = body.dataset.open === "yes" ? "no" : "yes";
    arrange();
  });
  document.getElementById("filter").hidden = false;
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
  text.addEventListener("input", arrange);
  state.addEventListener("change", arrange);
  arrange();
  window.chassis.follow({
    first: active ? ACTIVE_MS : IDLE_MS,
    address() {
      const from = polls++ % WHOLE_EVERY === WHOLE_EVERY - 1 ? "" : since;
      return `${board.dataset.changes}?since=${encodeURIComponent(from)}`;
    },
    take(news) {
      const ended = show(news);
      say(active ? "Live" : "");
      return active || ended ? ACTIVE_MS : IDLE_MS;
    },
    signedOut: () => say("You are signed out. Reload the page to sign in."),
    silent: () => say("Airflow doesn't respond. Trying again."),
  });
  if (active) say("Live");
})();
