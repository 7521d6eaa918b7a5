#include "daemon/engine/settling_desk.hpp"

#include <algorithm>
#include <set>

#include "daemon/engine/account_book.hpp"
#include "daemon/engine/command_desk.hpp"
#include "daemon/engine/fee_book.hpp"
#include "daemon/engine/late_edges.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kWorksMax = 4;
constexpr std::size_t kStepsAtOnce = 64;
// One past the last counter that people can mean: without a ladder nothing is counted.
constexpr LocalDate kNoLadder{1970, 1, 1};

TariffsOf::LeftOut left_out_of(AccountBooks& books, const std::string& account,
                               std::uint64_t but_not) {
    TariffsOf::LeftOut out;
    for (const auto& one : books.left_out(account))
        if (one.version.event != but_not || !one.waiting)
            out.insert({one.version.tariff, one.version.valid_from});
    return out;
}

std::optional<LocalDate> oldest_of(const std::vector<LateVersionRow>& versions) {
    std::optional<LocalDate> oldest;
    for (const LateVersionRow& version : versions)
        oldest = oldest ? std::min(*oldest, version.valid_from) : version.valid_from;
    return oldest;
}

// What lines from that month on come to; of those tariffs where some are named.
void add_lines(Charges& charges, const Settlement& settlement, const std::string& from_month,
               const std::set<std::string>& tariffs) {
    for (const auto& [key, line] : settlement.lines) {
        if (key.scope < from_month || (!tariffs.empty() && !tariffs.contains(key.tariff))) continue;
        (is_minimum(key) ? charges.minimum : charges.usage) += target(line);
    }
}

// With what was posted on each line in both.
std::vector<LineMove> moved_lines(const Settlement& after, const Settlement& stored) {
    std::vector<LineMove> moves;
    for (const auto& [key, line] : after.lines) {
        const auto there = stored.lines.find(key);
        const Line before = there == stored.lines.end() ? Line{line.price, {}, {}} : there->second;
        if (before.quantity != line.quantity || target(before) != target(line))
            moves.push_back({key, before, line});
    }
    return moves;
}

Fen sum_of(const FeeSums& fees) {
    Fen sum;
    for (const auto& [name, amount] : fees) sum += amount;
    return sum;
}

void charges_json(JsonWriter& json, const char* name, Fen before, Fen after) {
    if (before.count == 0 && after.count == 0) return;
    json.key(name)
        .begin_object()
        .field("old", format(before))
        .field("new", format(after))
        .end_object();
}

// The parts of a line are what a replay says they are; the same ones are left alone.
void put_parts(Context& context, const std::string& account, const LineKey& key, std::int64_t line,
               const std::vector<ReplayPart>& parts) {
    std::vector<LinePartRow> rows;
    for (const ReplayPart& part : parts)
        rows.push_back({part.meter, part.from, part.to, part.quantity});
    const auto order = [](const LinePartRow& a, const LinePartRow& b) {
        return std::tie(a.to, a.meter) < std::tie(b.to, b.meter);
    };
    std::sort(rows.begin(), rows.end(), order);
    const std::vector<LinePartRow> there = context.store.account_books().parts(account, key);
    const auto same = [](const LinePartRow& a, const LinePartRow& b) {
        return a.meter == b.meter && a.from == b.from && a.to == b.to && a.quantity == b.quantity;
    };
    if (!std::equal(rows.begin(), rows.end(), there.begin(), there.end(), same))
        context.store.replace_line_parts(line, rows);
}

void put_lines(Context& context, const std::string& account, const Settlement& stored,
               const Replayed& replayed) {
    static const std::vector<ReplayPart> kNone;
    for (const auto& [key, line] : replayed.settlement.lines) {
        const auto before = stored.lines.find(key);
        const bool same = before != stored.lines.end() && before->second == line;
        const std::int64_t id = same ? context.store.account_books().line_id(account, key)
                                     : context.store.put_line(account, key, line);
        const auto parts = replayed.parts.find(key);
        put_parts(context, account, key, id, parts == replayed.parts.end() ? kNone : parts->second);
    }
}

