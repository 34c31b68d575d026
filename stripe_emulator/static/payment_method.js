// The portal's card form: formats what is typed, and fills in test cards.

import { formatAsTyped } from "./fields.js";

const form = document.querySelector("#payment-method");

for (const button of form.querySelectorAll(".instruments button")) {
  button.addEventListener("click", () => {
    for (const [name, value] of Object.entries(JSON.parse(button.dataset.fill))) {
      form.elements.namedItem(name).value = value;
    }
    formatAsTyped(form);
    form.querySelector("button[type=submit]").focus();
  });
}

formatAsTyped(form);
