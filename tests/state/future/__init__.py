"""Made-up migrations of versions to come: what this version has to get along with."""

from pathlib import Path

from subscription_state.schema_history import SchemaHistory

_HERE = Path(__file__).parent

#: A version that has added, and one after it that also takes away what this one needs.
ADDING = SchemaHistory(_HERE / "adding")
TAKING = SchemaHistory(_HERE / "adding", _HERE / "taking")
#: One more, that adds again behind it.
ADDING_AGAIN = SchemaHistory(_HERE / "adding", _HERE / "taking", _HERE / "adding_again")
