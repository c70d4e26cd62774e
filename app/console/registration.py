"""Brings the console into the application: its pages, its session, its errors."""

from __future__ import annotations

from apiflask import APIFlask
from flask import Flask, Request, Response, render_template
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from app.config import Settings
from app.console import finance_pages, support_pages  # noqa: F401 - their views are those of the blueprint
from app.console.cells import shown_text
from app.console.sign_in import ConsoleRules, blueprint, csrf, is_for
from app.console.wording import LANGUAGES, language, say
from app.problem_documents import CONTENT_TYPE
from app.services.accounts.operators import FINANCE, CodeSecrets

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class _ConsoleSessions(SecureCookieSessionInterface):
    """Sessions for the console's own requests: those of the API and of providers cost nothing and set no cookie."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(f"{blueprint.url_prefix}/"):
            return super().open_session(app, request)
        return self.make_null_session(app)


def register_console(app: APIFlask, settings: Settings) -> None:
    """Give the application the console, if the settings have a secret for its sessions."""
    rules = settings.console
    if not rules.secrets:
        return
    app.secret_key = rules.secrets[0]
    app.config.update(
        SECRET_KEY_FALLBACKS=list(rules.secrets[1:]),
        SESSION_COOKIE_NAME="tillbook_console",
        SESSION_COOKIE_PATH="/console",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        WTF_CSRF_CHECK_DEFAULT=False,  # the API has no cookie that a forged form could use
        WTF_CSRF_TIME_LIMIT=int(rules.longest_session.total_seconds()),
    )
    app.session_interface = _ConsoleSessions()
    csrf.init_app(app)
    app.extensions["tillbook_console"] = ConsoleRules(CodeSecrets(rules.secrets), rules.idle, rules.longest_session)
    app.jinja_env.globals.update(say=say, language=language, languages=LANGUAGES)
    app.jinja_env.filters["shown"] = shown_text
    app.register_blueprint(blueprint)


@blueprint.context_processor
def _who_is_there() -> dict[str, object]:
    return {"for_finance": is_for(FINANCE)}


@blueprint.after_request
def _as_page(response: Response) -> Response:
    """What a browser must not do with a page. An error comes as a problem document, and leaves as a page."""
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "same-origin"  # a form says where it comes from
    if response.content_type == CONTENT_TYPE:
        told = response.get_json()
        response.set_data(render_template("console/problem.html", problem=told))
        response.content_type = "text/html; charset=utf-8"
    return response
