// Mounts Stripe's form.
//
// There is no `onComplete`: when the customer is done, Stripe itself leads to the return page, and
// the server asks Stripe what was paid. Nothing that this script could say is proof of that.
const place = document.querySelector("#checkout");

async function create() {
  const answer = await fetch("/create-checkout-session", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content,
    },
    body: JSON.stringify({ price: place.dataset.price }),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.error);
  return said;
}

class Refused extends Error {}

async function mount() {
  const { publishableKey, clientSecret, redirect } = await create();
  if (redirect) return window.location.replace(redirect);
  const checkout = await Stripe(publishableKey).createEmbeddedCheckoutPage({
    fetchClientSecret: async () => clientSecret,
  });
  place.replaceChildren();
  checkout.mount(place);
  place.removeAttribute("aria-busy");
}

function fail(error) {
  const notice = document.querySelector("#failed");
  notice.textContent = error instanceof Refused ? error.message : place.dataset.unreachable;
  notice.hidden = false;
  place.remove();
  notice.focus();
}

mount().catch(fail);