void put_counts(Context& context, const std::string& account, const Settlement& stored,
                const Settlement& replayed) {
    const auto counter_in = [](const Settlement& one, const Settlement::CounterKey& key) {
        const auto found = one.counters.find(key);
        return found == one.counters.end() ? Milli{} : found->second;
    };
    std::set<Settlement::CounterKey> counters;
    for (const auto& [key, used] : stored.counters) counters.insert(key);
    for (const auto& [key, used] : replayed.counters) counters.insert(key);
    for (const auto& key : counters)
        if (key.second != kNoLadder && counter_in(stored, key) != counter_in(replayed, key))
            context.store.put_counter({account, key.first, key.second, counter_in(replayed, key)});
    const auto rest_in = [](const Settlement& one, const std::string& tariff) {
        const auto found = one.rests.find(tariff);
        return found == one.rests.end() ? Milli{} : found->second;
    };
    std::set<std::string> rests;
    for (const auto& [tariff, rest] : stored.rests) rests.insert(tariff);
    for (const auto& [tariff, rest] : replayed.rests) rests.insert(tariff);
    for (const std::string& tariff : rests)
        if (rest_in(stored, tariff) != rest_in(replayed, tariff))
            context.store.put_rest({account, tariff, rest_in(replayed, tariff)});
}

void put_marks(Context& context, const std::string& account, const Replayed& replayed) {
    for (MarkRow& row : context.store.account_books().marks(account)) {
        const auto found = replayed.marks.find(row.meter);
        if (found == replayed.marks.end() ||
            (found->second.reading == row.reading && found->second.total == row.total))
            continue;
        row.reading = found->second.reading;
        row.total = found->second.total;
        context.store.put_mark(row);
        const auto meter = context.world.meter_index.find(row.meter);
        if (meter == context.world.meter_index.end()) continue;
        MeterRuntime& runtime = context.world.meters[meter->second];
        if (runtime.marked && runtime.mark.account == account) runtime.mark = row;
    }
}

// DESIGN.md 5: a price has a kind of its own; else what is more is charged, but in a month that was
// sealed, and what is less is corrected.
Entry entry_of(const Context& context, const std::string& account, const Due& due,
               const SettlingRow& cause) {
    if (cause.kind == "version") return price_settlement_entry(account, due, cause.cause);
    const bool charged = due.amount.count > 0 && due.key.scope > context.world.sealed_through;
    return (charged ? charge_entry : correction_entry)(account, due, cause.cause);
}

void book_settled(Context& context, std::size_t index, Entry entry, const SettlingRow& cause,
                  std::int64_t line, const std::string& reference = {}) {
    entry.by = cause.by;
    entry.second = cause.second;
    EntryExtra extra;
    extra.note = cause.reason;
    extra.reference = reference;
    extra.vouched = cause.vouched;
    book_entry(context, index, std::move(entry), std::move(extra), line);
}

// The differences of fees that were posted already, one entry a fee.
void book_fees(Context& context, std::size_t index, AccountReplay& replay, std::uint64_t event,
               const SettlingRow& cause, LocalDate from) {
    AccountBooks& books = context.store.account_books();
    const std::string& account = replay.account();
    TariffsOf before(context.world.registry, left_out_of(books, account, 0));
    const auto lookup = [](TariffsOf& tariffs) {
        return [&tariffs](const std::string& id) { return tariffs(id); };
    };
    FeeSums differences =
        fees_by(context, index, replay.stretches(), lookup(replay.tariffs(0)), from);
    for (const auto& [name, amount] :
         fees_by(context, index, replay.stretches(), lookup(before), from))
        differences[name] -= amount;
    for (const auto& [name, amount] : differences)
        if (amount.count != 0)
            book_settled(context, index, fee_settlement_entry(account, amount, cause.cause), cause,
                         0, name.first + "/" + name.second);
    GH_ASSERT(event != 0);
}

}  // namespace

