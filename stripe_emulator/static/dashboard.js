// The dashboard: asks for the whole state every second, and draws the chosen view when it changed.

const EVERY = 1000;
const DAY = 24 * 60 * 60;

const main = document.querySelector("main");
const view = document.querySelector("#view");
const tabs = [...document.querySelectorAll("[role=tab]")];
const block = document.querySelector("#block");

let chosen = tabs.find((tab) => `#${tab.dataset.view}` === window.location.hash) ?? tabs[0];
let state = null;
let drawn = "";

// What is said about each status by its colour; the word itself stands there too.
const GOOD = new Set(["active", "complete", "delivered", "paid", "trialing"]);
const BAD = new Set(["canceled", "dropped", "expired", "failed", "incomplete_expired", "past_due", "unpaid"]);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const time = (moment) =>
  moment ? new Date(moment * 1000).toISOString().replace("T", " ").slice(0, 19) : "";
const text = (value) => value ?? "";
const id = (value) => (value ? element("code", { title: value }, short(value)) : "");
const short = (value) => (value.length > 24 ? `${value.slice(0, 20)}…` : value);
const badge = (status) => {
  const tone = GOOD.has(status) ? "" : BAD.has(status) ? "bad" : "quiet";
  return status ? element("span", { className: `badge ${tone}` }, status) : "";
};

function button(label, act) {
  return element("button", { type: "button", onclick: act }, label);
}

const failing = (row, customer) => row.may_fail ? button("Fail next renewal", () => failRenewal(customer)) : "";

/** Columns of buttons have a heading for those who hear the page. */
const heading = (label) => label || element("span", { className: "visually-hidden" }, "Actions");

/** Each view's columns: heading, how a row's cell is made, and whether it is a number. */
const COLUMNS = {
  customers: [
    ["Customer", (row) => id(row.id)],
    ["Email", (row) => text(row.email)],
    ["Subscriptions", (row) => text(row.subscriptions), true],
    ["Created", (row) => time(row.created)],
    ["", (row) => (row.status ? badge(row.status) : failing(row, row.id))],
  ],
  subscriptions: [
    ["Subscription", (row) => id(row.id)],
    ["Plan", (row) => row.plan],
    ["Amount", (row) => row.amount, true],
    ["Status", (row) => badge(row.status)],
    ["Renews", (row) => time(row.renews)],
    ["Ends", (row) => time(row.ends)],
    ["Customer", (row) => id(row.customer)],
    ["", (row) => failing(row, row.customer)],
  ],
  sessions: [
    ["Session", (row) => id(row.id)],
    ["Amount", (row) => row.amount, true],
    ["Status", (row) => badge(row.status)],
    ["Payment", (row) => badge(row.payment_status)],
    ["Created", (row) => time(row.created)],
    ["Customer", (row) => id(row.customer)],
    ["", (row) => (row.url ? element("a", { href: row.url }, "Open page") : "")],
  ],
  invoices: [
    ["Invoice", (row) => id(row.id)],
    ["Reason", (row) => row.reason],
    ["Amount", (row) => row.amount, true],
    ["Status", (row) => badge(row.status)],
    ["Attempts", (row) => text(row.attempts), true],
    ["Created", (row) => time(row.created)],
    ["Customer", (row) => id(row.customer)],
  ],
  events: [
    ["Event", (row) => id(row.id)],
    ["Type", (row) => row.type],
    ["Created", (row) => time(row.created)],
    ["Not yet delivered", (row) => text(row.pending), true],
    ["", (row) => button("Resend", () => resend(row.id))],
  ],
  deliveries: [
    ["Type", (row) => row.type],
    ["State", (row) => badge(row.status)],
    ["Answer", (row) => text(row.answer)],
    ["Attempts", (row) => text(row.attempts), true],
    ["Endpoint", (row) => row.url],
    ["Event", (row) => id(row.event)],
    ["", (row) => button("Resend", () => resend(row.event))],
  ],
};

