// The life of a subscription with Stripe's own SDK for Node, unpatched.
// Usage: node life.js http://127.0.0.1:PORT — prints what happened as JSON.
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

import Stripe from "stripe";

const emulator = new URL(process.argv[2]);
const stripe = new Stripe("sk_test_paidup_example", {
  protocol: "http",
  host: emulator.hostname,
  port: emulator.port,
  maxNetworkRetries: 2,
});

const control = async (path, body) => {
  const answer = await fetch(new URL(`/_emulator${path}`, emulator), {
    method: "POST",
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

const events = [];
let secret;
const server = createServer(async (request, response) => {
  const event = stripe.webhooks.constructEvent(
    await text(request),
    request.headers["stripe-signature"],
    secret,
  );
  events.push(event);
  response.end();
});
server.listen(0, "127.0.0.1");
await once(server, "listening");

const endpoint = await stripe.webhookEndpoints.create({
  url: `http://127.0.0.1:${server.address().port}/`,
  enabled_events: ["*"],
});
secret = endpoint.secret;

const product = await stripe.products.create({ name: "Pro" });
const price = await stripe.prices.create({
  product: product.id,
  currency: "usd",
  unit_amount_decimal: Stripe.Decimal ? Stripe.Decimal.from("1500") : "1500",
  recurring: { interval: "month" },
});
const session = await stripe.checkout.sessions.create({
  mode: "subscription",
  ui_mode: "embedded_page",
  return_url: "https://example.com/?session_id={CHECKOUT_SESSION_ID}",
  line_items: [{ price: price.id, quantity: 1 }],
});
await control(`/checkout/${session.id}/pay`, {
  email: "ada@example.com",
  number: "4242424242424242",
});
const paid = await stripe.checkout.sessions.retrieve(session.id, {
  expand: ["subscription.latest_invoice"],
});
const subscription = paid.subscription;

const changed = await stripe.subscriptions.update(subscription.id, {
  items: [{ id: subscription.items.data[0].id, quantity: 2 }],
  metadata: { plan: "two" },
});
await control("/clock/advance", { seconds: 32 * 24 * 60 * 60 });
const invoices = [];
for await (const invoice of stripe.invoices.list({ subscription: subscription.id, limit: 1 })) {
  invoices.push(invoice.status);
}
const scheduled = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
const canceled = await stripe.subscriptions.cancel(subscription.id);
const refused = await stripe.customers.create({ nmae: "Ada" }).catch((error) => error);
const missing = await stripe.subscriptions.retrieve("sub_none").catch((error) => error);

await control("/deliveries/drain", { timeout: 20 });
server.close();
console.log(
  JSON.stringify({
    api_version: stripe.getApiField("version"),
    session: [paid.status, paid.payment_status, subscription.latest_invoice.status],
    quantity: changed.items.data[0].quantity,
    invoices,
    scheduled: scheduled.cancel_at_period_end,
    canceled: canceled.status,
    refused: [refused.type, refused.code, refused.param],
    missing: [missing.statusCode, missing.code],
    events: events.map((event) => event.type),
  }),
);