Fen Figures::amount() const {
    Fen sum;
    for (const Figure& row : rows) sum += row.amount;
    return sum;
}

void write_figures(JsonWriter& money, const Figures& figures, const char* kind) {
    for (const Figure& row : figures.rows) {
        const Fen before = row.before.sum(), after = row.after.sum();
        money.begin_object()
            .field("account", row.account)
            .field("kind", kind)
            .field("old", format(before))
            .field("new", format(after))
            .field("difference", format(after - before))
            .field("amount", format(row.amount));
        charges_json(money, "usage", row.before.usage, row.after.usage);
        charges_json(money, "minimum", row.before.minimum, row.after.minimum);
        charges_json(money, "fees", row.before.fees, row.after.fees);
        money.end_object();
    }
}

void write_figure_totals(JsonWriter& json, const Figures& figures) {
    Fen before, after;
    for (const Figure& row : figures.rows) {
        before += row.before.sum();
        after += row.after.sum();
    }
    json.key("settlement")
        .begin_object()
        .field("accounts", figures.accounts)
        .field("moved", figures.rows.size())
        .field("old", format(before))
        .field("new", format(after))
        .field("difference", format(after - before))
        .field("amount", format(figures.amount()))
        .end_object();
}

SettlingDesk::SettlingDesk(Context& context)
    : context_(context),
      frame_{context.world.calendar, context.zone,
             [&context](const Stamp& stamp) { return context.best(stamp); }} {}

bool SettlingDesk::begin(LateWork& work) {
    if (works_.size() >= kWorksMax) return false;
    works_.push_back(std::move(work));
    return true;
}

bool SettlingDesk::slice(const Clock& clock, MonoMs deadline_mono_ms) {
    if (!context_.writable || !context_.clock.trusted()) return false;
    return post(clock, deadline_mono_ms) || look(clock, deadline_mono_ms);
}

bool SettlingDesk::look(const Clock& clock, MonoMs deadline_mono_ms) {
    while (!works_.empty()) {
        LateWork& work = works_.front();
        if (next_ >= work.accounts.size()) {
            // What it posts, if anything, comes before the next one is looked at.
            context_.actor = work.actor;
            LateWork::Done done = work.carry_on(context_, std::exchange(figures_, {}));
            context_.actor.clear();
            Answer answer{std::move(work.handler), std::move(done.reply)};
            if (done.event == 0)
                answers_.push_back(std::move(answer));
            else
                answers_of_.insert_or_assign(done.event, std::move(answer));
            loaded_ = loaded_ && done.event == 0;
            works_.pop_front();
            next_ = 0;
            return true;
        }
        const std::string& account = work.accounts[next_];
        AccountBooks& books = context_.store.account_books();
        if (!replay_) {
            const AccountRuntime& runtime =
                context_.world.accounts[context_.world.account_index.at(account)];
            const TariffsOf::LeftOut left_out = left_out_of(books, account, 0);
            replay_ =
                std::make_unique<AccountReplay>(books, frame_, account, runtime.row->live_from);
            replay_->add({std::make_shared<TariffsOf>(context_.world.registry, left_out)});
            const bool seeks = !work.versions.empty() || !work.remaps.empty();
            replay_->add({std::make_shared<TariffsOf>(work.registry, left_out), work.corrected,
                          work.edges, work.remaps, seeks});
        }
        while (!replay_->advance(kStepsAtOnce))
            if (clock.mono_ms() >= deadline_mono_ms) return true;
        note_figure(work);
        replay_.reset();
        ++next_;
        if (clock.mono_ms() >= deadline_mono_ms) return true;
    }
    return false;
}

