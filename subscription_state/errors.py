"""What can go wrong with the shared state.

StateError
├── StateUnavailable   the database did not answer; the same call may succeed later
│   └── NotPermitted   our role may not do this to a table
├── WrongDeployment    the database belongs to another Stripe account or mode
├── SchemaOutdated     migrations are missing
├── VersionOutdated    this version of the code is too old for the schema
├── MigrationBlocked   a migration may not be applied yet
├── RolesRefused       the roles' file cannot be applied to the database
├── InvalidRevision    not a revision of this database
├── BodyUnreadable     an event's body cannot be opened
│   ├── EncryptionKeyMissing   its key is not among ours
│   └── BodyDamaged            it is not as it was sealed
└── UnexpectedShape    Stripe sent an object that we cannot read
"""


class StateError(Exception):
    """Base of all errors of the shared state."""


class StateUnavailable(StateError):
    """The database did not answer. Nothing was saved."""


class NotPermitted(StateUnavailable):
    """The role that we are may not do this. Between `migrate` and `roles` that passes."""


class WrongDeployment(StateError):
    """The database remembers another Stripe account or mode."""


class SchemaOutdated(StateError):
    """The database lacks migrations, or was never migrated."""


class VersionOutdated(StateError):
    """The schema lost what this version of the code needs: a newer one runs on it."""


class MigrationBlocked(StateError):
    """Something else has to be done before the migration; the text says what."""


class RolesRefused(StateError):
    """The roles' file cannot be applied: to SQLite, not by the owner, or it is wrong."""


class InvalidRevision(StateError):
    """The text is not a revision, or one of another database's history."""


class BodyUnreadable(StateError):
    """The stored body of an event is there and cannot be opened."""


class EncryptionKeyMissing(BodyUnreadable):
    """It was sealed with a key that is not among those configured."""


class BodyDamaged(BodyUnreadable):
    """It is not what was sealed for this event: changed, cut off, or another event's."""


class UnexpectedShape(StateError):
    """An object of Stripe's lacks what every such object has."""
