"""The codes that each view can refuse with. Written by `make clients` from the source; not by hand."""

from __future__ import annotations

CODES: dict[str, tuple[str, ...]] = {
    "app.web.agreements.cancel_agreement": (
        *("agreement_not_in_force", "balance_overflow", "idempotency_key_missing", "idempotency_key_reused"),
        *("kept_by_the_store", "not_found"),
    ),
    "app.web.agreements.create_agreement": (
        *("agreement_not_in_force", "already_agreed", "balance_overflow", "cannot_pay_now", "extra_not_accepted"),
        *("forbidden", "idempotency_key_missing", "idempotency_key_reused", "invalid_request", "kept_by_the_store"),
        *("no_price", "not_a_plan", "not_found", "payment_declined", "provider_misconfigured", "provider_unavailable"),
        *("too_little_time", "too_many_open_orders", "too_many_signings", "too_many_starts", "unknown_product"),
        *("unknown_provider_account", "unknown_way", "user_missing"),
    ),
    "app.web.agreements.list_agreements": (
        *("balance_overflow", "database_unavailable", "empty_time_span", "forbidden", "invalid_request"),
        *("not_a_cursor", "too_many_downloads", "user_missing"),
    ),
    "app.web.agreements.list_entitlements": ("forbidden", "invalid_request", "user_missing"),
    "app.web.agreements.list_periods": (
        *("balance_overflow", "database_unavailable", "forbidden", "invalid_request", "not_a_cursor", "not_found"),
        *("too_many_downloads", "user_missing"),
    ),
    "app.web.agreements.pause_agreement": (
        *("agreement_not_in_force", "forbidden", "idempotency_key_missing", "idempotency_key_reused"),
        *("kept_by_the_store", "not_found"),
    ),
    "app.web.agreements.resume_agreement": (
        *("agreement_not_in_force", "already_agreed", "forbidden", "idempotency_key_missing", "idempotency_key_reused"),
        *("kept_by_the_store", "not_found"),
    ),
    "app.web.agreements.set_plan": (
        *("agreement_not_in_force", "already_agreed", "idempotency_key_missing", "idempotency_key_reused"),
        *("kept_by_the_store", "needs_signing", "no_price", "not_a_plan", "not_found", "unknown_product"),
    ),
    "app.web.agreements.show_agreement": (
        *("balance_overflow", "forbidden", "invalid_request", "not_found", "user_missing"),
    ),
    "app.web.differences.accept_write_off": (
        *("actor_missing", "balance_overflow", "difference_refused", "entry_refused", "entry_taken_back"),
        *("idempotency_key_reused", "insufficient_funds", "invalid_request", "needs_another_person", "not_found"),
    ),
    "app.web.differences.add_match": ("actor_missing", "difference_refused", "not_found"),
    "app.web.differences.add_note": ("actor_missing", "not_found"),
    "app.web.differences.add_repair": (
        *("actor_missing", "balance_overflow", "difference_refused", "invalid_request", "not_found"),
    ),
    "app.web.differences.add_write_off": ("actor_missing", "difference_refused", "not_found"),
    "app.web.differences.end_difference": ("actor_missing", "difference_refused", "not_found"),
    "app.web.differences.list_all_differences": (
        *("balance_overflow", "database_unavailable", "empty_time_span", "invalid_request", "not_a_cursor"),
        *("too_many_downloads",),
    ),
    "app.web.differences.list_bills": (
        *("balance_overflow", "database_unavailable", "invalid_request", "not_a_cursor", "reports_unavailable"),
        *("too_many_downloads",),
    ),
    "app.web.differences.resume_difference": ("actor_missing", "difference_refused", "not_found"),
    "app.web.differences.set_owner": ("actor_missing", "difference_refused", "not_found"),
    "app.web.differences.show_difference": ("not_found",),
    "app.web.differences.show_repair": ("difference_refused", "not_found"),
    "app.web.endpoints.add_endpoint": (
        *("address_refused", "endpoint_exists", "idempotency_key_missing", "idempotency_key_reused", "not_a_cursor"),
        *("not_found", "too_many_endpoints"),
    ),
    "app.web.endpoints.give_up_delivery": (
        *("delivery_ended", "idempotency_key_missing", "idempotency_key_reused", "not_found"),
    ),
    "app.web.endpoints.list_deliveries": ("not_found",),
    "app.web.endpoints.list_endpoints": (),
    "app.web.endpoints.pause_endpoint": ("idempotency_key_missing", "idempotency_key_reused", "not_found"),
    "app.web.endpoints.remove_endpoint": ("endpoint_in_settings", "not_found"),
    "app.web.endpoints.resend_event": ("idempotency_key_missing", "idempotency_key_reused", "not_found"),
    "app.web.endpoints.resend_events": ("idempotency_key_missing", "idempotency_key_reused", "not_found"),
    "app.web.endpoints.resume_endpoint": ("idempotency_key_missing", "idempotency_key_reused", "not_found"),
    "app.web.endpoints.rotate_endpoint_secret": (
        *("endpoint_in_settings", "idempotency_key_missing", "idempotency_key_reused", "not_found", "too_many_secrets"),
    ),
    "app.web.endpoints.show_endpoint": ("not_found",),
    "app.web.endpoints.test_endpoint": (
        *("address_refused", "balance_overflow", "idempotency_key_missing", "invalid_request", "not_found"),
    ),
    "app.web.events.list_events": ("cursor_too_old", "not_a_cursor"),
    "app.web.events.show_event": ("not_found",),
    "app.web.facts.accept_end_of_fact": (
        *("actor_missing", "balance_overflow", "entry_ended", "fact_not_ended", "idempotency_key_reused"),
        *("insufficient_funds", "invalid_request", "needs_another_person", "not_found"),
    ),
    "app.web.facts.end_fact": (
        *("actor_missing", "balance_overflow", "entry_refused", "entry_taken_back", "fact_not_ended"),
        *("idempotency_key_reused", "insufficient_funds", "invalid_request", "not_found"),
    ),
    "app.web.facts.show_end_of_fact": ("fact_not_ended", "not_found"),
    "app.web.finance.accept_closing": ("actor_missing", "checkpoints_behind", "not_closable"),
    "app.web.finance.accept_journal_entry": (
        *("actor_missing", "balance_overflow", "entry_ended", "idempotency_key_reused", "insufficient_funds"),
        *("invalid_request", "needs_another_person", "not_found"),
    ),
    "app.web.finance.create_closing": ("actor_missing", "checkpoints_behind", "not_closable"),
    "app.web.finance.create_journal_entry": (
        *("actor_missing", "balance_overflow", "entry_refused", "entry_taken_back", "idempotency_key_missing"),
        *("idempotency_key_reused", "insufficient_funds", "invalid_request", "not_found"),
    ),
    "app.web.finance.decline_journal_entry": ("actor_missing", "entry_ended", "not_found"),
    "app.web.finance.list_closings": (),
    "app.web.finance.list_journal_entries": (
        *("balance_overflow", "database_unavailable", "invalid_request", "not_a_cursor", "too_many_downloads"),
    ),
    "app.web.finance.reverse_journal_entry": (
        *("actor_missing", "balance_overflow", "entry_refused", "entry_taken_back", "idempotency_key_missing"),
        *("idempotency_key_reused", "insufficient_funds", "invalid_request", "not_found"),
    ),
    "app.web.finance.show_journal_entry": ("not_found",),
    "app.web.fulfilments.answer_fulfilment": (
        *("fulfilment_contradicted", "fulfilment_not_asked", "idempotency_key_missing", "idempotency_key_reused"),
        *("not_found",),
    ),
    "app.web.fulfilments.list_fulfilments": (
        *("balance_overflow", "database_unavailable", "invalid_request", "not_a_cursor", "too_many_downloads"),
    ),
    "app.web.fulfilments.show_fulfilment": ("not_found",),
    "app.web.gifts.create_gift": (
        *("balance_overflow", "forbidden", "gift_limit", "gift_to_self", "gifts_not_allowed"),
        *("idempotency_key_missing", "idempotency_key_reused", "insufficient_funds", "invalid_request", "not_found"),
        *("unknown_user", "user_missing", "wallet_frozen"),
    ),
    "app.web.gifts.list_gifts": (
        *("balance_overflow", "database_unavailable", "forbidden", "invalid_request", "not_a_cursor"),
        *("too_many_downloads", "user_missing"),
    ),
    "app.web.gifts.show_gift": ("not_found",),
    "app.web.ledger.create_spend": (
        *("balance_overflow", "forbidden", "idempotency_key_missing", "idempotency_key_reused", "insufficient_funds"),
        *("invalid_request", "spend_limit", "user_missing", "wallet_frozen"),
    ),
    "app.web.ledger.show_statement": (
        *("balance_overflow", "database_unavailable", "forbidden", "invalid_request", "not_a_cursor"),
        *("too_many_downloads", "user_missing"),
    ),
    "app.web.ledger.show_wallet": ("forbidden", "invalid_request", "user_missing"),
    "app.web.lookup.search_by_number": (),
    "app.web.lookup.show_agreement_timeline": ("not_a_cursor", "not_found"),
    "app.web.lookup.show_timeline": ("not_a_cursor", "not_found"),
    "app.web.orders.add_payment": (
        *("balance_overflow", "currency_not_taken", "extra_not_accepted", "forbidden", "idempotency_key_missing"),
        *("idempotency_key_reused", "invalid_request", "not_found", "order_not_open", "payment_declined"),
        *("provider_misconfigured", "provider_unavailable", "too_little_time", "too_many_open_orders"),
        *("too_many_payments", "too_many_starts", "unknown_provider_account", "unknown_way", "user_missing"),
    ),
    "app.web.orders.create_order": (
        *("amount_too_large", "balance_overflow", "extra_not_accepted", "forbidden", "idempotency_key_missing"),
        *("idempotency_key_reused", "invalid_request", "needs_agreement", "no_price", "not_found", "payment_declined"),
        *("provider_misconfigured", "provider_unavailable", "too_little_time", "too_many_open_orders"),
        *("too_many_starts", "unknown_product", "unknown_provider_account", "unknown_way", "user_missing"),
    ),
    "app.web.orders.list_orders": (
        *("balance_overflow", "database_unavailable", "empty_time_span", "forbidden", "invalid_request"),
        *("not_a_cursor", "reports_unavailable", "too_many_downloads", "user_missing"),
    ),
    "app.web.orders.list_products": (),
    "app.web.orders.list_providers": (),
    "app.web.orders.show_order": ("balance_overflow", "forbidden", "invalid_request", "not_found", "user_missing"),
    "app.web.receipts.set_consent": ("forbidden", "invalid_request", "user_missing"),
    "app.web.receipts.show_account_token": ("forbidden", "invalid_request", "user_missing"),
    "app.web.receipts.submit_receipt": (
        *("balance_overflow", "forbidden", "invalid_request", "not_found", "receipt_refused", "receipt_too_large"),
        *("too_many_receipts", "too_many_transactions", "unknown_provider_account", "user_missing"),
    ),
    "app.web.refunds.create_refund": (
        *("balance_overflow", "coins_given_away", "idempotency_key_missing", "idempotency_key_reused"),
        *("invalid_request", "not_found", "over_call_cap", "over_day_cap", "payment_not_paid"),
        *("refund_exceeds_payment", "refund_not_supported"),
    ),
    "app.web.refunds.freeze_wallet": (
        *("idempotency_key_missing", "idempotency_key_reused", "invalid_request", "not_found"),
    ),
    "app.web.refunds.list_freezes": (
        *("balance_overflow", "database_unavailable", "invalid_request", "not_a_cursor", "too_many_downloads"),
    ),
    "app.web.refunds.list_refunds": (
        *("balance_overflow", "database_unavailable", "empty_time_span", "forbidden", "invalid_request"),
        *("not_a_cursor", "not_found", "reports_unavailable", "too_many_downloads", "user_missing"),
    ),
    "app.web.refunds.show_refund": ("balance_overflow", "invalid_request", "not_found"),
    "app.web.refunds.unfreeze_wallet": (
        *("idempotency_key_missing", "idempotency_key_reused", "invalid_request", "not_found"),
    ),
    "app.web.report_files.show_report_file": (
        *("days_not_worked_out", "empty_time_span", "no_such_day", "report_bounds", "reports_unavailable"),
        *("time_span_too_long", "too_many_downloads", "unknown_provider_account"),
    ),
    "app.web.reports.show_trial_balance": (
        *("checkpoints_behind", "empty_time_span", "no_such_day", "reports_unavailable"),
    ),
    "app.web.transfers.capture_hold": (
        *("balance_overflow", "hold_closed", "hold_exceeded", "hold_expired", "idempotency_key_missing"),
        *("idempotency_key_reused", "insufficient_funds", "invalid_request", "not_found", "wallet_frozen"),
    ),
    "app.web.transfers.create_batch": (
        *("balance_overflow", "batch_spread", "idempotency_key_missing", "idempotency_key_reused", "invalid_request"),
        *("over_call_cap", "over_day_cap", "unknown_asset", "unknown_user"),
    ),
    "app.web.transfers.create_debit": (
        *("balance_overflow", "idempotency_key_missing", "idempotency_key_reused", "insufficient_funds"),
        *("invalid_request", "over_call_cap", "over_day_cap", "spend_limit", "unknown_asset", "unknown_user"),
        *("wallet_frozen",),
    ),
    "app.web.transfers.create_grant": (
        *("balance_overflow", "idempotency_key_missing", "idempotency_key_reused", "invalid_request", "over_call_cap"),
        *("over_day_cap", "unknown_asset", "unknown_user"),
    ),
    "app.web.transfers.create_hold": (
        *("balance_overflow", "forbidden", "idempotency_key_missing", "idempotency_key_reused", "insufficient_funds"),
        *("invalid_request", "spend_limit", "user_missing", "wallet_frozen"),
    ),
    "app.web.transfers.release_hold": ("balance_overflow", "invalid_request", "not_found"),
    "app.web.transfers.reverse_transfer": (
        *("balance_overflow", "idempotency_key_missing", "idempotency_key_reused", "insufficient_funds"),
        *("invalid_request", "not_found", "not_reversible", "over_call_cap", "over_day_cap", "reversal_exceeds"),
    ),
    "app.web.transfers.show_balance_at": ("forbidden", "invalid_request", "user_missing"),
    "app.web.wallet_lists.list_holds": (
        *("balance_overflow", "database_unavailable", "empty_time_span", "forbidden", "invalid_request"),
        *("not_a_cursor", "too_many_downloads", "user_missing"),
    ),
    "app.web.wallet_lists.list_lots": (
        *("balance_overflow", "database_unavailable", "forbidden", "invalid_request", "not_a_cursor"),
        *("too_many_downloads", "user_missing"),
    ),
    "app.web.wallet_lists.list_transfers": (
        *("balance_overflow", "database_unavailable", "empty_time_span", "forbidden", "invalid_request"),
        *("list_too_long", "not_a_cursor", "too_many_downloads", "user_missing"),
    ),
    "app.web.wallet_lists.show_hold": ("forbidden", "invalid_request", "not_found", "user_missing"),
    "app.web.wallet_lists.show_transfer": ("forbidden", "invalid_request", "not_found", "user_missing"),
}
