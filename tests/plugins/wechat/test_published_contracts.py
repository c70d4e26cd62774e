"""Published samples of auto-debit by API v2: fields, signatures and answers. From the tests of gochat (2022, MIT)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.providers import Ending, Kind
from plugins.wechat.merchant import Merchant
from plugins.wechat.v2.contracts import ASKED, notified_contract, queried_contract, signed_query
from plugins.wechat.v2.signing import V2Key

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MERCHANT = Merchant("10000100", "wx2421b1c4370ec43b", live=False)
GOCHAT_KEY = "192006250b4c09247ec02edce69f6a2d"
GOCHAT = {
    "appid": "wx2421b1c4370ec43b",
    "mch_id": "10000100",
    "plan_id": "106",
    "contract_code": "122",
    "request_serial": "123",
    "timestamp": "1414488825",
}


def test_published_signatures_of_signing_pages_come_out_alike() -> None:
    """From the tests of gochat (2022, MIT): an official account's page, a browser's, and the mini-program's data."""
    key = V2Key(GOCHAT_KEY)
    page = GOCHAT | {"contract_display_account": "name1", "notify_url": "www.qq.com/test/papay", "version": "1.0"}
    assert "&sign=EB82C3E01B0DB4639921AE07F5A1E68F&" in signed_query(page, key, "MD5")
    assert "&notify_url=www.qq.com%2Ftest%2Fpapay&" in signed_query(page, key, "MD5")
    browser = page | {"clientip": "12.1.1.12", "return_appid": "wxcbda96de0b165542"}
    expected = "211AFAFF9BF4DE757BD281F3BEF39D06EC8BB710B1E2A07A3614CD63CEE08FCF"
    assert f"&sign={expected}&" in signed_query(browser, key, "HMAC-SHA256")
    inside = GOCHAT | {"contract_display_account": "张三", "notify_url": "https://www.qq.com/test/papay"}
    assert key.sign(inside, "MD5") == "1A90937A8F2FF340B42A4ADB806B7D00"


def test_published_requests_have_our_fields_and_signatures() -> None:
    """gochat's session for an app, order with a contract, and deduction."""
    key, merchant = V2Key(GOCHAT_KEY), {"appid": "wx2421b1c4370ec43b", "mch_id": "10000100"}
    session = {
        "plan_id": "12535",
        "contract_code": "100000",
        "request_serial": "1000",
        "contract_display_account": "微信代扣",
        "notify_url": "https://weixin.qq.com",
        "version": "1.0",
        "timestamp": "1414488825",
        "return_app": "Y",
        "sign_type": "MD5",
    }
    assert set(session) == set(ASKED["app"])
    assert key.sign(merchant | session, "MD5") == "588134C9FA5B9D4E89E44FA303F6CB6F"
    order = {
        "contract_mchid": "10000100",
        "contract_appid": "wx2421b1c4370ec43b",
        "out_trade_no": "123456",
        "device_info": "013467007045764",
        "body": "Ipad mini 16G 白色",
        "detail": "Ipad mini 16G 白色",
        "notify_url": "https://weixin.qq.com",
        "total_fee": "888",
        "fee_type": "CNY",
        "spbill_create_ip": "123.12.12.123",
        "trade_type": "JSAPI",
        "plan_id": "123",
        "contract_code": "100001256",
        "request_serial": "1000",
        "contract_display_account": "微信代扣",
        "contract_notify_url": "https://yoursite.com",
        "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
    }
    assert key.sign(merchant | order, "MD5") == "0FEB33AF95AEFA8922ADB0753A14BB38"
    deduction = {
        "out_trade_no": "217752501201407033233368018",
        "body": "水电代扣",
        "total_fee": "888",
        "fee_type": "CNY",
        "spbill_create_ip": "8.8.8.8",
        "notify_url": "http://yoursite.com/wxpay.html",
        "trade_type": "PAP",
        "contract_id": "Wx15463511252015071056489715",
        "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
    }
    assert key.sign(merchant | deduction, "MD5") == "94AD0747C8E32D815623D89A051F7DE8"


def test_published_signatures_of_calls_about_contracts_come_out_alike() -> None:
    key, ours = V2Key(GOCHAT_KEY), {"appid": "wx2421b1c4370ec43b", "mch_id": "10000100", "version": "1.0"}
    by_id, by_code = {"contract_id": "201509160000028648"}, {"plan_id": "123", "contract_code": "1023658866"}
    ending = {"contract_id": "100005698", "contract_termination_remark": "原因"}
    assert key.sign(ours | by_id, "MD5") == "D23A52B839DA39302E746FBB1D0E4F7D"
    assert key.sign(ours | by_code, "MD5") == "1FCDD5BAF037DF736096306BB5213920"
    assert key.sign(ours | ending, "MD5") == "5E8C697575CC65D77BBE96B5BB39916E"


def test_a_published_answer_about_a_contract_is_read() -> None:
    """The sample of the official page in gochat's tests (2022): times are seconds there."""
    fields = {
        "mch_id": "10000100",
        "contract_id": "201509160000028648",
        "contract_code": "1023658866",
        "contract_state": "1",
        "contract_signed_time": "1438141845",
        "contract_expired_time": "1453953047",
        "contract_terminated_time": "1438157486",
        "contract_termination_mode": "3",
    }
    fact = queried_contract(fields, MERCHANT, NOW)
    assert (fact.kind, fact.ending, fact.at.isoformat()) == (Kind.ENDED, Ending.US, "2015-07-29T08:11:26+00:00")
    never = {name: value for name, value in fields.items() if "terminat" not in name}
    assert queried_contract(never, MERCHANT, NOW).kind is Kind.PENDING


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"plan_id": "123", "request_serial": "1695"},
        {"plan_id": "123", "contract_expired_time": "2019-07-01 10:00:00"},
    ],
    ids=["as first published", "with the template", "with its end"],
)
def test_a_published_callback_of_a_contract_is_read_in_each_of_its_forms(more: dict[str, str]) -> None:
    """The sample of the official page, as public projects carry it (2015 to 2025): no appid, at first no template."""
    fields = {
        "return_code": "SUCCESS",
        "result_code": "SUCCESS",
        "mch_id": "10000100",
        "contract_code": "100001256",
        "openid": "onqOjjmM1tad-3ROpncN-yUfa6ua",
        "operate_time": "2015-07-01 10:00:00",
        "contract_id": "Wx15463511252015071056489715",
        **more,
    }
    signed = notified_contract({**fields, "change_type": "ADD"}, MERCHANT)
    ended = notified_contract({**fields, "change_type": "DELETE", "contract_termination_mode": "2"}, MERCHANT)
    assert (signed.kind, ended.kind, ended.ending) == (Kind.SIGNED, Kind.ENDED, Ending.PAYER)
    for fact in (signed, ended):
        assert (fact.ref.our_agreement, fact.ref.agreement) == ("100001256", "Wx15463511252015071056489715")
        assert fact.at.isoformat() == "2015-07-01T02:00:00+00:00"
