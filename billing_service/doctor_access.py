"""Looks at the files that say who may call."""

from billing_service.door import DoorInvalid, open_door
from billing_service.findings import Finding, Patient, ok, problem


async def files(patient: Patient) -> Finding:
    try:
        door = open_door(patient.settings)
    except DoorInvalid as error:
        return problem(str(error))
    return ok("whom the policy names" if door.access else "whoever reaches it: there is no policy")
