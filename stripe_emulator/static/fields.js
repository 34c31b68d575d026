// Fields that format themselves as they are typed in.

const digits = (text, most) => text.replace(/\D/g, "").slice(0, most);
const grouped = (text, size) => text.replace(new RegExp(`(.{${size}})(?=.)`, "g"), "$1 ");

const FORMATS = {
  number: (text) => grouped(digits(text, 19), 4),
  expiry: (text) => {
    const typed = digits(text, 4);
    // A month that cannot get a second digit gets its zero.
    const padded = /^[2-9]/.test(typed) ? `0${typed}`.slice(0, 4) : typed;
    return padded.length > 2 ? `${padded.slice(0, 2)} / ${padded.slice(2)}` : padded;
  },
  cvc: (text) => digits(text, 4),
  iban: (text) => grouped(text.replace(/[^a-z0-9]/gi, "").toUpperCase().slice(0, 34), 4),
  bsb: (text) => digits(text, 6).replace(/^(.{3})(?=.)/, "$1-"),
  account_number: (text) => digits(text, 9),
};

/** Format now, and whenever something is typed at a field's end. */
export function formatAsTyped(form) {
  for (const [name, format] of Object.entries(FORMATS)) {
    const input = form.elements.namedItem(name);
    if (!input) continue;
    input.value = format(input.value);
    input.oninput = () => {
      // In the middle the caret would jump.
      if (input.selectionStart === input.value.length) input.value = format(input.value);
    };
  }
}

/** Show the chosen payment method's fields; those of the others are neither seen nor sent. */
export function showChosenPanel(form) {
  const show = () => {
    const chosen = new FormData(form).get("method");
    for (const panel of form.querySelectorAll("[data-method]")) {
      panel.hidden = panel.disabled = panel.dataset.method !== chosen;
    }
  };
  form.addEventListener("change", (event) => {
    if (event.target.name === "method") show();
  });
  show();
}
