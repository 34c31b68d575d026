/**
 * Sell Stripe subscriptions through Paidup, and ask what an account has paid for.
 *
 * `BillingClient` calls the service, `EntitlementCache` answers checks in your own
 * process, and `paidup/express` refuses requests that are not paid for.
 */

export { status as StatusCode } from "@grpc/grpc-js";

export { EntitlementCache } from "./cache.js";
export type { CacheOptions } from "./cache-settings.js";
export { BillingClient } from "./client.js";
export type { CallOptions, ConnectionOptions } from "./connection.js";
export type {
  CacheObserver,
  CacheState,
  Decision,
  MessageKind,
  Operation,
  Source,
  Subject,
} from "./decision.js";
export type { Tls, TlsFiles, Token } from "./endpoint.js";
export type { FieldViolation } from "./error-details.js";
export {
  AlreadySubscribed,
  Conflict,
  DeadlineExceeded,
  InvalidRequest,
  NotFound,
  PaidupError,
  PermissionDenied,
  ServiceFault,
  SubscriptionAmbiguous,
  Unauthenticated,
  Unavailable,
} from "./errors.js";
export type { ErrorFacts } from "./errors.js";
export {
  PaymentStatus,
  PortalFlow,
  SessionStatus,
  UiMode,
} from "./generated/paidup/v1/billing_service.js";
export type {
  BatchCheckEntitlementsResponse,
  CheckEntitlementResponse,
  CreateCheckoutSessionResponse,
  CreatePortalSessionResponse,
  CustomText,
  GetSessionStatusResponse,
  LineItem,
  ListEntitlementsResponse,
  ListSubscriptionsResponse,
} from "./generated/paidup/v1/billing_service.js";
export { EntitlementReason } from "./generated/paidup/v1/entitlement.js";
export type { Entitlement } from "./generated/paidup/v1/entitlement.js";
export { ErrorReason } from "./generated/paidup/v1/error_reason.js";
export { SubscriptionStatus } from "./generated/paidup/v1/subscription.js";
export type { Subscription, SubscriptionItem } from "./generated/paidup/v1/subscription.js";
export type {
  Checkout,
  EntitlementCheck,
  Freshness,
  OfAccount,
  Portal,
  SessionOfAccount,
  SubscriptionsPage,
} from "./requests.js";
