"""The whole system on one machine, played through by a script."""
