#include "daemon/engine/replay_proof.hpp"

#include <map>
#include <memory>
#include <utility>

#include "daemon/engine/account_replay.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kStepsAtOnce = 1'024;

std::string line_words(const std::string& account, const LineKey& key, std::int64_t id) {
    std::string words =
        "line " + std::to_string(id) + " (account " + account + ", " + key.scope + ", ";
    if (is_minimum(key)) return words + "minimum)";
    return words + (key.band.empty() ? "tier " + std::to_string(key.tier) : "band " + key.band) +
           ")";
}

// Readings, steps, lines and entries were proved before, so what does not agree are the prices that
// the line names; where no price can be to blame, the line itself.
std::string fault_words(AccountBooks& books, const std::string& account, const ReplayFault& fault) {
    if (!fault.line) return "account " + account + ": " + fault.words;
    const LineKey& key = *fault.line;
    return "tariff " + key.tariff + ", version " + format_date(key.version) +
           ": priced by it the figures do not give " +
           line_words(account, key, books.line_id(account, key)) + ": " + fault.words;
}

std::string mark_fault(AccountBooks& books, const std::string& account, AccountReplay& replay) {
    const Replayed& replayed = replay.result(0);
    for (const MarkRow& mark : books.marks(account)) {
        const auto right = replayed.marks.find(mark.meter);
        // A re-mapping that was taken back leaves nothing of the meter.
        if (right == replayed.marks.end() && replay.has_left(mark.meter)) continue;
        if (right == replayed.marks.end() || right->second.total != mark.total)
            return "mark of meter " + mark.meter + " on account " + account +
                   ": its newest figure in the lines is another than " + format(mark.total);
    }
    return {};
}

std::string parts_fault(AccountBooks& books, const std::string& account, const Replayed& replayed) {
    for (const auto& [key, right] : replayed.parts) {
        std::map<std::pair<std::string, std::uint64_t>, Milli> there;
        for (const LinePartRow& part : books.parts(account, key))
            there[{part.meter, part.to}] += part.quantity;
        for (const ReplayPart& part : right) {
            const auto found = there.find({part.meter, part.to});
            if (found != there.end() && found->second == part.quantity) continue;
            return line_words(account, key, books.line_id(account, key)) +
                   ": what it has of reading " + std::to_string(part.to) + " is not " +
                   format(part.quantity);
        }
    }
    return {};
}

}  // namespace

std::string replay_proof(AccountBooks& books, const Zone& zone,
                         const std::function<void()>& breathe) {
    const auto registry = std::make_shared<const Registry>(books.registry());
    const Calendar calendar(registry->calendar);
    RunTimes runs;
    runs.set(books.runs());
    const ReplayFrame frame{calendar, zone,
                            [&](const Stamp& stamp) { return runs.time(stamp).at; }};
    std::map<std::string, std::optional<LocalDate>> live;
    for (const Account& account : registry->accounts) live[account.account] = account.live_from;
    for (const std::string& account : books.accounts()) {
        breathe();
        if (books.is_settling(account)) continue;
        TariffsOf::LeftOut left_out;
        for (const auto& one : books.left_out(account))
            left_out.insert({one.version.tariff, one.version.valid_from});
        AccountReplay replay(books, frame, account, live[account]);
        replay.add({std::make_shared<TariffsOf>(registry, std::move(left_out))});
        while (!replay.advance(kStepsAtOnce)) breathe();
        if (!replay.fault().empty()) continue;
        const Replayed& replayed = replay.result(0);
        if (const auto fault = replay_fault(replayed.settlement, books.settlement(account)))
            return fault_words(books, account, *fault);
        if (auto fault = mark_fault(books, account, replay); !fault.empty()) return fault;
        if (auto fault = parts_fault(books, account, replayed); !fault.empty()) return fault;
    }
    return {};
}

}  // namespace gatehouse
