"""The gRPC service: it holds the Stripe key, reads Stripe, and never trusts it to push."""
