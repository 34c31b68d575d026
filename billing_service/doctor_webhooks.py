"""Looks at the way that events come: endpoint, signing secrets, gateway."""

import asyncio

from billing_service import webhook_secrets
from billing_service.findings import Finding, Patient, named, ok, problem, warning
from billing_service.webhook_endpoints import EVERYTHING, UNSAVED, Endpoint, read_endpoints
from billing_service.webhook_endpoints import fingerprint as fingerprint_of
from billing_service.webhook_probe import probe
from billing_service.webhook_secrets import SecretsUnreadable
from subscription_state.from_stripe import API_VERSION

PATH = "/webhooks/stripe"
MEND = "`webhooks ensure --url URL` mends it"
UNKNOWN_HERE = (
    "Not known to this process: run it with the gateway's settings too, "
    f"{webhook_secrets.NAME} or {webhook_secrets.NAME}_FILE"
)


async def endpoint(patient: Patient) -> Finding:
    """Judge the endpoint of our URL; without one, that of any gateway's path."""
    ours = _ours(await read_endpoints(patient.stripe), patient.webhook_url)
    sending = [each for each in ours if each.enabled]
    if not ours:
        where = patient.webhook_url or f"a URL that ends with {PATH}"
        return problem(f"Stripe has no endpoint for {where}: `webhooks ensure --url URL` makes it.")
    if not sending:
        return problem(f"{ours[0].endpoint_id} is disabled: {MEND}.")
    wrong = [text for each in sending if (text := _wrong(each))]
    # Another beside it may do what one does not.
    if len(wrong) == len(sending):
        return problem(f"{' '.join(wrong)} {MEND[0].upper()}{MEND[1:]}.")
    return _good(sending)


def _ours(endpoints: list[Endpoint], url: str) -> list[Endpoint]:
    if url:
        return [each for each in endpoints if each.url == url]
    return [each for each in endpoints if each.url.partition("?")[0].endswith(PATH)]


def _wrong(endpoint: Endpoint) -> str:
    if endpoint.secret == UNSAVED:
        return f"{endpoint.endpoint_id} was made by a run that did not end: nobody has its secret."
    if not endpoint.is_pinned:
        version = endpoint.api_version or "the account's version"
        return f"{endpoint.endpoint_id} sends {version} instead of {API_VERSION}."
    if endpoint.missing:
        return f"{endpoint.endpoint_id} does not send {named(endpoint.missing)}."
    return ""


def _good(sending: list[Endpoint]) -> Finding:
    if len(sending) > 1:
        ids = ", ".join(each.endpoint_id for each in sending)
        return warning(
            f"Several send to one place, and every event comes from each: {ids}. Disable all but "
            "one; `webhooks ensure` does where it made them."
        )
    [one] = sending
    if EVERYTHING in one.events:
        return warning(f"{one.endpoint_id} sends every event there is, most for nothing. {MEND}.")
    if one.superfluous:
        return warning(f"{one.endpoint_id} sends for nothing: {named(one.superfluous)}. {MEND}.")
    return ok(f"{one.endpoint_id} sends all that is used, in {API_VERSION}")


async def secrets(patient: Patient) -> Finding:
    """Say whether they are known; compare them with what the endpoint was made with."""
    try:
        known = await asyncio.to_thread(webhook_secrets.configured)
    except SecretsUnreadable as error:
        return problem(f"{error} The gateway could not read them either.")
    if not known:
        return warning(f"{UNKNOWN_HERE}.")
    ours = _ours(await read_endpoints(patient.stripe), patient.webhook_url)
    told = {each.secret for each in ours if each.enabled and each.secret} - {UNSAVED}
    if told and not told & {fingerprint_of(each) for each in known}:
        return warning(
            "None of those known here is what the endpoint was made with: if it was not rolled at "
            "Stripe since, `webhooks ensure --replace` makes one whose secret is known."
        )
    return ok(f"{len(known)} present")


async def gateway(patient: Patient) -> Finding:
    """Send it a signed event that changes nothing, once for each secret."""
    url = patient.gateway_url
    if not url:
        return warning("Not asked: PAIDUP_WEBHOOK_URL, or --gateway-url, does not say where it is.")
    try:
        known = await asyncio.to_thread(webhook_secrets.configured)
    except SecretsUnreadable:
        known = ()
    if not known:
        return warning("Not asked: without a signing secret it would rightly refuse.")
    livemode = patient.settings.livemode
    answers = [await probe(url, each, livemode=livemode) for each in known]
    refused = [each for each in answers if not each.taken]
    if refused:
        return problem(f"The gateway at {url} did not take a signed event: {refused[0].text}.")
    return ok("took a signed event")
