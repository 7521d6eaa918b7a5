// The ledger as read: an account's entries along their links, and the material of `why`.
#include <algorithm>
#include <map>

#include "daemon/store/chain.hpp"
#include "daemon/store/reader_impl.hpp"

namespace gatehouse {

using sql::Query;

std::optional<StoredEntry> StoreReader::Impl::entry_at(std::uint64_t seq) {
    auto row = store::load_entry(connection, seq, bases);
    if (!row) return std::nullopt;
    StoredEntry stored;
    stored.entry = std::move(row->entry);
    stored.seq = seq;
    stored.event = row->event;
    stored.line = row->line;
    stored.at = times.time(row->at);
    stored.method = std::move(row->method);
    stored.received_at = row->received_at;
    stored.h = store::hex(row->h);
    add_text(stored);
    return stored;
}

void StoreReader::Impl::add_text(StoredEntry& entry) {
    if (!entry.entry.second.empty()) {
        Query vouched(connection, "SELECT 1 FROM entry_vouched WHERE entry=?");
        vouched << entry.seq;
        entry.vouched = vouched.step();
    }
    Query query(connection, "SELECT reference,payer,note FROM entry_text WHERE entry=?");
    query << entry.seq;
    if (!query.step()) return;
    entry.reference = query.text();
    entry.payer = query.text();
    entry.note = query.text();
}

std::vector<std::uint64_t> StoreReader::Impl::entries_of(const std::string& book_name,
                                                         std::uint64_t after) {
    std::vector<std::uint64_t> seqs;
    std::int64_t account = 0;
    std::uint64_t seq = 0;
    {
        Query query(connection, "SELECT id,last_entry FROM ledger_account WHERE name=?");
        query << book_name;
        if (!query.step()) return seqs;
        account = query.i64();
        seq = query.u64();
    }
    while (seq > after) {
        seqs.push_back(seq);
        Query query(connection,
                    "SELECT prev FROM entry_leg WHERE entry=? AND account=? ORDER BY n LIMIT 1");
        query << seq << account;
        // A link that does not lead back would never end; verify names the row.
        if (!query.step()) break;
        const std::uint64_t prev = query.u64();
        if (prev >= seq) break;
        seq = prev;
    }
    std::reverse(seqs.begin(), seqs.end());
    return seqs;
}

namespace {

// A transfer has the legs of two households; each sees its own side of it.
void take_side(StoredEntry& stored, const std::string& account) {
    Entry& entry = stored.entry;
    if (entry.kind != EntryKind::transfer || entry.account == account) return;
    std::reverse(entry.legs.begin(), entry.legs.end());
    entry.account = account;
    entry.amount = entry.legs.front().amount;
}

void balance_after(sql::Connection& connection, StoredEntry& entry, const std::string& book_name) {
    Query query(connection,
                "SELECT entry_leg.balance FROM entry_leg JOIN ledger_account "
                "ON ledger_account.id=entry_leg.account WHERE entry=? AND name=? "
                "ORDER BY n DESC LIMIT 1");
    query << entry.seq << book_name;
    if (query.step()) entry.balance_after = Fen{query.i64()};
}

}  // namespace

EntryPage StoreReader::ledger(const std::string& account, std::uint64_t after, std::size_t limit) {
    const Impl::Moment moment(*impl_);
    const std::string book_name = book::household(account);
    const auto seqs = impl_->entries_of(book_name, after);
    EntryPage page;
    page.next = after;
    page.has_more = seqs.size() > limit;
    for (std::size_t i = 0; i < std::min(limit, seqs.size()); ++i) {
        auto entry = impl_->entry_at(seqs[i]);
        if (!entry) continue;
        take_side(*entry, account);
        balance_after(impl_->connection, *entry, book_name);
        page.next = entry->seq;
        page.items.push_back(std::move(*entry));
    }
    return page;
}

EntryPage StoreReader::entries_after(std::uint64_t seq, std::size_t limit,
                                     const std::vector<EntryKind>& kinds) {
    const Impl::Moment moment(*impl_);
    EntryPage page;
    page.next = seq;
    Query query(impl_->connection, "SELECT seq,kind FROM entry WHERE seq>? ORDER BY seq");
    query << seq;
    while (query.step()) {
        const std::uint64_t at = query.u64();
        const auto kind = parse_entry_kind(query.text());
        if (!kinds.empty() &&
            (!kind || std::find(kinds.begin(), kinds.end(), *kind) == kinds.end())) {
            continue;
        }
        if (page.items.size() == limit) {
            page.has_more = true;
            break;
        }
        auto entry = impl_->entry_at(at);
        if (!entry) continue;
        balance_after(impl_->connection, *entry, book::household(entry->entry.account));
        page.next = at;
        page.items.push_back(std::move(*entry));
    }
    return page;
}

std::optional<StoredEntry> StoreReader::entry(const std::string& entry_id) {
    const Impl::Moment moment(*impl_);
    std::uint64_t seq = 0;
    {
        Query query(impl_->connection, "SELECT seq FROM entry WHERE entry=?");
        query << entry_id;
        if (!query.step()) return std::nullopt;
        seq = query.u64();
    }
    auto entry = impl_->entry_at(seq);
    if (entry) {
        balance_after(impl_->connection, *entry, book::household(entry->entry.account));
    }
    return entry;
}

std::vector<WhyLine> StoreReader::Impl::lines_of(const std::string& account,
                                                 const std::string& scope) {
    std::vector<WhyLine> lines;
    {
        Query query(connection,
                    "SELECT line,line.service,scope,tariff,version,season,band,tier,price,quantity,"
                    "posted FROM line WHERE scope=? AND account="
                    "(SELECT id FROM account WHERE account=?) "
                    "ORDER BY service,tariff,version,season,band,tier");
        query << scope << account;
        while (query.step()) {
            WhyLine line;
            line.id = query.i64();
            line.key = store::line_key_columns(query);
            line.line.price = Price{query.i64()};
            line.line.quantity = Milli{query.i64()};
            line.line.posted = Fen{query.i64()};
            lines.push_back(std::move(line));
        }
    }
    std::map<std::uint64_t, std::vector<EdgeFigureRow>> edges;
    for (EdgeFigureRow& row : AccountBooks(connection, bases).edge_figures(account))
        edges[row.reading].push_back(std::move(row));
    for (WhyLine& line : lines) {
        Query query(connection,
                    "SELECT meter.meter,from_reading,to_reading,quantity FROM line_part "
                    "JOIN meter ON meter.id=line_part.meter WHERE line=? "
                    "ORDER BY to_reading, meter.meter");
        query << line.id;
        while (query.step()) {
            WhyPart part;
            part.part.meter = query.text();
            part.part.from = query.u64();
            part.part.to = query.u64();
            part.part.quantity = Milli{query.i64()};
            if (const auto between = edges.find(part.part.to); between != edges.end())
                part.edges = between->second;
            part.from = standing_at(part.part.from).value_or(StoredReading{});
            part.to = standing_at(part.part.to).value_or(StoredReading{});
            line.parts.push_back(std::move(part));
        }
        // What was split late stands before rows that came earlier.
        std::stable_sort(
            line.parts.begin(), line.parts.end(),
            [](const WhyPart& a, const WhyPart& b) { return a.to.at.at < b.to.at.at; });
    }
    return lines;
}

ReadingAround StoreReader::around(std::uint64_t seq) {
    const Impl::Moment moment(*impl_);
    return AccountBooks(impl_->connection, impl_->bases).around(seq);
}

WhyMaterial StoreReader::why(const std::string& account, const std::string& month) {
    const Impl::Moment moment(*impl_);
    WhyMaterial material;
    std::vector<std::string> scopes;
    if (!month.empty()) {
        scopes.push_back(month);
    } else {
        std::string scope;
        while (true) {
            Query query(impl_->connection, "SELECT min(scope) FROM line WHERE scope>?");
            query << scope;
            if (!query.step()) break;
            const auto next = query.maybe_text();
            if (!next) break;
            scope = *next;
            scopes.push_back(scope);
        }
    }
    for (const auto& scope : scopes) {
        for (auto& line : impl_->lines_of(account, scope)) {
            material.lines.push_back(std::move(line));
        }
    }
    const std::string book_name = book::household(account);
    const auto seqs = impl_->entries_of(book_name, 0);
    // Months of entries never fall, so the walk back ends where an older one begins.
    for (auto seq = seqs.rbegin(); seq != seqs.rend(); ++seq) {
        auto entry = impl_->entry_at(*seq);
        if (!entry) continue;
        const auto& month_of = entry->entry.month;
        if (!month.empty() && month_of < month) break;
        const bool on_line = entry->entry.line && entry->entry.line->scope == month;
        if (!month.empty() && month_of != month && !on_line) continue;
        take_side(*entry, account);
        balance_after(impl_->connection, *entry, book_name);
        material.entries.push_back(std::move(*entry));
    }
    std::reverse(material.entries.begin(), material.entries.end());
    Query query(impl_->connection, "SELECT balance FROM ledger_account WHERE name=?");
    query << book_name;
    if (query.step()) material.ledger = Fen{query.i64()};
    return material;
}

}  // namespace gatehouse
