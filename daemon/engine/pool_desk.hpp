// The pool desk: what two people approved is shared out among the members of a pool, from the next
// day on and each share once. What stands on a sheet is not its work (pool_sheet). Engine thread
// only.
#pragma once

#include <vector>

#include "daemon/engine/world.hpp"
#include "daemon/store/pool_rows.hpp"

namespace gatehouse {

// What an account still owes of sheets that were approved and are not charged yet. Who leaves
// before the day pays it with the end: nobody else used it.
[[nodiscard]] std::vector<WaitingShareRow> shares_of_closing(Context& context, std::size_t account);
[[nodiscard]] Fen sum_of(const std::vector<WaitingShareRow>& shares);
// Books them as they stand.
void charge_shares(Context& context, std::size_t account,
                   const std::vector<WaitingShareRow>& shares);

class PoolDesk {
  public:
    explicit PoolDesk(Context& context) : context_(context) {}

    // Refused where the sheet has problems, where the month has one already, where the registry
    // moved since the sheet was made, and while the clock is not trusted. Once for its key.
    [[nodiscard]] Reply approve(const ApprovePool& command);
    // Refused once the day's charging has begun. What was paid by who left before stays paid.
    [[nodiscard]] Reply withdraw(const WithdrawPool& command);

    // Charges what is due until the deadline; true where some is left because time ran out.
    [[nodiscard]] bool slice(const Clock& clock, MonoMs deadline_mono_ms);
    // The books were loaded anew.
    void reset() { loaded_ = false; }

  private:
    [[nodiscard]] PoolSheetRow row_of(const ApprovePool& command);
    void load();
    [[nodiscard]] bool charge(PoolSheetRow& sheet, const Clock& clock, MonoMs deadline_mono_ms);
    void charge_share(const PoolSheetRow& sheet, PoolShareRow& share);
    void end(const PoolSheetRow& sheet);

    Context& context_;
    bool loaded_ = false;
    std::vector<PoolSheetRow> waiting_;
};

}  // namespace gatehouse
