// The replay of one account from its stored books, in slices: whoever has other work to do takes so
// many steps at a time. It decides nothing and writes nothing. One thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/replay.hpp"
#include "daemon/store/account_books.hpp"

namespace gatehouse {

// What every account is replayed with; calendar and zone outlive the replays.
struct ReplayFrame {
    const Calendar& calendar;
    const Zone& zone;
    std::function<UtcMs(const Stamp&)> time;
};

// The tariffs of a registry as they hold for one account: without the versions that came late and
// do not. Copies are made when they are asked for; the registry is kept.
class TariffsOf {
  public:
    using LeftOut = std::set<std::pair<std::string, LocalDate>>;
    TariffsOf(std::shared_ptr<const Registry> registry, LeftOut left_out);
    const Tariff* operator()(const std::string& id);

  private:
    std::shared_ptr<const Registry> registry_;
    LeftOut left_out_;
    std::map<std::string, std::unique_ptr<Tariff>> known_;
};

// Totals that are to stand instead of those of the books, by reading.
using Corrected = std::map<std::uint64_t, Milli>;
// An edge where no freeze stands: the reading with which the stretch of use ends, and the instant.
using EdgePlace = std::pair<std::uint64_t, UtcMs>;

// Two points between which totals lie on a line; `from` is not after `to`.
struct TotalLine {
    UtcMs from = 0, to = 0;
    Milli from_total, to_total;  // not below the other
    // DESIGN.md 5, "Edges".
    [[nodiscard]] Milli at(UtcMs edge) const;
};
// What a meter had counted at an edge where no freeze stands is told by its totals at full hours,
// which are kept for 13 months: the line between the known ones next to the edge, or the ends.
// Nothing where no hour lies between the ends. An hour beside them, of before a correction, tells
// nothing.
[[nodiscard]] std::optional<TotalLine> line_told(AccountBooks& books, const std::string& meter,
                                                 const TotalLine& ends, UtcMs edge);

// What one replay is made with.
struct ReplayTake {
    std::shared_ptr<TariffsOf> tariffs;
    Corrected corrected = {};
    std::map<EdgePlace, Milli> edges = {};  // the same at edges
    std::vector<RemapRow> remaps = {};      // meters that belonged elsewhere
    // Totals at edges that nobody was settled by yet are sought among the hours that are kept.
    bool seeks = false;
};

class AccountReplay {
  public:
    AccountReplay(AccountBooks& books, const ReplayFrame& frame, std::string account,
                  std::optional<LocalDate> live_from);
    AccountReplay(const AccountReplay&) = delete;
    AccountReplay& operator=(const AccountReplay&) = delete;
    // One more set of prices, figures and meters that belonged elsewhere; before the first step.
    void add(ReplayTake take);
    // Takes so many steps; true once everything that the books hold now is in.
    [[nodiscard]] bool advance(std::size_t steps);

    // Afterwards: of the sets in the order of add().
    [[nodiscard]] Replayed& result(std::size_t index) { return sets_.at(index).replay.result(); }
    [[nodiscard]] TariffsOf& tariffs(std::size_t index) { return *sets_.at(index).with.tariffs; }
    // What was sought and found.
    [[nodiscard]] const std::vector<EdgeFigureRow>& found(std::size_t index) const {
        return sets_.at(index).found;
    }
    // What a meter counted of the stretch that would move to the account, by meter.
    struct Moved {
        Milli from, to;
        std::uint64_t reading = 0;  // where the stretch begins
    };
    [[nodiscard]] const std::map<std::string, Moved>& moved(std::size_t index) const {
        return sets_.at(index).moved;
    }
    [[nodiscard]] const std::string& account() const { return account_; }
    // Whether the newest figure of a meter belongs to another account now.
    [[nodiscard]] bool has_left(const std::string& meter) const {
        const auto found = sets_.front().seen.find(meter);
        return found != sets_.front().seen.end() && !found->second.ours;
    }
    // Why it cannot be replayed; empty: it can.
    [[nodiscard]] const std::string& fault() const { return fault_; }
    // From when to when a meter was charged by which tariff, in order of meters; the last of a
    // meter ends with its newest step.
    struct Stretch {
        std::string meter, tariff;
        UtcMs from = 0, to = 0;
    };
    [[nodiscard]] const std::vector<Stretch>& stretches() const { return stretches_; }
    [[nodiscard]] bool empty() const { return rows_.empty(); }

  private:
    // A step, and the account to which it was charged when it was taken.
    struct Chained {
        StepRow row;
        std::string account;
    };
    struct Head {
        std::uint64_t step = 0;
        std::string account;
    };
    // Of a meter in one set: its newest figure, on whatever account that stands.
    struct Seen {
        std::optional<ReplayRow> row;
        bool ours = false;
        ReplayTerms terms;
    };
    struct Set {
        ReplayTake with;
        Replay replay;
        std::map<std::string, Seen> seen;
        std::map<std::string, Moved> moved;
        std::vector<EdgeFigureRow> found;
    };

    void start();
    void walk();
    void take(const Chained& chained);
    void take_in(Set& set, const Chained& chained, ReplayRow row);
    void begin_moved(Set& set, const RemapRow& moved, const Seen& seen);
    void note_stretch(const Set& set, const ReplayRow& row);
    [[nodiscard]] std::optional<Milli> figure_at(Set& set, const ReplayStretch& stretch,
                                                 UtcMs edge);
    [[nodiscard]] bool find_newer();
    void finish();

    AccountBooks& books_;
    const ReplayFrame& frame_;
    std::string account_;
    std::optional<LocalDate> live_from_;
    std::vector<Set> sets_;
    std::map<EdgePlace, Milli> edges_;  // by which it was settled
    std::set<std::string> strangers_;   // meters that were re-mapped to the account
    std::vector<Head> heads_;           // of the chains that are walked back
    std::vector<Chained> rows_;
    std::size_t next_ = 0;
    std::uint64_t newest_ = 0;
    bool started_ = false, done_ = false;
    std::map<std::string, std::size_t> open_;  // by meter, its newest stretch
    std::vector<Stretch> stretches_;
    std::string fault_;
};

}  // namespace gatehouse
