// Accounts: balances, ledger, why, and the top-up.
#include <memory>
#include <utility>

#include "daemon/engine/documents.hpp"
#include "daemon/engine/row_documents.hpp"
#include "daemon/http/body.hpp"
#include "daemon/http/keyed.hpp"
#include "daemon/http/params.hpp"
#include "daemon/http/statement.hpp"
#include "daemon/http/why_page.hpp"

namespace gatehouse::http {

namespace {

constexpr int kWhyAttempts = 8;

const AccountView& find_account(Call& call) {
    return find_row(call.snapshot->accounts, call.params[0], &AccountView::account, "account");
}

}  // namespace

Response get_accounts(Call& call) {
    Query query(call.request);
    const bool low = query.flag("low");
    return list_rows(
        call.snapshot->accounts, query, [](const AccountView& account) { return account.account; },
        [low](const AccountView& account) { return !low || (account.open && account.level >= 1); },
        [&](const AccountView& account) {
            return account_json(account, call.app.options.currency, call.app.zone);
        });
}

Response get_account(Call& call) {
    Query(call.request).finish();
    return json_response(
        account_json(find_account(call), call.app.options.currency, call.app.zone));
}

namespace {

Response list_entries(const EntryPage& page, const Zone& zone) {
    ListWriter list;
    for (const StoredEntry& entry : page.items) list.item(entry_json(entry, zone));
    list.end_items();
    return list.finish(page.next, page.has_more);
}

}  // namespace

Response get_ledger(Call& call) {
    const std::string& account = find_account(call).account;
    Query query(call.request);
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    return list_entries(call.app.readers.take()->ledger(account, after, limit), call.app.zone);
}

Response get_charges(Call& call) {
    Query query(call.request);
    const auto limit = query.limit();
    const std::uint64_t after = query.after_seq();
    query.finish();
    const EntryPage page = call.app.readers.take()->entries_after(
        after, limit,
        {EntryKind::charge, EntryKind::fee, EntryKind::correction, EntryKind::price_settlement});
    return list_entries(page, call.app.zone);
}

Response get_why(Call& call) {
    Query query(call.request);
    const std::string month = query.text("month").value_or("");
    query.finish();
    if (!month.empty() && !parse_month(month)) {
        throw Refused{problem(400, "query", "month=" + month + " is no month; write 2026-11.")};
    }
    // The books may move between the snapshot and the read; the answer is of one moment.
    for (int attempt = 0; attempt < kWhyAttempts; ++attempt) {
        const AccountView& account = find_account(call);
        auto reader = call.app.readers.take();
        WhyMaterial material = reader->why(account.account, month);
        if (material.ledger == account.ledger &&
            add_pending(material, account, month,
                        [&](std::uint64_t seq) { return reader->standing(seq); })) {
            std::string document = why_json(account, material, month, call.app.options.currency,
                                            *call.snapshot->registry, call.app.zone);
            return call.request.wants_html
                       ? why_page(document, call.app.options.site_name, call.app.options.chinese)
                       : json_response(std::move(document));
        }
        call.snapshot = call.app.engine.snapshot();
    }
    return problem(503, "busy", "The account moves too fast to be shown; ask again.");
}

Response get_entry(Call& call) {
    Query(call.request).finish();
    const auto entry = call.app.readers.take()->entry(call.params[0]);
    if (!entry) {
        throw Refused{
            problem(404, "not-found", "No entry " + call.params[0] + " stands in the ledger.")};
    }
    if (!call.request.wants_html) return json_response(entry_json(*entry, call.app.zone));
    StatementFrame frame;
    frame.site_name = call.app.options.site_name;
    frame.currency = call.app.options.currency;
    frame.chinese = call.app.options.chinese;
    std::string label;
    for (std::size_t i = 0; i < call.snapshot->accounts.size(); ++i) {
        const AccountView& account = call.snapshot->accounts[i];
        if (account.account == entry->entry.account) label = account.unit_label;
    }
    frame.unit_label = label;
    return {200, statement_html(*entry, frame, call.app.zone), "text/html; charset=utf-8", {}};
}

void post_topup(Call& call, Respond respond) {
    Query(call.request).finish();
    TopUp topup;
    topup.actor = call.actor;
    topup.account = find_account(call).account;
    topup.idempotency_key = idempotency_key(call.request);
    Body body(call.request.body, call.app.options.limits.json_depth);
    topup.amount = body.required_decimal("amount");
    if (std::string method = body.text("method"); !method.empty()) {
        topup.method = std::move(method);
    }
    topup.by = by_of(call, body);
    topup.reference = body.text("reference");
    topup.payer = body.text("payer");
    topup.note = body.text("note");
    topup.receipt = body.text("receipt");
    topup.received_at = body.text("received_at");
    body.finish();
    topup.body_hash =
        fields_hash({topup.account, topup.amount, topup.method, topup.by, topup.reference,
                     topup.payer, topup.note, topup.receipt, topup.received_at});
    const KeyInProgress key(call, act_route::kTopUp, topup.idempotency_key);
    key.submit(call.app.engine, std::move(topup), respond);
}

}  // namespace gatehouse::http
