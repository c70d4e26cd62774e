"""Apple In-App Purchase. The client pays the store first and hands us the proof; Apple tells the same by itself.

Read `transactions` (what one signed transaction means to us), then `mapping` (what each notification type means), then
`provider` (the verbs). `README.md` explains settings, receipts and how purchases are named.
"""

from app.providers import Plugin
from plugins.apple.provider import build
from plugins.apple.settings import AppleSettings

plugin = Plugin(name="apple", settings=AppleSettings, build=build)
