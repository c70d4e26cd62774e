"""What a team would write instead: a plain Flask application over an ORM, for the benchmark to stand beside.

Honest in both directions. It verifies with the providers' SDKs (python-alipay-sdk, wechatpy, app-store-server-library,
and `cryptography` for WeChat Pay's API v3, which has no SDK of its own), checks merchant and amount, locks the payment
with FOR UPDATE, books a wallet and one ledger row, and commits. It has no lots, no expiry, no double entry, no proof,
no idempotency keys, no policy for late, surplus or unknown payments, no events and no second road: it acknowledges
what it does not know. So it is the least that works on the main road.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jwt
from alipay import AliPay
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, Response, abort, current_app, jsonify, request
from sqlalchemy import create_engine, select, update
from sqlalchemy.orm import Session, sessionmaker
from wechatpy.pay import WeChatPay

from bench.plain_rows import PRODUCTS, LedgerRow, Payment, User, Wallet

CONFIG = "BENCH_PLAIN_CONFIG"
"""The environment's name for the file of settings (JSON)."""
STORE_PRODUCTS = {"com.example.game.pack60": "pack-60", "com.example.game.pack300": "pack-300"}
POOL_SIZE = 8
ORDER_LIFE = timedelta(minutes=30)
BEIJING = ZoneInfo("Asia/Shanghai")
PAGE = 50
log = logging.getLogger("plain")


