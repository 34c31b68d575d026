/** The whole system, as whoever started these tests names it. */

const named = (variable: string): string => {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`${variable} is not set: run these tests by make test.`);
  return value;
};

export const SERVICE = named("PAIDUP_TEST_SERVICE");
const EMULATOR = named("PAIDUP_TEST_EMULATOR");
const CONTROL = named("PAIDUP_TEST_CONTROL");

async function post(url: string, body: object = {}): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body), signal });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
}

/** Do in the emulator what a customer does. */
export async function emulator(path: string, body: object = {}): Promise<void> {
  await post(`${EMULATOR}/_emulator/${path}`, body);
}

export async function pay(sessionId: string): Promise<void> {
  const form = { number: "4242424242424242", email: "ada@example.com" };
  await emulator(`checkout/${sessionId}/pay`, form);
}

/** Wait until every webhook has been delivered. */
export async function drain(): Promise<void> {
  await emulator("deliveries/drain", { timeout: 20 });
}

export async function kill(): Promise<void> {
  await post(`${CONTROL}/kill`);
}

export async function start(): Promise<void> {
  await post(`${CONTROL}/start`);
}
