// Replay: what an account's stored figures come to when they are priced anew from the first one
// on, in the order in which they entered the lines. It is how a price or a correction that comes
// late finds what every line should hold, and how the books are proved. It posts nothing and reads
// no store; who calls it compares with what was posted (carry_posted, due). Pure, any thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/calendar.hpp"
#include "daemon/core/settlement.hpp"
#include "daemon/core/time.hpp"

namespace gatehouse {

// What charges a meter to the account from a reading on; tariff empty: nothing any more.
struct ReplayTerms {
    std::string tariff;
    int persons = 0;
    friend bool operator==(const ReplayTerms&, const ReplayTerms&) = default;
};
// A stored figure of a meter of the account. The use since the row of that meter before is charged
// on the terms that held until here.
struct ReplayRow {
    std::uint64_t reading = 0;  // seq
    std::string meter;
    UtcMs at = 0;  // where it stands
    Milli total;
    std::optional<ReplayTerms> terms;  // set where others begin
    bool begins = false;               // what the meter used before is none of the account's
};
// What the old system had counted of a tariff when the account opened. Where a version changed the
// ladder since, so that its counter began on another day than `start`, it counts no more.
struct ReplaySeed {
    std::string tariff;
    LocalDate day;
    Milli used;
    std::optional<LocalDate> start = {};
};
// A month that was posted whole while the tariff charged a meter of the account.
struct ReplayMonth {
    LocalDate last_day;
    std::string tariff;
};
struct ReplayAccount {
    std::vector<ReplaySeed> seeds;
    std::optional<LocalDate> live_from;  // what was used before is charged to nobody
    std::vector<ReplayRow> rows;         // in the order in which they entered the lines
    std::vector<ReplayMonth> months_ended;
};

using TariffLookup = std::function<const Tariff*(const std::string& id)>;  // null: none

// What a meter used from an instant to a row.
struct ReplayStretch {
    UtcMs from = 0;
    Milli from_total;
    const ReplayRow& to;
};
// The total at an instant within the stretch, where something tells it; nothing: it lies on the
// line between the ends.
using FigureAt = std::function<std::optional<Milli>(const ReplayStretch& stretch, UtcMs edge)>;

// What a line rests on: of that meter between two readings went quantity into it.
struct ReplayPart {
    std::string meter;
    std::uint64_t from = 0, to = 0;  // reading seqs
    Milli quantity;
    friend bool operator==(const ReplayPart&, const ReplayPart&) = default;
};
// How far a meter's use stands in the lines.
struct ReplayMark {
    std::uint64_t reading = 0;
    Milli total;
    friend bool operator==(const ReplayMark&, const ReplayMark&) = default;
};
struct Replayed {
    Settlement settlement;  // posted is 0 in every line
    std::map<LineKey, std::vector<ReplayPart>> parts;
    std::map<std::string, ReplayMark> marks;  // by meter
    // The first reading whose use could not be priced (no version, no band, too much); 0: none. Its
    // use enters the lines with the next row that has a price, if one comes.
    std::uint64_t unpriced = 0;
};

// The edges of bands strictly between two instants of one day; none where a midnight lies between
// them: the meter was away for so long that nobody split its use.
[[nodiscard]] std::vector<UtcMs> edges_within_day(const Tariff& tariff, UtcMs from, UtcMs to,
                                                  const Calendar& calendar, const Zone& zone);

// Row by row, for callers that do other work in between.
class Replay {
  public:
    // The calendar and the zone outlive it. Without `figure_at` nothing tells a total at an edge.
    Replay(TariffLookup tariffs, const Calendar& calendar, const Zone& zone,
           std::optional<LocalDate> live_from, FigureAt figure_at = nullptr);
    void seed(const ReplaySeed& seed);  // before the first row
    // A version that came later may have edges of bands where no freeze stands. Between two rows of
    // one day the totals there are what `figure_at` says, or lie on the line between the rows, as
    // in total_at_edge.
    void take(const ReplayRow& row);
    void end_month(const ReplayMonth& month);  // after the last row
    [[nodiscard]] Replayed& result() { return out_; }

  private:
    struct MeterReplay {
        UtcMs at = 0;
        Milli seen;  // the total there, priced or not
        ReplayTerms terms;
    };
    void charge(MeterReplay& meter, ReplayMark& mark, const Tariff& tariff, const ReplayRow& row);
    [[nodiscard]] Milli total_at(const ReplayStretch& stretch, UtcMs edge) const;
    bool price(const MeterReplay& meter, ReplayMark& mark, const Tariff& tariff, UtcMs edge,
               Milli total, const ReplayRow& row);

    TariffLookup tariffs_;
    const Calendar& calendar_;
    const Zone& zone_;
    std::optional<LocalDate> live_from_;
    FigureAt figure_at_;
    std::map<std::string, MeterReplay> meters_;
    Replayed out_;
};
[[nodiscard]] Replayed replay(const ReplayAccount& account, const TariffLookup& tariffs,
                              const Calendar& calendar, const Zone& zone);

// Gives every line what was posted on it, lines that hold nothing any more included, so that due()
// tells the differences.
void carry_posted(Settlement& replayed, const Settlement& stored);

// The first thing in which stored books differ from what the figures come to, in words; empty where
// they agree. What holds nothing counts as not there; of lines the posted amounts are left out.
struct ReplayFault {
    std::optional<LineKey> line;
    std::string words;
};
[[nodiscard]] std::optional<ReplayFault> replay_fault(const Settlement& replayed,
                                                      const Settlement& stored);

}  // namespace gatehouse