class Verifiers:
    """The SDKs, made once, and the settings that go with them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        alipay, v3, v2, apple = (config[name] for name in ("alipay", "wechat", "wechat-v2", "apple"))
        self.seller = alipay["app_id"]
        self.alipay = AliPay(
            appid=alipay["app_id"],
            app_notify_url=config["notify_url"],
            app_private_key_string=alipay["app_private_key"],
            alipay_public_key_string=alipay["alipay_public_key"],
        )
        key = serialization.load_pem_public_key(v3["platform_public_key"].encode())
        assert isinstance(key, RSAPublicKey)
        self.wechat_key, self.wechat_cipher, self.mchid = key, AESGCM(v3["apiv3_key"].encode()), v3["mchid"]
        self.wechat_v2 = WeChatPay(appid=v2["appid"], api_key=v2["api_key"], mch_id=v2["mchid"])
        roots = [base64.b64decode(root) for root in apple["trusted_roots"]]
        self.apple = SignedDataVerifier(roots, False, Environment.SANDBOX, apple["bundle_id"])


def create_application(config: Mapping[str, Any]) -> Flask:
    app = Flask(__name__)
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    log.propagate = False
    app.config["PLAIN"] = config
    app.extensions["verifiers"] = Verifiers(config)
    engine = create_engine(config["database_url"], pool_size=POOL_SIZE, max_overflow=0)
    app.extensions["engine"] = engine
    app.extensions["sessions"] = sessionmaker(engine, expire_on_commit=False)
    for rule, handler, method in ROUTES:
        app.add_url_rule(rule, view_func=handler, methods=[method])
    return app


def new_session() -> Session:
    made: Session = current_app.extensions["sessions"]()
    return made


def verifiers() -> Verifiers:
    found: Verifiers = current_app.extensions["verifiers"]
    return found


# --- notifications ---


def alipay_notified() -> Response:
    data = request.form.to_dict()
    signature = data.pop("sign", "")
    if not verifiers().alipay.verify(data, signature):
        return Response("fail")
    if data["app_id"] == verifiers().seller and data["trade_status"] in {"TRADE_SUCCESS", "TRADE_FINISHED"}:
        fen = round(float(data["total_amount"]) * 100)
        credit(data["out_trade_no"], data["trade_no"], fen)
    return Response("success")


def wechat_v3_notified() -> Response:
    body, headers = request.get_data(), request.headers
    signed = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + body + b"\n"
    signature = base64.b64decode(headers["Wechatpay-Signature"])
    verifiers().wechat_key.verify(signature, signed, PKCS1v15(), hashes.SHA256())
    sealed = json.loads(body)["resource"]
    plain = verifiers().wechat_cipher.decrypt(
        sealed["nonce"].encode(), base64.b64decode(sealed["ciphertext"]), sealed["associated_data"].encode()
    )
    data = json.loads(plain)
    if data["mchid"] == verifiers().mchid and data["trade_state"] == "SUCCESS":
        credit(data["out_trade_no"], data["transaction_id"], data["amount"]["total"])
    return Response(status=204)


def wechat_v2_notified() -> Response:
    data = verifiers().wechat_v2.parse_payment_result(request.get_data())
    if data["mch_id"] == verifiers().mchid and data["result_code"] == "SUCCESS":
        credit(data["out_trade_no"], data["transaction_id"], data["total_fee"])
    text = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
    return Response(text, content_type="text/xml")


def apple_notified() -> Response:
    notification = verifiers().apple.verify_and_decode_notification(request.get_json()["signedPayload"])
    if notification.data is None or notification.data.signedTransactionInfo is None:
        return Response(status=200)
    bought = verifiers().apple.verify_and_decode_signed_transaction(notification.data.signedTransactionInfo)
    product = STORE_PRODUCTS[str(bought.productId)]
    fen, coins = PRODUCTS[product]
    with new_session() as session:
        user = session.scalars(select(User).where(User.store_token == str(bought.appAccountToken))).one()
        known = session.scalars(select(Payment).where(Payment.provider_ref == bought.transactionId)).one_or_none()
        if known is None:
            number, now = new_number(), datetime.now(UTC)
            session.add(
                Payment(
                    number=number,
                    order_number=number,
                    user_id=user.id,
                    product=product,
                    amount_fen=fen,
                    coins=coins,
                    status="paid",
                    provider_ref=bought.transactionId,
                    created_at=now,
                )
            )
            give(session, user.id, coins, number)
            session.commit()
    log.info("paid transaction=%s", bought.transactionId)
    return Response(status=200)


def credit(number: str, provider_ref: str, fen: int) -> None:
    with new_session() as session:
        payment = session.get(Payment, number, with_for_update=True)
        if payment is not None and payment.status == "open" and payment.amount_fen == fen:
            payment.status, payment.provider_ref = "paid", provider_ref
            give(session, payment.user_id, payment.coins, number)
            session.commit()
    log.info("paid payment=%s", number)


def give(session: Session, user_id: str, coins: int, reference: str) -> None:
    """Credit a wallet that is there already or not yet."""
    added = update(Wallet).where(Wallet.user_id == user_id).values(balance=Wallet.balance + coins)
    balance = session.execute(added.returning(Wallet.balance)).scalar_one_or_none()
    if balance is None:
        session.add(Wallet(user_id=user_id, balance=coins))
        balance = coins
    session.add(ledger_row(user_id, "purchase", coins, balance, reference))


def take(session: Session, user_id: str, coins: int, reference: str) -> int:
    """Spend; the balance after it."""
    wallet = session.get(Wallet, user_id, with_for_update=True)
    if wallet is None or wallet.balance < coins:
        abort(409)
    wallet.balance -= coins
    session.add(ledger_row(user_id, "spend", -coins, wallet.balance, reference))
    return wallet.balance


def ledger_row(user_id: str, kind: str, amount: int, balance: int, reference: str) -> LedgerRow:
    now = datetime.now(UTC)
    return LedgerRow(user_id=user_id, kind=kind, amount=amount, balance=balance, reference=reference, created_at=now)


# --- the app's client and backend ---


def player() -> str:
    token = request.headers["Authorization"].removeprefix("Bearer ")
    secret = current_app.config["PLAIN"]["jwt_secret"]
    return str(jwt.decode(token, secret, algorithms=["HS256"])["sub"])


def check_backend() -> None:
    given = request.headers["Authorization"].removeprefix("Bearer ")
    digest = hashlib.sha256(given.encode()).hexdigest()
    if not hmac.compare_digest(digest, current_app.config["PLAIN"]["backend_sha256"]):
        abort(401)


def create_order() -> tuple[Response, int]:
    user_id, product = player(), request.get_json()["product"]
    fen, coins = PRODUCTS[product]
    number = new_number()
    payment = Payment(
        number=number,
        order_number=number,
        user_id=user_id,
        product=product,
        amount_fen=fen,
        coins=coins,
        status="open",
        created_at=datetime.now(UTC),
    )
    with new_session() as session:
        session.add(payment)
        session.commit()
    ends = datetime.now(BEIJING) + ORDER_LIFE
    action = verifiers().alipay.api_alipay_trade_app_pay(
        subject=product,
        out_trade_no=number,
        total_amount=f"{fen / 100:.2f}",
        time_expire=f"{ends:%Y-%m-%d %H:%M:%S}",
    )
    return jsonify(shown(payment) | {"action": action}), 201


def create_spend() -> tuple[Response, int]:
    check_backend()
    body = request.get_json()
    with new_session() as session:
        balance = take(session, body["user"], body["amount"], body["reference"])
        session.commit()
    return jsonify(balance=balance), 201


def show_wallet() -> Response:
    with new_session() as session:
        wallet = session.get(Wallet, player())
    return jsonify(balance=wallet.balance if wallet else 0)


def show_statement() -> Response:
    found = select(LedgerRow).where(LedgerRow.user_id == player()).order_by(LedgerRow.id).limit(PAGE)
    with new_session() as session:
        rows = session.scalars(found).all()
    lines = [
        {
            "id": row.id,
            "kind": row.kind,
            "amount": row.amount,
            "balance": row.balance,
            "reference": row.reference,
            "at": row.created_at.isoformat(),
        }
        for row in rows
    ]
    return jsonify(lines=lines)


def list_orders() -> Response:
    limit = int(request.args["limit"])
    found = select(Payment).where(Payment.user_id == player()).order_by(Payment.number.desc()).limit(limit)
    with new_session() as session:
        return jsonify(orders=[shown(payment) for payment in session.scalars(found)])


def show_order(number: str) -> Response:
    found = select(Payment).where(Payment.order_number == number, Payment.user_id == player())
    with new_session() as session:
        return jsonify(shown(session.scalars(found).one()))


def shown(payment: Payment) -> dict[str, Any]:
    return {
        "number": payment.order_number,
        "product": payment.product,
        "amount_fen": payment.amount_fen,
        "coins": payment.coins,
        "status": payment.status,
        "created_at": payment.created_at.isoformat(),
    }


def new_number() -> str:
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}{secrets.randbelow(10**8):08d}"


ROUTES = (
    ("/webhooks/alipay", alipay_notified, "POST"),
    ("/webhooks/wechat", wechat_v3_notified, "POST"),
    ("/webhooks/wechat-v2", wechat_v2_notified, "POST"),
    ("/webhooks/apple", apple_notified, "POST"),
    ("/v1/orders", create_order, "POST"),
    ("/v1/spends", create_spend, "POST"),
    ("/v1/wallet", show_wallet, "GET"),
    ("/v1/statement", show_statement, "GET"),
    ("/v1/orders", list_orders, "GET"),
    ("/v1/orders/<number>", show_order, "GET"),
)
"""At the addresses of Tillbook's own routes, so that one request does for both."""


@cache
def _application() -> Flask:
    return create_application(json.loads(Path(os.environ[CONFIG]).read_text(encoding="utf-8")))


def __getattr__(name: str) -> Any:
    """Gunicorn asks for `application`; the benchmark, which only seeds, has no settings to make one."""
    if name == "application":
        return _application()
    raise AttributeError(name)