async function call(method, path, body) {
  const response = await fetch(`/_emulator${path}`, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

function say(message) {
  document.querySelector("#said").textContent = message;
}

/** Do something that a button asks for, say how it went, and show what came of it. */
async function perform(act, message) {
  try {
    await act();
    say(message);
  } catch (error) {
    say(error.message);
  }
  await refresh();
}

const resend = (event) => perform(() => call("POST", `/events/${event}/resend`), `Sent ${event} again.`);

const failRenewal = (customer) =>
  perform(
    () => call("POST", `/customers/${customer}/payment_method`, { number: main.dataset.failingCard }),
    `${customer} now pays with a card that fails; move the clock past the renewal.`,
  );

async function toggleBlocked() {
  const faults = await call("GET", "/faults");
  const blocked = !faults.webhooks.blocked;
  await call("PUT", "/faults", { ...faults, webhooks: { ...faults.webhooks, blocked } });
}

function drawControls() {
  document.querySelector("#clock").textContent = time(state.now);
  const days = Math.round((state.offset / DAY) * 10) / 10;
  document.querySelector("#offset").textContent = days ? `${days} days ahead` : "";
  document.querySelector("#webhooks").textContent = state.blocked
    ? `Blocked, ${state.held} held back`
    : "Let through";
  block.textContent = state.blocked ? "Unblock webhooks" : "Block webhooks";
  block.setAttribute("aria-pressed", String(state.blocked));
  for (const [name, { count }] of Object.entries(state.views)) {
    document.querySelector(`#count-${name}`).textContent = count;
  }
}

function drawView() {
  const name = chosen.dataset.view;
  const { rows } = state.views[name];
  const fingerprint = JSON.stringify([name, rows]);
  if (fingerprint === drawn) return;
  // A button that has the focus is about to be replaced by its like.
  const focused = [...view.querySelectorAll("button")].indexOf(document.activeElement);
  view.replaceChildren(rows.length ? table(COLUMNS[name], rows) : empty());
  view.querySelectorAll("button")[focused]?.focus();
  drawn = fingerprint;
}

const empty = () => element("p", { className: "empty" }, "Nothing here yet.");

function table(columns, rows) {
  const kind = (number) => ({ className: number ? "number" : "" });
  const heads = columns.map(([label, , number]) => element("th", { scope: "col", ...kind(number) }, heading(label)));
  const lines = rows.map((row) =>
    element("tr", {}, ...columns.map(([, cell, number]) => element("td", kind(number), cell(row)))),
  );
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
}

function choose(tab) {
  chosen = tab;
  for (const one of tabs) {
    one.setAttribute("aria-selected", String(one === tab));
    one.tabIndex = one === tab ? 0 : -1;
  }
  view.setAttribute("aria-labelledby", tab.id);
  window.history.replaceState(null, "", `#${tab.dataset.view}`);
  if (state) drawView();
}

async function refresh() {
  const connection = document.querySelector("#connection");
  try {
    state = await call("GET", "/dashboard");
    connection.textContent = "";
    drawControls();
    drawView();
  } catch {
    connection.textContent = "The emulator does not answer.";
  }
}

async function follow() {
  if (!document.hidden) await refresh();
  setTimeout(follow, EVERY);
}

for (const tab of tabs) tab.addEventListener("click", () => choose(tab));

document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = tabs[(tabs.indexOf(chosen) + step + tabs.length) % tabs.length];
  choose(next);
  next.focus();
});

for (const step of document.querySelectorAll("[data-seconds]")) {
  const seconds = Number(step.dataset.seconds);
  step.addEventListener("click", () =>
    perform(() => call("POST", "/clock/advance", { seconds }), "Everything due by then has happened."),
  );
}

block.addEventListener("click", () => perform(toggleBlocked, ""));

choose(chosen);
follow();
