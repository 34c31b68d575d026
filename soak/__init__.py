"""Hundreds of subscriptions live, everything fails, and in the end every decision is right."""
