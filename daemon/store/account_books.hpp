// The books of one account as a replay needs them: every figure that entered its lines in order,
// and what stands in lines, counters, rests and marks. The writer and readers share it; what it
// says is of the moment of the call, or of the transaction around it. One thread at a time; calls
// may throw StoreError.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/store/rows.hpp"

namespace gatehouse::sql {
class Connection;
}

namespace gatehouse {

// From an instant on what a meter used belongs to another place than it was charged to, up to the
// step that was the newest when two people said so.
struct RemapRow {
    std::uint64_t event = 0;
    std::string meter;
    UtcMs from = 0;
    std::uint64_t through_step = 0;
    std::uint64_t through_reading = 0;  // at which it goes on under its new place
    std::string account, tariff;
    int persons = 0;
};

// The event of one that is only thought of: it comes after all that were done.
inline constexpr std::uint64_t kThoughtOf = std::uint64_t{1} << 62;

class AccountBooks {
  public:
    // Both outlive it; the second is run -> wall - mono at its start.
    AccountBooks(sql::Connection& connection,
                 const std::unordered_map<std::int64_t, std::int64_t>& bases)
        : connection_(connection), bases_(bases) {}

    [[nodiscard]] std::vector<std::string> accounts();  // that a meter was ever charged to
    // The newest step of each of its meters; 0 where the meter was charged before steps were kept.
    [[nodiscard]] std::vector<std::uint64_t> newest_steps(const std::string& account);
    // The newest step of a meter on each account that it was ever charged to.
    [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> newest_steps_of_meter(
        const std::string& meter);
    // Of the meters that were ever charged to the account, or were re-mapped to it; in their order.
    [[nodiscard]] std::vector<RemapRow> remaps(const std::string& account);
    [[nodiscard]] std::vector<RemapRow> remaps_of_meter(const std::string& meter);
    [[nodiscard]] std::optional<StepRow> step(std::uint64_t step);
    // A meter that was ever charged to the account: all that it was charged by, oldest first, and
    // where its use stands in the lines of this account.
    struct ChargedMeter {
        std::string meter;
        std::vector<TermsRow> terms;
        Stamp at;
        std::optional<UtcMs> stands_at;
    };
    [[nodiscard]] std::vector<ChargedMeter> charged_meters(const std::string& account);
    // The newest terms of each meter that stand at another instant than a sample's.
    [[nodiscard]] std::vector<TermsRow> newest_terms();
    // The ones that hold, of stretches that end after that reading; in order of readings and times.
    [[nodiscard]] std::vector<EdgeFigureRow> edge_figures(const std::string& account,
                                                          std::uint64_t after_reading = 0);
    // A meter's total at a full hour (UTC milliseconds / 3,600,000), where it was read around it:
    // by samples that need not be stored.
    [[nodiscard]] std::optional<Milli> hour(const std::string& meter, std::int64_t hour);
    [[nodiscard]] std::vector<LadderOpeningRow> ladder_openings(const std::string& account);
    [[nodiscard]] std::vector<MonthTariffRow> months(const std::string& account);
    // Versions that do not hold for it: it was left as it was, or waits to be settled.
    struct LeftOut {
        LateVersionRow version;
        bool waiting = false;
    };
    [[nodiscard]] std::vector<LeftOut> left_out(const std::string& account);
    [[nodiscard]] bool is_settling(const std::string& account);

    [[nodiscard]] Settlement settlement(const std::string& account);  // whole
    [[nodiscard]] std::vector<LinePartRow> parts(const std::string& account, const LineKey& line);
    [[nodiscard]] std::int64_t line_id(const std::string& account, const LineKey& line);  // 0: none
    [[nodiscard]] std::vector<MarkRow> marks(const std::string& account);

    // Walks over the rows of all meters until it finds the neighbours: days of them where the meter
    // was away, so not on a thread that others wait for.
    [[nodiscard]] ReadingAround around(std::uint64_t reading);
    // What stands in the place of that reading; itself where nothing supersedes it. Of rows up to
    // `up_to` alone: what stood there when that one was the newest.
    [[nodiscard]] std::uint64_t newest_row(std::uint64_t reading, std::uint64_t up_to = INT64_MAX);

    [[nodiscard]] Registry registry();
    [[nodiscard]] std::vector<RunRow> runs();

  private:
    sql::Connection& connection_;
    const std::unordered_map<std::int64_t, std::int64_t>& bases_;
};

}  // namespace gatehouse
