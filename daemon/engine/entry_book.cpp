// Entries of the ledger: one book, its event, and the ledger balances that it moves.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/row_documents.hpp"

namespace gatehouse {

namespace {

// Ids hold nothing that JSON escapes.
std::string entry_subject(const Entry& entry) {
    std::string subject = "{\"account\":\"" + entry.account + "\"";
    if (entry.kind == EntryKind::transfer)
        subject += ",\"to\":\"" + std::string(book::holder_of(entry.legs.at(1).account)) + "\"";
    return subject + "}";
}

// The ledger of a household as it stands after an entry; a transfer has the legs of two.
void take_leg(Context& context, const Leg& leg, std::uint64_t seq) {
    const auto found = context.world.account_index.find(std::string(book::holder_of(leg.account)));
    if (found == context.world.account_index.end()) return;
    AccountRuntime& account = context.world.accounts[found->second];
    account.ledger += leg.amount;
    account.ledger_seq = seq;
    ++account.state_version;
    context.dirty_accounts.insert(found->second);
    context.repriced.insert(found->second);
}

// A row a day of what was used would bury what people did; `why` has those.
std::vector<std::string> lines_of(const Context& context, const Entry& entry) {
    std::set<std::string> about;
    const bool used = entry.kind == EntryKind::charge || entry.cause.starts_with("fee:");
    if (used && !entry.cause.starts_with("remap:") && !entry.cause.starts_with("corr")) return {};
    for (const Leg& leg : entry.legs) {
        const auto at = context.world.account_index.find(std::string(book::holder_of(leg.account)));
        if (at == context.world.account_index.end()) continue;
        about.insert("account:" + at->first);
        about.insert("unit:" + context.world.accounts[at->second].row->unit);
    }
    return {about.begin(), about.end()};
}

}  // namespace

// A clock that was set back brings no closed month back, and one that was lost none that is over:
// it is not before the newest row. One that runs ahead and that nobody vouches for would put money
// into a month that comes in years: it is believed up to the end of the month after that row's,
// and beyond it is wrong.
std::string booking_month(const Context& context) {
    const UtcMs at = std::max(context.now_ms(), context.clock.floor_ms());
    std::string now = month_scope(context.day_of(at));
    const std::optional<UtcMs> newest = context.clock.newest_row_ms();
    if (!context.clock.trusted() && newest) {
        const LocalDate last = context.day_of(*newest);
        if (now > month_scope(next_month(last))) now = month_scope(last);
    }
    const std::optional<LocalDate> sealed = parse_month(context.world.sealed_through);
    return sealed ? std::max(now, month_scope(next_month(*sealed))) : now;
}

std::uint64_t book_entry(Context& context, std::size_t index, Entry entry, EntryExtra extra,
                         std::int64_t line) {
    AccountRuntime& account = context.world.accounts[index];
    const std::uint64_t seq = context.store.next(Series::entry);
    entry.entry = "e" + std::to_string(seq);
    entry.month = booking_month(context);
    GH_ASSERT(entry_fault(entry).empty());
    StoredEntry stored;
    stored.entry = entry;
    stored.seq = seq;
    stored.event = context.store.next(Series::event);
    stored.line = line;
    stored.balance_after = account.ledger + entry.amount;
    stored.at = {context.now_ms(), context.clock.trusted()};
    stored.method = extra.method;
    stored.vouched = extra.vouched =
        !entry.second.empty() && (extra.vouched || context.vouched(entry.by, entry.second));
    extra.event =
        log_event(context, std::string("entry.") + to_string(entry.kind), entry_subject(entry),
                  entry_json(stored, context.zone), lines_of(context, entry));
    GH_ASSERT(extra.event == stored.event);
    GH_ASSERT(context.store.append_entry(entry, context.now, extra) == seq);
    for (const Leg& leg : entry.legs) take_leg(context, leg, seq);
    return extra.event;
}

void book_opening(Context& context, std::size_t index, LocalDate day) {
    AccountRuntime& account = context.world.accounts[index];
    if (account.opening_booked) return;
    account.opening_booked = true;
    const std::string& id = account.row->account;
    for (std::size_t i = 0; i < account.row->opening_ladder.size(); ++i) {
        for (const Tariff& tariff : context.world.registry->tariffs) {
            if (i >= account.row->tariffs.size() || tariff.tariff != account.row->tariffs[i])
                continue;
            if (version_on(tariff, day) == nullptr) continue;
            const Milli used = account.row->opening_ladder[i];
            seed_counter(account.settlement, tariff, day, used);
            const LocalDate start = counter_start(tariff, day);
            context.store.put_counter({id, tariff.tariff, start, used});
            context.store.add_ladder_opening({id, tariff.tariff, day, start, used});
        }
    }
    if (!context.store.add_posting(id, "opening")) return;
    if (account.row->opening_balance && account.row->opening_balance->count != 0 &&
        account.row->billing == Billing::prepaid)
        book_entry(context, index, opening_entry(id, *account.row->opening_balance), {});
}

}  // namespace gatehouse