void SettlingDesk::note_figure(const LateWork& work) {
    const std::string& account = replay_->account();
    const std::size_t index = context_.world.account_index.at(account);
    const Settlement stored = context_.store.account_books().settlement(account);
    Replayed& after = replay_->result(1);
    ++figures_.accounts;
    std::string fault = replay_->fault();
    if (fault.empty()) {
        if (const auto found = replay_fault(replay_->result(0).settlement, stored))
            fault = "has other lines than its readings give (" + found->words +
                    "); see `gatehousectl verify`";
    }
    if (!fault.empty()) {
        figures_.faults.push_back("account " + account + " " + fault);
        return;
    }
    std::set<std::string> tariffs;
    for (const LateVersionRow& version : work.versions) tariffs.insert(version.tariff);
    Figure figure;
    figure.account = account;
    add_lines(figure.before, stored, work.from_month, tariffs);
    add_lines(figure.after, after.settlement, work.from_month, tariffs);
    if (const auto from = oldest_of(work.versions)) {
        const auto fees = [&](std::size_t set) {
            TariffsOf& of = replay_->tariffs(set);
            return sum_of(fees_by(
                context_, index, replay_->stretches(),
                [&of](const std::string& id) { return of(id); }, *from));
        };
        figure.before.fees = fees(0);
        figure.after.fees = fees(1);
    }
    carry_posted(after.settlement, stored);
    if (!work.remaps.empty()) {
        figure.lines = moved_lines(after.settlement, stored);
        figure.meters = replay_->moved(1);
    }
    if (covers_ledger(context_.world.accounts[index]))
        figure.amount = figure.before.fees - figure.after.fees - outstanding(after.settlement);
    if (figure.amount.count != 0 || figure.before.sum() != figure.after.sum() ||
        !figure.lines.empty() || !figure.meters.empty())
        figures_.rows.push_back(std::move(figure));
}

bool SettlingDesk::post(const Clock& clock, MonoMs deadline_mono_ms) {
    if (!loaded_) {
        loaded_ = true;
        const auto rows = context_.store.load_waiting();
        waiting_.assign(rows.begin(), rows.end());
        replay_.reset();
    }
    while (!waiting_.empty()) {
        const auto& [event, account] = waiting_.front();
        AccountBooks& books = context_.store.account_books();
        if (!replay_) {
            const AccountRuntime& runtime =
                context_.world.accounts[context_.world.account_index.at(account)];
            replay_ =
                std::make_unique<AccountReplay>(books, frame_, account, runtime.row->live_from);
            // A corrected figure moves nothing else.
            const bool seeks = context_.store.find_settling(event)->kind != "correction";
            replay_->add({std::make_shared<TariffsOf>(context_.world.registry,
                                                      left_out_of(books, account, event)),
                          {},
                          {},
                          {},
                          seeks});
        }
        while (!replay_->advance(kStepsAtOnce))
            if (clock.mono_ms() >= deadline_mono_ms) return true;
        const std::uint64_t settled = event;
        settle();
        replay_.reset();
        waiting_.pop_front();
        if (waiting_.empty() || waiting_.front().first != settled) end_event(settled);
        if (clock.mono_ms() >= deadline_mono_ms) return !waiting_.empty() || !works_.empty();
    }
    return false;
}

