from stripe_emulator.cli import app

app(prog_name="python -m stripe_emulator")
