from tests.postgres import postgres

#: One server for the whole run, wherever a test asks for it.
__all__ = ["postgres"]