void SettlingDesk::settle() {
    const auto [event, account] = waiting_.front();
    const std::size_t index = context_.world.account_index.at(account);
    AccountRuntime& runtime = context_.world.accounts[index];
    Store& store = context_.store;
    const std::optional<SettlingRow> cause = store.find_settling(event);
    GH_ASSERT(cause.has_value());
    const Settlement stored = store.account_books().settlement(account);
    // Once for an account: the key and all that is posted under it stand in one transaction.
    if (!replay_->fault().empty() || !runtime.row->closed.empty() ||
        !store.add_posting(account, cause->cause)) {
        store.put_settling_state(event, account, SettlingState::left);
        tell_left(*cause, account);
        return;
    }
    Replayed& replayed = replay_->result(0);
    carry_posted(replayed.settlement, stored);
    put_lines(context_, account, stored, replayed);
    put_counts(context_, account, stored, replayed.settlement);
    put_marks(context_, account, replayed);
    std::vector<EdgeFigureRow> edges = replay_->found(0);
    for (EdgeFigureRow& row : edges) row.event = event;
    store.add_edge_figures(account, edges);
    if (covers_ledger(runtime)) {
        for (const Due& due : due(replayed.settlement)) {
            mark_posted(replayed.settlement, due);
            const std::int64_t line =
                store.put_line(account, due.key, replayed.settlement.lines.at(due.key));
            book_settled(context_, index, entry_of(context_, account, due, *cause), *cause, line);
        }
        std::vector<LateVersionRow> versions;
        for (const auto& one : store.account_books().left_out(account))
            if (one.version.event == event) versions.push_back(one.version);
        if (const auto from = oldest_of(versions))
            book_fees(context_, index, *replay_, event, *cause, *from);
    }
    store.end_settling(event, account);
    runtime.settlement = std::move(replayed.settlement);
    const LocalDate today = context_.day_of(context_.now_ms());
    forget_settled(runtime.settlement, runtime.lines_from,
                   date_from_days(days_since_epoch(today) - kCountersDays));
    if (cause->kind == "version") take_late_bands(context_, index, event);
    reprice(context_, index, Mover::correction);
    context_.urgent = true;
}

void SettlingDesk::tell_left(const SettlingRow& cause, const std::string& account) {
    JsonWriter body;
    body.begin_object()
        .field("account", account)
        .field("cause", cause.cause)
        .field_if("reason", replay_->fault())
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    log_event(context_, "account.not_settled", "{\"account\":\"" + account + "\"}", body.take(),
              {"account:" + account});
}

void SettlingDesk::end_event(std::uint64_t event) {
    const std::optional<SettlingRow> cause = context_.store.find_settling(event);
    JsonWriter body;
    body.begin_object()
        .field("cause", cause->cause)
        .field("event", event)
        .field("by", cause->by)
        .field("second", cause->second)
        .field("at", context_.iso(context_.now_ms()))
        .end_object();
    const char* kind = cause->kind == "version" ? "tariff.settled"
                       : cause->kind == "remap" ? "meter.remap_settled"
                                                : "reading.settled";
    log_event(context_, kind, "{}", body.take());
    const auto waits = answers_of_.find(event);
    if (waits == answers_of_.end()) return;
    answers_.push_back(std::move(waits->second));
    answers_of_.erase(waits);
}

void SettlingDesk::reset(const Reply& refusal) {
    loaded_ = false;
    replay_.reset();
    next_ = 0;
    figures_ = {};
    for (LateWork& work : works_) answers_.push_back({std::move(work.handler), refusal});
    works_.clear();
    for (auto& [event, answer] : answers_of_)
        answers_.push_back({std::move(answer.handler), refusal});
    answers_of_.clear();
}

std::optional<Reply> figures_refusal(const Figures& figures) {
    if (figures.faults.empty()) return std::nullopt;
    Reply reply = refusal(
        ReplyKind::conflict, "cannot-settle",
        figures.faults.front() + "; nothing was changed: correct the account by an adjustment");
    for (const std::string& fault : figures.faults) reply.errors.push_back({"", fault});
    return reply;
}

std::optional<Reply> settling_refusal(const Context& context) {
    const auto waiting = context.store.load_waiting();
    if (waiting.empty()) return std::nullopt;
    return refusal(ReplyKind::conflict, "settling",
                   "what event " + std::to_string(waiting.front().first) +
                       " changed is still being posted, " + std::to_string(waiting.size()) +
                       " accounts are left; ask again in a moment");
}

}  // namespace gatehouse
