"""Opens the database as the settings say: the one place, so that no process forgets the keys."""

from subscription_state import key_files
from subscription_state.database import Database
from subscription_state.encryption import Keyring
from subscription_state.key_files import KeysInvalid
from subscription_state.settings import PREFIX, SettingsInvalid, StateSettings


def open_database(settings: StateSettings) -> Database:
    """Open it; raise `SettingsInvalid` where the keys are gone since the settings were read."""
    try:
        keyring = Keyring(key_files.read(settings.encryption_key_files))
    except KeysInvalid as error:
        raise SettingsInvalid(f"{PREFIX}ENCRYPTION_KEY_FILES: {error}") from error
    return Database.at(settings.database_url, settings.connections, keyring)
