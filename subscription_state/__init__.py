"""The state that the service and the gateway share: model, rules and store.

Knows no gRPC, no HTTP and no Stripe client. `docs/architecture.md` draws how
the modules hang together.
"""
