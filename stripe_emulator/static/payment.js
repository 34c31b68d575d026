// The payment page: sends what was typed and shows what came of it. What is right, the server says.

import { formatAsTyped, showChosenPanel } from "./fields.js";
import { framed, tell } from "./frame.js";

const form = document.querySelector("#payment");
const submit = form.querySelector("button[type=submit]");
const notice = form.querySelector("#payment-error");
const challenge = document.querySelector("#challenge");
const done = document.querySelector("#done");

/** What to do with each outcome that the server may answer. */
const OUTCOMES = {
  complete: ({ redirect }) => {
    if (!redirect) showDone();
    if (framed) {
      tell({ type: "complete", redirect });
    } else if (redirect) {
      window.location.assign(redirect);
    }
  },
  declined: ({ message }) => {
    busy(false);
    say(message);
  },
  incorrect: ({ problems }) => {
    busy(false);
    showProblems(problems);
  },
  requires_action: () => challenge.showModal(),
  priced: () => reprice(),
  over: () => window.location.reload(),
};

async function attempt(path, answers) {
  busy(true);
  say("");
  showProblems({});
  try {
    const answer = await post(path, answers);
    await OUTCOMES[answer.outcome](answer);
  } catch {
    busy(false);
    say(form.dataset.unreachable);
  }
}

async function post(path, answers) {
  const response = await fetch(form.dataset.action + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...answers, client_secret: form.dataset.secret ?? null }),
  });
  return response.json();
}

function busy(on) {
  submit.disabled = on;
  submit.setAttribute("aria-busy", String(on));
  submit.querySelector(".spinner").hidden = !on;
  submit.querySelector(".label").textContent = on ? submit.dataset.busy : submit.dataset.idle;
}

function say(message) {
  notice.textContent = message;
  if (message) notice.scrollIntoView({ block: "nearest" });
}

function showProblems(problems) {
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  for (const place of form.querySelectorAll(".error")) place.textContent = "";
  const [first] = Object.entries(problems).map(([name, message]) => {
    const input = form.elements.namedItem(name);
    input.setAttribute("aria-invalid", "true");
    document.getElementById(`${name}-error`).textContent = message;
    return input;
  });
  first?.focus();
}

function showDone() {
  form.hidden = true;
  done.hidden = false;
  done.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt("", Object.fromEntries(new FormData(form)));
});

for (const button of challenge.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    challenge.close();
    attempt("/authenticate", { succeed: button.value === "complete" });
  });
}
// Escape is no answer to the bank's question.
challenge.addEventListener("cancel", (event) => event.preventDefault());

form.querySelector("#apply")?.addEventListener("click", () => {
  attempt("/promotion_code", { promotion_code: form.elements.namedItem("promotion_code").value });
});

/** Show the new prices, and leave alone what was typed. */
async function reprice() {
  const text = await (await fetch(window.location.href)).text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const asksAlike = Boolean(fresh.querySelector("#method")) === Boolean(form.querySelector("#method"));
  if (!asksAlike) return window.location.reload();
  for (const part of [".summary", "#challenge .plan"]) {
    document.querySelector(part).replaceChildren(...fresh.querySelector(part).childNodes);
  }
  busy(false);
}

for (const button of document.querySelectorAll(".instruments button")) {
  button.addEventListener("click", () => {
    for (const [name, value] of Object.entries(JSON.parse(button.dataset.fill))) {
      form.elements.namedItem(name).value = value;
    }
    formatAsTyped(form);
    submit.focus();
  });
}

formatAsTyped(form);
showChosenPanel(form);
