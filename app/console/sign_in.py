"""Who is at the console: signing in and out, the session, and what a page needs.

The session is a signed cookie with the operator's name and a number; that it is still the operator's newest session,
and which roles the operator has, the database is asked for each page. A page that names no role is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from flask import Blueprint, abort, current_app, g, redirect, render_template, request, session, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from app.console.wording import CHOSEN, LANGUAGES
from app.services.accounts.operators import (
    ROLES,
    SUPPORT,
    CodeSecrets,
    Session,
    SignInRefused,
    TooManyAttempts,
    end_session,
    find_session,
    sign_in,
)
from app.web.context import core
from app.web.request_log import request_record

LONGEST_FIELD = 128
"""Characters of a name, a password or a code that is looked at."""
blueprint = Blueprint("console", __name__, url_prefix="/console", static_folder="static", template_folder="templates")
csrf = CSRFProtect()
_OPEN = frozenset({"console.sign_in_page", "console.choose_language", "console.static"})
"""What needs no session."""
_NEEDED = "console_role"
_log = structlog.get_logger(__name__)
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ConsoleRules:
    """How sessions end, and what decrypts the operators' code secrets."""

    keys: CodeSecrets
    idle: timedelta
    longest: timedelta


def for_role(role: str) -> Callable[[View], View]:
    """The page is for this role: pages of `support` are for every role."""

    def mark(view: View) -> View:
        setattr(view, _NEEDED, role)
        return view

    return mark


def operator() -> Session:
    """Who is signed in."""
    found: Session = g.operator
    return found


def is_for(role: str) -> bool:
    """Whether the operator who is signed in sees the pages of that role."""
    return "operator" in g and _sees(operator(), role)


@blueprint.before_request
def check_session() -> Response | None:
    """Nobody sees a page without a session, nor one of another role; a form from elsewhere does nothing."""
    csrf.protect()
    if request.endpoint in _OPEN:
        return None
    found = _session_now()
    if found is None:
        _forget()
        wanted = request.full_path.rstrip("?") if request.method == "GET" else None  # a form is not sent again
        return redirect(url_for("console.sign_in_page", to=wanted))
    request_record().caller = f"operator:{found.operator}"
    g.operator = found
    if not _sees(found, getattr(current_app.view_functions[request.endpoint or ""], _NEEDED, "")):
        abort(403)
    session["seen"] = _seconds()
    return None


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in_page() -> Any:
    if request.method != "POST":
        return render_template("console/sign_in.html", problem=None)
    name, password, code = (request.form.get(each, "")[:LONGEST_FIELD].strip() for each in ("name", "password", "code"))
    try:
        opened = sign_in(core(), name, password, code, _rules().keys)
    except SignInRefused as error:  # what was typed is not logged: it may be a password in the wrong field
        _log.warning("operator_refused", operator=error.operator, knew_password=error.knew_password)
        return render_template("console/sign_in.html", problem="refused"), 401
    except TooManyAttempts as error:
        _log.warning("operator_refused", operator=error.operator, seconds=error.seconds)
        return render_template("console/sign_in.html", problem="wait", seconds=error.seconds), 429
    _forget()
    session.update(operator=opened.operator, number=opened.number, began=_seconds(), seen=_seconds())
    _log.info("operator_signed_in", operator=opened.operator)
    return redirect(_own_page(request.args.get("to", "")))


@blueprint.post("/sign-out")
@for_role(SUPPORT)
def sign_out() -> Any:
    end_session(core(), operator())
    _forget()
    return redirect(url_for("console.sign_in_page"))


@blueprint.post("/language/<chosen>")
def choose_language(chosen: str) -> Any:
    if chosen not in LANGUAGES:
        abort(404)
    session[CHOSEN] = chosen
    return redirect(_own_page(request.form.get("to", "")))


def _session_now() -> Session | None:
    name, number = session.get("operator"), session.get("number")
    if not isinstance(name, str) or not isinstance(number, int):
        return None
    now, rules = _seconds(), _rules()
    if now - session["seen"] > rules.idle.total_seconds() or now - session["began"] > rules.longest.total_seconds():
        return None
    return find_session(core(), name, number)


def _sees(who: Session, role: str) -> bool:
    return role in who.roles or (role == SUPPORT and not who.roles.isdisjoint(ROLES))


def _forget() -> None:
    """Everything of the session but the language."""
    language = session.get(CHOSEN)
    session.clear()
    if language is not None:
        session[CHOSEN] = language


def _own_page(address: str) -> str:
    """An address to go on to; only one of the console's own."""
    is_own = address.startswith("/console/") and not any(each in address for each in ("\\", "\r", "\n"))
    return address if is_own else url_for("console.show_start")


def _rules() -> ConsoleRules:
    found: ConsoleRules = current_app.extensions["tillbook_console"]
    return found


def _seconds() -> int:
    return int(core().clock.now().timestamp())
