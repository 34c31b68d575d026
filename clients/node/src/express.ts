/**
 * Refuses requests to an Express application of accounts that have not paid.
 *
 *     const require = entitlementGuard(cache, { account: (request) => request.user?.accountId });
 *     app.get("/reports", require({ feature: "reports" }), (request, response) => { … });
 *
 * Needs Express, which this package does not bring along.
 */

import type { Request, RequestHandler, Response } from "express";

import type { EntitlementCache } from "./cache.js";
import { question, type Decision, type Subject } from "./decision.js";

/** Payment Required. */
const REFUSED = 402;
const STRANGER = 401;

type Maybe<T> = T | undefined | Promise<T | undefined>;

export interface GuardOptions {
  /**
   * Gives the account of a request that has been authenticated: never take it from what
   * anybody can set, such as a header. Nothing for a stranger, who is refused with 401.
   */
  readonly account: (request: Request) => Maybe<string>;
  /** Where a customer can pay for what was refused; a page of yours. */
  readonly upgradeUrl?: string | ((request: Request, decision: Decision) => Maybe<string>);
  /** Answers in place of the JSON, by a redirect for example. */
  readonly onRefused?: (
    request: Request,
    response: Response,
    decision: Decision,
  ) => void | Promise<void>;
}

/** Makes middleware that lets a request through or refuses it with 402. */
export function entitlementGuard(
  cache: Pick<EntitlementCache, "decide">,
  options: GuardOptions,
): (subject: Subject) => RequestHandler {
  return (subject) => {
    question("", subject); // a mistake shows when the application starts
    return (request, response, next) => {
      // Whatever fails on the way is an error, and never lets anybody through. Express 4
      // does not look at promises, and `next` must not be called twice.
      pass(cache, options, subject, request, response).then((passed) => {
        if (passed) next();
      }, next);
    };
  };
}

/** Tell whether the request may go on; whoever may not has been answered. */
async function pass(
  cache: Pick<EntitlementCache, "decide">,
  options: GuardOptions,
  subject: Subject,
  request: Request,
  response: Response,
): Promise<boolean> {
  const accountId = await options.account(request);
  if (!accountId) {
    response.status(STRANGER).json({ error: "unauthenticated", message: "Sign in first." });
    return false;
  }
  const decision = await cache.decide(accountId, subject);
  response.locals["entitlement"] = decision;
  if (decision.entitled) return true;
  await (options.onRefused ?? refusal(options))(request, response, decision);
  return false;
}

function refusal({ upgradeUrl }: GuardOptions) {
  return async (request: Request, response: Response, decision: Decision): Promise<void> => {
    const { feature, productId } = decision;
    const given = typeof upgradeUrl === "function" ? upgradeUrl(request, decision) : upgradeUrl;
    const url = await given;
    if (url !== undefined) response.links({ payment: headerSafe(url) });
    // Whoever has paid since must not get this from somebody's memory.
    response.set("Cache-Control", "no-store");
    response.status(REFUSED).json({
      error: "payment_required",
      message: `This needs ${feature ?? productId}.`,
      feature,
      productId,
      upgradeUrl: url,
    });
  };
}

/** Nothing in an address may end the header or the link in it. */
function headerSafe(url: string): string {
  return url.replace(/[^\x21-\x7e]|[<>"]/gu, (each) => encodeURIComponent(each));
}
