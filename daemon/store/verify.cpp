// `verify`: proves from the rows alone what the books promise, and names the first that does not
// hold. It prices nothing: that targets follow from readings and tariffs is the engine's proof
// (replay_proof).
#include <map>
#include <unordered_map>

#include "daemon/store/chain.hpp"
#include "daemon/store/reader_impl.hpp"
#include "daemon/store/row_proof.hpp"
#include "daemon/store/verify_acts.hpp"
#include "daemon/store/verify_pools.hpp"
#include "daemon/store/verify_steps.hpp"

namespace gatehouse {
namespace {

using sql::Connection;
using sql::Query;

struct Stopped {};

class Verifier {
  public:
    Verifier(Connection& connection, const store::RunBases& bases,
             const std::function<bool()>& stop)
        : connection_(connection), bases_(bases), stop_(stop) {}

    Proof run() {
        // The order is that of trust: structure, then numbers, then money.
        static_cast<void>(events() && entries() && ledger_accounts() && lines() && readings() &&
                          steps() && states() && acts());
        return proof_;
    }

  private:
    bool bad(const std::string& what) {
        proof_.ok = false;
        proof_.first_bad = what;
        return false;
    }
    void breathe(std::uint64_t count) const {
        if (count % 1024 == 0 && stop_ && stop_()) throw Stopped{};
    }
    bool follows(const char* series, std::uint64_t before, std::uint64_t seq);
    bool events();
    bool event(Query& query, std::string& previous);
    bool entries();
    bool entry(std::uint64_t seq, std::string& previous);
    bool legs(std::uint64_t seq);
    bool ledger_accounts();
    bool lines();
    bool readings();
    bool steps();
    bool states();
    bool acts();
    bool nothing(const char* literal, const std::string& what);

    struct Running {
        std::int64_t balance = 0;
        std::uint64_t last_entry = 0;
    };

