/**
 * What can go wrong with a call, by what the caller can do about it.
 *
 *     PaidupError
 *     ├── InvalidRequest          correct the request
 *     ├── PermissionDenied        call as somebody else, or ask for the right
 *     │   └── Unauthenticated     prove who calls: token or certificate was not accepted
 *     ├── NotFound                name something that exists
 *     ├── Conflict                what is there already stands against it
 *     │   ├── AlreadySubscribed   send the customer to the portal, not to the checkout
 *     │   └── SubscriptionAmbiguous   name the subscription
 *     ├── Unavailable             try again later
 *     │   └── DeadlineExceeded    likewise, but it may have been done all the same
 *     └── ServiceFault            tell whoever runs the service
 *
 * The reason decides where there is a class for it, the code everywhere else, so a reason
 * that a newer service adds still ends in the right branch.
 */

import { status, type ServiceError } from "@grpc/grpc-js";

import { readDetails, type FieldViolation } from "./error-details.js";
import { ErrorReason } from "./generated/paidup/v1/error_reason.js";

const PREFIX = "ERROR_REASON_";

export interface ErrorFacts {
  readonly code: status;
  readonly reason?: ErrorReason;
  readonly reasonName?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly fieldViolations?: readonly FieldViolation[];
  readonly retryDelayMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call failed. Its message is the service's, made for people and not for matching. */
export class PaidupError extends Error {
  readonly code: status;
  /** Unspecified where the service gave none, or one newer than this client. */
  readonly reason: ErrorReason;
  /** The reason as it was sent, such as `ERROR_REASON_OVERLOADED`; empty without one. */
  readonly reasonName: string;
  /**
   * What the reason is about, such as `subscription_id`. Each reason's keys are told
   * beside it in `error_reason.proto`.
   */
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: readonly FieldViolation[];
  /** How long to wait before trying again; undefined where the service did not say. */
  readonly retryDelayMs: number | undefined;

  constructor(message: string, facts: ErrorFacts) {
    super(message, { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code;
    this.reason = facts.reason ?? ErrorReason.UNSPECIFIED;
    this.reasonName = facts.reasonName ?? "";
    this.metadata = facts.metadata ?? {};
    this.fieldViolations = facts.fieldViolations ?? [];
    this.retryDelayMs = facts.retryDelayMs;
  }
}

/** The request breaks a rule. `fieldViolations` tells which, where a field does. */
export class InvalidRequest extends PaidupError {}

/** The caller may not make this call. */
export class PermissionDenied extends PaidupError {}

/** The service could not tell who calls: no token, or one that it does not accept. */
export class Unauthenticated extends PermissionDenied {}

/** The service or Stripe knows nothing by that id. Not what a check of an account gives. */
export class NotFound extends PaidupError {}

/** The request is sound, but what is there already stands against it. */
export class Conflict extends PaidupError {}

/** The account pays for the product. `metadata` has `subscription_id` and `product_id`. */
export class AlreadySubscribed extends Conflict {}

/** The account has several live subscriptions, so the request must name one. */
export class SubscriptionAmbiguous extends Conflict {}

/** The service, or Stripe behind it, cannot answer now. The same call may succeed later. */
export class Unavailable extends PaidupError {}

/** No answer came in time. What was asked for may have been done nevertheless. */
export class DeadlineExceeded extends Unavailable {}

/** Something is wrong with the service or its settings that no caller can mend. */
export class ServiceFault extends PaidupError {}

type ErrorClass = new (message: string, facts: ErrorFacts) => PaidupError;

const CLASS_OF_REASON: ReadonlyMap<ErrorReason, ErrorClass> = new Map([
  [ErrorReason.ALREADY_SUBSCRIBED, AlreadySubscribed],
  [ErrorReason.SUBSCRIPTION_AMBIGUOUS, SubscriptionAmbiguous],
  [ErrorReason.STRIPE_MISCONFIGURED, ServiceFault],
]);

/** Every other code is a `ServiceFault`. */
const CLASS_OF_CODE: ReadonlyMap<status, ErrorClass> = new Map([
  [status.INVALID_ARGUMENT, InvalidRequest],
  [status.OUT_OF_RANGE, InvalidRequest],
  [status.UNAUTHENTICATED, Unauthenticated],
  [status.PERMISSION_DENIED, PermissionDenied],
  [status.NOT_FOUND, NotFound],
  [status.ALREADY_EXISTS, Conflict],
  [status.FAILED_PRECONDITION, Conflict],
  [status.UNAVAILABLE, Unavailable],
  [status.RESOURCE_EXHAUSTED, Unavailable],
  [status.ABORTED, Unavailable],
  // A proxy or server that goes away cancels what it had begun.
  [status.CANCELLED, Unavailable],
  [status.DEADLINE_EXCEEDED, DeadlineExceeded],
]);

/** Make the error that tells a caller what gRPC told us. */
export function fromGrpc(failed: ServiceError): PaidupError {
  const details = readDetails(failed.metadata);
  const reason = reasonOf(details.reason);
  const errorClass = CLASS_OF_REASON.get(reason) ?? CLASS_OF_CODE.get(failed.code) ?? ServiceFault;
  return new errorClass(failed.details || status[failed.code], {
    ...details,
    code: failed.code,
    reason,
    reasonName: details.reason,
    cause: failed,
  });
}

function reasonOf(name: string): ErrorReason {
  const known = Object.entries(ErrorReason).find(([key]) => PREFIX + key === name)?.[1];
  return typeof known === "number" ? known : ErrorReason.UNSPECIFIED;
}
