"""The test bank accounts for SEPA and BECS direct debit, as tables to add rows to."""

import re

from stripe_emulator.instruments import Debit, Decline

TEST_BSB = "000000"
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
#: A number before which ISO 7064 has a remainder of one.
IBAN_MODULUS = 97

FUNDS = "The customer's account has insufficient funds to cover this payment."
MESSAGES = {
    "account_closed": "The customer's bank account has been closed.",
    "charge_exceeds_source_limit": "The payment exceeds the account's volume limit.",
    "charge_exceeds_transaction_limit": "The payment exceeds the limit for one transaction.",
    "charge_exceeds_weekly_limit": "The payment exceeds the account's weekly limit.",
    "debit_not_authorized": "The customer has told their bank that the debit was not authorized.",
    "generic_could_not_process": "This payment could not be processed.",
    "insufficient_funds": FUNDS,
    "no_account": "The customer's bank account could not be found.",
    "refer_to_customer": FUNDS,
    "sepa_debit_bank_not_supported": "The customer's bank does not support SEPA Direct Debit.",
    "sepa_debit_debits_not_supported": "The customer's account does not take debits.",
}
#: Reasons of banks that the API version has no error code for.
UNLISTED = frozenset({"charge_exceeds_weekly_limit", "generic_could_not_process"})
PROVIDER_DECLINE = "payment_method_provider_decline"
ENDING_MANDATES = frozenset({"account_closed", "debit_not_authorized", "no_account"})


def _becs(number: str, name: str, code: str | None = None, *, slow: bool = False) -> Debit:
    return Debit(
        type="au_becs_debit",
        number=number,
        tokens=(f"pm_auBecsDebit_{name}",),
        charge_decline=_failure(code),
        slow=slow,
        ends_mandate=code in ENDING_MANDATES,
    )


def _sepa(number: str, name: str, code: str | None = None, *, slow: bool = False) -> Debit:
    return Debit(
        type="sepa_debit",
        number=number,
        tokens=(f"pm_sepaDebit_{name}",),
        charge_decline=_failure(code),
        slow=slow,
    )


def _not_debitable(number: str, code: str) -> Debit:
    failure = _failure(code)
    return Debit(type="sepa_debit", number=number, attach_decline=failure, charge_decline=failure)


def _failure(code: str | None) -> Decline | None:
    if code is None:
        return None
    if code in UNLISTED:
        return Decline(code=PROVIDER_DECLINE, decline_code=code, message=MESSAGES[code])
    return Decline(code=code, decline_code=None, message=MESSAGES[code])


BECS_ACCOUNTS = (
    _becs("000123456", "success"),
    _becs("900123456", "successDelayed", slow=True),
    _becs("111111113", "accountClosed", "account_closed"),
    _becs("111111116", "noAccount", "no_account"),
    _becs("222222227", "referToCustomer", "refer_to_customer"),
    _becs("922222227", "referToCustomerDelayed", "refer_to_customer", slow=True),
    _becs("333333335", "debitNotAuthorized", "debit_not_authorized"),
    _becs("666666660", "dispute"),
    _becs("343434343", "chargeExceedsSourceLimit", "charge_exceeds_source_limit"),
    _becs("121212121", "chargeExceedsTransactionLimit", "charge_exceeds_transaction_limit"),
)
IBANS = (
    _sepa("AT611904300234573201", "success"),
    _sepa("AT321904300235473204", "successDelayed", slow=True),
    _sepa("AT861904300235473202", "failed", "generic_could_not_process"),
    _sepa("AT051904300235473205", "failedDelayed", "generic_could_not_process", slow=True),
    _sepa("AT591904300235473203", "disputed"),
    _sepa("AT981904300002222227", "insufficientFunds", "insufficient_funds"),
    _sepa("AT981904300000343434", "exceedsSourceLimit", "charge_exceeds_source_limit"),
    _sepa("AT601904300000121212", "exceedsWeeklyLimit", "charge_exceeds_weekly_limit"),
    _not_debitable("AT271904300000055555", "sepa_debit_bank_not_supported"),
    _not_debitable("AT511904300000066666", "sepa_debit_debits_not_supported"),
)
BY_ACCOUNT_NUMBER = {debit.number: debit for debit in BECS_ACCOUNTS}
BY_IBAN = {debit.number: debit for debit in IBANS}


def is_iban(iban: str) -> bool:
    """Check form and checksum (ISO 13616); `iban` has no spaces."""
    if IBAN.fullmatch(iban) is None:
        return False
    digits = "".join(str(int(character, 36)) for character in iban[4:] + iban[:4])
    return int(digits) % IBAN_MODULUS == 1
