"""Receives Stripe's webhooks and writes them into the shared state. Calls nobody."""
