#include "daemon/http/statement.hpp"

#include <vector>

#include "daemon/core/ledger.hpp"
#include "daemon/http/page.hpp"

namespace gatehouse::http {

namespace {

Words title_of(EntryKind kind) {
    switch (kind) {
        case EntryKind::topup:
            return {"Receipt of prepayment", "预存款收据"};
        case EntryKind::refund:
            return {"Refund", "退款单"};
        case EntryKind::round_off:
            return {"Rounding", "抹零单"};
        case EntryKind::transfer:
            return {"Transfer between accounts", "转账更正单"};
        case EntryKind::adjustment:
            return {"Adjustment", "更正单"};
        case EntryKind::reversal:
            return {"Reversal", "冲正单"};
        case EntryKind::write_off:
            return {"Debt written off", "欠费核销单"};
        case EntryKind::opening:
            return {"Opening balance", "期初结转单"};
        case EntryKind::correction:
            return {"Correction", "读数更正单"};
        case EntryKind::price_settlement:
            return {"Price settlement", "调价结算单"};
        case EntryKind::fee:
            return {"Fee", "费用单"};
        default:
            return {"Ledger entry", "记账单"};
    }
}

Words method_of(std::string_view method) {
    if (method == "cash") return {"cash", "现金"};
    if (method == "card") return {"card", "刷卡"};
    if (method == "transfer") return {"bank transfer", "转账"};
    if (method == "qr") return {"QR payment", "扫码"};
    return {"cheque", "支票"};
}

// The pool and the month of a share, `pool:<pool>/<month>`; empty for every other entry.
std::pair<std::string, std::string> pool_of(const Entry& entry) {
    constexpr std::string_view kPool = "pool:";
    if (entry.kind != EntryKind::fee || !entry.cause.starts_with(kPool)) return {};
    const std::size_t slash = entry.cause.rfind('/');
    return {entry.cause.substr(kPool.size(), slash - kPool.size()), entry.cause.substr(slash + 1)};
}

// The rows of the table: what people look for first stands first.
std::vector<std::pair<Words, std::string>> rows_of(const StoredEntry& stored,
                                                   const StatementFrame& frame, const Zone& zone) {
    const Entry& entry = stored.entry;
    std::vector<std::pair<Words, std::string>> rows;
    const auto row = [&](Words name, const std::string& value) {
        if (!value.empty()) rows.emplace_back(name, value);
    };
    row({"No.", "单号"}, entry.receipt.empty() ? entry.entry : entry.receipt);
    row({"Entry", "分录"}, entry.receipt.empty() ? std::string() : entry.entry);
    row({"Date", "日期"}, format_iso8601(stored.at.at, zone));
    row({"Flat", "房号"}, std::string(frame.unit_label));
    row({"Account", "账户"}, entry.account);
    const auto [pool, month] = pool_of(entry);
    row({"Pool", "公摊项目"}, pool);
    row({"Month", "月份"}, month);
    row({"Amount", "金额"}, format(entry.amount) + " " + std::string(frame.currency));
    row({"Balance after", "结余"}, format(stored.balance_after));
    if (!stored.method.empty()) {
        const Words method = method_of(stored.method);
        row({"Paid by", "方式"}, frame.chinese ? method.chinese : method.english);
    }
    row({"Reference", "凭证号"}, stored.reference);
    if (entry.kind == EntryKind::transfer)
        row(entry.amount.count < 0 ? Words{"To account", "转入账户"}
                                   : Words{"From account", "转出账户"},
            std::string(book::holder_of(entry.legs.at(1).account)));
    row({"Undoes entry", "冲正分录"}, entry.reverses);
    row({"Reason", "事由"}, stored.note);
    row({"By", "经办"}, entry.by);
    row({"Agreed by", "复核"}, entry.second);
    return rows;
}

}  // namespace

std::string statement_html(const StoredEntry& stored, const StatementFrame& frame,
                           const Zone& zone) {
    Page page(
        frame.chinese, frame.site_name,
        frame.chinese ? title_of(stored.entry.kind).chinese : title_of(stored.entry.kind).english);
    page.facts(rows_of(stored, frame, zone));
    if (stored.entry.kind == EntryKind::topup)
        page.paragraph(
            page.word({"A receipt of prepayment, no invoice: invoices follow what was used.",
                       "预存款收据，不作报销凭证；发票按实际用量按月开具。"}));
    page.signatures({{"By:", "经办："}, {"Agreed:", "复核："}, {"Resident:", "住户签字："}});
    return page.take();
}

}  // namespace gatehouse::http
