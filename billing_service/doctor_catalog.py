"""Looks at what is sold, and at the portal in which customers change it."""

from billing_service.findings import Finding, Patient, named, ok, problem, warning
from billing_service.stripe_api import Json
from subscription_state import catalog, migrate

#: What a portal is for; by the names that its configuration has for them.
PORTAL_FEATURES = ("payment_method_update", "subscription_cancel", "subscription_update")
PORTAL_ADVICE = "in the Dashboard, under Settings, Billing, Customer portal"


async def products(patient: Patient) -> Finding:
    at_stripe = {each["id"] for each in await patient.stripe.products()}
    if not at_stripe:
        return problem("Stripe has no product: run `catalog apply FILE`.")
    known = set(await _known(patient))
    if known != at_stripe:
        return problem(
            f"Stripe has {len(at_stripe)} products, {len(known)} are known here, "
            f"{len(at_stripe & known)} of both: start the service, which reads them."
        )
    return ok(f"{len(known)} known")


async def features(patient: Patient) -> Finding:
    known = await _known(patient)
    given = frozenset().union(*(each.features for each in known.values()))
    at_stripe = await patient.stripe.features()
    active = {each["lookup_key"] for each in at_stripe if each.get("active")}
    subscribed = _recurring(await patient.stripe.prices())
    bare = sorted(each for each in subscribed & known.keys() if not known[each].features)
    idle = sorted(active - given)
    texts = []
    if bare:
        texts.append(f"Products that are subscribed to and give no feature: {named(bare)}.")
    if idle:
        texts.append(f"Features that no product gives: {named(idle)}.")
    if texts:
        return warning(" ".join([*texts, "Tie them in the catalogue, if that is not meant so."]))
    return ok(f"{len(given)} given by products")


def _recurring(prices: tuple[Json, ...]) -> set[str]:
    """Name the products that are subscribed to; one that is bought once may give nothing."""
    return {each["product"] for each in prices if each.get("active") and each.get("recurring")}


async def _known(patient: Patient) -> catalog.Catalog:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        return await catalog.load(connection)


async def portal(patient: Patient) -> Finding:
    """Look for the configuration that portal sessions are made with: the default one."""
    stripe = patient.stripe
    configurations = await stripe.listed(
        "list_portal_configurations",
        stripe.v1.billing_portal.configurations,
        is_default=True,
        active=True,
    )
    if not configurations.objects:
        return problem(
            f"No settings are saved, so CreatePortalSession fails: save them {PORTAL_ADVICE}."
        )
    present = configurations.objects[0]["features"]
    enabled = [name for name in PORTAL_FEATURES if present.get(name, {}).get("enabled")]
    if "payment_method_update" not in enabled:
        return warning(f"Customers cannot change how they pay in it: enable that {PORTAL_ADVICE}.")
    return ok(f"enabled: {', '.join(enabled)}")
