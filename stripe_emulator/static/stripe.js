// The emulator's Stripe.js: what a page needs to show Embedded Checkout.
(() => {
  "use strict";

  const EMULATOR = new URL(document.currentScript.src).origin;
  const SECRET = /^cs_test_[A-Za-z0-9]+_secret_.+$/;

  class IntegrationError extends Error {
    name = "IntegrationError";
  }

  function refuse(message) {
    throw new IntegrationError(message);
  }

  /** The one form that may exist at a time. */
  let current = null;

  function checkKey(key) {
    if (typeof key !== "string" || key === "") {
      refuse("Please call Stripe() with your publishable key. You used an empty string.");
    }
    if (/^(sk|rk)_/.test(key)) {
      refuse("You should not use your secret key with Stripe.js. Please pass a publishable key instead.");
    }
    if (!key.startsWith("pk_test_")) {
      refuse("The emulator takes test keys only: pass a publishable key that begins with pk_test_.");
    }
  }

  async function secretFrom({ clientSecret, fetchClientSecret }) {
    if ((clientSecret === undefined) === (fetchClientSecret === undefined)) {
      refuse("Pass either clientSecret or fetchClientSecret to createEmbeddedCheckoutPage().");
    }
    const secret = fetchClientSecret === undefined ? clientSecret : await fetchClientSecret();
    if (typeof secret !== "string" || !SECRET.test(secret)) {
      refuse("The client secret is not that of a Checkout Session: expected cs_test_…_secret_….");
    }
    return secret;
  }

  function found(target) {
    const element = typeof target === "string" ? document.querySelector(target) : target;
    if (!(element instanceof Element)) {
      refuse(
        `The selector you specified (${target}) applies to no DOM elements that are currently on ` +
          "the page. Make sure the element exists on the page before calling mount().",
      );
    }
    return element;
  }

  class EmbeddedCheckoutPage {
    #address;
    #onComplete;
    #frame = null;
    #destroyed = false;

    constructor(key, secret, onComplete) {
      const parameters = { client_secret: secret, key, origin: window.location.origin };
      this.#address = `${EMULATOR}/c/embedded?${new URLSearchParams(parameters)}`;
      this.#onComplete = onComplete;
      window.addEventListener("message", this.#hear);
    }

    mount(target) {
      if (this.#destroyed) refuse("This Embedded Checkout has been destroyed and cannot be mounted.");
      if (this.#frame) refuse("This Embedded Checkout is mounted already. Call unmount() first.");
      const place = found(target);
      const frame = document.createElement("iframe");
      frame.name = "embedded-checkout";
      frame.title = "Checkout";
      frame.allow = "payment *";
      frame.referrerPolicy = "no-referrer";
      frame.src = this.#address;
      Object.assign(frame.style, {
        border: "0",
        colorScheme: "light dark",
        display: "block",
        height: "600px",
        width: "100%",
      });
      place.replaceChildren(frame);
      this.#frame = frame;
    }

    unmount() {
      this.#frame?.remove();
      this.#frame = null;
    }

    destroy() {
      this.unmount();
      window.removeEventListener("message", this.#hear);
      this.#destroyed = true;
      if (current === this) current = null;
    }

    // Only our own frame is listened to, and only while it shows the emulator.
    #hear = (event) => {
      if (event.origin !== EMULATOR || event.source !== this.#frame?.contentWindow) return;
      const { type, height, redirect } = event.data ?? {};
      if (type === "resize" && Number.isFinite(height)) this.#frame.style.height = `${height}px`;
      if (type === "complete") this.#complete(redirect);
    };

    #complete(redirect) {
      if (typeof redirect === "string" && /^https?:/.test(redirect)) {
        window.location.assign(redirect);
      } else {
        this.#onComplete?.();
      }
    }
  }

  function renamed(name, successor) {
    return () => refuse(`stripe.${name}() no longer exists. Use stripe.${successor} instead.`);
  }

  window.Stripe = function Stripe(key) {
    checkKey(key);
    return {
      async createEmbeddedCheckoutPage(options = {}) {
        if (current !== null) refuse("You cannot have multiple Embedded Checkout objects.");
        // Taken before anything is waited for, so that two calls at once are not both the first.
        const place = (current = {});
        try {
          const secret = await secretFrom(options);
          current = new EmbeddedCheckoutPage(key, secret, options.onComplete);
          return current;
        } catch (error) {
          if (current === place) current = null;
          throw error;
        }
      },
      initEmbeddedCheckout: renamed("initEmbeddedCheckout", "createEmbeddedCheckoutPage()"),
      redirectToCheckout: renamed("redirectToCheckout", "the Checkout Session's url"),
    };
  };
})();