    Connection& connection_;
    const store::RunBases& bases_;
    const std::function<bool()>& stop_;
    Proof proof_;
    std::unordered_map<std::int64_t, Running> running_;      // by ledger account
    std::unordered_map<std::int64_t, std::int64_t> posted_;  // by line
};

// A number is one more than the last, but for what restored copies recorded that they jumped over:
// one jump begins where the one before ended, if nothing was written in between.
bool Verifier::follows(const char* series, std::uint64_t before, std::uint64_t seq) {
    while (before + 1 < seq) {
        Query query(connection_,
                    "SELECT next FROM gap JOIN event ON event.seq=gap.event "
                    "JOIN event_kind ON event_kind.id=event.kind "
                    "WHERE series=? AND after=? AND event_kind.name='log.restored'");
        query << series << before;
        if (!query.step()) return false;
        const std::uint64_t next = query.u64();
        if (next <= before + 1) return false;
        before = next - 1;
    }
    return before + 1 == seq;
}

bool Verifier::event(Query& query, std::string& previous) {
    const std::uint64_t seq = query.u64();
    const std::string name = "event " + std::to_string(seq);
    const std::string kind = query.text();
    const std::int64_t run = query.i64();
    const MonoMs mono_ms = query.i64();
    const std::string c = query.bytes(), h = query.bytes();
    const auto salt = query.bytes();
    const auto subject = query.maybe_text(), body = query.maybe_text();
    const bool removed = query.maybe_text().has_value();
    if (subject && body) {
        if (store::commitment(salt, store::event_document(*subject, *body)) != c) {
            return bad(name + ": its body is not the one that was committed to");
        }
    } else if (!removed) {
        return bad(name + ": its body is missing without a recorded removal");
    }
    if (store::event_link(previous, seq, kind, run, mono_ms, c) != h) {
        return bad(name + ": its hash does not follow from the row before it");
    }
    previous = h;
    return true;
}

bool Verifier::events() {
    std::string previous = store::first_link();
    std::uint64_t before = 0;
    {
        // Where a prefix was dropped the chain begins at the recorded seal.
        Query seal(connection_,
                   "SELECT seq,h FROM event_seal WHERE seq=(SELECT min(seq)-1 FROM event) LIMIT 1");
        if (seal.step()) {
            before = seal.u64();
            previous = seal.bytes();
        }
    }
    Query query(connection_,
                "SELECT event.seq,event.seq,event_kind.name,run,mono_ms,c,h,salt,subject,body,"
                "reason FROM event JOIN event_kind ON event_kind.id=event.kind "
                "LEFT JOIN event_body ON event_body.seq=event.seq "
                "LEFT JOIN event_removed ON event_removed.seq=event.seq ORDER BY event.seq");
    while (query.step()) {
        const std::uint64_t seq = query.u64();
        if (!follows("event", before, seq)) {
            return bad("event " + std::to_string(seq) + ": the row before it should be " +
                       std::to_string(seq - 1) + " and is " + std::to_string(before));
        }
        if (!event(query, previous)) return false;
        before = seq;
        breathe(++proof_.events);
    }
    return nothing(
        "SELECT 'seal of '||day FROM event_seal JOIN event ON event.seq=event_seal.seq "
        "WHERE event.h<>event_seal.h LIMIT 1",
        "the log's head is not what was sealed: ");
}

bool Verifier::legs(std::uint64_t seq) {
    const std::string name = "entry " + std::to_string(seq);
    Query query(connection_,
                "SELECT account,amount,balance,prev FROM entry_leg WHERE entry=? ORDER BY n");
    query << seq;
    std::int64_t sum = 0;
    while (query.step()) {
        const std::int64_t account = query.i64();
        const std::int64_t amount = query.i64();
        const std::int64_t balance = query.i64();
        const std::uint64_t prev = query.u64();
        Running& running = running_[account];
        if (__builtin_add_overflow(sum, amount, &sum) ||
            __builtin_add_overflow(running.balance, amount, &running.balance)) {
            return bad(name + ": its amounts leave the range of a ledger");
        }
        if (running.balance != balance) {
            return bad(name + ": a balance after it is not the sum of the legs until then");
        }
        if (prev != running.last_entry) {
            return bad(name + ": its link to the entry before is wrong");
        }
        running.last_entry = seq;
    }
    if (sum != 0) return bad(name + ": debits and credits differ");
    return true;
}

bool Verifier::entry(std::uint64_t seq, std::string& previous) {
    const std::string name = "entry " + std::to_string(seq);
    const auto row = store::load_entry(connection_, seq, bases_);
    if (!row) return bad(name + ": cannot be read");
    if (store::entry_link(previous, canonical_bytes(row->entry, seq, row->at)) != row->h) {
        return bad(name + ": its hash does not follow from its fields and the entry before it");
    }
    previous = row->h;
    if (!legs(seq)) return false;
    const std::string fault = entry_fault(row->entry);
    if (!fault.empty()) return bad(name + ": " + fault);
    if (row->line != 0) posted_[row->line] -= row->entry.amount.count;
    return true;
}

bool Verifier::entries() {
    std::string previous = store::first_link();
    std::uint64_t before = 0;
    Query query(connection_, "SELECT seq FROM entry ORDER BY seq");
    while (query.step()) {
        const std::uint64_t seq = query.u64();
        if (!follows("entry", before, seq)) {
            return bad("entry " + std::to_string(seq) + ": the row before it should be " +
                       std::to_string(seq - 1) + " and is " + std::to_string(before));
        }
        if (!entry(seq, previous)) return false;
        before = seq;
        breathe(++proof_.entries);
    }
    return nothing(
               "SELECT 'account '||account||', cause '||cause FROM entry WHERE line IS NOT NULL "
               "GROUP BY line,cause,kind HAVING count(*)>1 LIMIT 1",
               "one cause was posted twice on one line: ") &&
           nothing(
               "SELECT 'account '||account FROM entry WHERE kind='opening' GROUP BY account "
               "HAVING count(*)>1 LIMIT 1",
               "two opening balances: ") &&
           nothing(
               "SELECT 'entry '||a.seq FROM entry a LEFT JOIN entry b ON b.entry=a.reverses "
               "WHERE a.kind='reversal' AND (b.seq IS NULL OR b.amount<>-a.amount) LIMIT 1",
               "a reversal that does not undo an entry whole: ");
}

bool Verifier::ledger_accounts() {
    Query query(connection_, "SELECT id,name,balance,last_entry FROM ledger_account");
    while (query.step()) {
        const Running running = running_[query.i64()];
        const std::string name = query.text();
        if (query.i64() != running.balance) {
            return bad("ledger account " + name + ": its balance is not the sum of its legs");
        }
        if (query.u64() != running.last_entry) {
            return bad("ledger account " + name + ": its newest entry is another");
        }
    }
    return true;
}

bool Verifier::lines() {
    Query query(connection_,
                "SELECT line,account.account,scope,price,quantity,posted,unsettled,"
                "(SELECT sum(line_part.quantity) FROM line_part WHERE line_part.line=line.line) "
                "FROM line JOIN account ON account.id=line.account ORDER BY line");
    while (query.step()) {
        const std::int64_t id = query.i64();
        const std::string account = query.text(), scope = query.text();
        Line line;
        line.price = Price{query.i64()};
        line.quantity = Milli{query.i64()};
        line.posted = Fen{query.i64()};
        const bool unsettled = query.flag();
        const auto parts = query.maybe_i64();
        const std::string name =
            "line " + std::to_string(id) + " (account " + account + ", " + scope + ")";
        if (line.posted.count != posted_[id]) {
            return bad(name + ": posted is not the sum of its entries");
        }
        if (line.quantity.count < 0 || line.price.count < 0) {
            return bad(name + ": its price or quantity is below 0");
        }
        if (unsettled != (target(line) != line.posted)) {
            return bad(name + ": price x quantity is not what was posted");
        }
        if (parts && *parts != line.quantity.count) {
            return bad(name + ": the readings it rests on give another quantity");
        }
        breathe(++proof_.lines);
    }
    return true;
}

bool Verifier::readings() {
    std::uint64_t count = 0, low = 0, high = 0, dropped = 0;
    {
        Query query(connection_, "SELECT intervals_dropped_up_to FROM site");
        if (query.step()) dropped = query.u64();
    }
    {
        Query query(connection_,
                    "SELECT count(*),coalesce(min(seq),0),coalesce(max(seq),0) FROM reading "
                    "WHERE seq>?");
        query << dropped;
        if (query.step()) {
            count = query.u64();
            low = query.u64();
            high = query.u64();
        }
    }
    proof_.readings = count;
    if (count == 0) return true;
    if (low == dropped + 1 && high - low + 1 == count) return true;
    // A number is missing: fine where a restored copy says so, else the first is named.
    Query query(connection_, "SELECT seq FROM reading WHERE seq>? ORDER BY seq");
    query << dropped;
    std::uint64_t before = dropped, seen = 0;
    while (query.step()) {
        const std::uint64_t seq = query.u64();
        if (!follows("reading", before, seq)) {
            return bad("reading " + std::to_string(seq) + ": the row before it should be " +
                       std::to_string(seq - 1) + " and is " + std::to_string(before));
        }
        before = seq;
        breathe(++seen);
    }
    return true;
}

bool Verifier::steps() {
    const std::string fault = store::step_fault(connection_, [this] { breathe(0); });
    return fault.empty() || bad(fault);
}

bool Verifier::states() {
    return nothing(
               "SELECT 'quarantine '||id FROM quarantine WHERE state='released' AND NOT "
               "EXISTS(SELECT 1 FROM reading WHERE seq=released_as) AND released_as>"
               "(SELECT coalesce(max(intervals_dropped_up_to),0) FROM site) LIMIT 1",
               "released, but its reading is missing: ") &&
           nothing(
               "SELECT 'topic '||topic FROM topic_head WHERE "
               "seq>(SELECT coalesce(max(seq),0) FROM event) LIMIT 1",
               "its newest event is not in the log: ") &&
           nothing(
               "SELECT 'mqtt cursor '||mqtt_cursor FROM site WHERE "
               "mqtt_cursor>(SELECT coalesce(max(seq),0) FROM event)",
               "beyond the log: ");
}

bool Verifier::acts() {
    std::string fault = store::act_fault(connection_);
    if (fault.empty()) fault = store::pool_fault(connection_);
    return fault.empty() || bad(fault);
}

bool Verifier::nothing(const char* literal, const std::string& what) {
    Query query(connection_, literal);
    if (!query.step()) return true;
    return bad(what + query.maybe_text().value_or("?"));
}

}  // namespace

Proof StoreReader::verify(const std::function<bool()>& stop, const ReplayProof& replay) {
    const Impl::Moment moment(*impl_);
    try {
        const auto breathe = [&] {
            if (stop && stop()) throw Stopped{};
        };
        Proof proof = Verifier(impl_->connection, impl_->bases, stop).run();
        if (proof.ok && replay) {
            AccountBooks books(impl_->connection, impl_->bases);
            proof.first_bad = replay(books, breathe);
        }
        // What does not follow is told first, and then the row that it comes from.
        const std::string row = store::row_fault(impl_->connection, breathe);
        if (!row.empty()) proof.first_bad += proof.first_bad.empty() ? row : " (" + row + ")";
        proof.ok = proof.first_bad.empty();
        return proof;
    } catch (const Stopped&) {
        Proof proof;
        proof.ok = false;
        proof.first_bad = "stopped before the end";
        return proof;
    } catch (const StoreError& error) {
        if (error.kind != StoreError::Kind::corrupt) throw;
        Proof proof;
        proof.ok = false;
        proof.first_bad = error.what();
        return proof;
    }
}

}  // namespace gatehouse
